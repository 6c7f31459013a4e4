//! The history of a part.

use std::collections::BTreeMap;

use askama::Template;
use inventory_api::MachineId;
use inventory_api::parts::{PartEvent, PartEventKind, PartKind, PartLife};

use super::Shell;
use words::text::Moment;
use words::text::joined;

/// Events shown per part.
const MAX_EVENTS: usize = 300;

/// The parts that share a serial number.
#[derive(Template)]
#[template(path = "part.html")]
pub struct PartPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// The requested serial number.
    pub serial: &'a str,
    /// One entry per part.
    pub parts: &'a [PartLife],
    /// Names of the machines they were in.
    pub names: &'a Names,
}

/// Names of machines; one without a name is shown by its id.
pub type Names = BTreeMap<MachineId, String>;

fn name(id: &MachineId, names: &Names) -> String {
    names.get(id).cloned().unwrap_or_else(|| id.to_string())
}

/// The kind of a part in words.
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

fn model(p: &PartLife) -> String {
    joined([&p.manufacturer, &p.model]).unwrap_or_default()
}

/// An event of a part: colour, word, sentence.
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
