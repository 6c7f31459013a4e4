//! The page of one machine: head, tabs, overview.

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
    /// The asset report.
    Hardware,
    /// The install plan.
    Plan,
    /// What the resident agent verified.
    Verification,
    /// Past events.
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

    /// Its segment in the URL.
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
    /// Page frame.
    pub shell: Shell,
    /// The part above the tabs.
    pub head: Head,
    /// The chosen tab.
    pub tab: Tab,
    /// Its content.
    pub body: Body,
}

/// The content of a tab.
pub enum Body {
    /// Stages, verdict, facts.
    Overview(Box<Overview>),
    /// The asset report.
    Hardware(HardwareView),
    /// The install plan; `None`: there is none.
    Plan(Option<PlanView>),
    /// What the resident agent verified.
    Verification(VerificationView),
    /// Past events, newest last.
    History(Vec<HistoryEntry>),
    /// Packets, one entry per NIC.
    Network(Vec<Journey>),
}

/// The part above the tabs.
pub struct Head {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// State and phase in words.
    pub state: String,
    /// Colour.
    pub color: &'static str,
    /// Icon beside the sentence.
    pub icon: &'static str,
    /// Whether the state is transient: something is in progress.
    pub busy: bool,
    /// What it waits for and what comes next.
    pub sentence: String,
    /// Reason code, when failed or quarantined.
    pub reason: Option<String>,
    /// Whether it is in an open identity conflict.
    pub conflict: bool,
    /// The machine that this enrolment turned out to be.
    pub folded_into: Option<String>,
    /// When a transient state times out.
    pub deadline: Option<UnixMs>,
    /// Buttons of the verbs.
    pub actions: Vec<Action>,
    /// Number of things the agent could not read for its report.
    pub problems: usize,
    /// Number of failed items of the verification.
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

    /// Number of faults on a tab and their colour; `None`: no faults.
    pub fn badge(&self, tab: Tab) -> Option<(usize, &'static str)> {
        let badge = match tab {
            Tab::Hardware => (self.problems, "yellow"),
            Tab::Verification => (self.failed, "red"),
            Tab::Overview | Tab::Plan | Tab::History | Tab::Network => return None,
        };
        Some(badge).filter(|(count, _)| *count > 0)
    }
}

/// The overview tab.
pub struct Overview {
    /// Heading of the stages.
    pub heading: &'static str,
    /// Time from the first stage to the last, or until now while one runs.
    pub total: Option<String>,
    /// Progress of the installation, while it runs.
    pub percent: Option<u8>,
    /// The stages.
    pub stages: Vec<Stage>,
    /// The verdict; `None`: nothing was checked.
    pub verdict: Option<VerdictView>,
    /// Label and value.
    pub facts: Vec<(&'static str, String)>,
    /// When its agent was last heard.
    pub last_seen: Option<Moment>,
    /// Summary of the plan.
    pub plan: Vec<(&'static str, String)>,
    /// Rack place, purchase order, cables and hardware profile: label, value, link (empty: none).
    pub expected: Vec<(&'static str, String, String)>,
    /// The newest tasks of its agent.
    pub tasks: Vec<TaskRow>,
    /// The newest notes.
    pub notes: Vec<Note>,
}

/// Cables shown per machine.
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
    /// The overview of this machine. `boots`: the boot events of all its NICs.
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

/// Findings shown per machine.
const MAX_FINDINGS: usize = 200;

/// Verdict and findings of a check.
pub struct VerdictView {
    /// Colour.
    pub color: &'static str,
    /// Icon.
    pub icon: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// In a sentence.
    pub text: &'static str,
    /// The differences; bounded.
    pub findings: Vec<Finding>,
}

impl VerdictView {
    /// Describes a check.
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

    /// Colour of a finding.
    pub fn color_of(&self, finding: &Finding) -> &'static str {
        match finding.severity {
            Severity::Error => "red",
            Severity::Warning => "yellow",
            Severity::Info => "azure",
        }
    }
}

/// What the resident agent verified on the installed system.
#[derive(Default)]
pub struct VerificationView {
    /// Heading: how many things passed or failed.
    pub title: String,
    /// Id of the plan that was verified.
    pub plan: String,
    /// Everything that was verified, failed items first.
    pub items: Vec<inventory_api::agent::VerifiedItem>,
}

impl VerificationView {
    /// Describes a verification; `None`: there is none.
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
