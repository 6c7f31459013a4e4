//! Response bodies: a part of a file, and one that tells how much of it was sent.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream, HttpBody};
use bytes::Bytes;
use tokio::task::JoinHandle;

/// Bytes read from a file at once. Each connection has two of these: one is sent while the next is read.
const CHUNK: usize = 256 << 10;
/// Buffers that are kept for the next reader.
const KEPT: usize = 64;
/// Chunks that were read last and are kept for others: 16 MiB. Machines that boot together fetch the same files a little apart.
const RECENT: usize = 64;

/// Buffers to read into. New ones cost more than the reading: the kernel has to clear their pages first.
#[derive(Clone, Default)]
pub(crate) struct Buffers {
    free: Free,
    recent: Arc<Mutex<VecDeque<(Place, Bytes)>>>,
}

type Free = Arc<Mutex<Vec<Vec<u8>>>>;

/// Device, inode, time of change, length: another file, or another content of it, is another place. And an offset.
type Place = (u64, u64, i64, i64, u64, u64);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let kept = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; CHUNK])
    }

    fn recent(&self, place: &Place) -> Option<Bytes> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, bytes) = recent.iter().find(|(kept, _)| kept == place)?;
        Some(bytes.clone())
    }

    fn keep(&self, place: Place, bytes: Bytes) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.truncate(RECENT - 1);
        recent.push_front((place, bytes));
    }
}

/// A part of a file in memory; its buffer goes back when it was sent.
struct Chunk {
    buffer: Vec<u8>,
    len: usize,
    home: Free,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut kept = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.buffer));
        }
    }
}

/// A part of a file. hyper cannot use sendfile, and a mapped file that is cut short kills the process; so it is read, one
/// chunk ahead of what is sent.
struct FilePart {
    file: Arc<File>,
    /// Which it is.
    identity: (u64, u64, i64, i64, u64),
    buffers: Buffers,
    /// Where the next read begins, and the bytes from there on.
    next: u64,
    unread: u64,
    /// Bytes that were not handed on yet.
    left: u64,
    ahead: Option<Ahead>,
}

/// The next chunk.
enum Ahead {
    Here(Bytes),
    Read(JoinHandle<io::Result<Bytes>>),
}

impl FilePart {
    fn read_ahead(&mut self) {
        let at = self.next;
        // To the next multiple: chunks of all readers are the same.
        let room = CHUNK as u64 - at % CHUNK as u64;
        let len = self.unread.min(room) as usize;
        if len == 0 {
            self.ahead = None;
            return;
        }
        self.next += len as u64;
        self.unread -= len as u64;
        let (device, inode, seconds, nanoseconds, size) = self.identity;
        let place = (device, inode, seconds, nanoseconds, size, at);
        if let Some(bytes) = self.buffers.recent(&place).filter(|bytes| bytes.len() == len) {
            self.ahead = Some(Ahead::Here(bytes));
            return;
        }
        let (file, buffers) = (self.file.clone(), self.buffers.clone());
        self.ahead = Some(Ahead::Read(tokio::task::spawn_blocking(move || {
            let mut chunk = Chunk {
                buffer: buffers.take(),
                len,
                home: buffers.free.clone(),
            };
            file.read_exact_at(&mut chunk.buffer[..len], at)?;
            let bytes = Bytes::from_owner(chunk);
            buffers.keep(place, bytes.clone());
            Ok(bytes)
        })));
    }
}

impl HttpBody for FilePart {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        // Not before the body is wanted: HEAD wants none.
        if self.ahead.is_none() {
            self.read_ahead();
        }
        let Some(ahead) = &mut self.ahead else {
            return Poll::Ready(None);
        };
        let read = match ahead {
            Ahead::Here(bytes) => Ok(std::mem::take(bytes)),
            Ahead::Read(reading) => ready!(Pin::new(reading).poll(context))
                .map_err(io::Error::other)
                .flatten(),
        };
        match read {
            Ok(bytes) => {
                self.left -= bytes.len() as u64;
                self.read_ahead();
                Poll::Ready(Some(Ok(http_body::Frame::data(bytes))))
            }
            // The length is promised: all that is left is to end the connection.
            Err(error) => {
                (self.ahead, self.unread) = (None, 0);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.left)
    }
}

/// `count` bytes of `file` from `first`.
pub(crate) fn file_body(file: File, facts: &Metadata, first: u64, count: u64, buffers: &Buffers) -> Body {
    Body::new(FilePart {
        file: Arc::new(file),
        identity: (
            facts.dev(),
            facts.ino(),
            facts.mtime(),
            facts.mtime_nsec(),
            facts.len(),
        ),
        buffers: buffers.clone(),
        next: first,
        unread: count,
        left: count,
        ahead: None,
    })
}

/// A body that calls back when it ends or is given up, with the bytes that were handed to the connection.
pub(crate) struct Told<F: FnOnce(u64)> {
    body: BodyDataStream,
    sent: u64,
    tell: Option<F>,
}

impl<F: FnOnce(u64) + Unpin> Told<F> {
    pub(crate) fn new(body: Body, tell: F) -> Told<F> {
        Told {
            body: body.into_data_stream(),
            sent: 0,
            tell: Some(tell),
        }
    }
}

impl<F: FnOnce(u64) + Unpin> HttpBody for Told<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let polled = futures::Stream::poll_next(Pin::new(&mut self.body), context);
        polled.map(|item| {
            item.map(|data| {
                data.map(|data| {
                    self.sent += data.len() as u64;
                    http_body::Frame::data(data)
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl<F: FnOnce(u64)> Drop for Told<F> {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            tell(self.sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(path: &std::path::Path, first: u64, count: u64, buffers: &Buffers) -> Vec<u8> {
        let file = File::open(path).unwrap();
        let facts = file.metadata().unwrap();
        let body = file_body(file, &facts, first, count, buffers);
        axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn readers_share_what_was_read_and_never_another_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let content: Vec<u8> = (0..3 * CHUNK + 1000).map(|i| (i * 31 + i / 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let buffers = Buffers::default();
        let len = content.len() as u64;
        let parts = [
            (0, len),
            (0, len),
            (1, 10),
            (CHUNK as u64 - 1, 2),
            (5, len - 5),
            (2 * CHUNK as u64, 7),
            (len, 0),
        ];
        for (first, count) in parts {
            let expected = &content[first as usize..(first + count) as usize];
            assert!(
                read(&path, first, count, &buffers).await == expected,
                "{first} {count}"
            );
        }
        let kept = buffers.recent.lock().unwrap().len();
        assert!((4..=RECENT).contains(&kept), "{kept} chunks are kept");

        // Another file under the same name, of the same length.
        let other: Vec<u8> = content.iter().rev().copied().collect();
        let new = directory.path().join("new");
        std::fs::write(&new, &other).unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert!(read(&path, 0, len, &buffers).await == other);
        for _ in 0..2 * RECENT {
            buffers.keep((0, 0, 0, 0, 0, 0), Bytes::new());
        }
        assert_eq!(buffers.recent.lock().unwrap().len(), RECENT);
    }
}
