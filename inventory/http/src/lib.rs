//! HTTP: the agents' endpoints under `/agent/v1`, people's under `/v1`.

mod agent;
mod body;
mod delivery;
mod events;
mod problem;
mod user;

use std::sync::Arc;

use axum::Router;

use service::Service;

/// Both APIs; paths that are in neither are left to whom this is merged with.
pub fn router(service: Arc<Service>) -> Router {
    agent::router(service.clone())
        .merge(delivery::router(service.clone()))
        .merge(user::router(service))
}
