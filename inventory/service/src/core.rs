//! What all parts of the server share: configuration, store, authority, clock, and state kept only in memory.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use inventory_api::boot::BootEvent;
use inventory_api::{MachineId, UnixMs};
use netboot::Networks;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::boot::journeys::Journeys;
use crate::boot::known_macs::KnownMacs;
use crate::boot::loader_memory::Loaders;
use crate::check::signals::RecheckSignals;
use crate::health::WriteProbe;
use crate::machines::sessions::Sessions;
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

/// Shared by all parts of the server.
pub struct Core {
    /// The configuration, as read at the start.
    pub config: Config,
    /// All that is kept.
    pub store: Store,
    /// Signs the certificates of machines and server.
    pub authority: Authority,
    /// The source of time.
    pub clock: Clock,
    /// State that may be lost in a restart.
    pub memory: Memory,
    /// Cancelled when the server stops: ends long polls and streams.
    pub stop: CancellationToken,
}

impl Core {
    /// Does a background task until the server stops: again when it is called, or after the pause it returns.
    pub(crate) async fn repeat<F: Future<Output = Duration>>(&self, call: &Notify, task: impl Fn() -> F) {
        loop {
            // Registered before the task reads the store, so that a change in between is not lost.
            let called = call.notified();
            let pause = task().await;
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = called => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// State kept only in memory: each part is beside the code that owns it.
#[derive(Default)]
pub struct Memory {
    /// Running agents, and who waits for news of a machine.
    pub sessions: Sessions,
    pub(crate) journeys: Journeys,
    pub(crate) macs: KnownMacs,
    /// Which loaders worked on which NIC; kept in the store too.
    pub loaders: Loaders,
    /// The networks and their leases; not set if none is configured.
    pub networks: OnceLock<Networks>,
    /// TLS handshakes that failed because of a certificate; limits their log lines.
    pub broken_tls: BrokenHandshakes,
    /// Notified when a deadline may have changed.
    pub deadlines: Notify,
    /// Notified when the work of a request panicked: the server ends.
    pub panicked: Notify,
    pub(crate) rechecks: RecheckSignals,
    pub(crate) write_probe: WriteProbe,
}

impl Memory {
    /// Keeps a boot event. Returns its machine, if known.
    pub(crate) fn heard(&self, event: BootEvent) -> Option<MachineId> {
        let known = self.macs.host_name(event.mac).is_some();
        self.journeys.heard(event, known)
    }

    /// Drops everything about a machine that was forgotten.
    pub(crate) fn forget(&self, id: &MachineId) {
        self.journeys.forget(id);
        self.sessions.forget(id);
    }
}
