//! Taking in an image that was made elsewhere.
use std::path::Path;

use crate::{Error, Image, Result};

/// What the operator says of an image that is taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFields {
    /// Name: a-z, 0-9, '-'.
    pub name: String,
    /// Version: a-z, 0-9, '-', '.'.
    pub version: String,
    /// Operating system in words; none: what the image's os-release says.
    pub os: Option<String>,
    /// Holds no secret: may be served to anyone on the provisioning network.
    pub public: bool,
}

/// Takes in `file` (ext4 image, raw or zstd).
///
/// # Errors
/// See [`Error`].
pub fn import(file: &Path, fields: &ImportFields, out_dir: &Path) -> Result<Image> {
    let _ = (fields, out_dir);
    Err(Error::NotAnImage {
        path: file.to_owned(),
        reason: "importing is not there yet".to_owned(),
    })
}
