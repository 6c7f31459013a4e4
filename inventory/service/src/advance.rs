//! The only writer of states: load, transition, then store the state and its history row in one transaction.

use inventory_api::machine::Actor;
use inventory_api::{MachineId, UnixMs};
use lifecycle::repeat::{ROWS_A_MINUTE, Row, is_bounded, repeats};
use lifecycle::{Event, Refused, State, transition};

use crate::actions;
use crate::core::Core;
use store::{Change, HistoryRow, MachineRow, StoreError};
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

/// The effect of an event. Call [`after_commit`] once the transaction is committed.
#[derive(Debug)]
#[must_use = "actions run after the commit"]
pub struct Advanced {
    /// The machine.
    pub machine: MachineId,
    /// State before.
    pub before: State,
    /// State afterwards.
    pub state: State,
    actions: Vec<lifecycle::Action>,
}

/// Enrolls a machine in state New, with its first history row.
pub async fn enroll(
    core: &Core,
    change: &mut Change,
    id: &MachineId,
    network: &str,
    actor: &Actor,
) -> Result<(), StoreError> {
    let first = HistoryRow {
        seq: 1,
        at: core.clock.now(),
        actor: actor.to_string(),
        event: None,
        limits: core.config.limits.clone(),
        state: State::New,
        sentence: format!("Seen for the first time, on network {network}."),
        repeats: 1,
    };
    change.add_machine(id, network, &first, None).await
}

/// Applies an event to a machine inside a transaction.
pub async fn advance_in(
    core: &Core,
    change: &mut Change,
    id: &MachineId,
    event: Event,
    actor: &Actor,
    now: UnixMs,
) -> Result<Advanced, AdvanceError> {
    let machine: MachineRow = change
        .machine(id)
        .await?
        .ok_or_else(|| AdvanceError::UnknownMachine(id.clone()))?;
    let limits = &core.config.limits;
    let done = transition(&machine.state, &event, limits, now)?;
    if done.record {
        let seq = machine.history_seq + 1;
        if is_bounded(&event)
            && let Some(at) = change.row_at(id, seq - ROWS_A_MINUTE).await?
            && at.plus_seconds(60) > now
        {
            return Err(AdvanceError::Refused(Refused {
                code: "too-many-events",
                sentence: format!(
                    "{ROWS_A_MINUTE} things happened to this machine in a minute: try again later"
                ),
            }));
        }
        let repeats = repeated(change, id, &event).await?;
        let mut row = HistoryRow {
            seq: if repeats > 1 { seq - 1 } else { seq },
            at: now,
            actor: actor.to_string(),
            sentence: sentence::of_event(&event, &done.state),
            event: Some(event),
            limits: limits.clone(),
            state: done.state.clone(),
            repeats,
        };
        if repeats > 1 {
            change.drop_row(id, seq - 2).await?;
            row.sentence.push_str(&format!(" ({repeats} times)"));
        }
        change.put_state(id, &row, done.state.deadline()).await?;
    }
    actions::in_transaction(change, id, &done.actions).await?;
    Ok(Advanced {
        machine: id.clone(),
        before: machine.state,
        state: done.state,
        actions: done.actions,
    })
}

/// How often an event occurred, this time included. Above 1, the older of the last two rows is the previous
/// occurrence and can be dropped.
async fn repeated(change: &mut Change, id: &MachineId, event: &Event) -> Result<i64, StoreError> {
    if !matches!(event, Event::ScriptGiven { .. } | Event::Claimed) {
        return Ok(1);
    }
    let rows = change.history(id, None, 3).await?;
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

/// Runs what follows a committed transition.
pub fn after_commit(core: &Core, advanced: &Advanced) {
    actions::after_commit(core, &advanced.machine, &advanced.actions);
    if advanced.before != advanced.state {
        tracing::info!(
            machine = %advanced.machine,
            before = lifecycle::status::state_name(&advanced.before),
            state = lifecycle::status::state_name(&advanced.state),
            phase = lifecycle::status::phase_name(&advanced.state),
            "machine advanced"
        );
        core.memory.deadlines.notify_one();
    }
    core.memory.changed(&advanced.machine);
}

/// Applies an event to a machine in its own transaction.
pub async fn advance(
    core: &Core,
    id: &MachineId,
    event: Event,
    actor: &Actor,
) -> Result<Advanced, AdvanceError> {
    let mut change = core.store.begin().await?;
    let advanced = advance_in(core, &mut change, id, event, actor, core.clock.now()).await?;
    change.commit().await?;
    after_commit(core, &advanced);
    Ok(advanced)
}
