//! What a request brings: its query, and a body that is bounded in size and time.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::ApiError;
use service::bad_query;
use service::problem::problem;

/// Time for a whole body.
const BODY_TIME: Duration = Duration::from_secs(60);
/// A note, a name, a number.
const SMALL: usize = 16 * 1024;

/// How a change takes what the client sends.
pub(crate) trait Body {
    /// As the table of routes names it.
    type Sent;
}

/// No body: one that is sent is ignored.
pub(crate) struct Nothing;

impl Body for Nothing {
    type Sent = ();
}

impl<S: Sync> FromRequest<S> for Nothing {
    type Rejection = Infallible;

    async fn from_request(_: Request, _: &S) -> Result<Nothing, Infallible> {
        Ok(Nothing)
    }
}

/// A JSON body of at most `LIMIT` bytes.
pub(crate) struct Sent<T, const LIMIT: usize = SMALL>(pub(crate) T);

impl<T> Body for Sent<T> {
    type Sent = T;
}

impl<S: Sync, T: DeserializeOwned, const LIMIT: usize> FromRequest<S> for Sent<T, LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = whole(request, LIMIT).await?;
        serde_json::from_slice(&bytes).map(Sent).map_err(|e| not_json(&e))
    }
}

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|asked| Query(asked.0))
            .map_err(|e| bad_query(e.body_text()).into())
    }
}

/// The problem for a body that is not the expected JSON.
pub(crate) fn not_json(error: &serde_json::Error) -> ApiError {
    let detail = format!("the body is not the JSON that this request takes: {error}");
    problem(400, "bad-json", "Body not usable", detail).into()
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn whole(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        let detail = format!("the body may have at most {limit} bytes");
        problem(413, "body-too-large", "Body too large", detail)
    };
    let announced = request
        .headers()
        .get(http::header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > limit as u64) {
        return Err(too_large().into());
    }
    let bytes = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(request.into_body(), limit))
        .await
        .map_err(|_| {
            let detail = format!("the body took more than {} seconds", BODY_TIME.as_secs());
            problem(408, "body-too-slow", "Body too slow", detail)
        })?
        .map_err(|error| {
            let over =
                std::error::Error::source(&error).is_some_and(|e| e.is::<http_body_util::LengthLimitError>());
            match over {
                true => too_large(),
                false => problem(400, "body-cut", "Body cut off", "the body is incomplete"),
            }
        })?;
    Ok(bytes)
}
