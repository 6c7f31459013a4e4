//! The pages for the person at the rack: one machine, large type, what to fix.

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use inventory_api::burn_in::BurnInRequest;
use inventory_api::check::Verdict;
use inventory_api::delivery::Placement;
use inventory_api::lookup::Lookup;
use inventory_api::machine::MachineDetail;
use inventory_api::task::Task;
use inventory_api::{MachineId, Problem};
use serde::Deserialize;

use super::machine::{severity_color, verdict_words};
use super::page::{Page, Shell, go_to, html, nothing_here};
use super::session::SignedIn;
use words::tasks::tasks;
use words::text::segment;

/// Findings shown on a phone.
const MAX_FINDINGS: usize = 30;
/// How long the locate LED blinks.
const LOCATE_SECONDS: u8 = 120;

/// Asks for a name to type or scan.
#[derive(Template)]
#[template(path = "phone/ask.html")]
struct PhoneAskPage {
    shell: Shell,
    /// What was typed or scanned and not found.
    query: String,
    /// What is known about it, in a sentence.
    message: String,
    /// Address and text of a link that helps.
    link: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "phone/phone.html")]
struct PhonePage<'a> {
    shell: Shell,
    d: &'a MachineDetail,
}

impl PhonePage<'_> {
    fn placement(&self) -> Option<&Placement> {
        self.d.expected_from.as_ref()?.placement.as_ref()
    }

    /// Word, colour, icon and sentence of what is known about the hardware.
    fn outcome(&self) -> (&'static str, &'static str, &'static str, &'static str) {
        let Some(check) = &self.d.check else {
            let (word, text) = match self.d.report {
                Some(_) => (
                    "NOT CHECKED",
                    "It has reported, but nothing says what it must contain: it is in no rack plan and no request.",
                ),
                None => ("NO REPORT", "It has not reported its hardware yet."),
            };
            return (word, "secondary", "info-circle", text);
        };
        let (color, icon, ..) = verdict_words(check.verdict);
        let (word, text) = match check.verdict {
            Verdict::Pass => ("PASS", "As ordered."),
            Verdict::Warn => ("WARN", "As ordered, with something to look at."),
            Verdict::Fail => ("FAIL", "Not as ordered. Fix this:"),
        };
        (word, color, icon, text)
    }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
}

/// `GET /p`: asks for a name to type or scan, and redirects to its page.
pub(crate) async fn phone_ask(at: SignedIn, Query(asked): Query<Asked>) -> Response {
    let q: String = asked.q.trim().chars().take(128).collect();
    // Browsers drop `.` and `..` from a path.
    if !q.is_empty() && q != "." && q != ".." {
        return Redirect::to(&format!("/p/{}", segment(&q))).into_response();
    }
    html(PhoneAskPage {
        shell: at.shell("At the rack", "Racks"),
        query: q,
        message: String::new(),
        link: None,
    })
}

/// `GET /p/{key}`: the machine with this id, serial number, asset tag or MAC. QR codes lead here.
pub(crate) async fn phone(at: SignedIn<String>) -> Page {
    let found = match at.service.lookup(&at.path).await {
        Ok(Lookup::Machine { id }) => {
            let d = at.service.machine(id.as_str()).await?;
            let name = d.machine.serial.as_deref().unwrap_or(id.as_str());
            let shell = at.shell(name, "Racks");
            return Ok(html(PhonePage { shell, d: &d }));
        }
        Err(problem) if problem.status >= 500 => return Err(problem.into()),
        found => found,
    };
    let query: String = at.path.chars().filter(|c| !c.is_control()).take(128).collect();
    let link = match &found {
        Ok(Lookup::Machines { .. }) => Some((format!("/machines?q={}", segment(&query)), "See them")),
        Ok(Lookup::Place { place: p }) => {
            let rack = format!("/racks/{}/{}", segment(&p.room), segment(&p.rack));
            Some((rack, "See the rack"))
        }
        Ok(Lookup::Part { serial, .. }) => {
            let part = format!("/parts/{}", segment(serial));
            Some((part, "See where it has been"))
        }
        Ok(Lookup::Machine { .. } | Lookup::Unknown) | Err(_) => None,
    };
    let message = match &found {
        Ok(found) => words::lookup::sentence(&query, found),
        Err(problem) => problem.detail.clone(),
    };
    let page = html(PhoneAskPage {
        shell: at.shell("At the rack", "Racks"),
        query,
        message,
        link,
    });
    Ok((StatusCode::NOT_FOUND, page).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Words {
    #[serde(default)]
    text: String,
    /// Ticked box: make the profile even if the machine is not healthy.
    #[serde(default)]
    accept: Option<String>,
}

/// `POST /p/{key}/{what}`: check again, locate, mark as fixed, from the phone page.
pub(crate) async fn phone_task(at: SignedIn<(MachineId, String)>, Form(words): Form<Words>) -> Page {
    ask(&at, &words.text).await?;
    go_to(&format!("/p/{}", at.path.0))
}

/// `POST /machines/{id}/task/{what}`: the same from the machine's page, and burn-in and golden profile.
pub(crate) async fn machine_task(at: SignedIn<(MachineId, String)>, Form(words): Form<Words>) -> Page {
    let (id, what) = &at.path;
    if what == "golden" {
        let name = words.text.trim();
        at.service
            .golden(id.as_str(), name, words.accept.is_some(), &at.actor)
            .await?;
        return go_to(&format!("/hardware-profiles/{}", segment(name)));
    }
    ask(&at, &words.text).await?;
    go_to(&format!("/machines/{id}"))
}

async fn ask(at: &SignedIn<(MachineId, String)>, text: &str) -> Result<(), Problem> {
    let ((id, what), actor) = (&at.path, &at.actor);
    let key = id.as_str();
    let task = match what.as_str() {
        "recheck" => return at.service.recheck(key, actor).await.map(drop),
        "fixed" => return at.service.fixed(key, text, actor).await.map(drop),
        "locate" => Task::Identify {
            seconds: LOCATE_SECONDS,
        },
        "burn-in" => Task::BurnIn {
            request: BurnInRequest::default(),
        },
        _ => return Err(nothing_here("There is no such task for a machine.")),
    };
    at.service.ask_task(key, task, actor).await.map(drop)
}
