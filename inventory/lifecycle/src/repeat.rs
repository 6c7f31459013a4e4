//! A machine in a boot loop adds the same two history rows each time. They are stored once, with a count.

use inventory_api::UnixMs;

use crate::event::Event;
use crate::state::{Limits, State};
use crate::transition::transition;

/// History rows that a machine may cause per minute; more are refused. An installation makes about twenty.
pub const ROWS_A_MINUTE: i64 = 120;

/// A row of a history.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// What happened; `None`: the enrolment.
    pub event: Option<&'a Event>,
    /// The limits that applied.
    pub limits: &'a Limits,
    /// When.
    pub at: UnixMs,
    /// The state afterwards.
    pub state: &'a State,
}

/// Whether the older of the last two rows can be dropped when `new` is recorded: the two are a boot script
/// and a claim in either order, `new` repeats the older one, and the history still replays without it.
/// `before`: the state before both.
pub fn repeats(before: &State, older: Row<'_>, last: Row<'_>, new: &Event) -> bool {
    let boots = |event: &Event| matches!(event, Event::ScriptGiven { .. } | Event::Claimed);
    let (Some(first), Some(second)) = (older.event, last.event) else {
        return false;
    };
    boots(first)
        && boots(second)
        && first == new
        && first != second
        && transition(before, second, last.limits, last.at).is_ok_and(|t| t.state == *last.state)
}

/// Whether a machine can cause this event without limit. An alarm is raised once per cause.
pub fn is_bounded(event: &Event) -> bool {
    match event {
        Event::ScriptGiven { .. }
        | Event::Claimed
        | Event::Reported { .. }
        | Event::ResidentReported
        | Event::StepStarting { .. }
        | Event::IdentityChanged { .. }
        | Event::AtConsole { .. } => true,
        Event::Commission
        | Event::Deploy { .. }
        | Event::Release
        | Event::Retire
        | Event::Retry
        | Event::Abort
        | Event::Admit
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::Verified { .. }
        | Event::WipeDone { .. }
        | Event::WipeDoubted { .. }
        | Event::WipeFailed { .. }
        | Event::SecurityAlarm { .. }
        | Event::Folded { .. }
        | Event::Absorbed { .. }
        | Event::ConflictResolved { .. }
        | Event::DeadlinePassed { .. } => false,
    }
}
