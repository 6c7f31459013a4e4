//! Orders, rack plan and hardware profiles: what is expected of each machine, and how far the delivery is.

mod import;
mod profiles;
mod view;

use inventory_api::check::{CheckResult, Expectation, HardwareProfile};
use inventory_api::delivery::ExpectedFrom;
use inventory_api::report::AssetReport;
use inventory_api::task::Task;
use inventory_api::{MachineId, Problem, UnixMs};
use lifecycle::expectation::{check_chosen, choose, names, place_of, profile_name};
use lifecycle::{AfterCheck, Decision, Event, MachineFacts, State};

use super::parts::{PartsNews, record};
use super::{Service, planning};
use crate::advance::{AdvanceError, advance_in, after_commit};
use crate::problem::{of_advance, of_store};
use crate::store::{Change, MachineRow, StoreError};

pub use profiles::{ProfileMachine, ProfileMachines};
pub(super) use view::missing;

/// A check and what it was made against.
pub(super) struct Checked {
    /// Verdict and findings.
    pub(super) result: CheckResult,
    /// What was expected, and why.
    pub(super) from: ExpectedFrom,
}

impl Checked {
    /// Where the rack plan has the machine, in words.
    pub(super) fn place(&self) -> Option<String> {
        self.from.placement.as_ref().map(crate::import::place_name)
    }
}

impl Service {
    /// What is expected of the machine that sent this report. `requested`: what its deployment or rule asks for.
    pub(super) async fn expectation_of(
        &self,
        report: &AssetReport,
        requested: Option<&HardwareProfile>,
    ) -> Result<Option<(Expectation, ExpectedFrom)>, Problem> {
        let store = &self.core.store;
        let names = names(report);
        let places = store.placements_named(&names).await.map_err(of_store)?;
        let place = place_of(&names, &places);
        let order = match place.and_then(|p| p.order.as_deref()) {
            Some(number) => store.order(number).await.map_err(of_store)?,
            None => None,
        };
        let name = place.and_then(|p| profile_name(p, order.as_ref()));
        let profile = match &name {
            Some(name) => store.hardware_profile(name).await.map_err(of_store)?,
            None => None,
        };
        Ok(choose(place, name, profile, requested))
    }

    /// The check of a report. None: nothing is expected of this machine.
    pub(super) async fn check_report(
        &self,
        report: &AssetReport,
        requested: Option<&HardwareProfile>,
    ) -> Result<Option<Checked>, Problem> {
        let chosen = self.expectation_of(report, requested).await?;
        Ok(chosen.map(|(expectation, from)| Checked {
            result: check_chosen(&expectation, &from, report),
            from,
        }))
    }

    /// What the deployment of a machine, or a rule, asks of its hardware.
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
        if by_deployment && let Some(request) = self.core.store.request(&row.id).await.map_err(of_store)? {
            return Ok(request.expected);
        }
        let system = report.system.clone().unwrap_or_default();
        let facts = MachineFacts {
            serial: system.serial,
            manufacturer: system.manufacturer,
            product: system.product,
            macs: row.macs.clone(),
            network: row.network.clone(),
        };
        let config = &self.core.config;
        Ok(match config.policy.decide(&facts, true) {
            Decision::Deploy { profile, .. } => {
                config.profiles.get(&profile).and_then(|r| r.expected.clone())
            }
            Decision::Hold { .. } | Decision::Commission { .. } => None,
        })
    }

    /// Checks the newest reports of machines again, because what is expected of them changed. Returns how many were.
    pub(super) async fn recheck_stored(&self, ids: &[MachineId], actor: &str) -> Result<u32, Problem> {
        let mut done = 0;
        for id in ids {
            // The machine may move in between: again, with what it is then.
            for _ in 0..5 {
                match self.recheck_one(id, actor).await? {
                    Recheck::Done => {
                        done += 1;
                        break;
                    }
                    Recheck::NoReport => break,
                    Recheck::Moved => {}
                }
            }
        }
        Ok(done)
    }

    async fn recheck_one(&self, id: &MachineId, actor: &str) -> Result<Recheck, Problem> {
        let core = &self.core;
        let row = self.row(id).await?;
        let Some(stored) = core.store.stored_report(id).await.map_err(of_store)? else {
            return Ok(Recheck::NoReport);
        };
        let requested = self.requested_of(&row, &stored.report).await?;
        let checked = self.check_report(&stored.report, requested.as_ref()).await?;
        let now = core.clock.now();
        let mut change = core.store.begin().await.map_err(of_store)?;
        if change.machine(id).await.map_err(of_store)?.map(|m| m.history_seq) != Some(row.history_seq) {
            return Ok(Recheck::Moved);
        }
        match &checked {
            Some(c) => change
                .put_check_of(id, &c.result, &c.from, now)
                .await
                .map_err(of_store)?,
            None => change.drop_check(id).await.map_err(of_store)?,
        }
        // A waiting machine carries its verdict in its state; nothing else moves for a re-check.
        let verdict = checked.as_ref().map(|c| c.result.verdict);
        let mut advanced = None;
        if let State::Ready(ready) = &row.state
            && ready.verdict != verdict
        {
            let event = Event::Reported {
                verdict,
                detail: checked
                    .as_ref()
                    .and_then(|c| planning::first_finding(&c.result))
                    .unwrap_or_default(),
                after: AfterCheck::Hold,
            };
            advanced = match advance_in(core, &mut change, id, event, actor, now).await {
                Ok(advanced) => Some(advanced),
                Err(AdvanceError::Refused(_)) => None,
                Err(error) => return Err(of_advance(error)),
            };
        }
        change.commit().await.map_err(of_store)?;
        match &advanced {
            Some(advanced) => after_commit(core, advanced),
            None => core.memory.changed(id),
        }
        Ok(Recheck::Done)
    }
}

impl Service {
    /// What a report leaves besides itself: names, check, parts. In the report's transaction.
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
            Some(c) => change.put_check_of(id, &c.result, &c.from, now).await?,
            // What is no longer expected is no longer a verdict.
            None => change.drop_check(id).await?,
        }
        record(&self.core, change, id, report, nonce, now).await
    }

    /// What follows the commit of a report: machines that show the same part look again, pages are told.
    pub(super) async fn told_parts(&self, news: PartsNews) -> Result<(), Problem> {
        for id in &news.ask {
            self.add_task(id, &Task::Recheck {}, "parts").await?;
        }
        for id in &news.duplicates {
            self.core.memory.changed(id);
        }
        Ok(())
    }
}

enum Recheck {
    Done,
    NoReport,
    Moved,
}
