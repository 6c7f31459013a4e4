//! Checks stored reports again when the expectation of their machines changed. It runs in the background,
//! from a list that survives a restart.

use std::collections::BTreeSet;
use std::time::Duration;

use inventory_api::MachineId;
use inventory_api::import::Rechecks;
use inventory_api::machine::Actor;
use lifecycle::{AfterCheck, Event, State};
use tokio::time::{Instant, timeout_at};

use super::first_finding;
use crate::problem::Result;
use crate::turn::TRIES;
use crate::{AdvanceError, Service, Turn};
use store::StoreError;

/// How long a change waits for its re-checks, to report them as done.
const GRACE: Duration = Duration::from_secs(2);
/// Machines read from the list at once.
const BATCH: u32 = 64;
/// Pause if nothing is listed; a change of the list calls.
const IDLE: Duration = Duration::from_secs(3600);
/// Pause after a failure, in practice of the store.
const PAUSE: Duration = Duration::from_secs(1);

impl Service {
    /// Checks the listed machines, one by one, until the server stops.
    pub async fn run_rechecks(&self) {
        let task = async || match self.recheck_listed().await {
            Ok(()) => IDLE,
            Err(problem) => {
                tracing::error!(detail = problem.detail, "re-checks failed; trying again");
                PAUSE
            }
        };
        self.core.repeat(&self.core.memory.rechecks.asked, task).await;
    }

    async fn recheck_listed(&self) -> Result<()> {
        let core = &self.core;
        loop {
            let listed = core.store.rechecks(BATCH).await?;
            if listed.is_empty() {
                return Ok(());
            }
            for row in listed {
                if core.stop.is_cancelled() {
                    return Ok(());
                }
                let actor = Actor::from(row.actor.as_str());
                let checked = self.recheck_stored(&row.machine, &actor, Some(row.id)).await;
                // One unreadable machine must not hold up the others.
                if let Err(problem) = &checked {
                    tracing::error!(machine = %row.machine, detail = problem.detail, "not checked again");
                }
                if !checked.unwrap_or(false) {
                    let work = async move |mut turn: Turn| {
                        turn.recheck_done(row.id).await?;
                        Ok(turn.commit().await?)
                    };
                    self.turn(&actor, work).await?;
                }
                core.memory.rechecks.done.send_modify(|n| *n += 1);
            }
        }
    }

    /// Waits briefly for the re-checks of `asked` machines, and returns how many are left to the background.
    pub(crate) async fn await_rechecks(&self, asked: u32) -> Result<u32> {
        let mut news = self.core.memory.rechecks.done.subscribe();
        let deadline = Instant::now() + GRACE;
        loop {
            // Marked as seen before the store is read, so that progress in between wakes us.
            news.borrow_and_update();
            let left = self.rechecks().await?.left.min(asked);
            if left == 0 || timeout_at(deadline, news.changed()).await.is_err() {
                return Ok(left);
            }
        }
    }

    /// How many machines still wait for a re-check after a change of expectations.
    pub async fn rechecks(&self) -> Result<Rechecks> {
        let left = self.core.store.rechecks_left().await?;
        Ok(Rechecks { left })
    }

    /// Checks the newest report of a machine again. False: it has none, or the machine kept changing.
    /// `listed`: its entry in the list, removed with a successful check.
    pub(crate) async fn recheck_stored(
        &self,
        id: &MachineId,
        actor: &Actor,
        listed: Option<i64>,
    ) -> Result<bool> {
        for _ in 0..TRIES {
            if let Some(checked) = self.recheck_once(id, actor, listed).await? {
                return Ok(checked);
            }
        }
        // Its next report is checked anyway.
        Ok(false)
    }

    /// `None`: the machine changed meanwhile.
    async fn recheck_once(&self, id: &MachineId, actor: &Actor, listed: Option<i64>) -> Result<Option<bool>> {
        let row = self.row(id).await?;
        let Some(stored) = self.core.store.stored_report(id).await? else {
            return Ok(Some(false));
        };
        let requested = self.requested_of(&row, &stored.report).await?;
        let checked = self
            .check_report(&stored.report, stored.runs_on, requested.as_ref())
            .await?;
        let work = async move |mut turn: Turn| {
            if !turn.is_still(&row).await? {
                return Ok(None);
            }
            let id = &row.id;
            turn.put_checked(id, checked.as_ref()).await?;
            // Only a ready machine has the verdict in its state; a re-check changes no other state.
            let verdict = checked.as_ref().map(|c| c.result.verdict);
            if let State::Ready(ready) = &row.state
                && ready.verdict != verdict
            {
                let finding = checked.as_ref().and_then(|c| first_finding(&c.result));
                let event = Event::Reported {
                    verdict,
                    detail: finding.unwrap_or_default(),
                    after: AfterCheck::Hold,
                };
                match turn.advance(id, event).await {
                    Ok(_) | Err(AdvanceError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(listed) = listed {
                turn.recheck_done(listed).await?;
            }
            turn.changed(id);
            turn.commit().await?;
            Ok(Some(true))
        };
        self.turn(actor, work).await
    }
}

impl Turn {
    /// Has these machines checked again after the commit. Returns how many they are.
    pub(crate) async fn recheck(&mut self, machines: &BTreeSet<MachineId>) -> Result<u32, StoreError> {
        let actor = self.actor.clone();
        self.add_rechecks(machines, actor.as_str()).await?;
        self.then(|core| core.memory.rechecks.asked.notify_one());
        Ok(machines.len() as u32)
    }
}
