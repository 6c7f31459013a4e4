//! Embedded files: style sheets, scripts, icons. See `static/LICENSES.md`.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/static/"]
struct Files;

/// `GET /static/{file}`: no sign-in needed, the files hold no secrets.
pub(crate) async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let kind = match file.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "",
    };
    let Some(found) = Files::get(&file).filter(|_| !kind.is_empty()) else {
        return (StatusCode::NOT_FOUND, "no such file").into_response();
    };
    // Digest of the bytes. Browsers revalidate each time and get 304, so they never mix old and new files.
    let tag = format!("\"{}\"", hex::encode(&found.metadata.sha256_hash()[..16]));
    let common = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|v| v.as_bytes() == tag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, kind)], found.data.into_owned()).into_response()
}
