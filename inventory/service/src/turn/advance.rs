//! The only writer of states: load, transition, then store the state and its history row in one transaction.

use inventory_api::machine::Actor;
use inventory_api::{MachineId, Problem};
use lifecycle::repeat::{ROWS_A_MINUTE, Row, is_bounded, repeats};
use lifecycle::status::{phase_name, state_name};
use lifecycle::{Action, Event, Refused, State, transition};

use super::Turn;
use crate::core::Core;
use crate::problem::{no_machine, problem};
use store::{HistoryRow, MachineRow, StoreError};
use words::sentence;

/// Why an event was not applied.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// No such machine.
    #[error("there is no machine {0}")]
    UnknownMachine(MachineId),
    /// The state does not take this event.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The problem reported for an event that was not applied.
impl From<AdvanceError> for Problem {
    fn from(error: AdvanceError) -> Problem {
        match error {
            AdvanceError::UnknownMachine(id) => no_machine(id.as_str()),
            AdvanceError::Refused(refused) => {
                problem(409, refused.code, "Not in this state", refused.sentence)
            }
            AdvanceError::Store(error) => error.into(),
        }
    }
}

/// The effect of an event.
#[derive(Clone, Debug)]
pub struct Advanced {
    machine: MachineId,
    /// State before.
    pub before: State,
    /// State afterwards.
    pub state: State,
}

impl Advanced {
    /// After a restart no agent waits, so nothing of this has to be repeated then.
    pub(super) fn follow(&self, core: &Core) {
        let Advanced {
            machine,
            before,
            state,
        } = self;
        if before != state {
            tracing::info!(
                %machine,
                before = state_name(before),
                state = state_name(state),
                phase = phase_name(state),
                "machine advanced"
            );
            core.memory.deadlines.notify_one();
        }
    }
}

impl Turn {
    /// Enrolls a machine in state New, with its first history row.
    pub async fn enroll(&mut self, id: &MachineId, network: &str) -> Result<(), StoreError> {
        let first = HistoryRow {
            seq: 1,
            at: self.now,
            actor: self.actor.to_string(),
            event: None,
            limits: self.core.config.limits.clone(),
            state: State::New,
            sentence: format!("Seen for the first time, on network {network}."),
            repeats: 1,
        };
        self.add_machine(id, network, &first, None).await
    }

    pub(crate) async fn row(&self, id: &MachineId) -> Result<MachineRow, AdvanceError> {
        let row = self.machine(id).await?;
        row.ok_or_else(|| AdvanceError::UnknownMachine(id.clone()))
    }

    /// Applies an event to a machine.
    pub(crate) async fn advance(&mut self, id: &MachineId, event: Event) -> Result<Advanced, AdvanceError> {
        let actor = self.actor.clone();
        self.advance_as(&actor, id, event).await
    }

    /// Like [`Turn::advance`], with another actor than the turn's.
    pub(crate) async fn advance_as(
        &mut self,
        actor: &Actor,
        id: &MachineId,
        event: Event,
    ) -> Result<Advanced, AdvanceError> {
        let machine = self.row(id).await?;
        let done = transition(&machine.state, &event, &self.core.config.limits, self.now)?;
        if done.record {
            let seq = machine.history_seq + 1;
            if is_bounded(&event)
                && let Some(at) = self.row_at(id, seq - ROWS_A_MINUTE).await?
                && at.plus_seconds(60) > self.now
            {
                return Err(AdvanceError::Refused(Refused {
                    code: "too-many-events",
                    sentence: format!(
                        "more than {ROWS_A_MINUTE} events in a minute for this machine: try again later"
                    ),
                }));
            }
            let repeats = self.repeated(id, &event).await?;
            let mut row = HistoryRow {
                seq: if repeats > 1 { seq - 1 } else { seq },
                at: self.now,
                actor: actor.to_string(),
                sentence: sentence::of_event(&event, &done.state),
                event: Some(event),
                limits: self.core.config.limits.clone(),
                state: done.state.clone(),
                repeats,
            };
            if repeats > 1 {
                self.drop_row(id, seq - 2).await?;
                row.sentence.push_str(&format!(" ({repeats} times)"));
            }
            self.put_state(id, &row, done.state.deadline()).await?;
        }
        // Durable effects are in the same transaction: a crash cannot part them from the state.
        let mut wakes = false;
        for action in &done.actions {
            match action {
                Action::RevokeIdentity => self.revoke_certificates(id).await?,
                Action::DropTickets => self.void_tickets(id).await?,
                Action::ForgetDeployment => self.forget_deployment(id).await?,
                Action::WakeAgent => {}
            }
            wakes |= matches!(action, Action::WakeAgent | Action::RevokeIdentity);
        }
        match wakes {
            true => self.wake(id),
            false => self.changed(id),
        }
        let advanced = Advanced {
            machine: id.clone(),
            before: machine.state,
            state: done.state,
        };
        self.advanced.push(advanced.clone());
        Ok(advanced)
    }

    /// How often an event occurred, this time included. Above 1, the older of the last two rows is the
    /// previous occurrence and can be dropped.
    async fn repeated(&self, id: &MachineId, event: &Event) -> Result<i64, StoreError> {
        if !matches!(event, Event::ScriptGiven { .. } | Event::Claimed) {
            return Ok(1);
        }
        let rows = self.history(id, None, 3).await?;
        let [before, older, last] = rows.as_slice() else {
            return Ok(1);
        };
        fn of(row: &HistoryRow) -> Row<'_> {
            Row {
                event: row.event.as_ref(),
                limits: &row.limits,
                at: row.at,
                state: &row.state,
            }
        }
        Ok(if repeats(&before.state, of(older), of(last), event) {
            older.repeats + 1
        } else {
            1
        })
    }
}
