//! Log lines that anybody on the network can cause; [`netboot_protocol::lines`] limits their rate.

use std::time::Duration;

use netboot_protocol::lines::{EACH_MINUTE, EACH_SECOND, LeftOut, Lines, Pace};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::error::NetbootError;
use crate::now;

/// One limit for the whole process, like its log.
static LINES: Mutex<Lines> = Mutex::new(Lines::new());

/// Whether to write a line of this kind and reason, and how many like it were left out, if any: in a flood
/// one a second. `known`: it concerns a known machine; those have a budget of their own.
pub fn admit(kind: &'static str, reason: &str, known: bool) -> Option<Option<u64>> {
    let known = if known { " (known machine)" } else { "" };
    ask(kind, &format!("{reason}{known}"), EACH_SECOND)
}

/// Like [`admit`], once a minute: for a lasting state.
pub fn each_minute(kind: &'static str, reason: &str) -> Option<Option<u64>> {
    ask(kind, reason, EACH_MINUTE)
}

fn ask(kind: &'static str, reason: &str, pace: Pace) -> Option<Option<u64>> {
    let left_out = LINES.lock().admit(kind, reason, pace, now())?;
    Some(Some(left_out).filter(|count| *count > 0))
}

/// A log line limited by [`admit`]: level; kind, reason, known; then the arguments of `tracing`.
macro_rules! paced {
    ($level:ident; $kind:expr, $reason:expr, $known:expr; $($line:tt)+) => {
        if let Some(left_out) = $crate::log::admit($kind, $reason, $known) {
            tracing::$level!(left_out, $($line)+);
        }
    };
}
pub(crate) use paced;

/// Reports how many lines were left out of a flood that has ended.
pub(crate) async fn serve(cancel: CancellationToken) -> Result<(), NetbootError> {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        let ended = LINES.lock().ended(now());
        for LeftOut {
            kind,
            reason,
            count: left_out,
        } in ended
        {
            tracing::info!(kind, reason, left_out, "similar lines were left out");
        }
    }
}
