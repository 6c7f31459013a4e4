//! The images in a directory: one subdirectory NAME-VERSION each, with `manifest.json` and the image file.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use inventory_api::id::Sha256Digest;
use inventory_api::image::ImageManifest;

use crate::digest::digest_file;
use crate::{Error, Result};

/// Name of the manifest in an image's directory.
pub const MANIFEST: &str = "manifest.json";

/// A manifest is small; no more than this is read.
const MANIFEST_MAX_BYTES: u64 = 1 << 20;

/// An image on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its directory.
    pub dir: PathBuf,
    /// What it is.
    pub manifest: ImageManifest,
}

impl Image {
    /// Reads the manifest in `dir`.
    ///
    /// # Errors
    /// It cannot be read, or names a file outside of `dir`.
    pub fn load(dir: &Path) -> Result<Image> {
        let path = dir.join(MANIFEST);
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let mut bytes = Vec::new();
        file.take(MANIFEST_MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(Error::io("read", &path))?;
        let damaged = |reason: String| Error::Damaged {
            path: dir.to_owned(),
            reason,
        };
        let manifest: ImageManifest =
            serde_json::from_slice(&bytes).map_err(|e| damaged(format!("{MANIFEST}: {e}")))?;
        // The manifest may come from elsewhere: its file name must be a plain name.
        if manifest.file.is_empty() || manifest.file.contains('/') || manifest.file.starts_with('.') {
            return Err(damaged(format!(
                "{MANIFEST}: file {:?} is not a plain file name",
                manifest.file
            )));
        }
        Ok(Image {
            dir: dir.to_owned(),
            manifest,
        })
    }

    /// The compressed image.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.manifest.file)
    }

    /// Opens the compressed image; its size matches the manifest.
    ///
    /// # Errors
    /// The file is missing or has another size.
    pub fn open(&self) -> Result<File> {
        let path = self.path();
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let bytes = file.metadata().map_err(Error::io("read", &path))?.len();
        if bytes != self.manifest.compressed_bytes {
            return Err(Error::Damaged {
                path: self.dir.clone(),
                reason: format!(
                    "{} has {bytes} bytes, the manifest says {}",
                    self.manifest.file, self.manifest.compressed_bytes
                ),
            });
        }
        Ok(file)
    }

    /// Reads the whole image and compares both digests, compressed and decompressed, with the manifest.
    ///
    /// # Errors
    /// [`Error::Damaged`] says what differs.
    pub fn verify(&self) -> Result<()> {
        drop(self.open()?);
        let seen = digest_file(&self.path())?;
        let damaged = |reason: String| Error::Damaged {
            path: self.dir.clone(),
            reason,
        };
        let m = &self.manifest;
        if seen.sha256 != m.sha256 {
            return Err(damaged(format!(
                "{} has SHA-256 {}, the manifest says {}",
                m.file, seen.sha256, m.sha256
            )));
        }
        if seen.content_bytes != m.content_bytes {
            return Err(damaged(format!(
                "it decompresses to {} bytes, the manifest says {}",
                seen.content_bytes, m.content_bytes
            )));
        }
        if seen.content_sha256 != m.content_sha256 {
            return Err(damaged(format!(
                "its content has SHA-256 {}, the manifest says {}",
                seen.content_sha256, m.content_sha256
            )));
        }
        Ok(())
    }
}

/// The result of [`list`].
#[derive(Debug, Default)]
pub struct Listing {
    /// Sorted by name, newest first.
    pub images: Vec<Image>,
    /// Directories that look like images but cannot be read: report them to the operator and go on.
    pub problems: Vec<Error>,
}

/// Lists the images in `dir`; a missing directory has none. Reads manifests only, see [`Image::verify`].
///
/// # Errors
/// `dir` itself cannot be read.
pub fn list(dir: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
        Err(e) => return Err(Error::io("list", dir)(e)),
    };
    for entry in entries {
        let path = entry.map_err(Error::io("list", dir))?.path();
        // Names that start with a dot are unfinished images.
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if hidden || !path.join(MANIFEST).exists() {
            continue;
        }
        match Image::load(&path) {
            Ok(image) => listing.images.push(image),
            Err(problem) => listing.problems.push(problem),
        }
    }
    let newest_first = |i: &Image| std::cmp::Reverse(i.manifest.built_at.0);
    listing
        .images
        .sort_by_cached_key(|i| (i.manifest.name.clone(), newest_first(i), i.dir.clone()));
    Ok(listing)
}

/// Finds the image whose compressed file has this digest, according to its manifest, and opens it.
///
/// # Errors
/// The directory cannot be read, or the file is missing or has the wrong size.
pub fn open(dir: &Path, sha256: &Sha256Digest) -> Result<Option<(Image, File)>> {
    let mut images = list(dir)?.images.into_iter();
    let Some(image) = images.find(|i| i.manifest.sha256 == *sha256) else {
        return Ok(None);
    };
    let file = image.open()?;
    Ok(Some((image, file)))
}
