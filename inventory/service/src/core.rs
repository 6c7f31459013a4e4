//! What the rooms of the server share: configuration, store, authority, clock, and what is only in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use inventory_api::agent::{Progress, RunsOn};
use inventory_api::boot::{BootEvent, BootEventKind};
use inventory_api::{Mac, MachineId, UnixMs};
use netboot::Networks;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::journeys::Journeys;
use crate::loader_memory::Loaders;
use config::Config;
use store::Store;
use tls::{Authority, BrokenHandshakes};

/// The time. A test brings its own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixMs + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock::new(|| {
            let since = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// A clock of one's own.
    pub fn new(clock: impl Fn() -> UnixMs + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(clock))
    }

    /// The time now.
    pub fn now(&self) -> UnixMs {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now().0)
    }
}

/// Shared by all rooms of the server.
pub struct Core {
    /// Configuration.
    pub config: Config,
    /// Store.
    pub store: Store,
    /// Certificate authority.
    pub authority: Authority,
    /// Clock.
    pub clock: Clock,
    /// What is lost at a restart, and may be.
    pub memory: Memory,
    /// Cancelled when the server ends: long polls and streams end with it.
    pub stop: CancellationToken,
}

/// What is only in memory.
pub struct Memory {
    sessions: Mutex<HashMap<MachineId, Session>>,
    journeys: Mutex<Journeys>,
    wakes: Mutex<HashMap<MachineId, Arc<Notify>>>,
    /// What became of the loaders that machines were given; kept in the store too.
    pub loaders: Loaders,
    changes: broadcast::Sender<MachineId>,
    macs: RwLock<HashMap<Mac, Option<String>>>,
    /// The networks as they stand; not set when none is configured.
    pub networks: OnceLock<Networks>,
    /// A machine of 64-bit ARM has asked for its loader since the start.
    pub arm64_asked: AtomicBool,
    /// When the store was last asked whether it takes a write, and whether it did.
    pub write_probe: tokio::sync::Mutex<Option<(UnixMs, bool)>>,
    /// TLS handshakes that ended over a certificate.
    pub broken_tls: BrokenHandshakes,
    /// A deadline may have changed.
    pub deadlines: Notify,
    /// Machines are to be checked again.
    pub rechecks: Notify,
    /// How many machines were checked again since the start.
    pub rechecked: watch::Sender<u64>,
}

/// What is known of the agent of a machine since it was last heard to start.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Where it said it runs.
    pub runs_on: Option<RunsOn>,
    /// How far the running step is.
    pub progress: Option<Progress>,
    /// Last time it was heard.
    pub last_seen: Option<UnixMs>,
    /// When the machine was last told to boot its disk.
    pub disk_boot_at: Option<UnixMs>,
    /// Until when a person lets it boot although its firmware is not heard.
    pub admitted_until: Option<UnixMs>,
    /// Why its boot script is held back, since when.
    pub held: Option<(UnixMs, String)>,
}

/// An agent that was heard within this time runs now: it asks for its assignment twice a minute.
pub(crate) const ALIVE_SECONDS: u64 = 90;

impl Session {
    /// Whether an agent runs there now.
    pub(crate) fn runs(&self, now: UnixMs) -> bool {
        let heard = |seen| now.since(seen) <= ALIVE_SECONDS * 1000;
        self.runs_on.is_some() && self.last_seen.is_some_and(heard)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each critical section leaves its map whole at every point.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            sessions: Mutex::default(),
            journeys: Mutex::default(),
            wakes: Mutex::default(),
            loaders: Loaders::default(),
            changes: broadcast::channel(1024).0,
            macs: RwLock::default(),
            networks: OnceLock::new(),
            arm64_asked: AtomicBool::new(false),
            write_probe: tokio::sync::Mutex::default(),
            broken_tls: BrokenHandshakes::default(),
            deadlines: Notify::new(),
            rechecks: Notify::new(),
            rechecked: watch::channel(0).0,
        }
    }
}

impl Memory {
    /// A copy of the session of a machine.
    pub fn session(&self, id: &MachineId) -> Session {
        lock(&self.sessions).get(id).cloned().unwrap_or_default()
    }

    /// Changes the session of a machine.
    pub fn update_session(&self, id: &MachineId, change: impl FnOnce(&mut Session)) {
        change(lock(&self.sessions).entry(id.clone()).or_default());
    }

    /// A machine was forgotten.
    pub fn forget(&self, id: &MachineId) {
        lock(&self.sessions).remove(id);
        lock(&self.wakes).remove(id);
        lock(&self.journeys).forget(id);
        self.changed(id);
    }

    /// The bell that rings when the assignment of a machine may have changed.
    pub fn bell(&self, id: &MachineId) -> Arc<Notify> {
        lock(&self.wakes).entry(id.clone()).or_default().clone()
    }

    /// Rings the bell of a machine.
    pub fn wake(&self, id: &MachineId) {
        self.bell(id).notify_waiters();
    }

    /// Tells pages that a machine changed.
    pub fn changed(&self, id: &MachineId) {
        // Nobody listens: fine.
        let _ = self.changes.send(id.clone());
    }

    /// Ids of machines as they change.
    pub fn changes(&self) -> broadcast::Receiver<MachineId> {
        self.changes.subscribe()
    }

    /// Replaces what is known of MACs: whose machine is known, and its host name.
    pub fn set_macs(&self, macs: HashMap<Mac, Option<String>>) {
        *self.macs.write().unwrap_or_else(PoisonError::into_inner) = macs;
    }

    /// The host name, if there is one, of the machine with this MAC; `None`: none is known by it.
    pub fn host_name(&self, mac: Mac) -> Option<Option<String>> {
        let macs = self.macs.read().unwrap_or_else(PoisonError::into_inner);
        macs.get(&mac).cloned()
    }

    /// Keeps a boot event. Returns the machine it belongs to, if that is known.
    pub fn heard(&self, event: BootEvent) -> Option<MachineId> {
        if matches!(&event.what, BootEventKind::Dhcp { client, .. } if client.starts_with("uefi-arm64")) {
            self.arm64_asked.store(true, Ordering::Relaxed);
        }
        let known = self.host_name(event.mac).is_some();
        lock(&self.journeys).heard(event, known)
    }

    /// A MAC belongs to a machine; only kept for MACs that were heard.
    pub fn owned(&self, mac: Mac, id: &MachineId) {
        lock(&self.journeys).owned(mac, id);
    }

    /// NICs other than this that were heard: those of `siblings`, and those whose MAC is at most four from it, the last heard first.
    pub fn heard_near(&self, mac: Mac, siblings: &[Mac]) -> Vec<(Mac, UnixMs)> {
        lock(&self.journeys).near(mac, siblings)
    }

    /// What was heard from a MAC, oldest first.
    pub fn journey(&self, mac: Mac) -> Vec<BootEvent> {
        lock(&self.journeys).of(mac)
    }
}
