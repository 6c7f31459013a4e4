//! Taking in a file of orders, hardware profiles or racks: the form, and what came of it.

use askama::Template;
use inventory_api::import::{ImportReport, Imported};

use super::Shell;
use crate::import::Kind;

/// The page.
#[derive(Template)]
#[template(path = "import.html")]
pub struct ImportPage {
    /// Around it.
    pub shell: Shell,
    /// What is chosen.
    pub kind: Option<Kind>,
    /// What stands in the form: after a refusal what was sent, to be put right.
    pub text: String,
    /// Largest text, bytes.
    pub max: usize,
    /// What is wrong with the file, row by row.
    pub faults: Vec<String>,
    /// What was taken in.
    pub done: Option<Done>,
}

/// A choice of what a file holds.
pub struct KindChoice {
    /// Value of the form.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What that is.
    pub text: &'static str,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// What an import did.
pub struct Done {
    /// "orders: 2 added, 1 changed, 40 as before".
    pub summary: String,
    /// What becomes of machines.
    pub rechecks: String,
    /// The entries that are new or different.
    pub entries: Vec<String>,
    /// What is odd.
    pub remarks: Vec<String>,
    /// Where to see it.
    pub href: &'static str,
    /// Words of that link.
    pub link: &'static str,
}

impl ImportPage {
    /// The choices.
    pub fn kinds(&self) -> [KindChoice; 3] {
        Kind::ALL.map(|kind| {
            let (title, text) = match kind {
                Kind::Profiles => ("Hardware profiles", "What one machine of a kind must have. JSON, or columns: profile, field, value"),
                Kind::Orders => ("Orders", "Columns: order, item, count, profile; description"),
                Kind::Racks => (
                    "Rack plan",
                    "Columns: room, rack, unit; serial, asset_tag, order, item, profile, nic1, switch1, port1, vlan1",
                ),
            };
            KindChoice {
                name: kind.name(),
                title,
                text,
                chosen: self.kind == Some(kind),
            }
        })
    }
}

impl Done {
    /// What an import of this kind did.
    pub fn new(kind: Kind, r: &ImportReport) -> Done {
        let (href, link) = match kind {
            Kind::Orders => ("/orders", "See the orders"),
            Kind::Profiles => ("/hardware-profiles", "See the hardware profiles"),
            Kind::Racks => ("/racks", "See the racks"),
        };
        Done {
            summary: format!(
                "{}: {} added, {} changed, {} as before",
                super::capital(kind.name()),
                r.added,
                r.changed,
                r.unchanged
            ),
            rechecks: match (r.rechecked, r.pending) {
                (0, 0) => "No machine that has reported is concerned.".to_owned(),
                (done, 0) => format!("{done} machines were checked again."),
                (done, left) => {
                    format!("{done} machines were checked again, {left} more are being checked now.")
                }
            },
            entries: r
                .entries
                .iter()
                .map(|e| match e.what {
                    Imported::Added => format!("{} (new)", e.name),
                    Imported::Changed => format!("{} (changed)", e.name),
                })
                .collect(),
            remarks: r.remarks.clone(),
            href,
            link,
        }
    }
}
