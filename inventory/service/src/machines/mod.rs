//! Machines: what is known of one, its history and plan.

pub(crate) mod conflict;
pub mod deadlines;
mod deployment;
pub(crate) mod facts;
mod list;
pub(crate) mod parts;
pub(crate) mod planning;
mod progress;
pub(crate) mod sessions;
mod verbs;

use std::collections::HashMap;

use inventory_api::machine::{HistoryEntry, MachineDetail, MachineStatus, MachineSummary, Verb};
use inventory_api::page::{Page, PageQuery};
use inventory_api::plan::InstallPlan;
use inventory_api::{Mac, MachineId, PlanId, UnixMs};
use lifecycle::state::DeployPhase;
use lifecycle::status::{phase_name, state_name};
use lifecycle::{Event, State};

use crate::problem::{MACHINE_AMBIGUOUS, NO_PLAN, Result, no_machine};
use crate::{Service, pages};
use store::{HistoryRow, MachineRow};
use words::redact;
use words::text::joined;

pub use list::MachineList;

impl Service {
    /// One machine, by id, MAC, serial number or asset tag.
    pub async fn machine(&self, key: &str) -> Result<MachineDetail> {
        let row = self.find(key).await?;
        let store = &self.core.store;
        let id = row.id.clone();
        let stored = store.stored_report(&id).await?;
        let plan = self.plan_of(&row.state).await?;
        let duplicates = self.duplicate_parts(&id).await?;
        let check = store.check(&id).await?;
        Ok(MachineDetail {
            machine: self.summary(row).await?,
            reported_at: stored.as_ref().map(|s| s.at),
            report: stored.map(|s| s.report),
            check: parts::with_duplicates(check, &duplicates),
            plan: plan.map(redact::plan),
            verification: store.verification(&id).await?,
            expected_from: store.expected_from(&id).await?,
            duplicates,
            tasks: self.newest_tasks(&id).await?,
            notes: store.notes(&id, 20).await?,
        })
    }

    /// A page of a machine's history, oldest first: the first page has the newest rows, the next ones older
    /// rows. Only rows before `before`, if set.
    pub async fn history(
        &self,
        key: &str,
        before: Option<i64>,
        query: &PageQuery,
    ) -> Result<Page<HistoryEntry>> {
        let limit = pages::limit(query)?;
        let id = self.find(key).await?.id;
        let before = match pages::place(query, id.as_str())? {
            Some(place) => Some(place.parse().map_err(|_| pages::bad_token())?),
            None => before,
        };
        let rows = self.core.store.history(&id, before, i64::from(limit)).await?;
        let more = rows.len() >= limit as usize;
        let oldest = rows.first().filter(|row| more && row.seq > 1);
        Ok(Page {
            next_page: oldest.map(|row| pages::token(id.as_str(), row.seq)),
            items: rows.into_iter().map(history_entry).collect(),
        })
    }

    /// The current plan of a machine without password hashes, or the newest one if its state has none.
    pub async fn plan(&self, key: &str) -> Result<InstallPlan> {
        let row = self.find(key).await?;
        let plan = match row.state.plan() {
            Some(_) => self.plan_of(&row.state).await?,
            None => self.core.store.plan(&row.id).await?,
        };
        let id = row.id;
        let detail = || format!("machine {id} has no plan; deploy it, with dry_run to only see one");
        plan.map(redact::plan).ok_or_else(|| NO_PLAN.because(detail()))
    }

    /// The machines that a key names: by id, else by MAC, serial number or asset tag. More than one if
    /// several reported it.
    pub(crate) async fn machines_of_key(&self, key: &str) -> Result<Vec<MachineRow>> {
        let store = &self.core.store;
        if let Ok(id) = key.parse::<MachineId>()
            && let Some(row) = store.machine(&id).await?
        {
            return Ok(vec![row]);
        }
        if let Ok(mac) = key.parse::<Mac>() {
            if let Some(row) = store.machine_by_mac(mac).await? {
                return Ok(vec![row]);
            }
            if let [id] = store.machines_reporting(mac).await?.as_slice() {
                return Ok(vec![self.row(id).await?]);
            }
        }
        let mut ids = store.machines_of_serial(key).await?;
        if ids.is_empty() {
            ids = store.machines_named(key).await?;
        }
        let mut rows = Vec::with_capacity(ids.len());
        for id in &ids {
            rows.push(self.row(id).await?);
        }
        Ok(rows)
    }

    pub(crate) async fn find(&self, key: &str) -> Result<MachineRow> {
        let mut rows = self.machines_of_key(key).await?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            (None, _) => Err(no_machine(key)),
            (Some(_), false) => Err(MACHINE_AMBIGUOUS.because(
                "several machines have this serial number or asset tag: name one by id or MAC; `slipway find` lists them",
            )),
        }
    }

    pub(crate) async fn row(&self, id: &MachineId) -> Result<MachineRow> {
        let row = self.core.store.machine(id).await?;
        row.ok_or_else(|| no_machine(id.as_str()))
    }

    /// The plan of a state, if it has one.
    pub(crate) async fn plan_of(&self, state: &State) -> Result<Option<InstallPlan>> {
        match state.plan() {
            Some(plan) => Ok(self.core.store.plan_by_id(plan).await?),
            None => Ok(None),
        }
    }

    pub(crate) async fn summary(&self, row: MachineRow) -> Result<MachineSummary> {
        let id = row.id.clone();
        let summary = self.summaries(vec![row]).await?.pop();
        summary.ok_or_else(|| no_machine(id.as_str()))
    }

    /// Reads whatever is not in the rows once for all of them.
    async fn summaries(&self, rows: Vec<MachineRow>) -> Result<Vec<MachineSummary>> {
        let ids: Vec<MachineId> = rows.iter().map(|row| row.id.clone()).collect();
        let mut conflicts = self.core.store.open_conflicts(&ids).await?;
        let installed = rows.iter().filter_map(|row| installing(&row.state));
        let installed: Vec<PlanId> = installed.cloned().collect();
        let plans = match installed.as_slice() {
            [] => Vec::new(),
            plans => self.core.store.plans_by_id(plans).await?,
        };
        let plans: HashMap<&PlanId, &InstallPlan> = plans.iter().map(|plan| (&plan.id, plan)).collect();
        let summary = |row: MachineRow| {
            let session = self.core.memory.sessions.get(&row.id);
            let mut status = lifecycle::status(&row.state, row.phase_since, self.verbs(&row, &row.state));
            if let Some(plan) = installing(&row.state).and_then(|id| plans.get(id)) {
                status.step = progress::step_status(&row.state, plan, session.progress.as_ref());
            }
            let held = session.held.map(|(_, why)| why);
            if let Some(why) = &held {
                status.sentence = format!("Its boot script is {why}.");
            }
            MachineSummary {
                macs: row.macs.iter().chain(&row.reported_macs).copied().collect(),
                reported_macs: row.reported_macs,
                held,
                model: joined([&row.names.manufacturer, &row.names.product]),
                serial: row.names.serial,
                hostname: row.hostname,
                ip: row.ip,
                status,
                last_seen: session.last_seen.max(row.last_seen),
                enrolled_at: row.enrolled_at,
                folded_into: row.folded_into,
                conflicts_with: conflicts.remove(&row.id).into_iter().flatten().collect(),
                verdict: row.verdict,
                id: row.id,
            }
        };
        Ok(rows.into_iter().map(summary).collect())
    }

    fn verbs(&self, row: &MachineRow, state: &State) -> Vec<Verb> {
        let session = self.core.memory.sessions.get(&row.id);
        let seen = session.last_seen.max(row.last_seen).is_some();
        lifecycle::verbs(state, seen, session.held.is_some())
    }

    /// The status of a machine whose state is now `state`.
    async fn status(&self, row: &MachineRow, state: &State) -> Result<MachineStatus> {
        let since = self.core.store.phase_since(&row.id).await?;
        let verbs = self.verbs(row, state);
        Ok(lifecycle::status(state, since.unwrap_or(UnixMs(0)), verbs))
    }
}

/// The plan that is being installed.
fn installing(state: &State) -> Option<&PlanId> {
    let State::Deploying(d) = state else {
        return None;
    };
    matches!(d.phase, DeployPhase::Installing { .. }).then_some(&d.plan)
}

fn history_entry(row: HistoryRow) -> HistoryEntry {
    let state = match phase_name(&row.state) {
        Some(phase) => format!("{}/{phase}", state_name(&row.state)),
        None => state_name(&row.state).to_owned(),
    };
    let event = row.event.as_ref().map_or("enrolled", Event::name);
    HistoryEntry {
        seq: row.seq,
        at: row.at,
        actor: row.actor.as_str().into(),
        event: event.to_owned(),
        state,
        sentence: row.sentence,
    }
}
