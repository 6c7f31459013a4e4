//! What can go wrong while making a mini-os.

use std::path::{Path, PathBuf};

/// Why a mini-os could not be made. The text says what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried, e.g. "read".
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program that is needed could not be started or failed.
    #[error("{program} failed ({outcome}){}{tail}", if tail.is_empty() { "" } else { ": " })]
    Program {
        /// The program, with its most telling arguments.
        program: String,
        /// Exit status, or why it did not start.
        outcome: String,
        /// The end of what it wrote to standard error.
        tail: String,
    },
    /// The input is not what a mini-os can be made of.
    #[error("{0}")]
    Input(String),
}

impl Error {
    /// For `map_err`: what was tried, on what.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    }
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
