//! `GET /v1/lookup/{key}`: what a typed or scanned text stands for.

use std::sync::Arc;

use axum::Router;

use super::user::reads;
use service::Service;

pub(super) fn router(service: Arc<Service>) -> Router {
    let lookup = reads(|s: Arc<Service>, key: String| async move { s.lookup(&key).await });
    Router::new()
        .route("/v1/lookup/{key}", lookup)
        .with_state(service)
}
