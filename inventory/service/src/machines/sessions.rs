//! What is known of running agents, and who waits for news of a machine; in memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use inventory_api::agent::{Progress, RunsOn};
use inventory_api::{MachineId, UnixMs};
use tokio::sync::{Notify, broadcast};

use crate::lock::lock;

/// An agent heard within this time is running: it polls for its assignment at least twice a minute.
pub(crate) const ALIVE_SECONDS: u64 = 90;

/// What is known about a machine's agent since its last boot, and about that boot.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Where the agent runs, as it reported.
    pub(crate) runs_on: Option<RunsOn>,
    /// Progress of the running step.
    pub(crate) progress: Option<Progress>,
    /// When the agent was last heard.
    pub last_seen: Option<UnixMs>,
    /// When the machine was last told to boot its disk.
    pub(crate) disk_boot_at: Option<UnixMs>,
    /// Until when a person lets it boot although its firmware was not heard.
    pub(crate) admitted_until: Option<UnixMs>,
    /// Since when its boot script is held back, and why.
    pub(crate) held: Option<(UnixMs, String)>,
}

impl Session {
    /// Whether an agent runs on the machine now.
    pub(crate) fn runs(&self, now: UnixMs) -> bool {
        let heard = |seen| now.since(seen) <= ALIVE_SECONDS * 1000;
        self.runs_on.is_some() && self.last_seen.is_some_and(heard)
    }
}

/// The sessions of all machines, the bells of agents that wait, and the news for pages and streams.
pub struct Sessions {
    sessions: Mutex<HashMap<MachineId, Session>>,
    bells: Mutex<HashMap<MachineId, Arc<Notify>>>,
    changes: broadcast::Sender<MachineId>,
}

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions {
            sessions: Mutex::default(),
            bells: Mutex::default(),
            changes: broadcast::channel(1024).0,
        }
    }
}

impl Sessions {
    /// A copy of a machine's session.
    pub fn get(&self, id: &MachineId) -> Session {
        lock(&self.sessions).get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn update(&self, id: &MachineId, change: impl FnOnce(&mut Session)) {
        change(lock(&self.sessions).entry(id.clone()).or_default());
    }

    pub(crate) fn forget(&self, id: &MachineId) {
        lock(&self.sessions).remove(id);
        lock(&self.bells).remove(id);
        self.changed(id);
    }

    /// Notified when the machine's assignment may have changed.
    pub fn bell(&self, id: &MachineId) -> Arc<Notify> {
        lock(&self.bells).entry(id.clone()).or_default().clone()
    }

    /// Announces that a machine and its assignment may have changed.
    pub(crate) fn wake(&self, id: &MachineId) {
        self.bell(id).notify_waiters();
        self.changed(id);
    }

    /// Announces that a machine changed.
    pub(crate) fn changed(&self, id: &MachineId) {
        // It fails if nobody listens, which is fine.
        let _ = self.changes.send(id.clone());
    }

    /// Ids of changed machines.
    pub(crate) fn changes(&self) -> broadcast::Receiver<MachineId> {
        self.changes.subscribe()
    }
}
