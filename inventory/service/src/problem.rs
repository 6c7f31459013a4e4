//! Errors as problems for the caller, and the kinds of problems of this crate.

use inventory_api::Problem;
pub use inventory_api::problem::{problem, server_failed};

/// Result of a request.
pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

/// A kind of problem: HTTP status, stable code and title.
pub(crate) struct Kind(u16, &'static str, &'static str);

impl Kind {
    /// `detail`: what was tried, on what, and what to do.
    pub(crate) fn because(&self, detail: impl Into<String>) -> Problem {
        let Kind(status, code, title) = self;
        problem(*status, code, title, detail)
    }
}

pub(crate) const AGENT_SILENT: Kind = Kind(409, "agent-silent", "No agent runs there");
pub(crate) const BAD_BURN_IN: Kind = Kind(422, "bad-burn-in", "Burn-in not usable");
pub(crate) const BAD_CSR: Kind = Kind(400, "bad-csr", "Signing request not usable");
pub(crate) const BAD_MAC: Kind = Kind(400, "bad-mac", "MAC not usable");
pub(crate) const BAD_NAME: Kind = Kind(422, "bad-name", "Name not usable");
pub(crate) const BAD_NONCE: Kind = Kind(400, "bad-nonce", "Nonce not usable");
pub(crate) const BAD_STEP: Kind = Kind(400, "bad-step", "Step not usable");
pub(crate) const BUSY: Kind = Kind(503, "busy", "Machine is being changed");
pub(crate) const CHECK_FAILED: Kind = Kind(409, "check-failed", "Not as expected");
pub(crate) const IDENTITY_UNDECIDED: Kind =
    Kind(503, "identity-undecided", "Not clear yet which machine this is");
pub(crate) const JOURNAL_FAILED: Kind = Kind(503, "journal-failed", "Not durable");
pub(crate) const LOOKUP_NOTHING: Kind = Kind(404, "lookup-nothing", "Nothing known");
pub(crate) const MACHINE_AMBIGUOUS: Kind = Kind(409, "machine-ambiguous", "Several machines");
pub(crate) const MACHINE_UNKNOWN: Kind = Kind(404, "machine-unknown", "No such machine");
pub(crate) const MODEL_UNKNOWN: Kind = Kind(404, "model-unknown", "No such NIC model");
pub(crate) const NO_CONFLICT: Kind = Kind(404, "no-conflict", "No such conflict");
pub(crate) const NO_PLAN: Kind = Kind(404, "no-plan", "No plan");
pub(crate) const NO_REPORT: Kind = Kind(409, "no-report", "Nothing is known about its hardware");
pub(crate) const NO_RESCUE: Kind = Kind(404, "no-rescue", "No rescue here");
pub(crate) const NOT_QUARANTINED: Kind = Kind(409, "not-quarantined", "Not quarantined");
pub(crate) const NOT_SERVED: Kind = Kind(409, "not-served", "Not served");
pub(crate) const PROFILE_UNKNOWN: Kind = Kind(422, "profile-unknown", "No such profile");
pub(crate) const READ_ONLY: Kind = Kind(403, "read-only", "This token may only read");
pub(crate) const REPLAYED: Kind = Kind(409, "report-replayed", "Report seen before");
pub(crate) const RESCUE_OVER: Kind = Kind(403, "rescue-over", "Rescue is over");
pub(crate) const RESERVATION_REFUSED: Kind = Kind(409, "reservation-refused", "Reservation refused");
pub(crate) const STORE_UNWRITABLE: Kind = Kind(503, "store-unwritable", "The store takes no writes");
pub(crate) const TASK_NOT_NOW: Kind = Kind(409, "task-not-now", "Not now");
pub(crate) const TICKET_UNKNOWN: Kind = Kind(403, "ticket-unknown", "No such ticket");
pub(crate) const TOO_MANY: Kind = Kind(400, "too-many", "Too many items");
pub(crate) const UNHEALTHY: Kind = Kind(409, "unhealthy", "This machine is not healthy");
pub(crate) const UNKNOWN_OUTCOME: Kind = Kind(400, "unknown-outcome", "Outcome not known");
pub(crate) const VERB_INCOMPLETE: Kind = Kind(400, "verb-incomplete", "Not a verb by itself");
pub(crate) const WRONG_STATE: Kind = Kind(409, "wrong-state", "Not in this state");

/// Internal error: logged, not shown to the caller.
pub fn internal(cause: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%cause, "a request failed");
    server_failed()
}

/// A text of the caller, quoted and short enough for an error.
pub(crate) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(80).collect();
    format!("{shown:?}")
}

pub(crate) fn no_machine(key: &str) -> Problem {
    let key = quoted(key);
    MACHINE_UNKNOWN.because(format!(
        "no machine has the id, MAC, serial number or asset tag {key}; `slipway machine list` shows all"
    ))
}

/// There is no `what` of this name. `hint`: where to look.
pub(crate) fn unknown(what: &str, name: &str, hint: &str) -> Problem {
    let code = format!("{}-unknown", what.replace(' ', "-"));
    let detail = format!("there is no {what} {}; {hint}", quoted(name));
    problem(404, &code, &format!("No such {what}"), detail)
}
