//! The life of a part.

use std::collections::BTreeMap;

use askama::Template;
use inventory_api::parts::{PartEventKind, PartKind, PartLife};
use inventory_api::{MachineId, UnixMs};

use super::{Moment, Shell};
use crate::text::joined;

/// Events that are shown of one part.
const MAX_EVENTS: usize = 300;

/// The parts that share a serial number.
#[derive(Template)]
#[template(path = "part.html")]
pub struct PartPage {
    /// Around it.
    pub shell: Shell,
    /// The serial number that was asked for.
    pub serial: String,
    /// The parts.
    pub parts: Vec<PartView>,
}

/// One part.
pub struct PartView {
    /// "Memory module".
    pub kind: &'static str,
    /// Maker and model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// In two machines at once.
    pub duplicate: bool,
    /// Machine, its name, place, since, seen.
    pub places: Vec<(String, String, String, Moment, Moment)>,
    /// Newest first.
    pub events: Vec<EventRow>,
    /// Events not shown.
    pub more: usize,
}

/// One event.
pub struct EventRow {
    /// When.
    pub at: Moment,
    /// Colour.
    pub color: &'static str,
    /// In a word.
    pub word: &'static str,
    /// In a sentence.
    pub sentence: String,
    /// The machine.
    pub machine: String,
    /// Its name.
    pub name: String,
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

impl PartPage {
    /// The page.
    pub fn new(shell: Shell, serial: &str, parts: &[PartLife], names: &Names, now: UnixMs) -> PartPage {
        PartPage {
            shell,
            serial: serial.to_owned(),
            parts: parts.iter().map(|p| PartView::new(p, names, now)).collect(),
        }
    }
}

impl PartView {
    fn new(p: &PartLife, names: &Names, now: UnixMs) -> PartView {
        let event = |e: &inventory_api::parts::PartEvent| {
            let place = &e.place;
            let (color, word, sentence) = match e.what {
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
            };
            EventRow {
                at: Moment::new(e.at, now),
                color,
                word,
                sentence,
                machine: e.machine.to_string(),
                name: name(&e.machine, names),
            }
        };
        PartView {
            kind: kind_words(p.kind),
            model: joined([&p.manufacturer, &p.model]).unwrap_or_default(),
            serial: p.serial.clone(),
            duplicate: p.duplicate,
            places: p
                .seen_in
                .iter()
                .take(MAX_EVENTS)
                .map(|s| {
                    let place = s.place.clone();
                    (
                        s.machine.to_string(),
                        name(&s.machine, names),
                        place,
                        Moment::new(s.since, now),
                        Moment::new(s.seen_at, now),
                    )
                })
                .collect(),
            events: p.events.iter().take(MAX_EVENTS).map(event).collect(),
            more: p.events.len().saturating_sub(MAX_EVENTS),
        }
    }
}
