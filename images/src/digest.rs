//! Digests of an image file and of its decompressed content, in one pass and without holding either in
//! memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::Path;

use inventory_api::id::Sha256Digest;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The largest file system image that is accepted: 256 GiB. It limits what a small compressed file can expand
/// to.
pub(crate) const CONTENT_MAX_BYTES: u64 = 256 << 30;

/// Digest and size of a compressed file and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub sha256: Sha256Digest,
    pub compressed_bytes: u64,
    pub content_sha256: Sha256Digest,
    pub content_bytes: u64,
}

/// Hashes and counts the bytes that pass through.
pub(crate) struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    pub fn new(inner: T) -> Hashing<T> {
        Hashing {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    pub fn finish(self) -> (T, Sha256Digest, u64) {
        (self.inner, Sha256Digest(self.hash.finalize().into()), self.bytes)
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}

impl<T: io::Write> io::Write for Hashing<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Decompresses `file` into `sink` and returns the digests of both sides.
///
/// # Errors
/// `file` is not zstd, is truncated or expands beyond [`CONTENT_MAX_BYTES`], or `sink` fails.
pub(crate) fn decompress(file: File, sink: impl io::Write) -> io::Result<Digests> {
    let compressed = BufReader::with_capacity(1 << 20, Hashing::new(file));
    let mut decoder = zstd::Decoder::with_buffer(compressed)?;
    let mut sink = BufWriter::with_capacity(1 << 20, Hashing::new(sink));
    let content = io::copy(
        &mut Read::by_ref(&mut decoder).take(CONTENT_MAX_BYTES + 1),
        &mut sink,
    )?;
    if content > CONTENT_MAX_BYTES {
        return Err(io::Error::other(format!(
            "it decompresses to more than {CONTENT_MAX_BYTES} bytes"
        )));
    }
    let (_, content_sha256, content_bytes) = sink
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .finish();
    let (_, sha256, compressed_bytes) = decoder.finish().into_inner().finish();
    Ok(Digests {
        sha256,
        compressed_bytes,
        content_sha256,
        content_bytes,
    })
}

pub(crate) fn digest_file(path: &Path) -> Result<Digests> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    decompress(file, io::sink()).map_err(Error::io("decompress", path))
}

pub(crate) fn digest_bytes(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}
