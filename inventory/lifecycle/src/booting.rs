//! Whether a request for a boot script comes from a booting machine. Any process on a machine has its address
//! and can send one. A DHCP request of firmware or a boot loader comes from a port that needs root, and only
//! a booting machine sends it.

use inventory_api::UnixMs;

/// Boot scripts with a ticket that one machine gets per minute. A boot takes longer than ten seconds.
pub const TICKETS_A_MINUTE: i64 = 10;
/// How long a user's permission to boot unheard is valid. Seconds.
pub const ADMITTED_SECONDS: u64 = 1800;

/// What is known about a machine that asks for a boot script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// When its firmware or boot loader last sent a DHCP request. `None`: none was heard.
    pub firmware: Option<UnixMs>,
    /// When its agent was last heard: a machine with a running agent is not booting.
    pub agent: Option<UnixMs>,
    /// When it was last told to boot its disk: that answer ended the boot of the firmware.
    pub disk: Option<UnixMs>,
    /// Until when a user lets it boot unheard.
    pub admitted_until: Option<UnixMs>,
}

/// Why a script with a ticket is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// No DHCP request of its firmware was heard.
    #[error(
        "held: no DHCP request of its firmware was heard; it may have a fixed address. Release it with: slipway machine admit"
    )]
    Unheard,
    /// None since its agent was heard or it was told to boot its disk.
    #[error(
        "held: a boot script was asked for while its system runs, not by its firmware. If it does boot with a fixed address, release \
         it with: slipway machine admit"
    )]
    Running,
}

/// Whether the machine may have a ticket now. `for_choice`: someone chose from the menu of the script just
/// sent, which may have been the script for the disk.
///
/// # Errors
/// Why not.
pub fn may_have_ticket(asks: &Asks, for_choice: bool, now: UnixMs) -> Result<(), Held> {
    if asks.admitted_until.is_some_and(|until| now < until) {
        return Ok(());
    }
    let Some(firmware) = asks.firmware else {
        return Err(Held::Unheard);
    };
    let ended = asks.agent.max(asks.disk.filter(|_| !for_choice));
    if ended.is_some_and(|ended| firmware < ended) {
        return Err(Held::Running);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_that_boots_gets_a_ticket() {
        let at = |s: i64| Some(UnixMs(1000 * s));
        for (firmware, agent, disk, admitted_until, for_choice, expected) in [
            (at(5), None, None, None, false, Ok(())),
            (None, None, None, None, false, Err(Held::Unheard)),
            (None, at(4), None, None, false, Err(Held::Unheard)),
            (at(5), at(4), None, None, false, Ok(())),
            (at(4), at(5), None, None, false, Err(Held::Running)),
            // No agent runs on the installed system; it was told to boot its disk.
            (at(4), None, at(5), None, false, Err(Held::Running)),
            (at(4), at(3), at(5), None, true, Ok(())),
            (at(4), at(6), at(5), None, true, Err(Held::Running)),
            (at(6), at(5), at(5), None, false, Ok(())),
            (None, at(5), at(5), at(11), false, Ok(())),
            (None, None, None, at(10), false, Err(Held::Unheard)),
        ] {
            let asks = Asks {
                firmware,
                agent,
                disk,
                admitted_until,
            };
            assert_eq!(
                may_have_ticket(&asks, for_choice, UnixMs(10_000)),
                expected,
                "{asks:?}"
            );
        }
    }
}
