//! Request bodies, bounded in size and time. A problem says what is wrong with the JSON.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use serde::de::DeserializeOwned;

use crate::problem::ApiError;
use service::problem::problem;

/// Time for a whole body.
const BODY_TIME: Duration = Duration::from_secs(60);

/// Reads a JSON body of at most `limit` bytes. Returns the raw bytes too.
pub async fn read<T: DeserializeOwned>(request: Request, limit: usize) -> Result<(Bytes, T), ApiError> {
    let bytes = whole(request, limit).await?;
    let value = serde_json::from_slice(&bytes).map_err(|e| not_json(&e))?;
    Ok((bytes, value))
}

/// The problem for a body that is not the expected JSON.
pub fn not_json(error: &serde_json::Error) -> ApiError {
    problem(
        400,
        "bad-json",
        "Body not usable",
        format!("the body is not what it should be: {error}"),
    )
    .into()
}

/// Reads a body of at most `limit` bytes.
pub async fn whole(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        problem(
            413,
            "body-too-large",
            "Body too large",
            format!("the body may have at most {limit} bytes"),
        )
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
            problem(
                408,
                "body-too-slow",
                "Body too slow",
                "the body took more than 60 seconds",
            )
        })?
        .map_err(|error| {
            let over =
                std::error::Error::source(&error).is_some_and(|e| e.is::<http_body_util::LengthLimitError>());
            if over {
                too_large()
            } else {
                problem(400, "body-cut", "Body cut off", "the body did not come whole")
            }
        })?;
    Ok(bytes)
}
