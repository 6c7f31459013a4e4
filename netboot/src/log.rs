//! Lines of the log that anybody on the network can cause: [`netboot_protocol::lines`] says how often.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netboot_protocol::lines::{EACH_MINUTE, EACH_SECOND, Lines};
use tokio_util::sync::CancellationToken;

use crate::now;
use crate::server::NetbootError;

/// Of the whole process, as its log is.
static LINES: Mutex<Lines> = Mutex::new(Lines::new());

/// Whether to write a line of this kind and reason, and how many like it were left out, if any; one a second in a flood.
/// `known`: it is about a known machine, whose lines others do not push out.
pub fn admit(kind: &'static str, reason: &str, known: bool) -> Option<Option<u64>> {
    let known = if known { " (known machine)" } else { "" };
    let admitted = lines().admit(kind, &format!("{reason}{known}"), EACH_SECOND, now());
    admitted.map(|left_out| Some(left_out).filter(|count| *count > 0))
}

/// As [`admit`], once a minute: for a state that lasts.
pub fn each_minute(kind: &'static str, reason: &str) -> Option<Option<u64>> {
    let admitted = lines().admit(kind, reason, EACH_MINUTE, now());
    admitted.map(|left_out| Some(left_out).filter(|count| *count > 0))
}

/// A line of the log by [`admit`]: level; kind, reason, known; then what `tracing` takes.
macro_rules! paced {
    ($level:ident; $kind:expr, $reason:expr, $known:expr; $($line:tt)+) => {
        if let Some(left_out) = $crate::log::admit($kind, $reason, $known) {
            tracing::$level!(left_out, $($line)+);
        }
    };
}
pub(crate) use paced;

/// Tells what was left out of a flood that has ended.
pub(crate) async fn serve(cancel: CancellationToken) -> Result<(), NetbootError> {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        let ended = lines().ended(now());
        for left in ended {
            tracing::info!(
                kind = left.kind,
                reason = left.reason,
                left_out = left.count,
                "lines like these were left out"
            );
        }
    }
}

fn lines() -> MutexGuard<'static, Lines> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}
