//! A request from an address and port that has a transfer already.

use std::time::Duration;

/// A client that has said nothing for this long, and asks again, has begun anew.
const SILENT: Duration = Duration::from_millis(250);
/// Copies of one datagram arrive within this time; a client that asks again waits longer.
const COPY: Duration = Duration::from_millis(50);
/// Times a client asks, having been sent OACKs, until it is taken to ignore them.
const ASKED: u32 = 3;

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// A copy that the network made: nothing.
    Ignore,
    /// The client has not got the answer: send it once more, from the same port.
    Resend,
    /// The client does not take OACKs: answer as if it had asked for no option, from a new port. (A client that took an
    /// OACK meanwhile refuses the new port; from the old one it would take a block of 512 bytes for the last.)
    WithoutOptions,
    /// The client has begun anew: end the transfer, start another.
    Replace,
}

/// Decides it. `same`: the datagram is equal to the one that began the transfer. `acknowledged`: the client has
/// answered it. `asked`: how often that datagram has come, this one included. `idle`: since anything was heard.
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
            // The answer was lost, or is not understood.
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
