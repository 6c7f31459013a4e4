//! The clock's part: when a deadline passes, the machine is told.

use std::time::Duration;

use lifecycle::Event;

use crate::advance::{AdvanceError, advance};
use crate::core::Core;
use crate::service::rescue::end_overdue;
use crate::store::StoreError;

/// Longest sleep: a clock that was set must be noticed.
const LONGEST: Duration = Duration::from_secs(30);
/// Shortest: a deadline that cannot be brought to its machine must not spin.
const SHORTEST: Duration = Duration::from_millis(50);

/// Runs until the server ends.
pub async fn run(core: &Core) {
    loop {
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

/// Brings every passed deadline to its machine. Returns how long nothing is due.
async fn pass(core: &Core) -> Result<Duration, StoreError> {
    let (due, next) = core.store.deadlines(core.clock.now()).await?;
    for id in due {
        let Some(deadline) = core.store.machine(&id).await?.and_then(|m| m.state.deadline()) else {
            continue;
        };
        match advance(core, &id, Event::DeadlinePassed { deadline }, "clock").await {
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
