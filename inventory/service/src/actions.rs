//! What follows a transition. What is lasting is done in the transition's own transaction, so that a crash cannot part
//! them; what wakes somebody runs after the commit. After a restart nobody waits, so nothing has to be done again.

use inventory_api::MachineId;
use lifecycle::Action;

use crate::core::Core;
use store::{Change, StoreError};

/// The lasting part.
pub async fn in_transaction(
    change: &mut Change,
    id: &MachineId,
    actions: &[Action],
) -> Result<(), StoreError> {
    for action in actions {
        match action {
            Action::RevokeIdentity => change.revoke_certificates(id).await?,
            Action::DropTickets => change.void_tickets(id).await?,
            Action::ForgetDeployment => change.forget_deployment(id).await?,
            Action::WakeAgent => {}
        }
    }
    Ok(())
}

/// The part that wakes somebody.
pub fn after_commit(core: &Core, id: &MachineId, actions: &[Action]) {
    for action in actions {
        match action {
            Action::WakeAgent | Action::RevokeIdentity => core.memory.wake(id),
            Action::DropTickets | Action::ForgetDeployment => {}
        }
    }
}
