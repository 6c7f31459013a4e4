//! Types of clients' messages, by their number.

/// Defines `MessageKind`.
macro_rules! message_kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// What a message asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MessageKind {
            $($(#[$doc])* $name,)*
        }

        impl MessageKind {
            /// `None`: a message that no client sends to a server, or one we do not support.
            fn of(number: u8) -> Option<MessageKind> {
                match number {
                    $($number => Some(MessageKind::$name),)*
                    _ => None,
                }
            }
        }

        impl From<MessageKind> for inventory_api::dhcp::DhcpMessage {
            fn from(message: MessageKind) -> Self {
                match message {
                    $(MessageKind::$name => Self::$name,)*
                }
            }
        }
    };
}
pub(crate) use message_kinds;
