//! The unit of work: one transaction, the events in it, and what follows once it is committed.
//!
//! Page, API, agents, boot service and clock change machines only through a [`Turn`], and [`Core::turn`] runs
//! it to its end: a browser that closes or an agent that hangs up cannot part a commit from what follows it.

mod advance;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use inventory_api::machine::Actor;
use inventory_api::{MachineId, UnixMs};
use lifecycle::Event;
use store::{Change, MachineRow, StoreError};

use crate::Service;
use crate::core::Core;
use crate::problem::Result;

pub use advance::{AdvanceError, Advanced};

/// How often work is tried again because a machine changed while images or expectations were read.
pub(crate) const TRIES: u32 = 5;

type FollowUp = Box<dyn FnOnce(&Core) + Send + Sync>;

/// An open transaction with its actor and time. It dereferences to the [`Change`] that reads and writes.
/// Dropped without [`Turn::commit`] it leaves nothing behind.
pub struct Turn {
    pub(crate) core: Arc<Core>,
    pub(crate) actor: Actor,
    pub(crate) now: UnixMs,
    change: Change,
    advanced: Vec<Advanced>,
    follow_ups: Vec<FollowUp>,
    /// The machines that changed, and whether their agents are woken.
    news: BTreeMap<MachineId, bool>,
}

impl Deref for Turn {
    type Target = Change;

    fn deref(&self) -> &Change {
        &self.change
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut Change {
        &mut self.change
    }
}

impl Turn {
    async fn begin(core: &Arc<Core>, actor: &Actor) -> Result<Turn, StoreError> {
        Ok(Turn {
            change: core.store.begin().await?,
            core: core.clone(),
            actor: actor.clone(),
            now: core.clock.now(),
            advanced: Vec::new(),
            follow_ups: Vec::new(),
            news: BTreeMap::new(),
        })
    }

    /// Whether a machine is still as it was when `row` was read, before this turn.
    pub(crate) async fn is_still(&self, row: &MachineRow) -> Result<bool, StoreError> {
        let now = self.machine(&row.id).await?;
        Ok(now.is_some_and(|now| now.history_seq == row.history_seq && now.state == row.state))
    }

    /// Adds what is to be done after the commit, before agents are woken.
    pub(crate) fn then(&mut self, follow_up: impl FnOnce(&Core) + Send + Sync + 'static) {
        self.follow_ups.push(Box::new(follow_up));
    }

    /// Announces after the commit that a machine changed.
    pub(crate) fn changed(&mut self, id: &MachineId) {
        self.news.entry(id.clone()).or_default();
    }

    /// Announces after the commit that a machine changed, and that its assignment may have.
    pub(crate) fn wake(&mut self, id: &MachineId) {
        self.news.insert(id.clone(), true);
    }

    /// Commits, and then does what follows from events and work.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.change.commit().await?;
        for follow_up in self.follow_ups {
            follow_up(&self.core);
        }
        for advanced in &self.advanced {
            advanced.follow(&self.core);
        }
        for (id, wakes) in &self.news {
            match wakes {
                true => self.core.memory.sessions.wake(id),
                false => self.core.memory.sessions.changed(id),
            }
        }
        Ok(())
    }
}

impl Core {
    /// Does `work` in a turn, and to its end once it has begun.
    pub async fn turn<T, E, F>(self: &Arc<Core>, actor: &Actor, work: impl FnOnce(Turn) -> F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let turn = Turn::begin(self, actor).await?;
        unstoppable(self, work(turn)).await
    }

    /// Applies one event to a machine.
    pub async fn advance(
        self: &Arc<Core>,
        id: &MachineId,
        event: Event,
        actor: &Actor,
    ) -> Result<Advanced, AdvanceError> {
        let id = id.clone();
        let work = async move |mut turn: Turn| {
            let advanced = turn.advance(&id, event).await?;
            turn.commit().await?;
            Ok(advanced)
        };
        self.turn(actor, work).await
    }
}

impl Service {
    pub(crate) async fn turn<T, F>(&self, actor: &Actor, work: impl FnOnce(Turn) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.core.turn(actor, work).await
    }
}

/// Runs work to its end even if the caller is gone. If it panics, so does the caller, and the server ends.
pub(crate) async fn unstoppable<T: Send + 'static>(
    core: &Arc<Core>,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let guard = EndsServer(core.clone());
    let work = async move {
        let _guard = guard;
        work.await
    };
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, and the caller with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A panic tells the server to end: the caller, who would pass it on, may be gone.
struct EndsServer(Arc<Core>);

impl Drop for EndsServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.memory.panicked.notify_one();
        }
    }
}
