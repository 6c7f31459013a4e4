//! The page of one machine: what it is doing, and a tab for everything that is known about it.

pub(crate) mod hardware;

use askama::Template;
use axum::extract::Query;
use inventory_api::agent::VerifiedItem;
use inventory_api::boot::{BootEvent, BootEventKind, TftpEnd};
use inventory_api::check::{Severity, Verdict};
use inventory_api::loader::NicLoaders;
use inventory_api::machine::{HistoryEntry, Journey, MachineDetail, MachineState, MachineStatus};
use inventory_api::page::PageQuery;
use inventory_api::{Mac, MachineId, Problem, UnixMs};
use serde::Deserialize;

use super::page::{Page, Shell, capital, go_to, html, nothing_here, shown_color, state_color};
use super::session::SignedIn;
use super::verb::actions;
use hardware::Hardware;
use service::Service;
use words::tasks::{TaskRow, tasks};
use words::text::boot::event;
use words::text::{duration, macs_words, plan as plan_words, timestamp};
use words::timeline::{Stage, timeline, total_ms};

/// Key in the URL and label of each tab.
const TABS: [(&str, &str); 6] = [
    ("overview", "Overview"),
    ("hardware", "Hardware"),
    ("plan", "Plan"),
    ("verification", "Verification"),
    ("history", "History"),
    ("network", "Packets"),
];

/// NICs of one machine whose journeys are read; the boot NIC comes first.
const MAX_NICS: usize = 8;
/// Cables shown per machine.
const MAX_PORTS: usize = 16;
/// Findings shown per machine.
const MAX_FINDINGS: usize = 200;

#[derive(Template)]
#[template(path = "machine/machine.html")]
pub(crate) struct MachinePage<'a> {
    pub(crate) shell: Shell,
    pub(crate) d: &'a MachineDetail,
    /// Key of the chosen tab.
    pub(crate) tab: &'a str,
    pub(crate) body: Body,
}

/// The content of a tab.
pub(crate) enum Body {
    Overview(Overview),
    /// `None`: the machine has not reported.
    Hardware(Option<Hardware>),
    Plan,
    Verification,
    /// Past events, newest last.
    History(Vec<HistoryEntry>),
    /// Packets, one entry per NIC.
    Network(Vec<Journey>),
}

pub(crate) struct Overview {
    stages: Vec<Stage>,
    /// Time from the first stage to the last, or until now while one runs.
    total: Option<String>,
    /// Progress of the installation, while it runs.
    percent: Option<u8>,
    /// The newest tasks of its agent.
    tasks: Vec<TaskRow>,
}

impl Overview {
    /// `boots`: the boot events of all its NICs.
    pub(crate) fn new(
        d: &MachineDetail,
        history: &[HistoryEntry],
        boots: &[BootEvent],
        now: UnixMs,
    ) -> Overview {
        let stages = timeline(d, history, boots, now);
        Overview {
            total: total_ms(&stages, now).map(duration),
            percent: stages.iter().find_map(|s| s.percent),
            stages,
            tasks: tasks(&d.tasks, 5, now),
        }
    }
}

impl MachinePage<'_> {
    /// Number of faults on a tab and their colour; 0: no faults.
    fn faults(&self, tab: &str) -> (usize, &'static str) {
        match tab {
            "hardware" => (self.d.report.as_ref().map_or(0, |r| r.problems.len()), "yellow"),
            "verification" => (self.unverified(), "red"),
            _ => (0, ""),
        }
    }

    /// What the resident agent verified on the installed system, failures first.
    fn verified(&self) -> Vec<&VerifiedItem> {
        let items = self.d.verification.iter().flat_map(|v| &v.items);
        let mut items: Vec<_> = items.collect();
        items.sort_by_key(|i| i.ok);
        items
    }

    /// Number of those that failed.
    fn unverified(&self) -> usize {
        self.verified().iter().filter(|i| !i.ok).count()
    }
}

/// "Deploying: await local boot".
fn state_words(s: &MachineStatus) -> String {
    let state = capital(s.state.as_str());
    match &s.phase {
        Some(phase) => format!("{state}: {}", phase.as_str().replace('-', " ")),
        None => state,
    }
}

/// Icon beside a sentence of this colour.
fn icon_of(color: &str) -> &'static str {
    match color {
        "green" | "teal" => "circle-check",
        "red" | "orange" => "alert-triangle",
        _ => "info-circle",
    }
}

/// Colour, icon, title and explanation of a verdict.
pub(crate) fn verdict_words(verdict: Verdict) -> (&'static str, &'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Pass => (
            "green",
            "circle-check",
            "Hardware as expected",
            "Everything that was ordered is there.",
        ),
        Verdict::Warn => (
            "yellow",
            "alert-circle",
            "Hardware as expected, with a remark",
            "Nothing stops the machine; look at it when there is time.",
        ),
        Verdict::Fail => (
            "red",
            "alert-triangle",
            "Hardware not as expected",
            "No disk is touched until this is fixed.",
        ),
    }
}

pub(crate) fn severity_color(severity: &Severity) -> &'static str {
    match severity {
        Severity::Error => "red",
        Severity::Warning => "yellow",
        Severity::Info => "azure",
    }
}

/// The state that an entry led to, and its colour.
fn state_after(entry: &HistoryEntry) -> (String, &'static str) {
    (entry.state.replace('/', ": "), state_color(&entry.reached().0))
}

/// Colour of a boot event.
fn event_color(what: &BootEventKind) -> &'static str {
    match what {
        BootEventKind::Dhcp { .. } => "azure",
        BootEventKind::Tftp {
            end: TftpEnd::SizeAsked,
            ..
        } => "teal",
        BootEventKind::Tftp { complete: false, .. } | BootEventKind::Connection { .. } => "red",
        BootEventKind::Agent { status, .. } | BootEventKind::Http { status, .. } if *status >= 400 => "red",
        BootEventKind::Tftp { .. } | BootEventKind::Http { .. } => "teal",
        BootEventKind::Chosen { refused: Some(_), .. } => "red",
        BootEventKind::Script { .. } | BootEventKind::Chosen { .. } => "purple",
        BootEventKind::Agent { .. } => "green",
    }
}

/// "ipxe.efi works; snponly.efi failed (NIC 8086:1533)".
fn loader_words(nic: &NicLoaders) -> String {
    let worked = nic.worked.iter().map(|loader| format!("{loader} works"));
    let failed = nic.failed.iter().map(|f| match f.reason.as_str() {
        "refused" => format!("{} was refused (Secure Boot)", f.loader),
        _ => format!("{} failed", f.loader),
    });
    let words: Vec<String> = worked.chain(failed).collect();
    match &nic.model {
        Some(model) => format!("{} (NIC {model})", words.join("; ")),
        None => words.join("; "),
    }
}

/// Page of the history: the rows before this sequence number; `None`: the newest.
#[derive(Deserialize)]
pub(crate) struct Older {
    before: Option<i64>,
}

pub(crate) async fn overview(at: SignedIn<String>) -> Page {
    show(&at, &at.path, "overview", None).await
}

pub(crate) async fn tab(at: SignedIn<(String, String)>, Query(older): Query<Older>) -> Page {
    let (id, tab) = &at.path;
    show(&at, id, tab, older.before).await
}

async fn show<P: Sync>(at: &SignedIn<P>, id: &str, tab: &str, before: Option<i64>) -> Page {
    let d = &at.service.machine(id).await?;
    let shell = at.shell(&d.machine.name(), "Machines");
    let rows = PageQuery {
        limit: Some(200),
        page_token: None,
    };
    let body = match tab {
        "overview" => {
            let history = at.service.history(id, None, &rows).await?.items;
            let journeys = journeys(&at.service, d).await?;
            let mut boots: Vec<_> = journeys.into_iter().flat_map(|j| j.events).collect();
            boots.sort_by_key(|e| e.at);
            Body::Overview(Overview::new(d, &history, &boots, shell.now))
        }
        "hardware" => Body::Hardware(d.report.as_ref().map(Hardware::new)),
        "plan" => Body::Plan,
        "verification" => Body::Verification,
        "history" => Body::History(at.service.history(id, before, &rows).await?.items),
        "network" => Body::Network(journeys(&at.service, d).await?),
        _ => return Err(nothing_here("A machine has no such page.").into()),
    };
    Ok(html(MachinePage { shell, d, tab, body }))
}

async fn journeys(service: &Service, d: &MachineDetail) -> Result<Vec<Journey>, Problem> {
    let mut all = Vec::new();
    for (i, mac) in d.machine.macs.iter().take(MAX_NICS).enumerate() {
        let journey = service.journey(*mac).await?;
        // A silent NIC gets no card, except the boot NIC: its silence is worth showing.
        if i == 0 || !journey.events.is_empty() {
            all.push(journey);
        }
    }
    Ok(all)
}

/// `POST /machines/{id}/loader/{mac}`: forgets which loaders worked and failed on a NIC.
pub(crate) async fn forget_loader(at: SignedIn<(MachineId, Mac)>) -> Page {
    let (id, mac) = &at.path;
    at.service.forget_loader(*mac, &at.actor).await?;
    go_to(&format!("/machines/{id}/network"))
}
