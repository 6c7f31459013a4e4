//! Problems as HTTP responses.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use inventory_api::Problem;

pub(crate) struct ApiError(pub(crate) Problem);

/// A JSON answer, or a problem.
pub(crate) type Answer<T> = Result<axum::Json<T>, ApiError>;

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> ApiError {
        ApiError(problem)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self.0)).into_response();
        // The middleware that records refusals reads it.
        response.extensions_mut().insert(self.0);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}
