//! The HTTP APIs: for agents under `/agent/v1`, for people and programs under `/v1`.

mod agent;
mod body;
mod events;
mod hardware_profiles;
mod images;
mod import;
mod loaders;
mod machines;
mod networks;
mod orders;
mod parts;
mod problem;
mod profiles;
mod racks;
mod routing;
mod user;

use std::sync::Arc;

use axum::extract::State;
use axum::{Json, Router};
use inventory_api::routes::{EVENTS, HEALTH, Health};

use problem::Answer;
use routing::Routes;
use service::Service;

/// Both APIs. Unmatched paths fall through to the router that this is merged with.
pub fn router(service: Arc<Service>) -> Router {
    let resources = [
        machines::routes,
        images::routes,
        profiles::routes,
        hardware_profiles::routes,
        orders::routes,
        racks::routes,
        parts::routes,
        loaders::routes,
        networks::routes,
    ];
    let routes = Routes(Router::new())
        .on(&HEALTH, health)
        .on(&EVENTS, events::stream);
    let Routes(users) = resources.into_iter().fold(routes, |routes, add| add(routes));
    agent::router(service.clone()).merge(users.with_state(service))
}

async fn health(State(service): State<Arc<Service>>) -> Answer<Health> {
    service.health().await?;
    Ok(Json(Health { ok: true }))
}
