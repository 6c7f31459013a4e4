//! MACs of enrolled machines and their host names, in memory: the DHCP service asks for them with every message.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use crate::core::Core;
use store::StoreError;

/// Changes that come closer together than this are read in one go.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads all of them.
///
/// # Errors
/// The store cannot be read.
pub async fn load(core: &Core) -> Result<(), StoreError> {
    core.memory.set_macs(core.store.macs().await?);
    Ok(())
}

/// Keeps them true until the server ends: reads them anew when machines have changed.
pub async fn run(core: &Core) {
    let mut changes = core.memory.changes();
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
