//! The history of a part.

use std::collections::BTreeMap;

use askama::Template;
use inventory_api::MachineId;
use inventory_api::parts::{PartEvent, PartEventKind, PartKind, PartLife};

use super::page::{Page, Shell, html};
use super::session::SignedIn;
use words::text::joined;

/// Events shown per part.
const MAX_EVENTS: usize = 300;

/// The parts that share a serial number.
#[derive(Template)]
#[template(path = "parts/part.html")]
struct PartPage<'a> {
    shell: Shell,
    /// The requested serial number.
    serial: &'a str,
    parts: &'a [PartLife],
    /// Names of the machines they were in; one without a name is shown by its id.
    names: &'a BTreeMap<MachineId, String>,
}

pub(crate) async fn page(at: SignedIn<String>) -> Page {
    let parts = &at.service.parts(&at.path).await?;
    let serial: String = at.path.chars().take(128).collect();
    Ok(html(PartPage {
        shell: at.shell(&format!("Part {serial}"), ""),
        serial: &serial,
        parts,
        names: &at.service.names_in(parts).await?,
    }))
}

fn kind_words(kind: PartKind) -> &'static str {
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

impl PartPage<'_> {
    fn name(&self, id: &MachineId) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// Colour, word and sentence of an event.
    fn event_words(&self, e: &PartEvent) -> (&'static str, &'static str, String) {
        let place = &e.place;
        let other = e.from_machine.as_ref().map(|id| self.name(id));
        match e.what {
            PartEventKind::Installed => {
                let before = other.map_or(" for the first time".to_owned(), |o| {
                    format!("; it was last in {o}")
                });
                ("green", "Installed", format!("Seen in {place}{before}."))
            }
            PartEventKind::Moved => {
                let from = e.from_place.as_deref().unwrap_or("another place");
                ("azure", "Moved", format!("From {from} to {place}."))
            }
            PartEventKind::Removed => ("orange", "Removed", format!("No longer in {place}.")),
            PartEventKind::Returned => ("teal", "Returned", format!("Back in {place}.")),
            PartEventKind::Duplicate => {
                let by = other.map_or("another machine".to_owned(), |o| {
                    format!("{o}, in {place}, at the same time")
                });
                ("red", "Duplicate", format!("Also reported by {by}."))
            }
            PartEventKind::Unknown => ("secondary", "Unknown", String::new()),
        }
    }
}
