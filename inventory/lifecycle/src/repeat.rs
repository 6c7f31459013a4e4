//! A machine that boots again and again makes the same two rows of history each time. They are kept once, with a count.

use inventory_api::UnixMs;

use crate::event::Event;
use crate::state::{Limits, State};
use crate::transition::transition;

/// Rows of history that machines make in a minute; more are refused. An installation makes about twenty.
pub const ROWS_A_MINUTE: i64 = 120;

/// A row of a history.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// What happened; `None`: the enrolment.
    pub event: Option<&'a Event>,
    /// The limits that held.
    pub limits: &'a Limits,
    /// When.
    pub at: UnixMs,
    /// The state afterwards.
    pub state: &'a State,
}

/// Whether the older of the last two rows may go when `new` is recorded: the two are a boot script and a claim, or the reverse, `new`
/// is the older one again, and without the older one the history still replays. `before`: the state before both.
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

/// Whether an event comes from the machine itself, which could send it without end. An alarm is raised once for each cause.
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
