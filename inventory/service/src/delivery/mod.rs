//! Orders, rack plan and hardware profiles: what is expected of each machine, and delivery progress.

mod import;
mod profiles;
mod recheck;
mod remove;
mod view;

use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, Expectation, HardwareProfile};
use inventory_api::delivery::ExpectedFrom;
use inventory_api::machine::Actor;
use inventory_api::report::AssetReport;
use inventory_api::task::Task;
use inventory_api::{MachineId, Problem, UnixMs};
use lifecycle::expectation::{check_chosen, choose, names, place_of, profile_name};
use lifecycle::{Decision, State};

use super::Service;
use super::agent::facts_of;
use super::parts::{PartsNews, record};
use store::{Change, MachineRow, StoreError};

pub(super) use view::missing;

/// A check and the expectation behind it.
pub(super) struct Checked {
    pub(super) result: CheckResult,
    /// What the expectation comes from.
    pub(super) from: ExpectedFrom,
}

impl Checked {
    /// The machine's place in the rack plan, as text.
    pub(super) fn place(&self) -> Option<String> {
        self.from.placement.as_ref().map(files::import::place_name)
    }
}

impl Service {
    /// The expectation for the sender of this report. `requested`: hardware asked for by its deployment or
    /// rule.
    pub(super) async fn expectation_of(
        &self,
        report: &AssetReport,
        requested: Option<&HardwareProfile>,
    ) -> Result<Option<(Expectation, ExpectedFrom)>, Problem> {
        let store = &self.core.store;
        let names = names(report);
        let places = store.placements_named(&names).await?;
        let place = place_of(&names, &places);
        let order = match place.and_then(|p| p.order.as_deref()) {
            Some(number) => store.order(number).await?,
            None => None,
        };
        let name = place.and_then(|p| profile_name(p, order.as_ref()));
        let profile = match &name {
            Some(name) => store.hardware_profile(name).await?,
            None => None,
        };
        Ok(choose(place, name, profile, requested))
    }

    /// Checks a report. `runs_on`: the system that its boot facts are from. `None`: nothing is expected of
    /// this machine.
    pub(super) async fn check_report(
        &self,
        report: &AssetReport,
        runs_on: RunsOn,
        requested: Option<&HardwareProfile>,
    ) -> Result<Option<Checked>, Problem> {
        let chosen = self.expectation_of(report, requested).await?;
        Ok(chosen.map(|(expectation, from)| Checked {
            result: check_chosen(&expectation, &from, report, runs_on),
            from,
        }))
    }

    /// The hardware that a machine's deployment or a rule asks for.
    pub(super) async fn requested_of(
        &self,
        row: &MachineRow,
        report: &AssetReport,
    ) -> Result<Option<HardwareProfile>, Problem> {
        let by_deployment = match &row.state {
            State::Deploying(_) | State::Deployed(_) | State::Releasing(_) | State::Failed(_) => true,
            State::New
            | State::Commissioning(_)
            | State::Ready(_)
            | State::Quarantined(_)
            | State::Retired => false,
        };
        if by_deployment && let Some(request) = self.core.store.request(&row.id).await? {
            return Ok(request.expected);
        }
        let facts = facts_of(row, report);
        let config = &self.core.config;
        Ok(match config.policy.decide(&facts, true) {
            Decision::Deploy { profile, .. } => {
                config.profiles.get(&profile).and_then(|r| r.expected.clone())
            }
            Decision::Hold { .. } | Decision::Commission { .. } => None,
        })
    }
}

impl Service {
    /// Stores what follows from a report: names, check, parts. Runs in the report's transaction.
    pub(super) async fn took_report(
        &self,
        change: &mut Change,
        id: &MachineId,
        report: &AssetReport,
        nonce: &str,
        checked: Option<&Checked>,
        now: UnixMs,
    ) -> Result<PartsNews, StoreError> {
        let height = report
            .chassis
            .as_ref()
            .and_then(|c| c.height_u)
            .filter(|u| (1..=60).contains(u));
        change.put_names(id, &names(report), height).await?;
        match checked {
            Some(c) => change.put_check(id, &c.result, &c.from, now).await?,
            // Without an expectation the old verdict means nothing.
            None => change.drop_check(id).await?,
        }
        record(&self.core, change, id, report, nonce, now).await
    }

    /// Runs after the commit of a report: asks other machines with the same part for a new report, and
    /// announces the duplicates.
    pub(super) async fn told_parts(&self, news: PartsNews) -> Result<(), Problem> {
        for id in &news.ask {
            self.add_task(id, &Task::Recheck {}, &Actor::Parts).await?;
        }
        for id in &news.duplicates {
            self.core.memory.changed(id);
        }
        Ok(())
    }
}
