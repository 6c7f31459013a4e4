//! Waiting with a deadline that names what it waited for. Nothing here sleeps for a fixed time and hopes.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Checks `condition` until it returns something, for at most `within`. The error names `what` and the time.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut condition: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = condition().await? {
            return Ok(found);
        }
        if start.elapsed() > within {
            bail!("waited {} s for {what}", within.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// As [`until`], for code without a runtime.
pub fn until_blocking<T>(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        if start.elapsed() > within {
            bail!("waited {} s for {what}", within.as_secs());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
