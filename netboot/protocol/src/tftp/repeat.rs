//! A request from an address and port that already has a transfer.

use std::time::Duration;

/// A client that was silent for this long and asks again has started over.
const SILENT: Duration = Duration::from_millis(250);
/// Copies of one datagram arrive within this time; a client that repeats its request waits longer.
const COPY: Duration = Duration::from_millis(50);
/// Requests, after OACKs were sent, until the client is assumed to ignore OACKs.
const ASKED: u32 = 3;

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// A copy made by the network: nothing.
    Ignore,
    /// The client has not got the answer: send it again, from the same port.
    Resend,
    /// The client ignores OACKs: answer as if it had asked for no options, from a new port. (A client that
    /// accepted an OACK meanwhile refuses the new port; from the old one it would take a block of 512 bytes
    /// for the last.)
    WithoutOptions,
    /// The client has started over: end the transfer, start another.
    Replace,
}

/// Decides. `same`: the datagram equals the one that started the transfer. `acknowledged`: the client has
/// answered. `asked`: how often that datagram came, including this one. `idle`: time since anything was
/// heard.
pub fn repeated(same: bool, acknowledged: bool, oack: bool, asked: u32, idle: Duration) -> Repeat {
    match (same, acknowledged) {
        (false, _) => Repeat::Replace,
        (true, true) if idle >= SILENT => Repeat::Replace,
        (true, true) => Repeat::Ignore,
        (true, false) if idle < COPY => Repeat::Ignore,
        (true, false) if oack && asked >= ASKED => Repeat::WithoutOptions,
        (true, false) => Repeat::Resend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let ms = Duration::from_millis;
        for (same, acknowledged, oack, asked, idle, expected) in [
            // Another file, or other options (EDK2 after its size probe): at once.
            (false, true, true, 1, ms(0), Repeat::Replace),
            (false, false, true, 1, ms(0), Repeat::Replace),
            // A copy made by the network must not break a running transfer.
            (true, true, true, 2, ms(1), Repeat::Ignore),
            (true, false, true, 2, ms(0), Repeat::Ignore),
            // Reset in the middle, with the same port.
            (true, true, false, 2, ms(300), Repeat::Replace),
            // The answer was lost or is not understood.
            (true, false, true, 2, ms(1000), Repeat::Resend),
            (true, false, true, 3, ms(1000), Repeat::WithoutOptions),
            (true, false, false, 9, ms(1000), Repeat::Resend),
        ] {
            assert_eq!(
                repeated(same, acknowledged, oack, asked, idle),
                expected,
                "{same} {acknowledged} {oack} {asked} {idle:?}"
            );
        }
    }
}
