//! The list of machines: filter, search, pages.

use askama::Template;
use inventory_api::check::Verdict;
use inventory_api::machine::{MachineFilter, MachineState, MachineSummary, Phase};
use service::{MachineCounts, MachineList};
use words::text::plan::step_title;
use words::text::{Moment, segment};

use super::{Shell, capital, or_dash, shown_color, state_color};

/// Characters of a search text.
const MAX_SEARCH: usize = 100;

/// The machine list page.
#[derive(Template)]
#[template(path = "machines.html")]
pub struct MachinesPage {
    /// Page frame.
    pub shell: Shell,
    /// The chosen filter: a state or "conflict"; `None`: all machines.
    pub state: Option<String>,
    /// Search text.
    pub query: String,
    /// Number of machines, shown or not.
    pub total: u64,
    /// "All", each state that occurs or is chosen, and identity conflicts.
    pub filters: Vec<Filter>,
    /// The machines on this page.
    pub rows: Vec<MachineSummary>,
    /// Token of this page; `None` on the first.
    pub token: Option<String>,
    /// Address of the previous page.
    pub previous: Option<String>,
    /// Address of the next page.
    pub next: Option<String>,
    /// What is missing for machines to boot, one sentence each.
    pub missing: Vec<String>,
}

/// A link to a filtered list.
pub struct Filter {
    /// Address of the filtered list.
    pub href: String,
    /// Text of the link.
    pub label: String,
    /// Colour of its dot; empty: no dot.
    pub color: &'static str,
    /// Machines that match.
    pub count: u64,
    /// Whether this filter is the chosen one.
    pub active: bool,
}

/// Percent and step of a running installation.
pub fn progress(m: &MachineSummary) -> Option<(u8, &str)> {
    let step = m.status.step.as_ref()?;
    let installs = m.status.phase == Some(Phase::Installing);
    installs.then(|| (step.percent.min(100), step_title(&step.name)))
}

/// Order of the filters: what needs attention comes first.
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

/// Not a state: machines of any state with an open identity conflict.
const CONFLICT: &str = "conflict";

/// The filter for a page's query string. An unknown state is ignored, a long search text is truncated.
pub fn filter(state: Option<&str>, query: &str) -> MachineFilter {
    MachineFilter {
        state: state.filter(|s| STATES.contains(&(*s).into())).map(str::to_owned),
        conflict: state == Some(CONFLICT),
        q: query.chars().take(MAX_SEARCH).collect(),
        ..MachineFilter::default()
    }
}

impl MachinesPage {
    /// The page with these machines, found with `filter` and the page token `token`.
    pub fn new(
        shell: Shell,
        found: MachineList,
        counts: &MachineCounts,
        filter: &MachineFilter,
        token: Option<String>,
    ) -> MachinesPage {
        let state = match filter.conflict {
            true => Some(CONFLICT),
            false => filter.state.as_deref(),
        };
        let total = counts.by_state.values().sum();
        let link = |name: Option<&str>, label, color, count| Filter {
            href: match name {
                Some(name) => format!("/machines?state={name}"),
                None => "/machines".into(),
            },
            label,
            color,
            count,
            active: state == name,
        };
        let mut filters = vec![link(None, "All".into(), "", total)];
        for of in &STATES {
            let name = of.as_str();
            let count = counts.by_state.get(name).copied().unwrap_or_default();
            filters.push(link(Some(name), capital(name), state_color(of), count));
        }
        filters.push(link(
            Some(CONFLICT),
            "Identity conflict".into(),
            "red",
            counts.in_conflict,
        ));
        filters.retain(|f| f.count > 0 || f.active || f.href == "/machines");
        let page = |token: String| {
            let state = state.map_or(String::new(), |state| format!("state={state}&"));
            format!("/machines?{state}q={}&page={token}", segment(&filter.q))
        };
        MachinesPage {
            missing: Vec::new(),
            shell,
            state: state.map(str::to_owned),
            query: filter.q.clone(),
            total,
            filters,
            rows: found.machines,
            token,
            previous: found.previous.map(page),
            next: found.next.map(page),
        }
    }
}
