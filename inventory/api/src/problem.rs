//! Errors as RFC 9457 problem details (`application/problem+json`).

use serde::{Deserialize, Serialize};

/// The body of every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// Stable short code of this kind of error, e.g. "ticket-used".
    #[serde(rename = "type")]
    pub code: String,
    /// Title of this kind of error.
    pub title: String,
    /// HTTP status code.
    pub status: u16,
    /// What was tried, on what, and what to do.
    pub detail: String,
}

/// A problem of this kind.
pub fn problem(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Problem {
    Problem {
        code: code.to_owned(),
        title: title.to_owned(),
        status,
        detail: detail.into(),
    }
}

/// The server failed. The cause is in its log and not in the answer.
pub fn server_failed() -> Problem {
    problem(
        500,
        "internal",
        "Server error",
        "the server failed; its log says why. Try again",
    )
}
