//! The operations behind API, page and boot service. Every method for API and page returns a wire type or a
//! [`Problem`].

mod actions;
pub mod advance;
mod agent;
pub mod boot_source;
mod conflict;
pub mod core;
pub mod deadlines;
mod delivery;
mod journey;
mod journeys;
pub mod known;
mod list;
pub mod loader_memory;
mod loaders;
pub mod missing;
mod networks;
mod orders;
mod parts;
mod planning;
pub mod problem;
mod progress;
mod rescue;
pub mod secret;
mod tasks;
mod tokens;
mod turn;

use std::collections::HashMap;
use std::sync::Arc;

use inventory_api::image::ImageManifest;
use inventory_api::machine::{HistoryEntry, MachineDetail, MachineStatus, MachineSummary, Profile};
use inventory_api::page::{Page, PageQuery};
use inventory_api::plan::InstallPlan;
use inventory_api::{Mac, MachineId, PlanId, Problem, UnixMs};
use lifecycle::State;
use lifecycle::state::DeployPhase;
use lifecycle::status::{phase_name, state_name};
use tokio::sync::broadcast;

use crate::core::Core;
use crate::problem::{no_machine, problem};
use store::{HistoryRow, MachineRow};
use words::redact;
use words::text::joined;

pub use agent::ImageFile;
pub use inventory_api::machine::{Actor, Verb};
pub use journey::{mac_of, tls_broken};
pub use list::{BAD_TOKEN, MachineList, bad_query, page};
pub use store::MachineCounts;
pub use tokens::{Login, unknown_token};

/// The service, shared as `Arc<Service>`.
pub struct Service {
    core: Arc<Core>,
}

impl Service {
    /// Creates the service.
    pub fn new(core: Arc<Core>) -> Service {
        Service { core }
    }

    /// The shared state.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// One machine, by id, MAC, serial number or asset tag.
    pub async fn machine(&self, key: &str) -> Result<MachineDetail, Problem> {
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
    ) -> Result<Page<HistoryEntry>, Problem> {
        let limit = list::limit(query)?;
        let before = list::before(query)?.or(before);
        let row = self.find(key).await?;
        let rows = self.core.store.history(&row.id, before, i64::from(limit)).await?;
        let rows = rows.into_iter().map(history_entry).collect();
        Ok(list::older(rows, limit, |entry: &HistoryEntry| entry.seq))
    }

    /// The current plan of a machine without password hashes, or the newest one if its state has none.
    pub async fn plan(&self, key: &str) -> Result<InstallPlan, Problem> {
        let row = self.find(key).await?;
        let plan = match row.state.plan() {
            Some(_) => self.plan_of(&row.state).await?,
            None => self.core.store.plan(&row.id).await?,
        };
        plan.map(redact::plan).ok_or_else(|| {
            problem(
                404,
                "no-plan",
                "No plan",
                format!(
                    "machine {} has no plan; deploy it, with dry_run to only see one",
                    row.id
                ),
            )
        })
    }

    /// The installable images, sorted by name, newest first.
    pub async fn images(&self) -> Result<Vec<ImageManifest>, Problem> {
        let images = planning::list_images(&self.core).await?;
        Ok(images.into_iter().map(|i| i.manifest).collect())
    }

    /// The deployment profiles of the configuration, without password hashes.
    pub fn profiles(&self) -> Vec<Profile> {
        let profile = |(name, request): (&String, &inventory_api::deploy::DeployRequest)| Profile {
            name: name.clone(),
            request: redact::request(request.clone()),
        };
        self.core.config.profiles.iter().map(profile).collect()
    }

    /// Ids of changed machines: state, progress, report, address. A receiver that lags must read everything
    /// again.
    pub fn changes(&self) -> broadcast::Receiver<MachineId> {
        self.core.memory.changes()
    }

    async fn find(&self, key: &str) -> Result<MachineRow, Problem> {
        let store = &self.core.store;
        if let Ok(id) = key.parse::<MachineId>()
            && let Some(row) = store.machine(&id).await?
        {
            return Ok(row);
        }
        if let Ok(mac) = key.parse::<Mac>()
            && let Some(id) = store.machine_of_mac(mac).await?
        {
            return self.row(&id).await;
        }
        if let Ok(mac) = key.parse::<Mac>()
            && let [id] = store.machines_reporting(mac).await?.as_slice()
        {
            return self.row(id).await;
        }
        let mut by_serial = store.machines_of_serial(key).await?;
        if by_serial.is_empty() {
            by_serial = store.machines_named(key).await?;
        }
        match by_serial.as_slice() {
            [id] => self.row(id).await,
            [] => Err(no_machine(key)),
            [..] => Err(problem(
                409,
                "machine-ambiguous",
                "Several machines",
                "several machines reported this serial number: name one by id or MAC",
            )),
        }
    }

    async fn row(&self, id: &MachineId) -> Result<MachineRow, Problem> {
        self.core
            .store
            .machine(id)
            .await?
            .ok_or_else(|| no_machine(id.as_str()))
    }

    /// The plan of a state, if it has one.
    async fn plan_of(&self, state: &State) -> Result<Option<InstallPlan>, Problem> {
        match state.plan() {
            Some(plan) => Ok(self.core.store.plan_by_id(plan).await?),
            None => Ok(None),
        }
    }

    async fn summary(&self, row: MachineRow) -> Result<MachineSummary, Problem> {
        let id = row.id.clone();
        let summary = self.summaries(vec![row]).await?.pop();
        summary.ok_or_else(|| no_machine(id.as_str()))
    }

    /// Reads whatever is not in the rows once for all of them.
    async fn summaries(&self, rows: Vec<MachineRow>) -> Result<Vec<MachineSummary>, Problem> {
        let ids: Vec<MachineId> = rows.iter().map(|row| row.id.clone()).collect();
        let mut conflicts = self.core.store.open_conflicts(&ids).await?;
        let installed: Vec<PlanId> = rows
            .iter()
            .filter_map(|row| installing(&row.state).cloned())
            .collect();
        let plans = match installed.as_slice() {
            [] => Vec::new(),
            plans => self.core.store.plans_by_id(plans).await?,
        };
        let plans: HashMap<&PlanId, &InstallPlan> = plans.iter().map(|plan| (&plan.id, plan)).collect();
        let summary = |row: MachineRow| {
            let session = self.core.memory.session(&row.id);
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
                conflicts_with: conflicts
                    .remove(&row.id)
                    .unwrap_or_default()
                    .into_iter()
                    .collect(),
                verdict: row.verdict,
                id: row.id,
            }
        };
        Ok(rows.into_iter().map(summary).collect())
    }

    fn verbs(&self, row: &MachineRow, state: &State) -> Vec<Verb> {
        let session = self.core.memory.session(&row.id);
        let seen = session.last_seen.max(row.last_seen).is_some();
        lifecycle::verbs(state, seen, session.held.is_some())
    }

    /// The status of a machine whose state is now `state`.
    async fn status(&self, row: &MachineRow, state: &State) -> Result<MachineStatus, Problem> {
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
    HistoryEntry {
        seq: row.seq,
        at: row.at,
        actor: row.actor.as_str().into(),
        event: row
            .event
            .as_ref()
            .map_or("enrolled", lifecycle::Event::name)
            .to_owned(),
        state,
        sentence: row.sentence,
    }
}
