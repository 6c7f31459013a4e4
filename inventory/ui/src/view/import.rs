//! Import of a file of purchase orders, hardware profiles or racks: the form and the result.

use askama::Template;
use inventory_api::import::{ImportReport, Imported};
use inventory_api::text::counted;

use super::{Shell, capital};
use files::import::Kind;

/// The import page.
#[derive(Template)]
#[template(path = "import.html")]
pub struct ImportPage {
    /// Page frame.
    pub shell: Shell,
    /// The chosen kind of file.
    pub kind: Option<Kind>,
    /// Text in the form: after a refusal, what was sent, to be corrected.
    pub text: String,
    /// Largest text, bytes.
    pub max: usize,
    /// Errors in the file, row by row.
    pub faults: Vec<String>,
    /// What was imported; `None`: nothing yet.
    pub done: Option<(Kind, ImportReport)>,
}

impl ImportPage {
    /// The choices: kind, heading, description.
    pub fn kinds(&self) -> [(Kind, &'static str, &'static str); 3] {
        [
            (
                Kind::Profiles,
                "Hardware profiles",
                "What one machine of a kind must have. JSON, or columns: profile, field, value",
            ),
            (
                Kind::Orders,
                "Orders",
                "Columns: order, item, count, profile; description",
            ),
            (
                Kind::Racks,
                "Rack plan",
                "Columns: room, rack, unit; serial, asset_tag, order, item, profile, nic1, switch1, port1, vlan1",
            ),
        ]
    }
}

/// How many machines were or will be checked again.
fn rechecks(r: &ImportReport) -> String {
    match (r.rechecked, r.pending) {
        (0, 0) => "No machine that has reported is affected.".to_owned(),
        (done, 0) => format!("Checked again: {}.", counted(done, "machine")),
        (done, left) => format!(
            "Checked again: {}; {left} more are being checked now.",
            counted(done, "machine")
        ),
    }
}

/// Address and text of a link to what was imported.
fn seen_at(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Orders => ("/orders", "See the orders"),
        Kind::Profiles => ("/hardware-profiles", "See the hardware profiles"),
        Kind::Racks => ("/racks", "See the racks"),
    }
}
