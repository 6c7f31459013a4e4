//! Accepts HTTP connections, with bounds on their number, heads and patience.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::http::Peer;
use crate::places::Places;
use crate::server::NetbootError;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// Connections at once from one address, so that nobody alone keeps the others out; loopback is not counted. iPXE and the
/// agent have one or two.
const PER_ADDRESS: usize = 64;
/// Longest request line and headers, in bytes.
const HEAD_BYTES: usize = 16 << 10;
/// A request's head has to come within this time; an idle connection is closed after it.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// A client that acknowledges nothing for this long is gone (switched off in the middle of an image).
const SILENCE: Duration = Duration::from_secs(60);

pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    cancel: CancellationToken,
) -> Result<(), NetbootError> {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let places = Places::default();
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            Some(ended) = tasks.join_next() => match ended {
                Ok(()) => continue,
                Err(error) => return Err(NetbootError::Panicked(format!("HTTP: {error}"))),
            },
            accepted = async {
                // The semaphore is never closed.
                let permit = room.clone().acquire_owned().await.ok();
                listener.accept().await.map(|accepted| (accepted, permit))
            } => accepted,
        };
        match accepted {
            Ok(((stream, peer), permit)) => {
                let ip = peer.ip();
                let Some(place) = places.enter(ip, PER_ADDRESS) else {
                    tracing::warn!(peer = %ip, "refused: too many HTTP connections from this address");
                    continue;
                };
                let router = router.clone();
                tasks.spawn(async move {
                    connection(stream, ip, router).await;
                    drop((place, permit));
                });
            }
            Err(error) => {
                // Out of file descriptors, or the client is gone already.
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, router: Router) {
    let socket = SockRef::from(&stream);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(SILENCE));
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 4));
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        // GRUB 2.12 compares names of fields byte by byte: with "content-length" every file is empty to it.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "HTTP connection ended");
    }
}
