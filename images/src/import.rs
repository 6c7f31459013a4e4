//! Imports an image that was made elsewhere.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::build::compress;
use crate::digest::{CONTENT_MAX_BYTES, Digests, decompress, digest_file};
use crate::inspect::inspect;
use crate::store::Staging;
use crate::{Error, Image, Result};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What the operator says about an imported image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFields {
    /// Name: a-z, 0-9, '-'.
    pub name: String,
    /// Version: a-z, 0-9, '-', '.'.
    pub version: String,
    /// Operating system in words; `None`: taken from the image's os-release.
    pub os: Option<String>,
    /// The image holds no secret and may be served to anyone on the provisioning network.
    pub public: bool,
}

/// Imports `file`, an ext4 root file system, raw or compressed with zstd, as `out_dir`/NAME-VERSION. Checks
/// it first: a sound file system, a kernel with its initrd, and a boot loader (see ARCHITECTURE.md, Image).
/// Needs room for the decompressed image in `out_dir`.
///
/// # Errors
/// [`Error::NotAnImage`] with the reason, [`Error::Exists`], or a system error. Nothing is left behind.
pub fn import(file: &Path, fields: &ImportFields, out_dir: &Path) -> Result<Image> {
    let refuse = |reason: String| Error::NotAnImage {
        path: file.to_owned(),
        reason,
    };
    let staging = Staging::new(out_dir, &fields.name, &fields.version)?;
    let mut source = File::open(file).map_err(Error::io("open", file))?;
    let meta = source.metadata().map_err(Error::io("read", file))?;
    if !meta.is_file() {
        return Err(refuse("it is not a regular file".to_owned()));
    }
    if meta.len() > CONTENT_MAX_BYTES {
        return Err(refuse(format!(
            "it has {} bytes, more than {CONTENT_MAX_BYTES}",
            meta.len()
        )));
    }
    let (compressed, raw) = (staging.compressed(), staging.raw());
    let digests = if starts_with_zstd(&mut source).map_err(Error::io("read", file))? {
        let digests = take_compressed(source, &compressed, &raw).map_err(|e| refuse(format!("zstd: {e}")))?;
        // Read back what will be served, in case the disk has changed it.
        if digest_file(&compressed)? != digests {
            return Err(refuse("it changed while it was read".to_owned()));
        }
        digests
    } else {
        let mut sparse = Sparse::new(File::create(&raw).map_err(Error::io("make", &raw))?);
        io::copy(&mut source.take(CONTENT_MAX_BYTES), &mut sparse).map_err(Error::io("copy", file))?;
        sparse.finish().map_err(Error::io("write", &raw))?;
        // Before the long compression, so that a wrong file is refused at once.
        inspect(&raw).map_err(|e| named(e, file))?;
        compress(&raw, &compressed)?
    };
    let facts = inspect(&raw).map_err(|e| named(e, file))?;
    let mut manifest = staging.manifest(digests, facts.boot);
    manifest.os = fields
        .os
        .clone()
        .or(facts.os)
        .unwrap_or_else(|| "Linux".to_owned());
    manifest.public = fields.public;
    staging.commit(manifest)
}

fn starts_with_zstd(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(4).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(start == ZSTD_MAGIC)
}

/// Copies the compressed file, and decompresses the copy to `raw`.
fn take_compressed(mut source: File, compressed: &Path, raw: &Path) -> io::Result<Digests> {
    let mut copy = File::create(compressed)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()?;
    let mut sparse = Sparse::new(File::create(raw)?);
    let digests = decompress(File::open(compressed)?, &mut sparse)?;
    sparse.finish()?;
    Ok(digests)
}

/// Keeps the reason and names the operator's file instead of our working copy.
fn named(error: Error, file: &Path) -> Error {
    match error {
        Error::NotAnImage { reason, .. } => Error::NotAnImage {
            path: file.to_owned(),
            reason,
        },
        other => other,
    }
}

/// Writes a file and leaves holes where whole blocks are zero.
struct Sparse {
    file: File,
    length: u64,
}

impl Sparse {
    fn new(file: File) -> Sparse {
        Sparse { file, length: 0 }
    }

    fn finish(self) -> io::Result<()> {
        self.file.set_len(self.length)
    }
}

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|b| *b == 0) {
            self.file.seek_relative(bytes.len() as i64)?;
        } else {
            self.file.write_all(bytes)?;
        }
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
