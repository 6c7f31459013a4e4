//! Machines that claim one identity, side by side.

use askama::Template;
use inventory_api::conflict::{Conflict, ConflictField, Conflicts};
use inventory_api::machine::MachineSummary;

use super::{Shell, capital, state_color};
use words::text::timestamp;

/// The identity conflict page.
#[derive(Template)]
#[template(path = "conflict.html")]
pub struct ConflictPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// The machine in question.
    pub machine: &'a MachineSummary,
    /// Its name.
    pub name: String,
    /// Each conflict, open ones first.
    pub cases: &'a [Conflict],
}

impl<'a> ConflictPage<'a> {
    /// The page for `conflicts.machine`.
    pub fn new(shell: Shell, conflicts: &'a Conflicts) -> ConflictPage<'a> {
        ConflictPage {
            shell,
            machine: &conflicts.machine,
            name: conflicts.machine.name(),
            cases: &conflicts.conflicts,
        }
    }
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
