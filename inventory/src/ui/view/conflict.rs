//! Two machines that claim one identity, side by side.

use askama::Template;
use inventory_api::conflict::{Conflict, Conflicts};
use inventory_api::machine::MachineSummary;

use super::machines::display_name;
use super::{Shell, capital, state_color};
use crate::text::timestamp;

/// The page.
#[derive(Template)]
#[template(path = "conflict.html")]
pub struct ConflictPage {
    /// Around it.
    pub shell: Shell,
    /// Id of the machine that was asked about.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Each conflict, open ones first.
    pub cases: Vec<Case>,
}

/// One conflict.
pub struct Case {
    /// Who sent the report.
    pub newcomer: Side,
    /// Whose identity it is.
    pub known: Side,
    /// A report that contradicts its own machine's past.
    pub itself: bool,
    /// In words.
    pub sentence: String,
    /// When it was found.
    pub at: String,
    /// What both say.
    pub rows: Vec<Row>,
    /// What was decided, by whom and when; absent: open.
    pub resolution: Option<String>,
}

/// One of two machines.
pub struct Side {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// State in words.
    pub state: String,
    /// Its colour.
    pub color: &'static str,
    /// Its MACs.
    pub macs: String,
    /// When it was enrolled.
    pub enrolled: String,
}

/// One field of both.
pub struct Row {
    /// Field in words.
    pub name: String,
    /// What the newcomer says.
    pub newcomer: String,
    /// What the known one had said.
    pub known: String,
    /// "same", "differs" or "not comparable".
    pub word: &'static str,
    /// Colour of the word.
    pub color: &'static str,
}

impl ConflictPage {
    /// The page of this machine.
    pub fn new(shell: Shell, conflicts: &Conflicts) -> ConflictPage {
        ConflictPage {
            shell,
            id: conflicts.machine.id.to_string(),
            name: display_name(&conflicts.machine),
            cases: conflicts.conflicts.iter().map(case).collect(),
        }
    }
}

fn case(conflict: &Conflict) -> Case {
    let row = |f: &inventory_api::conflict::ConflictField| {
        let (word, color) = match f.agrees {
            Some(true) => ("same", "orange"),
            Some(false) => ("differs", "green"),
            None => ("not comparable", "secondary"),
        };
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not reported".to_owned());
        Row {
            name: f.name.clone(),
            newcomer: shown(&f.newcomer),
            known: shown(&f.known),
            word,
            color,
        }
    };
    Case {
        newcomer: side(&conflict.newcomer),
        known: side(&conflict.known),
        itself: conflict.newcomer.id == conflict.known.id,
        sentence: conflict.sentence.clone(),
        at: timestamp(conflict.at),
        rows: conflict.fields.iter().map(row).collect(),
        resolution: conflict
            .resolution
            .as_ref()
            .map(|r| format!("Found {} by {}, {}", r.resolution, r.actor, timestamp(r.at))),
    }
}

fn side(machine: &MachineSummary) -> Side {
    let macs: Vec<_> = machine.macs.iter().map(ToString::to_string).collect();
    Side {
        id: machine.id.to_string(),
        name: display_name(machine),
        state: capital(&machine.status.state),
        color: state_color(&machine.status.state),
        macs: macs.join(", "),
        enrolled: timestamp(machine.enrolled_at),
    }
}
