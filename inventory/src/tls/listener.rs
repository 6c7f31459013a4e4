//! The accept loop: TLS handshake, who the peer is, HTTP/1.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use inventory_api::MachineId;
use netboot::places::{Place, Places, Standing};
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::{BrokenTls, TlsError};

/// Bounds of the listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. Further ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections at once from one address; loopback is not counted.
    pub connections_per_address: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request, and how long an idle connection is kept.
    pub request_head: Duration,
    /// Time that open requests get when the server ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            connections_per_address: 128,
            handshake: Duration::from_secs(10),
            request_head: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// Who is at the other end; an extension of every request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address and port.
    pub address: SocketAddr,
    /// What its certificate says, when it showed one of ours. Whether it is revoked is not looked at here.
    pub certificate: Option<PeerCertificate>,
}

/// A machine certificate signed by our authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its subject.
    pub machine: MachineId,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
}

/// TLS with the ring provider: 1.2 and 1.3, our certificate, client certificates of `authority` asked for, not required.
pub fn server_config(
    authority: &CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let failed = |e: &dyn std::fmt::Display| TlsError::Make {
        what: "the TLS listener".into(),
        detail: e.to_string(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.clone()).map_err(|e| failed(&e))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| failed(&e))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .map_err(|e| failed(&e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Told of each handshake that was not completed; why, when it ended over a certificate.
pub type OnBroken = Arc<dyn Fn(SocketAddr, Option<BrokenTls>) + Send + Sync>;

/// Serves `router` until `stop`, then lets open requests end within `limits.drain`.
pub async fn serve(
    listener: TcpListener,
    config: Arc<rustls::ServerConfig>,
    router: Router,
    limits: Limits,
    on_broken: OnBroken,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let places = Places::new(netboot::places::Limits {
        places: limits.connections,
        per_address: limits.connections_per_address,
    });
    let mut connections = JoinSet::new();
    loop {
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = slots.clone().acquire_owned() => slot,
        };
        let Ok(slot) = slot else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the peer went before we came: neither ends the server.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = places.enter(address.ip(), Standing::Stranger) else {
            tracing::warn!(peer = %address, "refused: too many connections from this address");
            continue;
        };
        let connection = Connection {
            stream,
            address,
            on_broken: on_broken.clone(),
            _slot: slot,
            _place: place,
        };
        connections.spawn(connection.run(acceptor.clone(), router.clone(), limits, stop.clone()));
    }
    drop(listener);
    let drained = tokio::time::timeout(limits.drain, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        connections.shutdown().await;
    }
}

struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    on_broken: OnBroken,
    _slot: OwnedSemaphorePermit,
    _place: Place,
}

impl Connection {
    async fn run(self, acceptor: TlsAcceptor, router: Router, limits: Limits, stop: CancellationToken) {
        let address = self.address;
        let _ = self.stream.set_nodelay(true);
        let handshake = tokio::time::timeout(limits.handshake, acceptor.accept(self.stream));
        let stream = match handshake.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                (self.on_broken)(address, BrokenTls::of(&error));
                return tracing::debug!(peer = %address, %error, "TLS handshake failed");
            }
            Err(_) => {
                (self.on_broken)(address, None);
                return tracing::debug!(peer = %address, "TLS handshake took too long");
            }
        };
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first())
            .and_then(|leaf| peer_certificate(leaf));
        let peer = Peer { address, certificate };
        let service = hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let mut router = router.clone();
            async move { Ok::<_, Infallible>(into_ok(router.call(request).await)) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.request_head)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(peer = %address, %error, "connection ended");
        }
    }
}

fn into_ok<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Machine id and serial number of a certificate that the verifier has already accepted.
fn peer_certificate(certificate: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let machine = parsed
        .subject()
        .iter_common_name()
        .next()?
        .as_str()
        .ok()?
        .parse()
        .ok()?;
    Some(PeerCertificate {
        machine,
        serial: hex::encode(parsed.raw_serial()),
    })
}
