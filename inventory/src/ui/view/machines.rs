//! The list of machines: filter, search, order.

use askama::Template;
use inventory_api::UnixMs;
use inventory_api::check::Verdict;
use inventory_api::machine::MachineSummary;

use super::{Moment, Shell, busy, capital, shown_color, state_color};
use crate::text::plan::step_title;

/// More rows are not sent at once: the page is morphed on every change.
const MAX_ROWS: usize = 300;

/// The page.
#[derive(Template)]
#[template(path = "machines.html")]
pub struct MachinesPage {
    /// Around it.
    pub shell: Shell,
    /// State that is filtered for.
    pub state: Option<String>,
    /// Words that are searched for.
    pub query: String,
    /// All machines known.
    pub total: usize,
    /// Machines that match.
    pub matching: usize,
    /// One entry a state that occurs.
    pub filters: Vec<Filter>,
    /// The machines shown.
    pub rows: Vec<Row>,
    /// What keeps every machine from booting.
    pub missing: Vec<String>,
}

/// A link that filters.
pub struct Filter {
    /// Where to.
    pub href: String,
    /// Its words.
    pub label: String,
    /// Dot colour, empty for none.
    pub color: &'static str,
    /// How many machines.
    pub count: usize,
    /// Whether it is in force.
    pub active: bool,
}

/// One machine.
pub struct Row {
    /// Id.
    pub id: String,
    /// Host name, else serial, else id.
    pub name: String,
    /// State in words.
    pub state: String,
    /// Its colour.
    pub color: &'static str,
    /// Its hardware is not as ordered.
    pub failing: bool,
    /// Another machine claims to be this one, or it contradicts itself.
    pub conflict: bool,
    /// Something is going on.
    pub busy: bool,
    /// Boot NIC.
    pub mac: String,
    /// Model.
    pub model: String,
    /// Serial number, or empty.
    pub serial: String,
    /// Address.
    pub ip: String,
    /// Running step.
    pub progress: Option<RowProgress>,
    /// Why it waits.
    pub sentence: String,
    /// When its agent was heard.
    pub last_seen: Option<Moment>,
}

/// How far an installation is.
pub struct RowProgress {
    /// 0 to 100.
    pub percent: u8,
    /// The step.
    pub label: String,
}

/// Name that people see: host name, else serial number, else id.
pub fn display_name(m: &MachineSummary) -> String {
    m.hostname
        .clone()
        .or_else(|| m.serial.clone())
        .unwrap_or_else(|| m.id.to_string())
}

/// Whether all words of the query are somewhere in what is shown of the machine.
fn matches(m: &MachineSummary, query: &str) -> bool {
    let mut hay = format!(
        "{} {} {}",
        m.id,
        m.status.state,
        m.ip.map(|i| i.to_string()).unwrap_or_default()
    );
    for text in [&m.hostname, &m.serial, &m.model].into_iter().flatten() {
        hay.push(' ');
        hay.push_str(text);
    }
    for mac in &m.macs {
        hay.push_str(&format!(" {mac}"));
    }
    let hay = hay.to_lowercase();
    query.to_lowercase().split_whitespace().all(|word| {
        // A MAC is searched for in any notation people copy.
        hay.contains(word) || word.len() >= 5 && hay.contains(&word.replace('-', ":"))
    })
}

/// The order of the filters: what needs attention first.
const STATES: [&str; 9] = [
    "failed",
    "quarantined",
    "new",
    "commissioning",
    "ready",
    "deploying",
    "releasing",
    "deployed",
    "retired",
];

/// Not a state: machines of any state about whose identity nobody has decided yet.
const CONFLICT: &str = "conflict";

impl MachinesPage {
    /// The page for these machines, filter and query.
    pub fn new(
        shell: Shell,
        machines: &[MachineSummary],
        state: Option<&str>,
        query: &str,
        now: UnixMs,
    ) -> MachinesPage {
        let state = state.filter(|s| STATES.contains(s) || *s == CONFLICT);
        let mut filters = vec![Filter {
            href: "/machines".into(),
            label: "All".into(),
            color: "",
            count: machines.len(),
            active: state.is_none(),
        }];
        for name in STATES {
            let count = machines.iter().filter(|m| m.status.state == name).count();
            if count > 0 || state == Some(name) {
                filters.push(Filter {
                    href: format!("/machines?state={name}"),
                    label: capital(name),
                    color: state_color(name),
                    count,
                    active: state == Some(name),
                });
            }
        }
        let conflicts = machines.iter().filter(|m| !m.conflicts_with.is_empty()).count();
        if conflicts > 0 || state == Some(CONFLICT) {
            filters.push(Filter {
                href: format!("/machines?state={CONFLICT}"),
                label: "Identity conflict".into(),
                color: "red",
                count: conflicts,
                active: state == Some(CONFLICT),
            });
        }
        let of_state = |m: &MachineSummary| match state {
            None => true,
            Some(CONFLICT) => !m.conflicts_with.is_empty(),
            Some(state) => m.status.state == state,
        };
        let found: Vec<&MachineSummary> = machines
            .iter()
            .filter(|m| of_state(m) && matches(m, query))
            .collect();
        MachinesPage {
            missing: Vec::new(),
            shell,
            state: state.map(str::to_owned),
            query: query.to_owned(),
            total: machines.len(),
            matching: found.len(),
            filters,
            rows: found
                .into_iter()
                .take(MAX_ROWS)
                .map(|m| Row::new(m, now))
                .collect(),
        }
    }
}

impl Row {
    fn new(m: &MachineSummary, now: UnixMs) -> Row {
        Row {
            id: m.id.to_string(),
            name: display_name(m),
            state: capital(&m.status.state),
            color: shown_color(m),
            failing: m.verdict == Some(Verdict::Fail),
            conflict: !m.conflicts_with.is_empty(),
            busy: busy(&m.status.state),
            mac: m.macs.first().map(ToString::to_string).unwrap_or_default(),
            model: m.model.clone().unwrap_or_else(|| "not reported yet".into()),
            serial: m.serial.clone().unwrap_or_default(),
            ip: super::or_dash(m.ip),
            progress: m
                .status
                .step
                .as_ref()
                .filter(|_| m.status.phase.as_deref() == Some("installing"))
                .map(|s| RowProgress {
                    percent: s.percent.min(100),
                    label: step_title(&s.name).to_owned(),
                }),
            sentence: m.status.sentence.clone(),
            last_seen: m.last_seen.map(|at| Moment::new(at, now)),
        }
    }
}
