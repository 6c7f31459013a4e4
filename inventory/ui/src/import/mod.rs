//! Import of a file of purchase orders, hardware profiles or racks: the form and the result.

use askama::Template;
use axum::Form;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use inventory_api::import::{ImportReport, Imported};
use serde::Deserialize;

use super::page::{Page, Shell, capital, html};
use super::session::SignedIn;
use files::import::{Format, Kind};
use words::text::counted;

/// Largest text of the form, bytes; `slipway import` takes larger files.
const MAX_TEXT: usize = 4 << 20;
/// Largest form body: percent-encoding can turn each byte into three.
pub(crate) const MAX_FORM: usize = 3 * MAX_TEXT + 1024;

#[derive(Template)]
#[template(path = "import/import.html")]
struct ImportPage {
    shell: Shell,
    /// The chosen kind of file.
    kind: Option<Kind>,
    /// Text in the form: after a refusal, what was sent, to be corrected.
    text: String,
    /// Errors in the file, row by row.
    faults: Vec<String>,
    /// What was imported; `None`: nothing yet.
    done: Option<(Kind, ImportReport)>,
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

impl ImportPage {
    fn new(at: &SignedIn, kind: Option<Kind>) -> ImportPage {
        ImportPage {
            shell: at.shell("Import", "Orders"),
            kind,
            text: String::new(),
            faults: Vec::new(),
            done: None,
        }
    }
}

pub(crate) async fn page(at: SignedIn) -> Page {
    Ok(html(ImportPage::new(&at, None)))
}

#[derive(Deserialize)]
pub(crate) struct File {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    text: String,
}

pub(crate) async fn take(at: SignedIn, Form(file): Form<File>) -> Page {
    let kind = Kind::of_name(&file.kind);
    let mut page = ImportPage::new(&at, kind);
    let refused = match kind {
        None => "Choose what the file contains: hardware profiles, orders or the rack plan.".to_owned(),
        Some(_) if file.text.len() > MAX_TEXT => format!(
            "The text has {} bytes, this page takes {MAX_TEXT}: `slipway import` takes larger files.",
            file.text.len()
        ),
        Some(kind) => {
            let format = Format::of_text(&file.text);
            let text = file.text.as_bytes();
            match at.service.import(kind, text, format, &at.actor).await {
                Ok(report) => {
                    page.done = Some((kind, report));
                    return Ok(html(page));
                }
                Err(problem) if problem.status >= 500 => return Err(problem.into()),
                Err(problem) => problem.detail,
            }
        }
    };
    page.faults = refused.lines().map(str::to_owned).collect();
    // Of several lines, the first only introduces the others.
    if page.faults.len() > 1 {
        page.faults.remove(0);
    }
    // Show the text in the form again, to be corrected there.
    if file.text.len() <= MAX_TEXT {
        page.text = file.text;
    }
    Ok((StatusCode::UNPROCESSABLE_ENTITY, html(page)).into_response())
}
