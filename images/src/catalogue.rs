//! The images in a directory: one subdirectory NAME-VERSION each, with `manifest.json` and the image file.

use std::cmp::Reverse;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use inventory_api::image::ImageManifest;

use crate::digest::digest_file;
use crate::{Error, Result};

/// Name of the manifest in an image's directory.
pub(crate) const MANIFEST: &str = "manifest.json";

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
        let manifest: ImageManifest =
            serde_json::from_slice(&bytes).map_err(|e| damaged(dir, format!("{MANIFEST}: {e}")))?;
        // The manifest may come from elsewhere: its file name must be a plain name.
        let name = &manifest.file;
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(damaged(
                dir,
                format!("{MANIFEST}: file {name:?} is not a plain file name"),
            ));
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
        self.compare(
            &format!("{} has {bytes} bytes", self.manifest.file),
            &bytes,
            &self.manifest.compressed_bytes,
        )?;
        Ok(file)
    }

    /// Reads the whole image and compares both digests, compressed and decompressed, with the manifest.
    ///
    /// # Errors
    /// [`Error::Damaged`] says what differs.
    pub fn verify(&self) -> Result<()> {
        drop(self.open()?);
        let (m, seen) = (&self.manifest, digest_file(&self.path())?);
        let file = format!("{} has SHA-256 {}", m.file, seen.sha256);
        self.compare(&file, &seen.sha256, &m.sha256)?;
        let size = format!("it decompresses to {} bytes", seen.content_bytes);
        self.compare(&size, &seen.content_bytes, &m.content_bytes)?;
        let content = format!("its content has SHA-256 {}", seen.content_sha256);
        self.compare(&content, &seen.content_sha256, &m.content_sha256)
    }

    /// `found`: what was seen, in words.
    fn compare<T: PartialEq + Display>(&self, found: &str, seen: &T, expected: &T) -> Result<()> {
        match seen == expected {
            true => Ok(()),
            false => Err(damaged(
                &self.dir,
                format!("{found}, the manifest says {expected}"),
            )),
        }
    }
}

fn damaged(dir: &Path, reason: String) -> Error {
    Error::Damaged {
        path: dir.to_owned(),
        reason,
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
    let order = |i: &Image| {
        (
            i.manifest.name.clone(),
            Reverse(i.manifest.built_at.0),
            i.manifest.version.clone(),
            i.dir.clone(),
        )
    };
    listing.images.sort_by_cached_key(order);
    Ok(listing)
}
