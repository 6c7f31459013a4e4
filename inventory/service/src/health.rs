//! Whether the server can do its work.

use inventory_api::UnixMs;
use tokio::sync::Mutex;

use crate::Service;
use crate::problem::{Result, STORE_UNWRITABLE};

/// How long the result of a write probe is used, in ms: after success, after failure.
const PROBE_EVERY: (i64, i64) = (10_000, 1_000);

/// When a write to the store was last tried, and whether it succeeded.
#[derive(Default)]
pub(crate) struct WriteProbe(Mutex<Option<(UnixMs, bool)>>);

impl Service {
    /// Whether the store can be written. Anybody may ask, so the disk is probed rarely.
    ///
    /// # Errors
    /// 503 while it cannot.
    pub async fn health(&self) -> Result<()> {
        let now = self.core.clock.now();
        let mut last = self.core.memory.write_probe.0.lock().await;
        let known = last.filter(|(at, good)| {
            let every = if *good { PROBE_EVERY.0 } else { PROBE_EVERY.1 };
            (0..every).contains(&(now.0 - at.0))
        });
        let good = match known {
            Some((_, good)) => good,
            None => {
                let written = self.core.store.probe_write(now).await;
                if let Err(error) = &written {
                    tracing::error!(%error, data_dir = %self.core.config.data_dir.display(),
                        "the store takes no write: is its disk full?");
                }
                written.is_ok()
            }
        };
        *last = Some(known.unwrap_or((now, good)));
        if good {
            return Ok(());
        }
        Err(STORE_UNWRITABLE.because(
            "the store cannot be written, the server's log says why: free space on the disk of data_dir; \
             nothing has to be restarted afterwards",
        ))
    }
}
