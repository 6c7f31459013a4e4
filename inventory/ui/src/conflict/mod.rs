//! `/machines/{id}/conflict`: machines that claim one identity, side by side, and the decision about them.

use askama::Template;
use axum::Form;
use inventory_api::MachineId;
use inventory_api::conflict::{ConflictField, Conflicts, ResolveConflict};
use inventory_api::machine::MachineSummary;
use serde::Deserialize;

use super::page::{Page, Shell, capital, go_to, html, state_color};
use super::session::SignedIn;
use service::problem::problem;
use words::text::timestamp;

#[derive(Template)]
#[template(path = "conflict/conflict.html")]
pub(crate) struct ConflictPage<'a> {
    pub(crate) shell: Shell,
    /// Of `of.machine`, open ones first.
    pub(crate) of: &'a Conflicts,
}

pub(crate) async fn page(at: SignedIn<String>) -> Page {
    Ok(html(ConflictPage {
        shell: at.shell("Identity conflict", "Machines"),
        of: &at.service.conflicts(&at.path).await?,
    }))
}

/// Word and colour for whether both machines agree on a field.
fn agreement(field: &ConflictField) -> (&'static str, &'static str) {
    match field.agrees {
        Some(true) => ("same", "orange"),
        Some(false) => ("differs", "green"),
        None => ("not comparable", "secondary"),
    }
}

fn shown(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("not reported")
}

fn macs(machine: &MachineSummary) -> String {
    let macs: Vec<_> = machine.macs.iter().map(ToString::to_string).collect();
    macs.join(", ")
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
            let detail = "Go back and choose one of the buttons.";
            return Err(problem(400, "bad-form", "Decision not understood", detail).into());
        }
    };
    let id = &at.path;
    at.service.resolve_conflict(id, &decision, &at.actor).await?;
    go_to(&format!("/machines/{id}/conflict"))
}
