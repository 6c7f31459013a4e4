//! Files that are imported: CSV or JSON, as their media type says.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::header;
use inventory_api::routes::Raw;

use crate::body::{self, Body};
use crate::problem::ApiError;
use files::import::{Format, MAX_BYTES};
use service::problem::problem;

/// An uploaded file.
pub(crate) struct Upload {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
}

impl Body for Upload {
    type Sent = Raw;
}

impl<S: Sync> FromRequest<S> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Upload, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
        let format = Format::of_media_type(kind).ok_or_else(|| {
            let detail = "send the file with Content-Type: text/csv or application/json";
            problem(415, "media-type", "Format not known", detail)
        })?;
        let bytes = body::whole(request, MAX_BYTES).await?;
        Ok(Upload { bytes, format })
    }
}
