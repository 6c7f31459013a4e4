//! Whether who asks for a boot script is a machine that boots. Any process on a machine has its address and can ask; a DHCP question
//! of firmware or a loader comes from a port that needs root, and only a machine that boots asks it.

use inventory_api::UnixMs;

/// Boot scripts with a ticket that one machine gets in a minute. A boot takes longer than ten seconds.
pub const TICKETS_A_MINUTE: i64 = 10;
/// How long a person's word that an unheard machine may boot holds. Seconds.
pub const ADMITTED_SECONDS: u64 = 1800;

/// What is known of a machine that asks for a boot script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// When its firmware or loader last asked by DHCP. `None`: it was not heard.
    pub firmware: Option<UnixMs>,
    /// When its agent was heard last: a machine whose agent speaks does not boot.
    pub agent: Option<UnixMs>,
    /// When it was last told to boot its disk: that answer ended the boot that the firmware had begun.
    pub disk: Option<UnixMs>,
    /// Until when a person lets it boot unheard.
    pub admitted_until: Option<UnixMs>,
}

/// Why a script with a ticket is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// No DHCP question of its firmware was heard.
    #[error(
        "held: no DHCP request of its firmware was heard; it may have a fixed address. Release it with: slipway machine admit"
    )]
    Unheard,
    /// None since its agent spoke or it booted its disk.
    #[error(
        "held: a boot script was asked for while its system runs, not by its firmware. If it does boot with a fixed address, release \
         it with: slipway machine admit"
    )]
    Running,
}

/// Whether a ticket may be given to who asks now. `for_choice`: a choice in the menu of the script that was just given, which may
/// have been the one for the disk.
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
