//! Applies deadlines to machines when they pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use inventory_api::UnixMs;
use inventory_api::machine::Actor;
use inventory_api::text::with_causes;
use lifecycle::Event;

use crate::core::Core;
use crate::rescue::end_overdue;
use crate::{AdvanceError, Turn};
use store::StoreError;

/// How long an enrolment that never claimed is kept after its last boot script.
const FORGET_AFTER_SECONDS: u32 = 24 * 3600;
/// Interval between searches for such enrolments, in ms.
const FORGET_EVERY_MS: u64 = 10 * 60 * 1000;
/// Longest sleep: a change of the system clock must be noticed.
const LONGEST: Duration = Duration::from_secs(30);
/// Shortest sleep: a deadline that cannot be applied must not make the loop spin.
const SHORTEST: Duration = Duration::from_millis(50);

/// Runs until the server stops.
pub async fn run(core: &Arc<Core>) {
    let looked = AtomicI64::new(i64::MIN);
    let task = async || {
        let now = core.clock.now();
        if now.since(UnixMs(looked.load(Ordering::Relaxed))) >= FORGET_EVERY_MS {
            looked.store(now.0, Ordering::Relaxed);
            if let Err(error) = forget_never_claimed(core, now).await {
                tracing::error!(
                    error = with_causes(&error),
                    "enrolments that never claimed could not be forgotten"
                );
            }
        }
        pass(core).await.unwrap_or_else(|error| {
            tracing::error!(
                error = with_causes(&error),
                "deadlines could not be applied; trying again"
            );
            Duration::from_secs(1)
        })
    };
    core.repeat(&core.memory.deadlines, task).await;
}

/// Forgets enrolments that never claimed within a day of their last boot script, so a flood of made-up MACs
/// clears itself.
async fn forget_never_claimed(core: &Arc<Core>, now: UnixMs) -> Result<(), StoreError> {
    let before = now.minus_seconds(FORGET_AFTER_SECONDS);
    for id in core.store.never_claimed(before).await? {
        let work = async move |mut turn: Turn| {
            if turn.forget_machine(&id).await? {
                turn.commit().await?;
                tracing::info!(machine = %id, "an enrolment that never claimed in a day is forgotten");
            }
            Ok::<_, StoreError>(())
        };
        core.turn(&Actor::Clock, work).await?;
    }
    Ok(())
}

/// Applies every passed deadline. Returns the time until the next one.
async fn pass(core: &Arc<Core>) -> Result<Duration, StoreError> {
    let (due, next) = core.store.deadlines(core.clock.now()).await?;
    for id in due {
        let Some(deadline) = core.store.machine(&id).await?.and_then(|m| m.state.deadline()) else {
            continue;
        };
        let passed = Event::DeadlinePassed { deadline };
        match core.advance(&id, passed, &Actor::Clock).await {
            Ok(_) => {}
            Err(AdvanceError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::error!(machine = %id, error = with_causes(&error), "a deadline was refused")
            }
        }
    }
    if let Err(error) = end_overdue(core).await {
        tracing::error!(
            error = with_causes(&error),
            "rescues that timed out could not be ended"
        );
    }
    let until = next.map_or(LONGEST, |next| {
        Duration::from_millis(next.since(core.clock.now()))
    });
    Ok(until.clamp(SHORTEST, LONGEST))
}
