//! The import page.

use axum::Form;
use axum::http::StatusCode;
use serde::Deserialize;

use super::pages::{Page, html};
use super::session::SignedIn;
use super::view::import::ImportPage;
use files::import::{Format, Kind};

/// Largest text of the form, bytes; `slipway import` takes larger files.
pub(super) const MAX_TEXT: usize = 4 << 20;
/// Largest form body: percent-encoding can turn each byte into three.
pub(super) const MAX_FORM: usize = 3 * MAX_TEXT + 1024;

pub(super) async fn page(at: SignedIn) -> Page {
    Ok(html(ImportPage {
        shell: at.shell("Import", "Orders"),
        kind: None,
        text: String::new(),
        max: MAX_TEXT,
        faults: Vec::new(),
        done: None,
    }))
}

#[derive(Deserialize)]
pub(super) struct File {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    text: String,
}

pub(super) async fn take(at: SignedIn, Form(file): Form<File>) -> Page {
    let kind = Kind::of_name(&file.kind);
    let mut page = ImportPage {
        shell: at.shell("Import", "Orders"),
        kind,
        text: String::new(),
        max: MAX_TEXT,
        faults: Vec::new(),
        done: None,
    };
    let refused = match kind {
        None => "Say what the file holds: hardware profiles, orders or the rack plan.".to_owned(),
        Some(_) if file.text.len() > MAX_TEXT => format!(
            "The text has {} bytes, this page takes {MAX_TEXT}: `slipway import` takes larger files.",
            file.text.len()
        ),
        Some(kind) => {
            let service = at.service.clone();
            let (text, who) = (file.text.clone(), at.actor.clone());
            // A task of its own: if the browser disconnects, the import still runs to its end.
            let taken = tokio::spawn(async move {
                let format = Format::of_text(&text);
                service.import(kind, text.as_bytes(), format, &who).await
            })
            .await
            .map_err(|e| service::problem::internal(&e))
            .and_then(|r| r);
            match taken {
                Ok(report) => {
                    page.done = Some((kind, report));
                    return Ok(html(page));
                }
                Err(problem) if problem.status >= 500 => {
                    return Err(problem.into());
                }
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
    page.text = if file.text.len() <= MAX_TEXT {
        file.text
    } else {
        String::new()
    };
    let mut response = html(page);
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}
