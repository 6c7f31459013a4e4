//! The web page: server-rendered HTML, kept live by server-sent events, everything embedded. It works
//! air-gapped and under a strict content security policy: no inline script or style, nothing from other
//! hosts.

mod assets;
mod conflict;
mod events;
mod guard;
mod hardware_profiles;
mod images;
mod import;
mod machine;
mod machines;
mod networks;
mod orders;
mod page;
mod parts;
mod phone;
mod profiles;
mod racks;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;
mod verb;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::{get, post};

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
        .route("/", get(async || Redirect::to("/machines")))
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/machines", get(machines::page))
        .route("/machines/{id}", get(machine::overview))
        .route(
            "/machines/{id}/conflict",
            get(conflict::page).post(conflict::resolve),
        )
        .route("/machines/{id}/{tab}", get(machine::tab))
        .route("/machines/{id}/do/{verb}", get(verb::ask).post(verb::act))
        .route("/machines/{id}/task/{what}", post(phone::machine_task))
        .route("/machines/{id}/loader/{mac}", post(machine::forget_loader))
        .route(
            "/import",
            get(import::page)
                .post(import::take)
                .layer(DefaultBodyLimit::max(import::MAX_FORM)),
        )
        .route("/orders", get(orders::list))
        .route("/orders/{number}", get(orders::page))
        .route("/orders/{number}/delivery.csv", get(orders::csv))
        .route("/racks", get(racks::list))
        .route("/racks/{room}/{rack}", get(racks::page))
        .route("/hardware-profiles", get(hardware_profiles::list))
        .route("/hardware-profiles/{name}", get(hardware_profiles::page))
        .route("/parts/{serial}", get(parts::page))
        .route("/p", get(phone::phone_ask))
        .route("/p/{key}", get(phone::phone))
        .route("/p/{key}/{what}", post(phone::phone_task))
        .route("/networks", get(networks::page))
        .route("/networks/{name}/reservations/{mac}", post(networks::unreserve))
        .route(
            "/networks/{name}/quarantine/{address}",
            post(networks::end_quarantine),
        )
        .route("/networks/loaders/{model}", post(networks::forget_model))
        .route("/images", get(images::page))
        .route("/profiles", get(profiles::page))
        .route("/events", get(events::stream))
        .route("/static/{file}", get(assets::serve))
        .fallback(page::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(ui.clone(), page::problems))
        .layer(middleware::from_fn(guard::guard))
        .with_state(ui)
}
