//! Adds an image to the catalogue: made in a hidden directory beside it and renamed when complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use inventory_api::id::UnixMs;
use inventory_api::image::{BootFiles, ImageManifest};

use crate::catalogue::MANIFEST;
use crate::digest::Digests;
use crate::recipe::{check_name, check_version};
use crate::{Error, Image, Result};

pub(crate) fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(since.as_millis() as i64)
}

/// A directory for an unfinished image; removed on drop unless [`Staging::commit`] was called.
pub(crate) struct Staging {
    name: String,
    version: String,
    work: PathBuf,
    target: PathBuf,
}

impl Staging {
    /// # Errors
    /// The name and version exist or are not valid, or the directory cannot be made.
    pub fn new(out_dir: &Path, name: &str, version: &str) -> Result<Staging> {
        let wrong = |reason: String| Error::NotAnImage {
            path: out_dir.join(MANIFEST),
            reason,
        };
        check_name(name).map_err(wrong)?;
        check_version(version).map_err(wrong)?;
        let (name, version) = (name.to_owned(), version.to_owned());
        let target = out_dir.join(format!("{name}-{version}"));
        if target.exists() {
            let path = target;
            return Err(Error::Exists { name, version, path });
        }
        let work = out_dir.join(format!(".new-{name}-{version}-{}", std::process::id()));
        fs::create_dir_all(&work).map_err(Error::io("make directory", &work))?;
        let work = work.canonicalize().map_err(Error::io("find", &work))?;
        Ok(Staging {
            name,
            version,
            work,
            target,
        })
    }

    /// Where to make the image.
    pub fn path(&self) -> &Path {
        &self.work
    }

    /// Where to make the file system, before it is compressed.
    pub fn raw(&self) -> PathBuf {
        self.work.join("root.ext4")
    }

    /// Where to put the compressed image.
    pub fn compressed(&self) -> PathBuf {
        self.work.join(self.file())
    }

    fn file(&self) -> String {
        format!("{}-{}.ext4.zst", self.name, self.version)
    }

    /// The manifest of the compressed image, which [`Staging::commit`] takes; `os` is still empty.
    pub fn manifest(&self, digests: Digests, boot: BootFiles) -> ImageManifest {
        ImageManifest {
            name: self.name.clone(),
            version: self.version.clone(),
            os: String::new(),
            architecture: "x86_64".to_owned(),
            file: self.file(),
            sha256: digests.sha256,
            compressed_bytes: digests.compressed_bytes,
            content_sha256: digests.content_sha256,
            content_bytes: digests.content_bytes,
            boot,
            built_at: now(),
            public: false,
            recipe_sha256: None,
        }
    }

    /// Writes the manifest, removes the raw file system and moves the image into place.
    pub fn commit(self, manifest: ImageManifest) -> Result<Image> {
        let raw = self.raw();
        fs::remove_file(&raw).map_err(Error::io("remove", &raw))?;
        let path = self.work.join(MANIFEST);
        let mut bytes =
            serde_json::to_vec_pretty(&manifest).map_err(|e| Error::io("write", &path)(e.into()))?;
        bytes.push(b'\n');
        fs::write(&path, bytes).map_err(Error::io("write", &path))?;
        fs::rename(&self.work, &self.target).map_err(Error::io("rename to", &self.target))?;
        Ok(Image {
            dir: self.target.clone(),
            manifest,
        })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit nothing is left here.
        if let Err(e) = fs::remove_dir_all(&self.work)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.work.display(), error = %e, "cannot remove a half-made image");
        }
    }
}
