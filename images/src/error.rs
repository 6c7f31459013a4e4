//! Why something failed with an image.

use std::path::{Path, PathBuf};

/// Why an image could not be made, imported or used: what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recipe is wrong; the text names the file and the place in it.
    #[error("recipe {path}: {reason}")]
    Recipe {
        /// The recipe file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file is not an image that can be installed.
    #[error("{path} is not an image that can be installed: {reason}")]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A stored image does not match its manifest.
    #[error("image in {path} is damaged: {reason}; import or build it again")]
    Damaged {
        /// The image's directory.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// An image of this name and version exists.
    #[error("image {name} {version} already exists ({path}): choose another version or remove it")]
    Exists {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A file or directory could not be read or written, or a required program failed.
    #[error(transparent)]
    System(#[from] mini_os::Error),
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let io = mini_os::Error::io(what, path);
        move |source| io(source).into()
    }
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
