//! Response bodies: a part of a file, and one that tells how much of it was sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
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

/// Buffers to read into. New ones cost more than the reading: the kernel has to clear their pages first.
#[derive(Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; CHUNK])
    }
}

/// A part of a file in memory; its buffer goes back when it was sent.
struct Chunk {
    buffer: Vec<u8>,
    len: usize,
    home: Buffers,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut kept = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.buffer));
        }
    }
}

/// A part of a file. hyper cannot use sendfile, and a mapped file that is cut short kills the process; so it is read, one
/// chunk ahead of what is sent.
struct FilePart {
    file: Arc<File>,
    buffers: Buffers,
    /// Where the next read begins, and the bytes from there on.
    next: u64,
    unread: u64,
    /// Bytes that were not handed on yet.
    left: u64,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FilePart {
    fn read_ahead(&mut self) {
        let len = self.unread.min(CHUNK as u64) as usize;
        if len == 0 {
            self.ahead = None;
            return;
        }
        let (file, home, at) = (self.file.clone(), self.buffers.clone(), self.next);
        self.next += len as u64;
        self.unread -= len as u64;
        self.ahead = Some(tokio::task::spawn_blocking(move || {
            let buffer = home.take();
            let mut chunk = Chunk { buffer, len, home };
            file.read_exact_at(&mut chunk.buffer[..len], at)?;
            Ok(Bytes::from_owner(chunk))
        }));
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
        let read = ready!(Pin::new(ahead).poll(context))
            .map_err(io::Error::other)
            .flatten();
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
pub(crate) fn file_body(file: File, first: u64, count: u64, buffers: &Buffers) -> Body {
    Body::new(FilePart {
        file: Arc::new(file),
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
