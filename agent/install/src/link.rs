//! What the executor needs from the session with the server, and how a run ends.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use inventory_api::agent::{Permission, Progress, StepReport};
use inventory_api::plan::ImageSource;

/// Compressed bytes of an image. An error in the stream means that it was cut: the executor resumes from
/// there.
pub type ByteStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// The executor's link to the server.
pub trait Link: Send + Sync {
    /// Posts a step report and returns the server's answer. Retries as long as that makes sense; an error
    /// ends the run.
    fn step(&self, report: StepReport) -> impl Future<Output = Result<Permission, String>> + Send;

    /// Reports the progress of a long step. Called at most a few times a second; must not block; may be lost.
    fn progress(&self, progress: Progress);

    /// Shows a line about the running step on the machine's console.
    fn note(&self, text: &str);

    /// Opens the image's compressed bytes from offset `from` to the end.
    fn fetch(
        &self,
        source: &ImageSource,
        from: u64,
    ) -> impl Future<Output = Result<ByteStream, FetchError>> + Send;
}

/// Why an image cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Retrying may help: no connection, status 5xx.
    #[error("{0}")]
    Retry(String),
    /// Retrying does not help: status 404 or 403, no range support, a wrong path.
    #[error("{0}")]
    Fatal(String),
}

/// Why a plan or a wipe failed. The server already has the report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {detail} ({code})")]
pub struct Failure {
    /// Index of the step; `steps.len()` for the plan as a whole.
    pub index: u32,
    /// Name of the step, or "plan".
    pub step: String,
    /// Stable short code.
    pub code: String,
    /// What was tried, on what, and the error.
    pub detail: String,
    /// Whether this run may have changed any byte of the disk.
    pub wrote: bool,
}

/// How [`execute`](super::execute) ended if nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Done,
    /// The server stopped the run before this step.
    Stopped {
        /// Index of the step that was not started.
        index: u32,
        /// The server's reason.
        message: String,
    },
}

/// The machine's credentials and the server's addresses, which the `agent` step installs beside the binary.
#[derive(Clone)]
pub struct Credentials {
    /// The machine; plans must be for it.
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

/// The key must not appear in logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("machine", &self.machine)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
