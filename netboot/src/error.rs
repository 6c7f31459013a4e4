//! Why the boot service cannot start or has ended.

use std::io;

/// Why the boot service cannot start or has ended.
#[derive(Debug, thiserror::Error)]
pub enum NetbootError {
    /// The configuration names no network.
    #[error("no network is configured: the boot service has no machines to answer")]
    NoNetworks,
    /// Two networks cannot be told apart.
    #[error("networks {0} and {1}: {2}")]
    Clash(String, String, &'static str),
    /// Something could not be opened, read or written.
    #[error("cannot {what}")]
    Io {
        /// What was tried, on what, and what to do.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// A task panicked: a bug, and the process should end.
    #[error("a boot service task panicked: {0}")]
    Panicked(String),
}

impl NetbootError {
    /// `what`: what was tried, on what, and what to do.
    pub(crate) fn io(what: String) -> impl FnOnce(io::Error) -> NetbootError {
        move |source| NetbootError::Io { what, source }
    }
}
