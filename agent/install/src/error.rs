//! Why a step failed.

use std::fmt::Display;

use super::target::Refused;

/// A stable short code, and what was tried, on what, with the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StepError {
    pub code: &'static str,
    pub detail: String,
}

impl StepError {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> StepError {
        StepError {
            code,
            detail: detail.into(),
        }
    }
}

/// A failed step.
pub(super) fn fail<T>(code: &'static str, detail: impl Into<String>) -> Result<T, StepError> {
    Err(StepError::new(code, detail))
}

impl From<Refused> for StepError {
    fn from(refused: Refused) -> StepError {
        StepError::new(refused.code(), refused.to_string())
    }
}

/// Adds to an error what was tried.
pub(super) trait Tried<T> {
    /// `what` in the infinitive: "read the partition table of /dev/sda".
    fn tried(self, code: &'static str, what: impl Display) -> Result<T, StepError>;
}

impl<T, E: Display> Tried<T> for Result<T, E> {
    fn tried(self, code: &'static str, what: impl Display) -> Result<T, StepError> {
        self.map_err(|e| StepError::new(code, format!("cannot {what}: {e}")))
    }
}
