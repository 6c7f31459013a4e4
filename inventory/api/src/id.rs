//! Names and units: MAC addresses, machine and plan ids, digests, time.

pub use crate::guid::Guid;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A 48-bit hardware address. Text form: lower case, colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Zero or multicast: no network card has it.
    pub fn is_junk(&self) -> bool {
        self.0 == [0; 6] || self.0[0] & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a text cannot be parsed as one of these types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not six hexadecimal bytes.
    #[error("{0:?} is not a MAC address: expected six bytes such as 52:54:00:12:34:56")]
    Mac(String),
    /// Not 64 hexadecimal digits.
    #[error("{0:?} is not a SHA-256 digest: expected 64 hexadecimal digits")]
    Digest(String),
    /// Empty, too long, or with characters that are not safe in a path.
    #[error("{0:?} is not an id: expected 1 to 64 of a-z, 0-9 and '-'")]
    Id(String),
}

impl FromStr for Mac {
    type Err = NameError;

    /// Reads `52:54:00:12:34:56`, `52-54-00-12-34-56` (iPXE's `hexhyp`), `5254.0012.3456` (Cisco) or
    /// `525400123456`, in either case.
    fn from_str(text: &str) -> Result<Mac, NameError> {
        let bad = || NameError::Mac(text.chars().take(40).collect());
        // Digits between two separators, and the separators that are allowed.
        let (group, separators): (usize, &[u8]) = match text.len() {
            17 => (2, b":-"),
            14 => (4, b"."),
            12 => (12, b""),
            _ => return Err(bad()),
        };
        let separator = separators.iter().find(|c| text.as_bytes()[group] == **c);
        let right = |(i, c): (usize, u8)| (i % (group + 1) == group) == (Some(&c) == separator);
        if separator.is_none() != separators.is_empty() || !text.bytes().enumerate().all(right) {
            return Err(bad());
        }
        let digits: String = text
            .chars()
            .filter(|c| !separators.contains(&(*c as u8)))
            .collect();
        let mut bytes = [0; 6];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| bad())?;
        Ok(Mac(bytes))
    }
}

/// On the wire a type is the text that `Display` writes. `$read` reads it, [`str::parse`] if absent.
macro_rules! text_serde {
    ($name:ty) => {
        text_serde!($name, str::parse);
    };
    ($name:ty, $read:expr) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(d)?;
                $read(text.as_str()).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_serde;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let ok = (1..=64).contains(&text.len())
                    && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
                if ok { Ok($name(text.to_owned())) } else { Err(NameError::Id(text.chars().take(80).collect())) }
            }
        }
        text_serde!($name);
    };
}

id_type!(
    /// One physical server, for as long as Slipway knows it: `m-` and twelve hexadecimal digits.
    MachineId
);
id_type!(
    /// One install plan: `p-` and sixteen hexadecimal digits.
    PlanId
);

/// A SHA-256 digest. Text form: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Sha256Digest {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = || NameError::Digest(text.chars().take(80).collect());
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| bad())?;
        Ok(Sha256Digest(bytes))
    }
}

text_serde!(Mac);
text_serde!(Sha256Digest);

/// Milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

/// The time that has passed since 1970, as `UNIX_EPOCH.elapsed()` gives it.
impl From<std::time::Duration> for UnixMs {
    fn from(since_1970: std::time::Duration) -> UnixMs {
        UnixMs(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

impl UnixMs {
    /// This many seconds later.
    pub fn plus_seconds(self, seconds: u64) -> UnixMs {
        UnixMs(
            self.0
                .saturating_add((seconds.min(i64::MAX as u64 / 1000) as i64) * 1000),
        )
    }

    /// This many seconds earlier.
    pub fn minus_seconds(self, seconds: u32) -> UnixMs {
        UnixMs(self.0.saturating_sub(i64::from(seconds) * 1000))
    }

    /// Milliseconds from `earlier` to `self`; 0 if the clock went back.
    pub fn since(self, earlier: UnixMs) -> u64 {
        self.0.saturating_sub(earlier.0).max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_forms() {
        let mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0xab]);
        for text in [
            "52:54:00:12:34:ab",
            "52-54-00-12-34-AB",
            "5254001234ab",
            "5254.0012.34AB",
        ] {
            assert_eq!(text.parse::<Mac>(), Ok(mac), "{text}");
        }
        for text in [
            "",
            "52:54:00:12:34",
            "52:54:00-12:34:ab",
            "52.54.00.12.34.ab",
            "5254:0012:34ab",
            "5254.00123.4ab",
            "5254.0012.34a.",
            "52540012.34ab.",
            "5254.0012é34a",
            "5254001234a",
            "52:54:00:12:34:ag",
            "é2:54:00:12:34:a",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
        assert_eq!(mac.to_string(), "52:54:00:12:34:ab");
        assert!(Mac([0xff; 6]).is_junk() && Mac([0; 6]).is_junk() && !mac.is_junk());
    }

    #[test]
    fn ids_are_safe_in_paths() {
        assert!("m-0123456789ab".parse::<MachineId>().is_ok());
        for text in ["", "../x", "m 1", "M-1", "m/1"] {
            assert!(text.parse::<MachineId>().is_err(), "{text}");
        }
    }
}
