//! Response bodies: a part of a file, and one that tells how much of it was sent.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream, HttpBody};
use bytes::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Bytes read from a file at once.
const CHUNK: usize = 256 << 10;

/// `count` bytes of `file` from `first`.
pub(crate) async fn file_body(mut file: File, first: u64, count: u64) -> io::Result<Body> {
    file.seek(SeekFrom::Start(first)).await?;
    Ok(Body::from_stream(ReaderStream::with_capacity(
        file.take(count),
        CHUNK,
    )))
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
