//! The list of machines: filter, search, order.

use askama::Template;
use inventory_api::check::Verdict;
use inventory_api::machine::{MachineState, MachineSummary, Phase};

use super::{Shell, capital, or_dash, shown_color, state_color};
use words::text::Moment;
use words::text::plan::step_title;

/// More rows are not sent at once: the page is morphed on every change.
const MAX_ROWS: usize = 300;

/// The page.
#[derive(Template)]
#[template(path = "machines.html")]
pub struct MachinesPage<'a> {
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
    pub rows: Vec<&'a MachineSummary>,
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

/// Percent and step of an installation that runs.
pub fn progress(m: &MachineSummary) -> Option<(u8, &str)> {
    let step = m.status.step.as_ref()?;
    let installs = m.status.phase == Some(Phase::Installing);
    installs.then(|| (step.percent.min(100), step_title(&step.name)))
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
const STATES: [MachineState; 9] = [
    MachineState::Failed,
    MachineState::Quarantined,
    MachineState::New,
    MachineState::Commissioning,
    MachineState::Ready,
    MachineState::Deploying,
    MachineState::Releasing,
    MachineState::Deployed,
    MachineState::Retired,
];

/// Not a state: machines of any state about whose identity nobody has decided yet.
const CONFLICT: &str = "conflict";

impl<'a> MachinesPage<'a> {
    /// The page for these machines, filter and query.
    pub fn new(
        shell: Shell,
        machines: &'a [MachineSummary],
        state: Option<&str>,
        query: &str,
    ) -> MachinesPage<'a> {
        let state = state.filter(|s| STATES.contains(&(*s).into()) || *s == CONFLICT);
        let mut filters = vec![Filter {
            href: "/machines".into(),
            label: "All".into(),
            color: "",
            count: machines.len(),
            active: state.is_none(),
        }];
        for of in &STATES {
            let count = machines.iter().filter(|m| m.status.state == *of).count();
            let name = of.as_str();
            if count > 0 || state == Some(name) {
                filters.push(Filter {
                    href: format!("/machines?state={name}"),
                    label: capital(name),
                    color: state_color(of),
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
            Some(state) => m.status.state.as_str() == state,
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
            rows: found.into_iter().take(MAX_ROWS).collect(),
        }
    }
}
