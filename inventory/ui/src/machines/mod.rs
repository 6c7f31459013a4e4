//! The list of machines: filter, search, pages.

use askama::Template;
use axum::extract::Query;
use inventory_api::check::Verdict;
use inventory_api::machine::{MachineFilter, MachineState, MachineSummary, Phase};
use inventory_api::page::PageQuery;
use serde::Deserialize;
use service::{BAD_TOKEN, MachineCounts, MachineList};
use words::text::plan::step_title;
use words::text::segment;

use super::page::{Page, Shell, capital, html, or_dash, shown_color, state_color};
use super::session::SignedIn;

/// Characters of a search text.
const MAX_SEARCH: usize = 100;

#[derive(Template)]
#[template(path = "machines/machines.html")]
pub(crate) struct MachinesPage {
    pub(crate) shell: Shell,
    /// The chosen filter: a state or "conflict"; `None`: all machines.
    state: Option<String>,
    query: String,
    /// Number of machines, shown or not.
    pub(crate) total: u64,
    /// "All", each state that occurs or is chosen, and identity conflicts.
    pub(crate) filters: Vec<Filter>,
    /// The machines on this page.
    pub(crate) rows: Vec<MachineSummary>,
    /// Token of this page; `None` on the first.
    token: Option<String>,
    /// Address of the previous page.
    pub(crate) previous: Option<String>,
    /// Address of the next page.
    pub(crate) next: Option<String>,
    /// What is missing for machines to boot, one sentence each.
    missing: Vec<String>,
}

/// A link to a filtered list.
pub(crate) struct Filter {
    href: String,
    label: String,
    /// Colour of its dot; empty: no dot.
    color: &'static str,
    /// Machines that match.
    pub(crate) count: u64,
    /// Whether this filter is the chosen one.
    active: bool,
}

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    state: Option<String>,
    #[serde(default)]
    q: String,
    page: Option<String>,
}

pub(crate) async fn page(at: SignedIn, Query(query): Query<ListQuery>) -> Page {
    let filter = filter(query.state.as_deref(), &query.q);
    let mut ask = PageQuery {
        limit: None,
        page_token: query.page.filter(|token| !token.is_empty()),
    };
    let found = match at.service.machines(&filter, &ask).await {
        // The token belongs to another filter: the text was edited on a later page. Show the first page.
        Err(problem) if problem.code == BAD_TOKEN => None,
        found => Some(found?),
    };
    // So too if the machines of this page no longer match.
    let found = match found.filter(|found| !found.machines.is_empty()) {
        Some(found) => found,
        None => {
            ask.page_token = None;
            at.service.machines(&filter, &ask).await?
        }
    };
    if found.previous.is_none() {
        ask.page_token = None;
    }
    let counts = at.service.machine_counts().await?;
    let shell = at.shell("Machines", "Machines");
    let mut page = MachinesPage::new(shell, found, &counts, &filter, ask.page_token);
    page.missing = at.service.missing().into_iter().map(|one| one.sentence).collect();
    Ok(html(page))
}

/// Percent and step of a running installation.
pub(crate) fn progress(m: &MachineSummary) -> Option<(u8, &str)> {
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
pub(crate) fn filter(state: Option<&str>, query: &str) -> MachineFilter {
    MachineFilter {
        state: state.filter(|s| STATES.contains(&(*s).into())).map(str::to_owned),
        conflict: state == Some(CONFLICT),
        q: query.chars().take(MAX_SEARCH).collect(),
        ..MachineFilter::default()
    }
}

impl MachinesPage {
    /// The page with these machines, found with `filter` and the page token `token`.
    pub(crate) fn new(
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
        let link = |name: Option<&str>, label: &str, color, count| Filter {
            href: name.map_or("/machines".to_owned(), |name| format!("/machines?state={name}")),
            label: capital(label),
            color,
            count,
            active: state == name,
        };
        let mut filters = vec![link(None, "all", "", total)];
        for of in &STATES {
            let name = of.as_str();
            let count = counts.by_state.get(name).copied().unwrap_or_default();
            filters.push(link(Some(name), name, state_color(of), count));
        }
        filters.push(link(
            Some(CONFLICT),
            "identity conflict",
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
