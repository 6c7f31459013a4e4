//! What a person at a machine's own console may boot, and which rescue passwords open a shell.

use inventory_api::UnixMs;
use inventory_api::boot::Choice;

use crate::state::{DiskState, State};
use crate::transition::Refused;

/// Wrong attempts after which a rescue password is void.
const MAX_WRONG: u32 = 20;
/// Longest wait after a wrong password. Seconds.
const LONGEST_WAIT: u64 = 60;

/// Whether a machine in this state may boot the choice. In a transient state it may not: another boot would
/// make the state run into its deadline.
///
/// # Errors
/// Why not, and what to do.
pub fn choose(state: &State, choice: Choice) -> Result<(), Refused> {
    let no = |sentence: &str| {
        Err(Refused {
            code: "choice-refused",
            sentence: sentence.to_owned(),
        })
    };
    let installed = match state {
        State::New | State::Ready(_) => false,
        State::Deployed(_) => true,
        State::Failed(failed) => failed.disk == DiskState::Installed,
        State::Commissioning(_) | State::Deploying(_) | State::Releasing(_) => {
            return no("the machine is busy; wait until it is done, or abort it");
        }
        State::Quarantined(_) | State::Retired => {
            return no("this machine is not served; a person has to look at it first");
        }
    };
    match (choice, state) {
        (Choice::LocalDisk, State::Failed(failed)) if failed.disk == DiskState::Partial => {
            no("its disk is only partly written; retry or release it")
        }
        // A claim from the mini-os would replace the credentials of the agent on the disk.
        (Choice::MiniOs, _) if installed => no("it has an installed system; choose rescue, or release it"),
        (Choice::MiniOs, State::New) => no("nobody has commissioned it"),
        (Choice::LocalDisk | Choice::MiniOs | Choice::Rescue | Choice::MemoryTest, _) => Ok(()),
    }
}

/// What the boot menu offers in this state; empty: no menu is shown.
pub fn choices(state: &State) -> Vec<Choice> {
    let possible = |choice: &Choice| choose(state, *choice).is_ok();
    Choice::ALL.into_iter().filter(possible).collect()
}

/// Seconds before the next password is accepted, after this many wrong ones.
pub fn wait_seconds(wrong: u32) -> u64 {
    match wrong {
        0 => 0,
        n => (1u64 << (n - 1).min(10)).min(LONGEST_WAIT),
    }
}

/// The password that opens the next rescue of a machine, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPassword {
    /// It opened another rescue.
    pub used_elsewhere: bool,
    /// Until when it opens anything.
    pub expires_at: UnixMs,
    /// Wrong attempts since it was made or last used.
    pub wrong: u32,
    /// When the last wrong one was typed.
    pub wrong_at: UnixMs,
}

/// Outcome of a typed password. Waits are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// No password opens this rescue.
    NoPassword {
        /// Until the next one is accepted.
        wait: u64,
    },
    /// It came too early and was not checked.
    TooSoon {
        /// Until the next one is accepted.
        wait: u64,
    },
    /// It opens the shell.
    Right,
    /// It counts as wrong.
    Wrong {
        /// Until the next one is accepted.
        wait: u64,
        /// It was one too many: the right password is void now.
        locked: bool,
    },
}

/// Judges a password. `right`: it equals the stored one.
pub fn judge(stored: Option<StoredPassword>, right: bool, now: UnixMs) -> Typed {
    let usable = |s: &StoredPassword| !s.used_elsewhere && s.wrong < MAX_WRONG && now < s.expires_at;
    let Some(stored) = stored.filter(usable) else {
        return Typed::NoPassword {
            wait: wait_seconds(2),
        };
    };
    let due = stored.wrong_at.plus_seconds(wait_seconds(stored.wrong));
    if now < due {
        return Typed::TooSoon {
            wait: due.since(now).div_ceil(1000),
        };
    }
    match right {
        true => Typed::Right,
        false => Typed::Wrong {
            wait: wait_seconds(stored.wrong + 1),
            locked: stored.wrong + 1 == MAX_WRONG,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{BootPhase, Commissioning, Deployed, Failed, Ready, Stage};

    fn failed(disk: DiskState) -> State {
        State::Failed(Failed {
            during: Stage::Deploying,
            reason: "x".into(),
            detail: "x".into(),
            plan: None,
            disk,
        })
    }

    #[test]
    fn what_each_state_offers() {
        let plan = "p-0123456789abcdef".parse().unwrap();
        let commissioning = State::Commissioning(Commissioning {
            phase: BootPhase::AwaitBoot,
            deadline: UnixMs(0),
            first: true,
        });
        use Choice::{LocalDisk, MemoryTest, MiniOs, Rescue};
        for (state, expected) in [
            (State::New, vec![LocalDisk, Rescue, MemoryTest]),
            (
                State::Ready(Ready::default()),
                vec![LocalDisk, MiniOs, Rescue, MemoryTest],
            ),
            (
                State::Deployed(Deployed { plan }),
                vec![LocalDisk, Rescue, MemoryTest],
            ),
            (failed(DiskState::Partial), vec![MiniOs, Rescue, MemoryTest]),
            (
                failed(DiskState::Untouched),
                vec![LocalDisk, MiniOs, Rescue, MemoryTest],
            ),
            (failed(DiskState::Installed), vec![LocalDisk, Rescue, MemoryTest]),
            (commissioning, vec![]),
            (State::Retired, vec![]),
        ] {
            assert_eq!(choices(&state), expected, "{state:?}");
        }
        let refused = choose(&failed(DiskState::Partial), LocalDisk).unwrap_err();
        assert!(refused.sentence.contains("partly written"), "{refused}");
    }

    #[test]
    fn what_a_typed_password_does() {
        let none = Typed::NoPassword { wait: 2 };
        for (wrong, wrong_at, expires_at, used_elsewhere, right, expected) in [
            (0, 0, 100, false, true, Typed::Right),
            (
                0,
                0,
                100,
                false,
                false,
                Typed::Wrong {
                    wait: 1,
                    locked: false,
                },
            ),
            (4, 50, 100, false, true, Typed::TooSoon { wait: 6 }),
            (4, 44, 100, false, true, Typed::Right),
            (
                19,
                0,
                100,
                false,
                false,
                Typed::Wrong {
                    wait: 60,
                    locked: true,
                },
            ),
            (20, 0, 100, false, true, none),
            (0, 0, 52, false, true, none),
            (0, 0, 100, true, true, none),
        ] {
            let stored = StoredPassword {
                used_elsewhere,
                expires_at: UnixMs(expires_at * 1000),
                wrong,
                wrong_at: UnixMs(wrong_at * 1000),
            };
            let now = UnixMs(if wrong == 19 { 60_000 } else { 52_000 });
            assert_eq!(judge(Some(stored), right, now), expected, "{stored:?}");
        }
        assert_eq!(judge(None, true, UnixMs(0)), none);
    }

    #[test]
    fn each_wrong_password_doubles_the_wait_up_to_a_minute() {
        let waits: Vec<u64> = (0..9).map(wait_seconds).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(wait_seconds(u32::MAX), 60);
    }
}
