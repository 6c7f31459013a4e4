//! Errors as problems for the caller.

use inventory_api::Problem;
pub use inventory_api::problem::{problem, server_failed};

use crate::advance::AdvanceError;

/// Internal error: logged, not shown to the caller.
pub fn internal(cause: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%cause, "a request failed");
    server_failed()
}

/// The problem reported for an event that was not applied.
impl From<AdvanceError> for Problem {
    fn from(error: AdvanceError) -> Problem {
        match error {
            AdvanceError::UnknownMachine(id) => no_machine(id.as_str()),
            AdvanceError::Refused(refused) => {
                problem(409, refused.code, "Not in this state", refused.sentence)
            }
            AdvanceError::Store(error) => error.into(),
        }
    }
}

/// No such machine.
pub fn no_machine(key: &str) -> Problem {
    let shown: String = key.chars().take(80).collect();
    problem(
        404,
        "machine-unknown",
        "No such machine",
        format!("no machine has the id, MAC or serial number {shown:?}; `slipway machine list` shows all"),
    )
}
