//! The HTTP APIs: for agents under `/agent/v1`, for people and programs under `/v1`.

mod agent;
mod body;
mod delivery;
mod events;
mod lookup;
mod problem;
mod user;

use std::sync::Arc;

use axum::Router;

use service::Service;

/// Both APIs. Unmatched paths fall through to the router that this is merged with.
pub fn router(service: Arc<Service>) -> Router {
    agent::router(service.clone())
        .merge(delivery::router(service.clone()))
        .merge(lookup::router(service.clone()))
        .merge(user::router(service))
}
