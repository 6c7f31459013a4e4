//! `/machines/{id}/conflict`: machines that claim one identity, and the decision about them.

use axum::Form;
use axum::response::{IntoResponse, Redirect};
use inventory_api::MachineId;
use inventory_api::conflict::ResolveConflict;
use serde::Deserialize;

use super::pages::{Page, html};
use super::session::SignedIn;
use super::view::conflict::ConflictPage;
use service::problem::problem;

pub(crate) async fn page(at: SignedIn<String>) -> Page {
    let conflicts = at.service.conflicts(&at.path).await?;
    let shell = at.shell("Who is who", "Machines");
    Ok(html(ConflictPage::new(shell, &conflicts)))
}

#[derive(Deserialize)]
pub(crate) struct Decision {
    resolution: String,
    with: Option<MachineId>,
    retire: Option<MachineId>,
}

pub(crate) async fn resolve(at: SignedIn<String>, Form(form): Form<Decision>) -> Page {
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
    let id = &at.path;
    at.service.resolve_conflict(id, &decision, &at.actor).await?;
    Ok(Redirect::to(&format!("/machines/{id}/conflict")).into_response())
}
