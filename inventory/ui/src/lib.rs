//! The web page: server-rendered HTML, kept live by server-sent events, everything embedded. It works
//! air-gapped and under a strict content security policy: no inline script or style, nothing from other
//! hosts.

mod assets;
mod conflict;
mod delivery;
mod events;
mod guard;
mod import;
mod network;
mod pages;
mod session;
pub mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;

use service::Service;

/// State of every handler.
#[derive(Clone)]
pub(crate) struct Ui {
    pub(crate) service: Arc<Service>,
    pub(crate) sessions: Arc<session::Sessions>,
}

/// Largest form, bytes; the import page has its own limit.
const MAX_BODY: usize = 16 * 1024;

/// Routes of the page. Serve them on the TLS port beside the API: the cookies are `Secure`. They include the
/// fallback of the whole port: HTML for people, a problem document for API paths.
pub fn router(service: Arc<Service>) -> Router {
    let ui = Ui {
        service,
        sessions: Arc::default(),
    };
    Router::new()
        .route("/", get(pages::root))
        .route("/sign-in", get(pages::sign_in_page).post(pages::sign_in))
        .route("/sign-out", axum::routing::post(pages::sign_out))
        .route("/machines", get(pages::machines))
        .route("/machines/{id}", get(pages::machine_overview))
        .route(
            "/machines/{id}/conflict",
            get(conflict::page).post(conflict::resolve),
        )
        .route("/machines/{id}/{tab}", get(pages::machine))
        .route("/machines/{id}/do/{verb}", get(pages::ask).post(pages::act))
        .route(
            "/machines/{id}/task/{what}",
            axum::routing::post(delivery::machine_task),
        )
        .route(
            "/import",
            get(import::page)
                .post(import::take)
                .layer(DefaultBodyLimit::max(import::MAX_FORM)),
        )
        .route("/orders", get(delivery::orders))
        .route("/orders/{number}", get(delivery::order))
        .route("/orders/{number}/delivery.csv", get(delivery::order_csv))
        .route("/racks", get(delivery::racks))
        .route("/racks/{room}/{rack}", get(delivery::rack))
        .route("/hardware-profiles", get(delivery::hardware_profiles))
        .route("/hardware-profiles/{name}", get(delivery::hardware_profile))
        .route("/parts/{serial}", get(delivery::part))
        .route("/p", get(delivery::phone_ask))
        .route("/p/{key}", get(delivery::phone))
        .route("/p/{key}/{what}", axum::routing::post(delivery::phone_task))
        .route("/networks", get(network::page))
        .route(
            "/networks/{name}/reservations/{mac}",
            axum::routing::post(network::unreserve),
        )
        .route(
            "/networks/{name}/quarantine/{address}",
            axum::routing::post(network::end_quarantine),
        )
        .route(
            "/networks/loaders/{model}",
            axum::routing::post(network::forget_model),
        )
        .route(
            "/machines/{id}/loader/{mac}",
            axum::routing::post(network::forget_loader),
        )
        .route("/images", get(pages::images))
        .route("/profiles", get(pages::profiles))
        .route("/events", get(events::stream))
        .route("/static/{file}", get(assets::serve))
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(pages::problems))
        .layer(middleware::from_fn(guard::guard))
        .with_state(ui)
}
