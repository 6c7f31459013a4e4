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
