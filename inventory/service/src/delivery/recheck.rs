//! Checks stored reports again when the expectation of their machines changed. It runs in the background,
//! from a list that survives a restart.

use std::collections::BTreeSet;
use std::time::Duration;

use inventory_api::import::Rechecks;
use inventory_api::machine::Actor;
use inventory_api::{MachineId, Problem};
use lifecycle::{AfterCheck, Event, State};
use tokio::time::{Instant, timeout_at};

use crate::advance::{AdvanceError, advance_in, after_commit};
use crate::{Service, planning};
use store::Change;

/// How long a change waits for its re-checks, to report them as done.
const GRACE: Duration = Duration::from_secs(2);
/// Machines read from the list at once.
const BATCH: u32 = 64;
/// Pause after a failure, in practice of the store.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries for a machine whose state keeps changing; its next report is checked anyway.
const TRIES: u32 = 5;

enum Recheck {
    Done,
    NoReport,
    Moved,
}

impl Service {
    /// Checks the listed machines, one by one, until the server stops.
    pub async fn run_rechecks(&self) {
        let core = &self.core;
        loop {
            let asked = core.memory.rechecks.notified();
            if let Err(problem) = self.recheck_listed().await {
                tracing::error!(
                    detail = problem.detail,
                    "machines could not be checked again; trying again"
                );
                core.memory.rechecks.notify_one();
                tokio::select! {
                    () = core.stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
            tokio::select! {
                () = core.stop.cancelled() => return,
                () = asked => {}
            }
        }
    }

    async fn recheck_listed(&self) -> Result<(), Problem> {
        let (store, memory) = (&self.core.store, &self.core.memory);
        loop {
            let listed = store.rechecks(BATCH).await?;
            if listed.is_empty() {
                return Ok(());
            }
            for row in listed {
                if self.core.stop.is_cancelled() {
                    return Ok(());
                }
                match self
                    .recheck_stored(&row.machine, &row.actor.as_str().into(), Some(row.id))
                    .await
                {
                    Ok(true) => {}
                    Ok(false) => self.forget(row.id).await?,
                    // One unreadable machine must not hold up the others.
                    Err(problem) => {
                        tracing::error!(machine = %row.machine, detail = problem.detail, "not checked again");
                        self.forget(row.id).await?;
                    }
                }
                memory.rechecked.send_modify(|n| *n += 1);
            }
        }
    }

    async fn forget(&self, id: i64) -> Result<(), Problem> {
        let mut change = self.core.store.begin().await?;
        change.recheck_done(id).await?;
        Ok(change.commit().await?)
    }

    /// Commits a change of expectations and has the affected machines checked again. Waits briefly and
    /// returns how many are left to the background.
    pub(super) async fn commit_and_recheck(
        &self,
        mut change: Change,
        machines: &BTreeSet<MachineId>,
        actor: &Actor,
    ) -> Result<u32, Problem> {
        change.add_rechecks(machines, actor.as_str()).await?;
        change.commit().await?;
        let asked = machines.len() as u32;
        if asked == 0 {
            return Ok(0);
        }
        let memory = &self.core.memory;
        let mut news = memory.rechecked.subscribe();
        memory.rechecks.notify_one();
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
    pub async fn rechecks(&self) -> Result<Rechecks, Problem> {
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
    ) -> Result<bool, Problem> {
        // Retry if the machine changed meanwhile.
        for _ in 0..TRIES {
            match self.recheck_once(id, actor, listed).await? {
                Recheck::Done => return Ok(true),
                Recheck::NoReport => return Ok(false),
                Recheck::Moved => {}
            }
        }
        Ok(false)
    }

    async fn recheck_once(
        &self,
        id: &MachineId,
        actor: &Actor,
        listed: Option<i64>,
    ) -> Result<Recheck, Problem> {
        let core = &self.core;
        let row = self.row(id).await?;
        let Some(stored) = core.store.stored_report(id).await? else {
            return Ok(Recheck::NoReport);
        };
        let requested = self.requested_of(&row, &stored.report).await?;
        let checked = self
            .check_report(&stored.report, stored.runs_on, requested.as_ref())
            .await?;
        let now = core.clock.now();
        let mut change = core.store.begin().await?;
        if change.machine(id).await?.map(|m| m.history_seq) != Some(row.history_seq) {
            return Ok(Recheck::Moved);
        }
        match &checked {
            Some(c) => change.put_check(id, &c.result, &c.from, now).await?,
            None => change.drop_check(id).await?,
        }
        // Only a ready machine has the verdict in its state; a re-check moves no other.
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
                Err(error) => return Err(error.into()),
            };
        }
        if let Some(listed) = listed {
            change.recheck_done(listed).await?;
        }
        change.commit().await?;
        match &advanced {
            Some(advanced) => after_commit(core, advanced),
            None => core.memory.changed(id),
        }
        Ok(Recheck::Done)
    }
}
