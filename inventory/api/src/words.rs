//! Words of the wire as types.

/// An enum whose values are single words on the wire. A word that is not in the list is kept in the last
/// variant, so that a client survives a newer server.
macro_rules! words {
    (
        $(#[$doc:meta])* $name:ident {
            $($(#[$known_doc:meta])* $known:ident = $word:literal,)*
        }
        $(#[$other_doc:meta])* else $other:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$known_doc])* $known,)*
            $(#[$other_doc])* $other(String),
        }

        impl $name {
            /// Every value that has a fixed word.
            pub const ALL: &'static [$name] = &[$($name::$known),*];

            /// The word on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$known => $word,)*
                    $name::$other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> $name {
                match word {
                    $($word => $name::$known,)*
                    word => $name::$other(word.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        crate::id::text_serde!($name, $name::try_from);
    };
}
pub(crate) use words;

/// Displays an enum as its word on the wire; with `read`, reads the words of its `ALL`.
macro_rules! wire_word {
    ($name:ty, read) => {
        wire_word!($name);

        impl std::str::FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL
                    .into_iter()
                    .find(|known| known.to_string() == text)
                    .ok_or(())
            }
        }
    };
    ($name:ty) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                serde::Serialize::serialize(self, f)
            }
        }
    };
}
pub(crate) use wire_word;

/// An enum whose variants have fixed names, the same on the wire as in `name()`.
#[macro_export]
macro_rules! named {
    (
        $(#[$meta:meta])* pub enum $enum:ident {
            $($(#[$doc:meta])* $variant:ident $({ $($fields:tt)* })? $(($payload:ty))? = $name:literal,)*
        }
    ) => {
        $(#[$meta])*
        pub enum $enum {
            $($(#[$doc])* #[serde(rename = $name)] $variant $({ $($fields)* })? $(($payload))?,)*
        }

        impl $enum {
            /// The stable name, as on the wire.
            pub fn name(&self) -> &'static str {
                match self {
                    $($enum::$variant { .. } => $name,)*
                }
            }
        }
    };
}
