//! One machine: head, tabs, overview.

use std::str::FromStr;

use askama::Template;
use inventory_api::UnixMs;
use inventory_api::agent::Verification;
use inventory_api::boot::BootEvent;
use inventory_api::check::{CheckResult, Finding, Severity, Verdict};
use inventory_api::machine::{HistoryEntry, Journey, MachineDetail, MachineState};
use inventory_api::task::Note;

use super::act::{Action, actions};
use super::hardware::HardwareView;
use super::lists::{event_color, loader_words, state_after};
use super::plan::PlanView;
use super::{Shell, capital, segment, shown_color, state_icon};
use words::tasks::{TaskRow, tasks};
use words::text::Moment;
use words::text::boot::event;
use words::text::{duration, macs_words, plan as plan_words, timestamp};
use words::timeline::{Stage, timeline, total_ms};

/// A tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// Stages, verdict, facts.
    Overview,
    /// The report.
    Hardware,
    /// The plan.
    Plan,
    /// What the installed system proved.
    Verification,
    /// What happened.
    History,
    /// Packets.
    Network,
}

impl Tab {
    const ALL: [(Tab, &'static str, &'static str); 6] = [
        (Tab::Overview, "overview", "Overview"),
        (Tab::Hardware, "hardware", "Hardware"),
        (Tab::Plan, "plan", "Plan"),
        (Tab::Verification, "verification", "Verification"),
        (Tab::History, "history", "History"),
        (Tab::Network, "network", "Packets"),
    ];

    /// As in the address.
    pub fn key(&self) -> &'static str {
        Tab::ALL
            .iter()
            .find(|(t, ..)| t == self)
            .map_or("overview", |(_, key, _)| key)
    }
}

impl FromStr for Tab {
    type Err = ();
    fn from_str(text: &str) -> Result<Tab, ()> {
        Tab::ALL
            .iter()
            .find(|(_, key, _)| *key == text)
            .map(|(tab, ..)| *tab)
            .ok_or(())
    }
}

/// The page of a machine.
#[derive(Template)]
#[template(path = "machine.html")]
pub struct MachinePage {
    /// Around it.
    pub shell: Shell,
    /// Above the tabs.
    pub head: Head,
    /// Which tab.
    pub tab: Tab,
    /// What the tab shows.
    pub body: Body,
}

/// What a tab shows.
pub enum Body {
    /// Stages, verdict, facts.
    Overview(Box<Overview>),
    /// The report.
    Hardware(HardwareView),
    /// The plan.
    Plan(Option<PlanView>),
    /// What the installed system proved.
    Verification(VerificationView),
    /// What happened, the newest last.
    History(Vec<HistoryEntry>),
    /// Packets, one entry a NIC.
    Network(Vec<Journey>),
}

/// Above the tabs.
pub struct Head {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// State in words, with its phase.
    pub state: String,
    /// Colour.
    pub color: &'static str,
    /// Icon of the sentence.
    pub icon: &'static str,
    /// Something is going on.
    pub busy: bool,
    /// Why it waits and what comes next.
    pub sentence: String,
    /// Reason code.
    pub reason: Option<String>,
    /// Others claim its identity, or it claims theirs, and nobody has decided.
    pub conflict: bool,
    /// The machine that this enrolment was found to be.
    pub folded_into: Option<String>,
    /// When it gives up.
    pub deadline: Option<UnixMs>,
    /// Buttons.
    pub actions: Vec<Action>,
    /// How many things the report could not read.
    pub problems: usize,
    /// How many items of the verification are not as asked.
    pub failed: usize,
}

impl Head {
    /// The head of this machine's page.
    pub fn new(d: &MachineDetail) -> Head {
        let s = &d.machine.status;
        let problems = d.report.as_ref().map_or(0, |r| r.problems.len());
        let failed = d
            .verification
            .as_ref()
            .map_or(0, |v| v.items.iter().filter(|i| !i.ok).count());
        Head {
            id: d.machine.id.to_string(),
            name: d.machine.name(),
            state: match &s.phase {
                Some(phase) => format!(
                    "{}: {}",
                    capital(s.state.as_str()),
                    phase.as_str().replace('-', " ")
                ),
                None => capital(s.state.as_str()),
            },
            color: shown_color(&d.machine),
            icon: match shown_color(&d.machine) {
                "red" => "alert-triangle",
                _ => state_icon(&s.state),
            },
            busy: s.state.is_transient(),
            sentence: s.sentence.clone(),
            reason: s.reason.clone(),
            conflict: !d.machine.conflicts_with.is_empty(),
            folded_into: d.machine.folded_into.as_ref().map(ToString::to_string),
            deadline: s.deadline,
            actions: actions(&d.machine),
            problems,
            failed,
        }
    }

    /// How many faults a tab shows, and the colour of that.
    pub fn badge(&self, tab: Tab) -> Option<(usize, &'static str)> {
        let badge = match tab {
            Tab::Hardware => (self.problems, "yellow"),
            Tab::Verification => (self.failed, "red"),
            Tab::Overview | Tab::Plan | Tab::History | Tab::Network => return None,
        };
        Some(badge).filter(|(count, _)| *count > 0)
    }
}

/// The first tab.
pub struct Overview {
    /// What the stages are about.
    pub heading: &'static str,
    /// From the first packet to the end, or until now.
    pub total: Option<String>,
    /// Of the installation, while it runs.
    pub percent: Option<u8>,
    /// The stages.
    pub stages: Vec<Stage>,
    /// The verdict.
    pub verdict: Option<VerdictView>,
    /// Label and value.
    pub facts: Vec<(&'static str, String)>,
    /// When its agent was heard.
    pub last_seen: Option<Moment>,
    /// The plan in short.
    pub plan: Vec<(&'static str, String)>,
    /// What was expected and where it belongs: label, value and where it leads, or empty.
    pub expected: Vec<(&'static str, String, String)>,
    /// What was asked of its agent.
    pub tasks: Vec<TaskRow>,
    /// Notes.
    pub notes: Vec<Note>,
}

/// Cables that are shown of one machine.
const MAX_PORTS: usize = 16;

fn expected(d: &MachineDetail) -> Vec<(&'static str, String, String)> {
    let Some(from) = &d.expected_from else {
        return Vec::new();
    };
    let mut facts = Vec::new();
    let mut fact = |key, value: String, href: String| facts.push((key, value, href));
    if let Some(p) = &from.placement {
        let rack = format!("/racks/{}/{}", segment(&p.room), segment(&p.rack));
        fact("Belongs in", files::import::place_name(p), rack);
        if let Some(number) = &p.order {
            let item = p.item.as_ref().map_or(String::new(), |i| format!(" item {i}"));
            fact(
                "Order",
                format!("{number}{item}"),
                format!("/orders/{}", segment(number)),
            );
        }
        for port in p.ports.iter().take(MAX_PORTS) {
            let nic = port.nic.as_deref().unwrap_or("any NIC");
            fact(
                "Cable",
                format!("{nic} → {} {}", port.switch, port.port),
                String::new(),
            );
        }
    }
    if let Some(name) = &from.profile {
        fact(
            "Profile",
            name.clone(),
            format!("/hardware-profiles/{}", segment(name)),
        );
    }
    if let Some(name) = &from.missing_profile {
        fact("Profile", format!("{name}: not imported yet"), String::new());
    }
    facts
}

impl Overview {
    /// The overview of this machine. `boots`: what was heard from all its NICs.
    pub fn new(d: &MachineDetail, history: &[HistoryEntry], boots: &[BootEvent], now: UnixMs) -> Overview {
        let m = &d.machine;
        let stages = timeline(d, history, boots, now);
        let mut facts = Vec::new();
        let mut fact = |key, value: Option<String>| facts.extend(value.map(|v| (key, v)));
        fact("Model", m.model.clone());
        fact("Serial", m.serial.clone());
        fact("Host name", m.hostname.clone());
        fact("MAC", Some(macs_words(m)));
        fact("Address", m.ip.map(|ip| ip.to_string()));
        fact("Id", Some(m.id.to_string()));
        fact("Enrolled", Some(timestamp(m.enrolled_at)));
        let plan = d.plan.as_ref().map_or_else(Vec::new, |p| {
            vec![
                ("Image", format!("{} {}", p.image, p.image_version)),
                ("Host name", p.hostname.clone()),
                ("Disk", plan_words::disk(&p.disk)),
                ("Steps", p.steps.len().to_string()),
            ]
        });
        Overview {
            heading: if m.status.state == MachineState::Releasing {
                "Release"
            } else {
                "From power-on to deployed"
            },
            total: total_ms(&stages, now).map(duration),
            percent: stages.iter().find_map(|s| s.percent),
            stages,
            verdict: d.check.as_ref().map(VerdictView::new),
            facts,
            last_seen: m.last_seen.map(|at| Moment::new(at, now)),
            plan,
            expected: expected(d),
            tasks: tasks(&d.tasks, 5, now),
            notes: d.notes.iter().take(5).cloned().collect(),
        }
    }
}

/// Findings that are shown of one machine.
const MAX_FINDINGS: usize = 200;

/// The verdict.
pub struct VerdictView {
    /// Colour.
    pub color: &'static str,
    /// Icon.
    pub icon: &'static str,
    /// In a word.
    pub title: &'static str,
    /// In a sentence.
    pub text: &'static str,
    /// What is different.
    pub findings: Vec<Finding>,
}

impl VerdictView {
    /// How a check reads.
    pub fn new(check: &CheckResult) -> VerdictView {
        let (color, icon, title, text) = match check.verdict {
            Verdict::Pass => (
                "green",
                "circle-check",
                "Hardware as expected",
                "Everything that was asked for is there.",
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
                "No disk is touched until this is put right.",
            ),
        };
        VerdictView {
            color,
            icon,
            title,
            text,
            findings: check.findings.iter().take(MAX_FINDINGS).cloned().collect(),
        }
    }

    /// Colour of a difference.
    pub fn color_of(&self, finding: &Finding) -> &'static str {
        match finding.severity {
            Severity::Error => "red",
            Severity::Warning => "yellow",
            Severity::Info => "azure",
        }
    }
}

/// What the installed system proved.
#[derive(Default)]
pub struct VerificationView {
    /// In a sentence.
    pub title: String,
    /// The plan.
    pub plan: String,
    /// One entry a thing that was looked at; what is wrong first.
    pub items: Vec<inventory_api::agent::VerifiedItem>,
}

impl VerificationView {
    /// How a verification reads.
    pub fn new(verification: Option<&Verification>) -> VerificationView {
        let Some(v) = verification else {
            return VerificationView::default();
        };
        let mut items = v.items.clone();
        items.sort_by_key(|i| i.ok);
        let wrong = items.iter().filter(|i| !i.ok).count();
        VerificationView {
            title: if wrong == 0 {
                format!("All {} things are as asked", items.len())
            } else {
                format!("{wrong} of {} things are not as asked", items.len())
            },
            plan: v.plan.to_string(),
            items,
        }
    }
}
