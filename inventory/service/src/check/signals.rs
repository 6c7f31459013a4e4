//! Signals of re-checks.

use tokio::sync::{Notify, watch};

/// Between those who ask for re-checks and the task that does them.
#[derive(Default)]
pub(crate) struct RecheckSignals {
    pub(super) asked: Notify,
    /// Number of machines checked again since the start.
    pub(super) done: watch::Sender<u64>,
}
