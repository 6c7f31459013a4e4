//! One transaction in which several machines advance.

use inventory_api::machine::Actor;
use inventory_api::{MachineId, UnixMs};
use lifecycle::Event;

use crate::advance::{AdvanceError, Advanced, advance_in};
use crate::core::Core;
use store::Change;

/// A transaction, its actor and time. Call `after_commit` on `done` after the commit.
pub(super) struct Turn<'a> {
    pub(super) core: &'a Core,
    pub(super) change: &'a mut Change,
    pub(super) actor: &'a Actor,
    pub(super) now: UnixMs,
    pub(super) done: Vec<Advanced>,
}

impl Turn<'_> {
    /// Applies an event to a machine.
    pub(super) async fn bring(&mut self, id: &MachineId, event: Event) -> Result<(), AdvanceError> {
        let advanced = advance_in(self.core, self.change, id, event, self.actor, self.now).await?;
        self.done.push(advanced);
        Ok(())
    }

    /// Merges two enrolments of one machine. `event` is applied to the one that is retired; `how` goes to the
    /// history of the one that stays.
    pub(super) async fn fold(
        &mut self,
        from: &MachineId,
        into: &MachineId,
        event: Event,
        how: &str,
    ) -> Result<(), AdvanceError> {
        let macs = self.change.machine(from).await?.map(|m| m.macs);
        self.bring(from, event).await?;
        self.change.fold(from, into).await?;
        for mac in macs.into_iter().flatten() {
            self.core.memory.owned(mac, into);
        }
        let absorbed = Event::Absorbed {
            other: from.clone(),
            detail: how.to_owned(),
        };
        self.bring(into, absorbed).await?;
        tracing::info!(machine = %into, folded = %from, "two enrolments are one machine");
        Ok(())
    }
}
