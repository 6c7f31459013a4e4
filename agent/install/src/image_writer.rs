//! Compressed bytes in, a verified file system on the disk out, never whole in memory.
//!
//! ```text
//! push(Bytes) -> [decompress] -> 4 MiB blocks -+-> [digests of compressed and content]
//!                                              +-> [write]
//! ```
//! Three threads and bounded channels, so that network, decompression, digests and the disk overlap. Blocks
//! come from a small pool of page-aligned buffers, which bounds memory and suits O_DIRECT.
//!
//! The first block, with the superblock, is written last, after both digests matched. Until then the
//! partition begins with zeros, so nothing half-written or wrong ever looks like a file system.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use inventory_api::id::Sha256Digest;
use inventory_api::plan::ImageSource;
use tokio::sync::mpsc;

use super::area::Area;
use super::blocks::{BLOCK, Block, Pool, Target};
use super::error::{StepError, Tried, fail};

/// Queued chunks of compressed bytes; a chunk of an HTTP body has 16 to 64 KiB.
const CHUNKS: usize = 64;
/// Largest accepted zstd window, as a power of two: it costs the decoder memory. `zstd --long` uses 27.
const WINDOW_LOG_MAX: u32 = 27;

pub(super) struct ImageWriter {
    input: mpsc::Sender<Bytes>,
    written: Arc<AtomicU64>,
    result: tokio::task::JoinHandle<Result<(), StepError>>,
}

enum Piece {
    Compressed(Bytes),
    Content(Arc<Block>),
}

/// Count and digest of a stream.
struct Sum {
    bytes: u64,
    // ring is the fastest implementation linked anyway, with or without SHA instructions.
    hash: ring::digest::Context,
}

impl Sum {
    fn new() -> Sum {
        Sum {
            bytes: 0,
            hash: ring::digest::Context::new(&ring::digest::SHA256),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    fn check(self, what: &str, bytes: u64, planned: Sha256Digest) -> Result<(), StepError> {
        if self.bytes != bytes {
            return fail(
                "image-size",
                format!("the {what} has {} bytes, the plan says {bytes}", self.bytes),
            );
        }
        let hash = self.hash.finish();
        if hash.as_ref() == planned.0 {
            return Ok(());
        }
        fail(
            "image-digest",
            format!(
                "the {what} has SHA-256 {}, the plan says {planned}",
                hex::encode(hash)
            ),
        )
    }
}

impl ImageWriter {
    /// Starts the threads. `keep` is held until the last of them has ended, even if the writer is dropped.
    /// Must be called inside a tokio runtime.
    pub(super) fn start(area: Area, source: ImageSource, keep: impl Send + 'static) -> ImageWriter {
        let (input, chunks) = mpsc::channel(CHUNKS);
        let written = Arc::new(AtomicU64::new(0));
        let counter = written.clone();
        let result = tokio::task::spawn_blocking(move || {
            let result = run(&area, &source, chunks, &counter);
            drop(area);
            drop(keep);
            result
        });
        ImageWriter {
            input,
            written,
            result,
        }
    }

    /// Hands over the next compressed bytes; waits while the pipeline is full. False if the pipeline has
    /// ended: [`ImageWriter::finish`] returns why.
    pub(super) async fn push(&self, chunk: Bytes) -> bool {
        self.input.send(chunk).await.is_ok()
    }

    /// Bytes of content that are on the disk or known to be zero there.
    pub(super) fn written(&self) -> Arc<AtomicU64> {
        self.written.clone()
    }

    /// Ends the input and waits until everything is verified and on the disk.
    pub(super) async fn finish(self) -> Result<(), StepError> {
        drop(self.input);
        self.result
            .await
            .unwrap_or_else(|e| fail("internal", format!("the writing thread ended: {e}")))
    }
}

/// The writing thread; it starts and joins the other two.
fn run(
    area: &Area,
    source: &ImageSource,
    chunks: mpsc::Receiver<Bytes>,
    done: &AtomicU64,
) -> Result<(), StepError> {
    let target = Target::open(area);
    target
        .clear_start()
        .tried("disk-write", "clear the start of the root partition")?;
    let (to_digest, pieces) = sync_channel(CHUNKS);
    let (to_write, blocks) = sync_channel(2);
    let expected_content = source.content_bytes;
    thread::scope(|scope| {
        let sums = scope.spawn(move || sum(&pieces));
        let decoder = scope.spawn(move || {
            let input = Chunks {
                chunks,
                current: Bytes::new(),
                to_digest: to_digest.clone(),
            };
            decode(input, expected_content, &to_digest, &to_write)
        });
        let first = write_all(&target, &blocks, done);
        // A failed writer closes the decoder's channel, which ends the decoder and then the digests.
        drop(blocks);
        let decoded = decoder
            .join()
            .unwrap_or_else(|_| fail("internal", "the decompressor panicked"));
        let (compressed, content) = sums
            .join()
            .map_err(|_| StepError::new("internal", "the digest thread panicked"))?;
        let first = first?;
        compressed.check("compressed image", source.compressed_bytes, source.sha256)?;
        decoded?;
        content.check("decompressed image", expected_content, source.content_sha256)?;
        let first = first.ok_or_else(|| StepError::new("image-size", "the image is empty"))?;
        target.sync().tried("disk-write", "flush the root partition")?;
        target
            .write(&first)
            .tried("disk-write", "write the first block of the root partition")?;
        target.sync().tried("disk-write", "flush the root partition")?;
        done.fetch_add(first.len as u64, Ordering::Relaxed);
        Ok(())
    })
}

/// Writes all blocks except the first, which is returned.
fn write_all(
    target: &Target,
    blocks: &Receiver<Arc<Block>>,
    done: &AtomicU64,
) -> Result<Option<Arc<Block>>, StepError> {
    let mut first = None;
    for block in blocks {
        if block.offset == 0 {
            first = Some(block);
            continue;
        }
        target.write(&block).map_err(|e| {
            let (len, offset) = (block.len, block.offset);
            let detail = format!("cannot write {len} bytes at byte {offset} of the root partition: {e}");
            StepError::new("disk-write", detail)
        })?;
        done.fetch_add(block.len as u64, Ordering::Relaxed);
    }
    Ok(first)
}

/// Decompresses into blocks. After an error the rest of the input is still read, so that the digest shows
/// whether the compressed bytes were already wrong.
fn decode(
    mut input: Chunks,
    expected: u64,
    to_digest: &SyncSender<Piece>,
    to_write: &SyncSender<Arc<Block>>,
) -> Result<(), StepError> {
    let result = decode_blocks(&mut input, expected, to_digest, to_write);
    if result.is_ok() || result.as_ref().is_err_and(|e| e.code == "image-corrupt") {
        while let Ok(rest) = input.fill_buf().map(<[u8]>::len) {
            if rest == 0 {
                break;
            }
            input.consume(rest);
        }
    }
    result
}

fn decode_blocks(
    input: &mut Chunks,
    expected: u64,
    to_digest: &SyncSender<Piece>,
    to_write: &SyncSender<Arc<Block>>,
) -> Result<(), StepError> {
    const CODE: &str = "image-corrupt";
    let ended = |_| StepError::new("disk-write", "the write ended early");
    let mut decoder =
        zstd::stream::read::Decoder::with_buffer(input).tried(CODE, "start the decompressor")?;
    decoder
        .window_log_max(WINDOW_LOG_MAX)
        .tried(CODE, "limit the decompressor's window")?;
    let pool = Pool::new();
    let mut offset = 0;
    while offset < expected {
        let mut block = pool.take(offset);
        let wanted = (expected - offset).min(BLOCK as u64) as usize;
        let len = block
            .fill(&mut decoder, wanted)
            .tried(CODE, "decompress the image")?;
        if len == 0 {
            break;
        }
        offset += len as u64;
        let block = Arc::new(block);
        to_digest
            .send(Piece::Content(block.clone()))
            .map_err(|_| StepError::new("internal", "the digest thread ended"))?;
        to_write.send(block).map_err(ended)?;
    }
    let mut more = [0; 1];
    if decoder
        .read(&mut more)
        .tried(CODE, "decompress the end of the image")?
        != 0
    {
        return fail(
            CODE,
            format!("the image contains more than the planned {expected} bytes"),
        );
    }
    Ok(())
}

/// Digests of the compressed bytes and of the content.
fn sum(pieces: &Receiver<Piece>) -> (Sum, Sum) {
    let (mut compressed, mut content) = (Sum::new(), Sum::new());
    for piece in pieces {
        match piece {
            Piece::Compressed(bytes) => compressed.add(&bytes),
            Piece::Content(block) => content.add(block.bytes()),
        }
    }
    (compressed, content)
}

/// The pushed chunks as a reader; each one also goes to the digests.
struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
    to_digest: SyncSender<Piece>,
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            let Some(next) = self.chunks.blocking_recv() else {
                break;
            };
            self.to_digest
                .send(Piece::Compressed(next.clone()))
                .map_err(|_| io::Error::other("the digest thread ended"))?;
            self.current = next;
        }
        Ok(&self.current)
    }

    fn consume(&mut self, n: usize) {
        let _ = self.current.split_to(n.min(self.current.len()));
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buffer.len());
        buffer[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}
