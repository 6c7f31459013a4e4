//! `/machines/{id}/conflict`: two that claim one identity, and the decision about them.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use inventory_api::conflict::ResolveConflict;
use inventory_api::{MachineId, Problem};
use serde::Deserialize;

use super::Ui;
use super::pages::{PageError, html, shell};
use super::session::SignedIn;
use super::view::conflict::ConflictPage;

pub(crate) async fn page(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let conflicts = ui.service.conflicts(&id).await.map_err(|problem| PageError {
        problem,
        actor: Some(actor.clone()),
    })?;
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
) -> Result<Response, PageError> {
    let fail = |problem| PageError {
        problem,
        actor: Some(actor.clone()),
    };
    let decision = match (form.resolution.as_str(), form.with, form.retire) {
        ("different", with, None) => ResolveConflict::Different { with },
        ("same", None, Some(retire)) => ResolveConflict::Same { retire },
        _ => {
            return Err(fail(Problem {
                code: "bad-form".to_owned(),
                title: "Decision not understood".to_owned(),
                status: 400,
                detail: "Go back and choose one of the buttons.".to_owned(),
            }));
        }
    };
    ui.service
        .resolve_conflict(&id, &decision, &actor)
        .await
        .map_err(fail)?;
    Ok(Redirect::to(&format!("/machines/{id}/conflict")).into_response())
}
