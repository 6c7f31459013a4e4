//! The page of the networks, and what can be done there.

use std::net::Ipv4Addr;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use inventory_api::{Mac, MachineId};

use super::Ui;
use super::pages::{Page, html, now, shell};
use super::session::SignedIn;
use super::view::network::NetworksPage;
use super::view::segment;

pub(super) async fn page(State(ui): State<Ui>, SignedIn(actor): SignedIn) -> Page {
    Ok(html(NetworksPage::new(
        shell("Networks", "Networks", Some(&actor)),
        &ui.service.networks(),
        &ui.service.loaders(),
        now(),
    )))
}

pub(super) async fn unreserve(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path((network, mac)): Path<(String, Mac)>,
) -> Page {
    ui.service.reserve(&network, mac, None, &actor).await?;
    Ok(Redirect::to(&format!("/networks#{}", segment(&network))).into_response())
}

pub(super) async fn end_quarantine(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path((network, address)): Path<(String, Ipv4Addr)>,
) -> Page {
    ui.service.end_quarantine(&network, address, &actor).await?;
    Ok(Redirect::to(&format!("/networks#{}", segment(&network))).into_response())
}

pub(super) async fn forget_model(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path(model): Path<String>,
) -> Page {
    ui.service.forget_model(&model, &actor).await?;
    Ok(Redirect::to("/networks#loaders").into_response())
}

pub(super) async fn forget_loader(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path((id, mac)): Path<(MachineId, Mac)>,
) -> Page {
    ui.service.forget_loader(mac, &actor).await?;
    Ok(Redirect::to(&format!("/machines/{id}/network")).into_response())
}
