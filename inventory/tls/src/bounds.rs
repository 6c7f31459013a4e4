//! Time limits of a connection: for a whole request body, and for the peer to take bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The kernel closes a connection after about this long without a sign of the peer.
const SILENCE: Duration = Duration::from_secs(60);

/// Lets the kernel detect a peer that is gone: a pulled cable sends nothing.
pub(super) fn keep_alive(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_user_timeout(Some(SILENCE));
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 4));
}

/// A time limit that starts with the first wait.
struct Patience {
    limit: Duration,
    over: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Patience {
        Patience { limit, over: None }
    }

    /// Ready once the limit has passed.
    fn end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let over = self.over.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        over.as_mut().poll(context)
    }

    /// `polled`, or an error once it has been pending for the limit.
    fn timed<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.over = None;
            return polled;
        }
        ready!(self.end(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

pin_project! {
    /// A request body that must arrive completely within a limit, counted from the first wait for it.
    pub(super) struct TimedBody {
        #[pin]
        body: Incoming,
        patience: Patience,
    }
}

impl TimedBody {
    pub(super) fn new(body: Incoming, limit: Duration) -> TimedBody {
        let patience = Patience::new(limit);
        TimedBody { body, patience }
    }
}

impl Body for TimedBody {
    type Data = <Incoming as Body>::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.patience.end(context));
        let error = io::Error::new(
            io::ErrorKind::TimedOut,
            "the body did not arrive completely in time",
        );
        Poll::Ready(Some(Err(error.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// A stream whose writes fail if the peer takes no byte within a limit. Reads are not limited.
    pub(super) struct TimedWrites<S> {
        #[pin]
        stream: S,
        patience: Patience,
    }
}

impl<S> TimedWrites<S> {
    pub(super) fn new(stream: S, limit: Duration) -> TimedWrites<S> {
        let patience = Patience::new(limit);
        TimedWrites { stream, patience }
    }
}

impl<S: AsyncRead> AsyncRead for TimedWrites<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().stream.poll_read(context, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for TimedWrites<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        this.patience
            .timed(this.stream.poll_write(context, bytes), context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        this.patience.timed(this.stream.poll_flush(context), context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        this.patience.timed(this.stream.poll_shutdown(context), context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_dropped_and_a_slow_one_is_not() {
        let limit = Duration::from_secs(3);
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = TimedWrites::new(near, limit);
        let slow = tokio::spawn(async move {
            for _ in 0..4 {
                sleep(limit / 10).await;
                far.read_exact(&mut [0; 16]).await.unwrap();
            }
            far
        });
        near.write_all(&[1; 64]).await.unwrap();
        let far = slow.await.unwrap();
        near.write_all(&[1; 16]).await.unwrap();
        let error = near.write_all(&[1; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(far);
    }
}
