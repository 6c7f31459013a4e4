//! What can go wrong while making a mini-os.

use std::path::{Path, PathBuf};

/// Why a mini-os could not be built: what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried, e.g. "read".
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A required program could not be started, or failed.
    #[error("{program} failed ({outcome}){}{tail}", if tail.is_empty() { "" } else { ": " })]
    Program {
        /// The program, with its most telling arguments.
        program: String,
        /// Its exit status, or why it did not start.
        outcome: String,
        /// The end of its standard error.
        tail: String,
    },
    /// A mini-os cannot be built from this input.
    #[error("{0}")]
    Input(String),
}

impl Error {
    /// For `map_err`: the operation and its path.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    }
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
