//! Lines of the log that anybody on the network can cause: [`netboot_protocol::lines`] says how often.

use std::sync::Mutex;
use std::time::Duration;

use netboot_protocol::lines::{EACH_MINUTE, EACH_SECOND, LeftOut, Lines, Pace};
use tokio_util::sync::CancellationToken;

use crate::leases::lock;
use crate::now;
use crate::server::NetbootError;

/// Of the whole process, as its log is.
static LINES: Mutex<Lines> = Mutex::new(Lines::new());

/// Whether to write a line of this kind and reason, and how many like it were left out, if any; one a second in a flood.
/// `known`: it is about a known machine, whose lines others do not push out.
pub fn admit(kind: &'static str, reason: &str, known: bool) -> Option<Option<u64>> {
    let known = if known { " (known machine)" } else { "" };
    ask(kind, &format!("{reason}{known}"), EACH_SECOND)
}

/// As [`admit`], once a minute: for a state that lasts.
pub fn each_minute(kind: &'static str, reason: &str) -> Option<Option<u64>> {
    ask(kind, reason, EACH_MINUTE)
}

fn ask(kind: &'static str, reason: &str, pace: Pace) -> Option<Option<u64>> {
    let left_out = lock(&LINES).admit(kind, reason, pace, now())?;
    Some(Some(left_out).filter(|count| *count > 0))
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
        let ended = lock(&LINES).ended(now());
        for LeftOut {
            kind,
            reason,
            count: left_out,
        } in ended
        {
            tracing::info!(kind, reason, left_out, "lines like these were left out");
        }
    }
}
