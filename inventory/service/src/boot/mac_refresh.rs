//! Keeps the MACs of known machines in memory current.

use inventory_api::text::with_causes;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use crate::core::Core;
use store::StoreError;

/// Changes within this time are read in one go.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads them all from the store.
///
/// # Errors
/// The store cannot be read.
pub async fn load(core: &Core) -> Result<(), StoreError> {
    core.memory.macs.set(core.store.macs().await?);
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
            tracing::error!(
                error = with_causes(&error),
                "cannot read the machines' MACs: host names in DHCP may be old"
            );
        }
    }
}
