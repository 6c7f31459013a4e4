//! `/machines/{id}/conflict`: two that claim one identity, and the decision about them.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use inventory_api::MachineId;
use inventory_api::conflict::ResolveConflict;
use serde::Deserialize;

use super::Ui;
use super::pages::{Page, html, shell};
use super::session::SignedIn;
use super::view::conflict::ConflictPage;
use crate::problem::problem;

pub(crate) async fn page(State(ui): State<Ui>, SignedIn(actor): SignedIn, Path(id): Path<String>) -> Page {
    let conflicts = ui.service.conflicts(&id).await?;
    let shell = shell("Who is who", "Machines", Some(&actor));
    Ok(html(ConflictPage::new(shell, &conflicts)))
}

#[derive(Deserialize)]
pub(crate) struct Decision {
    resolution: String,
    with: Option<MachineId>,
    retire: Option<MachineId>,
}

pub(crate) async fn resolve(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Decision>,
) -> Page {
    let decision = match (form.resolution.as_str(), form.with, form.retire) {
        ("different", with, None) => ResolveConflict::Different { with },
        ("same", None, Some(retire)) => ResolveConflict::Same { retire },
        _ => {
            return Err(problem(
                400,
                "bad-form",
                "Decision not understood",
                "Go back and choose one of the buttons.",
            )
            .into());
        }
    };
    ui.service.resolve_conflict(&id, &decision, &actor).await?;
    Ok(Redirect::to(&format!("/machines/{id}/conflict")).into_response())
}
