//! Why the server or a command on its data failed.

use std::path::PathBuf;

use store::StoreError;
use tls::TlsError;

/// Why the server cannot start, why it ended, or why a command on its data failed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file or socket operation failed.
    #[error("cannot {what}")]
    Io {
        /// What was tried, and on what.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Another server uses this data directory.
    #[error("another slipway server uses {0}: stop it first, or give each its own data_dir")]
    Locked(PathBuf),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority or the TLS listener failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The boot service failed.
    #[error("the boot service failed")]
    Netboot(#[from] netboot::NetbootError),
    /// The data directory belongs to another user, or others can write to it.
    #[error("the data directory {path} (data_dir) is not safe to use: {why}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A token's name is taken, invalid or unknown.
    #[error("{0}")]
    TokenName(String),
    /// There is no network whose server a signed mini-os could ask.
    #[error(
        "cannot sign the mini-os: slipway.toml has no [[network]], so its agent would have no server to ask"
    )]
    NothingToAsk,
    /// Signing the mini-os failed.
    #[error("cannot sign the mini-os")]
    Sign(#[from] mini_os::Error),
    /// A task panicked or ended although the server was not stopped: a bug.
    #[error("the {0} task ended unexpectedly")]
    Task(String),
}

pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> AppError {
    let what = what.into();
    |source| AppError::Io { what, source }
}
