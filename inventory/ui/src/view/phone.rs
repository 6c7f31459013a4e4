//! The page for the person at the rack: one machine, large type, what to fix.

use askama::Template;
use inventory_api::UnixMs;
use inventory_api::check::Verdict;
use inventory_api::machine::MachineDetail;
use inventory_api::task::Note;

use super::machine::VerdictView;
use super::{Shell, segment};
use files::import::place_name;
use words::tasks::{TaskRow, tasks};
use words::text::Moment;

/// Findings shown on a phone.
const MAX_FINDINGS: usize = 30;

/// The page on which a person types or scans a name.
#[derive(Template)]
#[template(path = "phone_ask.html")]
pub struct PhoneAskPage {
    /// Page frame.
    pub shell: Shell,
    /// What was typed or scanned and not found.
    pub query: String,
    /// What is known about it, in a sentence.
    pub message: String,
    /// Address and text of a link that helps.
    pub link: Option<(String, &'static str)>,
}

/// The page of one machine.
#[derive(Template)]
#[template(path = "phone.html")]
pub struct PhonePage {
    /// Page frame.
    pub shell: Shell,
    /// Id.
    pub id: String,
    /// Serial number, else id.
    pub name: String,
    /// Maker and model.
    pub model: String,
    /// "R1 A07 unit 12", and the address of the rack's page.
    pub place: Option<(String, String)>,
    /// PASS, WARN, FAIL, NOT CHECKED or NO REPORT.
    pub word: &'static str,
    /// Colour.
    pub color: &'static str,
    /// Icon.
    pub icon: &'static str,
    /// What that word means.
    pub text: String,
    /// Verdict and what to fix; `None`: nothing was checked.
    pub verdict: Option<VerdictView>,
    /// Number of findings not shown.
    pub more: usize,
    /// State in a sentence.
    pub state: String,
    /// When it last reported.
    pub reported: Option<Moment>,
    /// The newest tasks of its agent.
    pub tasks: Vec<TaskRow>,
    /// The newest notes.
    pub notes: Vec<Note>,
}

impl PhonePage {
    /// The page.
    pub fn new(shell: Shell, d: &MachineDetail, now: UnixMs) -> PhonePage {
        let m = &d.machine;
        let mut verdict = d.check.as_ref().map(VerdictView::new);
        let all = verdict.as_ref().map_or(0, |v| v.findings.len());
        if let Some(v) = &mut verdict {
            v.findings.truncate(MAX_FINDINGS);
        }
        let (word, text) = match d.check.as_ref().map(|c| c.verdict) {
            Some(Verdict::Pass) => ("PASS", "As ordered.".to_owned()),
            Some(Verdict::Warn) => ("WARN", "As ordered, with something to look at.".to_owned()),
            Some(Verdict::Fail) => ("FAIL", "Not as ordered. This is to be put right:".to_owned()),
            None if d.report.is_some() => (
                "NOT CHECKED",
                "It has reported, but nothing says what it must have: it is in no rack plan and no request."
                    .to_owned(),
            ),
            None => ("NO REPORT", "It has not reported its hardware yet.".to_owned()),
        };
        PhonePage {
            shell,
            id: m.id.to_string(),
            name: m.serial.clone().unwrap_or_else(|| m.id.to_string()),
            model: m.model.clone().unwrap_or_default(),
            place: d
                .expected_from
                .as_ref()
                .and_then(|e| e.placement.as_ref())
                .map(|p| {
                    let rack = format!("/racks/{}/{}", segment(&p.room), segment(&p.rack));
                    (place_name(p), rack)
                }),
            word,
            color: verdict.as_ref().map_or("secondary", |v| v.color),
            icon: verdict.as_ref().map_or("info-circle", |v| v.icon),
            text,
            more: all.saturating_sub(MAX_FINDINGS),
            verdict,
            state: m.status.sentence.clone(),
            reported: d.reported_at.map(|at| Moment::new(at, now)),
            tasks: tasks(&d.tasks, 3, now),
            notes: d.notes.iter().take(5).cloned().collect(),
        }
    }
}
