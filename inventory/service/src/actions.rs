//! What follows a transition. Durable effects are written in the transition's own transaction, so a crash
//! cannot separate the two. Wake-ups run after the commit; after a restart nobody waits, so none has to be
//! repeated.

use inventory_api::MachineId;
use lifecycle::Action;

use crate::core::Core;
use store::{Change, StoreError};

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

pub fn after_commit(core: &Core, id: &MachineId, actions: &[Action]) {
    for action in actions {
        match action {
            Action::WakeAgent | Action::RevokeIdentity => core.memory.wake(id),
            Action::DropTickets | Action::ForgetDeployment => {}
        }
    }
}
