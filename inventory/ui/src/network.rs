//! The networks page and its actions.

use std::net::Ipv4Addr;

use axum::response::{IntoResponse, Redirect};
use inventory_api::{Mac, MachineId};

use super::pages::{Page, html, now};
use super::session::SignedIn;
use super::view::network::NetworksPage;
use super::view::segment;

pub(super) async fn page(at: SignedIn) -> Page {
    Ok(html(NetworksPage::new(
        at.shell("Networks", "Networks"),
        &at.service.networks(),
        &at.service.loaders(),
        now(),
    )))
}

pub(super) async fn unreserve(at: SignedIn<(String, Mac)>) -> Page {
    let (network, mac) = &at.path;
    at.service.reserve(network, *mac, None, &at.actor).await?;
    Ok(Redirect::to(&format!("/networks#{}", segment(network))).into_response())
}

pub(super) async fn end_quarantine(at: SignedIn<(String, Ipv4Addr)>) -> Page {
    let (network, address) = &at.path;
    at.service.end_quarantine(network, *address, &at.actor).await?;
    Ok(Redirect::to(&format!("/networks#{}", segment(network))).into_response())
}

pub(super) async fn forget_model(at: SignedIn<String>) -> Page {
    at.service.forget_model(&at.path, &at.actor).await?;
    Ok(Redirect::to("/networks#loaders").into_response())
}

pub(super) async fn forget_loader(at: SignedIn<(MachineId, Mac)>) -> Page {
    let (id, mac) = &at.path;
    at.service.forget_loader(*mac, &at.actor).await?;
    Ok(Redirect::to(&format!("/machines/{id}/network")).into_response())
}
