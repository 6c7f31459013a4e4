//! What all parts of the server share: configuration, store, authority, clock, and state kept only in memory.

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

/// The source of time. Tests bring their own.
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

    /// A custom clock.
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

/// Shared by all parts of the server.
pub struct Core {
    /// Configuration.
    pub config: Config,
    /// Store.
    pub store: Store,
    /// Certificate authority.
    pub authority: Authority,
    /// Clock.
    pub clock: Clock,
    /// State that may be lost in a restart.
    pub memory: Memory,
    /// Cancelled when the server stops: ends long polls and streams.
    pub stop: CancellationToken,
}

/// State kept only in memory.
pub struct Memory {
    sessions: Mutex<HashMap<MachineId, Session>>,
    journeys: Mutex<Journeys>,
    wakes: Mutex<HashMap<MachineId, Arc<Notify>>>,
    /// Which loaders worked on which NIC; kept in the store too.
    pub loaders: Loaders,
    changes: broadcast::Sender<MachineId>,
    macs: RwLock<HashMap<Mac, Option<String>>>,
    /// The networks and their leases; not set if none is configured.
    pub networks: OnceLock<Networks>,
    /// A 64-bit ARM machine has sent a DHCP message since the start.
    pub arm64_asked: AtomicBool,
    /// When a write to the store was last tried, and whether it succeeded.
    pub write_probe: tokio::sync::Mutex<Option<(UnixMs, bool)>>,
    /// TLS handshakes that failed because of a certificate; limits their log lines.
    pub broken_tls: BrokenHandshakes,
    /// Notified when a deadline may have changed.
    pub deadlines: Notify,
    /// Notified when machines are to be checked again.
    pub rechecks: Notify,
    /// Number of machines checked again since the start.
    pub rechecked: watch::Sender<u64>,
}

/// What is known about a machine's agent since its last boot, and about that boot.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Where the agent runs, as it reported.
    pub runs_on: Option<RunsOn>,
    /// Progress of the running step.
    pub progress: Option<Progress>,
    /// When the agent was last heard.
    pub last_seen: Option<UnixMs>,
    /// When the machine was last told to boot its disk.
    pub disk_boot_at: Option<UnixMs>,
    /// Until when a person lets it boot although its firmware was not heard.
    pub admitted_until: Option<UnixMs>,
    /// Since when its boot script is held back, and why.
    pub held: Option<(UnixMs, String)>,
}

/// An agent heard within this time is running: it polls for its assignment at least twice a minute.
pub(crate) const ALIVE_SECONDS: u64 = 90;

impl Session {
    /// Whether an agent runs on the machine now.
    pub(crate) fn runs(&self, now: UnixMs) -> bool {
        let heard = |seen| now.since(seen) <= ALIVE_SECONDS * 1000;
        self.runs_on.is_some() && self.last_seen.is_some_and(heard)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic cannot leave a map half changed: each critical section keeps it valid at every point.
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
    /// A copy of a machine's session.
    pub fn session(&self, id: &MachineId) -> Session {
        lock(&self.sessions).get(id).cloned().unwrap_or_default()
    }

    /// Changes a machine's session.
    pub fn update_session(&self, id: &MachineId, change: impl FnOnce(&mut Session)) {
        change(lock(&self.sessions).entry(id.clone()).or_default());
    }

    /// Drops everything about a machine that was forgotten.
    pub fn forget(&self, id: &MachineId) {
        lock(&self.sessions).remove(id);
        lock(&self.wakes).remove(id);
        lock(&self.journeys).forget(id);
        self.changed(id);
    }

    /// Notified when the machine's assignment may have changed.
    pub fn bell(&self, id: &MachineId) -> Arc<Notify> {
        lock(&self.wakes).entry(id.clone()).or_default().clone()
    }

    /// Wakes the waiters of [`Memory::bell`].
    pub fn wake(&self, id: &MachineId) {
        self.bell(id).notify_waiters();
    }

    /// Announces that a machine changed.
    pub fn changed(&self, id: &MachineId) {
        // It fails if nobody listens, which is fine.
        let _ = self.changes.send(id.clone());
    }

    /// Ids of changed machines.
    pub fn changes(&self) -> broadcast::Receiver<MachineId> {
        self.changes.subscribe()
    }

    /// Replaces the MACs of known machines, each with its machine's host name, if any.
    pub fn set_macs(&self, macs: HashMap<Mac, Option<String>>) {
        *self.macs.write().unwrap_or_else(PoisonError::into_inner) = macs;
    }

    /// The host name, if any, of the known machine with this MAC. `None`: no known machine has it.
    pub fn host_name(&self, mac: Mac) -> Option<Option<String>> {
        let macs = self.macs.read().unwrap_or_else(PoisonError::into_inner);
        macs.get(&mac).cloned()
    }

    /// Keeps a boot event. Returns its machine, if known.
    pub fn heard(&self, event: BootEvent) -> Option<MachineId> {
        if matches!(&event.what, BootEventKind::Dhcp { client, .. } if client.starts_with("uefi-arm64")) {
            self.arm64_asked.store(true, Ordering::Relaxed);
        }
        let known = self.host_name(event.mac).is_some();
        lock(&self.journeys).heard(event, known)
    }

    /// Records the machine of a MAC, if that MAC was heard.
    pub fn owned(&self, mac: Mac, id: &MachineId) {
        lock(&self.journeys).owned(mac, id);
    }

    /// Other NICs that were heard, last heard first: `siblings`, and MACs at most 4 away from `mac`.
    pub fn heard_near(&self, mac: Mac, siblings: &[Mac]) -> Vec<(Mac, UnixMs)> {
        lock(&self.journeys).near(mac, siblings)
    }

    /// The boot events of a MAC, oldest first.
    pub fn journey(&self, mac: Mac) -> Vec<BootEvent> {
        lock(&self.journeys).of(mac)
    }
}
