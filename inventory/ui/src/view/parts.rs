//! The life of a part.

use std::collections::BTreeMap;

use askama::Template;
use inventory_api::MachineId;
use inventory_api::parts::{PartEvent, PartEventKind, PartKind, PartLife};

use super::Shell;
use words::text::Moment;
use words::text::joined;

/// Events that are shown of one part.
const MAX_EVENTS: usize = 300;

/// The parts that share a serial number.
#[derive(Template)]
#[template(path = "part.html")]
pub struct PartPage<'a> {
    /// Around it.
    pub shell: Shell,
    /// The serial number that was asked for.
    pub serial: &'a str,
    /// The parts.
    pub parts: &'a [PartLife],
    /// Names of the machines that they were in.
    pub names: &'a Names,
}

/// Names of machines, where they told one.
pub type Names = BTreeMap<MachineId, String>;

fn name(id: &MachineId, names: &Names) -> String {
    names.get(id).cloned().unwrap_or_else(|| id.to_string())
}

/// The kind of a part for people.
pub fn kind_words(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Chassis => "Chassis",
        PartKind::Board => "Board",
        PartKind::Cpu => "Processor",
        PartKind::Dimm => "Memory module",
        PartKind::Disk => "Disk",
        PartKind::Nic => "Network port",
        PartKind::Gpu => "Accelerator",
        PartKind::Psu => "Power supply",
        PartKind::Unknown => "Part",
    }
}

/// Maker and model.
fn model(p: &PartLife) -> String {
    joined([&p.manufacturer, &p.model]).unwrap_or_default()
}

/// What happened to a part: colour, in a word, in a sentence.
fn told(e: &PartEvent, names: &Names) -> (&'static str, &'static str, String) {
    let place = &e.place;
    match e.what {
        PartEventKind::Installed => (
            "green",
            "Installed",
            match &e.from_machine {
                Some(other) => format!("Seen in {place}; it was last in {}.", name(other, names)),
                None => format!("Seen in {place} for the first time."),
            },
        ),
        PartEventKind::Moved => (
            "azure",
            "Moved",
            format!(
                "From {} to {place}.",
                e.from_place.as_deref().unwrap_or("another place")
            ),
        ),
        PartEventKind::Removed => ("orange", "Removed", format!("No longer in {place}.")),
        PartEventKind::Returned => ("teal", "Returned", format!("Back, in {place}.")),
        PartEventKind::Duplicate => (
            "red",
            "Duplicate",
            match &e.from_machine {
                Some(other) => format!(
                    "Also reported by {}, in {place}, at the same time.",
                    name(other, names)
                ),
                None => "Also reported by another machine.".to_owned(),
            },
        ),
        PartEventKind::Unknown => ("secondary", "Unknown", String::new()),
    }
}
