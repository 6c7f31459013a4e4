//! Problems: how errors become answers.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use inventory_api::Problem;

use crate::advance::AdvanceError;
use crate::store::StoreError;

/// A problem.
pub fn problem(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Problem {
    Problem {
        code: code.to_owned(),
        title: title.to_owned(),
        status,
        detail: detail.into(),
    }
}

/// Something of ours failed: the cause goes to the log, not to whom asked.
pub fn internal(cause: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%cause, "a request failed");
    problem(
        500,
        "internal",
        "Server error",
        "the server failed; its log says why. Try again",
    )
}

/// The store's errors are ours.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        internal(&error)
    }
}

/// What a refused event is for whom sent it.
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

/// A problem as an HTTP answer.
#[derive(Debug)]
pub struct ApiError(pub Problem);

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> ApiError {
        ApiError(problem)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self.0)).into_response();
        // For who keeps what machines were refused.
        response.extensions_mut().insert(self.0);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}
