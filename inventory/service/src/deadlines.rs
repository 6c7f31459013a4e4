//! The clock's part: when a deadline passes, the machine is told.

use std::time::Duration;

use inventory_api::UnixMs;
use inventory_api::machine::Actor;
use lifecycle::Event;

use crate::advance::{AdvanceError, advance};
use crate::core::Core;
use crate::rescue::end_overdue;
use store::StoreError;

/// An enrolment that never claimed is kept for so long after its last boot script.
const FORGET_AFTER_SECONDS: u32 = 24 * 3600;
/// How often such ones are looked for. Milliseconds.
const FORGET_EVERY_MS: u64 = 10 * 60 * 1000;
/// Longest sleep: a clock that was set must be noticed.
const LONGEST: Duration = Duration::from_secs(30);
/// Shortest: a deadline that cannot be brought to its machine must not spin.
const SHORTEST: Duration = Duration::from_millis(50);

/// Runs until the server ends.
pub async fn run(core: &Core) {
    let mut looked = None;
    loop {
        let now = core.clock.now();
        if looked.is_none_or(|at: UnixMs| now.since(at) >= FORGET_EVERY_MS) {
            looked = Some(now);
            if let Err(error) = forget_never_claimed(core, now).await {
                tracing::error!(%error, "enrolments that never claimed could not be forgotten");
            }
        }
        // Asked for before the store is read: a change in between is not lost.
        let notified = core.memory.deadlines.notified();
        let pause = match pass(core).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "deadlines could not be looked at; trying again");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = notified => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Forgets who fetched a boot script more than a day ago and was never heard again: a list of made-up MACs ends by itself.
async fn forget_never_claimed(core: &Core, now: UnixMs) -> Result<(), StoreError> {
    for id in core
        .store
        .never_claimed(now.minus_seconds(FORGET_AFTER_SECONDS))
        .await?
    {
        let mut change = core.store.begin().await?;
        if change.forget(&id).await? {
            change.commit().await?;
            tracing::info!(machine = %id, "an enrolment that never claimed in a day is forgotten");
            core.memory.forget(&id);
        }
    }
    Ok(())
}

/// Brings every passed deadline to its machine. Returns how long nothing is due.
async fn pass(core: &Core) -> Result<Duration, StoreError> {
    let (due, next) = core.store.deadlines(core.clock.now()).await?;
    for id in due {
        let Some(deadline) = core.store.machine(&id).await?.and_then(|m| m.state.deadline()) else {
            continue;
        };
        match advance(core, &id, Event::DeadlinePassed { deadline }, &Actor::Clock).await {
            Ok(_) => {}
            Err(AdvanceError::Store(error)) => return Err(error),
            Err(error) => tracing::error!(machine = %id, %error, "a deadline was refused"),
        }
    }
    if let Err(error) = end_overdue(core).await {
        tracing::error!(%error, "rescues whose time is over could not be ended");
    }
    let until = next.map_or(LONGEST, |next| {
        Duration::from_millis(next.since(core.clock.now()))
    });
    Ok(until.clamp(SHORTEST, LONGEST))
}
