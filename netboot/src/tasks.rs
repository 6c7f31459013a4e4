//! Tasks of the services: a panic in one ends the process, and none waits for the disk on the event loop.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::error::NetbootError;
use crate::log;

/// Tasks that end when the service is cancelled.
pub(crate) type Tasks = JoinSet<Result<(), NetbootError>>;

/// Waits until a task panics; tasks that end normally are only reaped.
pub(crate) async fn panicked(tasks: &mut JoinSet<()>, service: &str) -> NetbootError {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            return NetbootError::Panicked(format!("{service}: {error}"));
        }
    }
    std::future::pending().await
}

/// Runs work that may wait for the disk. A panic in it goes on in the caller.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and the caller with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A receive failed: the interface is down for a moment, or an earlier reply could not be delivered. Logs it
/// and waits briefly.
pub(crate) async fn cannot_receive(protocol: &'static str, error: std::io::Error) {
    log::paced!(warn; protocol, "receive", false; %error, "cannot receive {protocol} messages");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
