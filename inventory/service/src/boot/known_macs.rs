//! MACs and host names of known machines, in memory, because the DHCP service needs them for every message.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use inventory_api::Mac;
use tokio::sync::broadcast::error::RecvError;

use crate::core::Core;
use store::StoreError;

/// Changes within this time are read in one go.
const PAUSE: Duration = Duration::from_secs(1);

/// The MACs of known machines, each with its machine's host name, if any.
#[derive(Default)]
pub(crate) struct KnownMacs(RwLock<HashMap<Mac, Option<String>>>);

impl KnownMacs {
    /// The host name, if any, of the known machine with this MAC. `None`: no known machine has it.
    pub(crate) fn host_name(&self, mac: Mac) -> Option<Option<String>> {
        let macs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        macs.get(&mac).cloned()
    }
}

/// Reads them all from the store.
///
/// # Errors
/// The store cannot be read.
pub async fn load(core: &Core) -> Result<(), StoreError> {
    let macs = core.store.macs().await?;
    *core.memory.macs.0.write().unwrap_or_else(PoisonError::into_inner) = macs;
    Ok(())
}

/// Keeps them current until the server stops: reads them again when a machine changed.
pub async fn run(core: &Core) {
    let mut changes = core.memory.sessions.changes();
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return,
            changed = changes.recv() => if changed == Err(RecvError::Closed) { return },
        }
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        changes = changes.resubscribe();
        if let Err(error) = load(core).await {
            tracing::error!(%error, "cannot read the machines' MACs: host names in DHCP may be old");
        }
    }
}
