//! What the executor asks of the conversation with the server, and how a run ends.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use inventory_api::agent::{Permission, Progress, StepReport};
use inventory_api::plan::ImageSource;

/// Compressed bytes of an image. An error in the stream means that it was cut: the executor asks again from where it
/// was.
pub type ByteStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// The executor's way to the server.
pub trait Link: Send + Sync {
    /// Posts a step report and returns the server's answer. Retries as long as it makes sense; an error ends the run.
    fn step(&self, report: StepReport) -> impl Future<Output = Result<Permission, String>> + Send;

    /// Tells how far a long step is. Called at most a few times a second; must not block; may be lost.
    fn progress(&self, progress: Progress);

    /// Opens the image at offset `from` of its compressed bytes: exactly the bytes from there to the end.
    fn fetch(
        &self,
        source: &ImageSource,
        from: u64,
    ) -> impl Future<Output = Result<ByteStream, FetchError>> + Send;
}

/// Why an image cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It may work later: no connection, status 5xx.
    #[error("{0}")]
    Retry(String),
    /// It will not work: status 404, 403, no range support, a wrong path.
    #[error("{0}")]
    Fatal(String),
}

/// Why a plan or a wipe did not come to its end. Its report to the server is already sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {detail} ({code})")]
pub struct Failure {
    /// Index of the step; `steps.len()` for the plan as a whole.
    pub index: u32,
    /// Name of the step, or "plan".
    pub step: String,
    /// Stable short code.
    pub code: String,
    /// What was tried, on what, what came back.
    pub detail: String,
    /// Whether any byte of the disk may have been changed by this run.
    pub wrote: bool,
}

/// How [`execute`](super::execute) ended when nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Done,
    /// The server said stop before the step with this index.
    Stopped {
        /// Index of the step that was not begun.
        index: u32,
        /// The server's reason.
        message: String,
    },
}

/// What the `agent` step puts on the disk beside the binary: the machine's identity and its way to the server.
#[derive(Clone)]
pub struct Identity {
    /// Who the machine is; the plan must be for it.
    pub machine: inventory_api::id::MachineId,
    /// Base URL of the TLS port.
    pub server: String,
    /// Base URL of the plain boot service.
    pub boot_url: String,
    /// Private key of the machine certificate, PEM.
    pub key_pem: String,
    /// Machine certificate, PEM.
    pub cert_pem: String,
    /// The server's CA certificate, PEM.
    pub ca_pem: String,
}

/// The key stays out of every log.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("machine", &self.machine)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
