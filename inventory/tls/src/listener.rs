//! The accept loop: TLS handshake, identity of the peer, HTTP/1.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use inventory_api::MachineId;
use netboot::slots::{Full, Slot, Slots, Standing};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::authority::make;
use super::bounds::{self, TimedBody, TimedWrites};
use super::{BrokenTls, CertificateAndKey, TlsError};

/// Named in an error as the user of the certificate.
const LISTENER: &str = "the TLS listener";

/// Limits of the listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. Half are reserved for peers with a lease, a certificate or a token. When all are
    /// taken, peers with nothing to show are evicted first.
    pub connections: usize,
    /// Connections at once from one IPv4 address or IPv6 /64; loopback is not limited.
    pub connections_per_address: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request, and for an idle connection.
    pub request_head: Duration,
    /// Time for the body of a request.
    pub request_body: Duration,
    /// Time within which the peer must take some bytes of a response.
    pub write: Duration,
    /// Time for open requests to finish when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            connections_per_address: 128,
            handshake: Duration::from_secs(10),
            request_head: Duration::from_secs(60),
            // A little longer than the handlers' own limit: they can say what was wrong.
            request_body: Duration::from_secs(70),
            write: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// The peer of a connection; an extension of every request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address and port.
    pub address: SocketAddr,
    /// Its certificate, if it showed one of ours. Revocation is not checked here.
    pub certificate: Option<PeerCertificate>,
}

/// A machine certificate signed by our authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The machine named in its subject.
    pub machine: MachineId,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
}

/// The connection slot of a request; an extension of every request.
#[derive(Clone)]
pub struct Seat(Arc<Slot>);

impl Seat {
    /// The peer has shown a valid certificate, token or session: keep its connection before others.
    pub fn known(&self) {
        self.0.raise(Standing::Known);
    }
}

/// The server's own certificate and key, replaceable while it serves.
#[derive(Debug)]
pub struct ServerCertificate(RwLock<Arc<CertifiedKey>>);

impl ServerCertificate {
    /// # Errors
    /// TLS cannot use the key, or it belongs to another certificate.
    pub fn new(pair: CertificateAndKey) -> Result<ServerCertificate, TlsError> {
        Ok(ServerCertificate(RwLock::new(certified(pair)?)))
    }

    /// Uses another certificate from the next handshake on. True: it differs from the old one.
    ///
    /// # Errors
    /// Like [`ServerCertificate::new`].
    pub fn replace(&self, pair: CertificateAndKey) -> Result<bool, TlsError> {
        let new = certified(pair)?;
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let differs = current.cert != new.cert;
        *current = new;
        Ok(differs)
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn certified((certificate, key): CertificateAndKey) -> Result<Arc<CertifiedKey>, TlsError> {
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(vec![certificate], key, &provider)
        .map(Arc::new)
        .map_err(|e| make(LISTENER, &e))
}

/// TLS 1.2 and 1.3 with the ring provider and our certificate. Client certificates of `authority` are
/// requested, not required.
pub fn server_config(
    authority: &CertificateDer<'static>,
    certificate: Arc<ServerCertificate>,
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.clone()).map_err(|e| make(LISTENER, &e))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| make(LISTENER, &e))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| make(LISTENER, &e))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Called for each failed handshake, with the reason if a certificate was the cause.
pub type OnBroken = Arc<dyn Fn(SocketAddr, Option<BrokenTls>) + Send + Sync>;

/// The standing of an address before its peer sends anything: whether it is one of our leases.
pub type StandingOf = Arc<dyn Fn(IpAddr) -> Standing + Send + Sync>;

/// Serves `router` until `stop`, then lets open requests finish within `limits.drain`.
///
/// # Panics
/// If a route panics: a bug must end the process.
pub async fn serve(
    listener: TcpListener,
    config: Arc<rustls::ServerConfig>,
    router: Router,
    limits: Limits,
    standing_of: StandingOf,
    on_broken: OnBroken,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    let slots = Slots::new(netboot::slots::Limits {
        slots: limits.connections,
        per_address: limits.connections_per_address,
    });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => {
                reap(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the peer is gone already: neither stops the server.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let ip = address.ip().to_canonical();
        let slot = match slots.take(ip, standing_of(ip)) {
            Ok(slot) => slot,
            Err(full) => {
                refused(address, full, limits);
                continue;
            }
        };
        let connection = Connection {
            stream,
            address,
            on_broken: on_broken.clone(),
            slot: Arc::new(slot),
        };
        connections.spawn(connection.run(acceptor.clone(), router.clone(), limits, stop.clone()));
    }
    drop(listener);
    let drained = tokio::time::timeout(limits.drain, async {
        while let Some(ended) = connections.join_next().await {
            reap(ended);
        }
    });
    if drained.await.is_err() {
        connections.shutdown().await;
    }
}

/// Passes on the panic of a connection's task.
fn reap(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Logs a refused connection, at most once a minute per reason: a peer that takes all slots tries often.
fn refused(peer: SocketAddr, full: Full, limits: Limits) {
    let (reason, sentence) = match full {
        Full::Address => ("address", "this address has reached its limit of connections"),
        Full::Slots => ("slots", "all connections are in use by peers with a better claim"),
    };
    if let Some(left_out) = netboot::log::each_minute("TLS port", reason) {
        tracing::warn!(%peer, connections = limits.connections, per_address = limits.connections_per_address,
            left_out, "connections to the TLS port are refused: {sentence}");
    }
}

struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    on_broken: OnBroken,
    slot: Arc<Slot>,
}

impl Connection {
    async fn run(self, acceptor: TlsAcceptor, router: Router, limits: Limits, stop: CancellationToken) {
        let (address, slot) = (self.address, self.slot);
        let _ = self.stream.set_nodelay(true);
        bounds::keep_alive(&self.stream);
        let stream = TimedWrites::new(self.stream, limits.write);
        let handshake = tokio::time::timeout(limits.handshake, acceptor.accept(stream));
        let stream = match handshake.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                (self.on_broken)(address, BrokenTls::of(&error));
                return tracing::debug!(peer = %address, %error, "TLS handshake failed");
            }
            Err(_) => {
                (self.on_broken)(address, None);
                return tracing::debug!(peer = %address, "TLS handshake timed out");
            }
        };
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = leaf.and_then(peer_certificate);
        let peer = Peer { address, certificate };
        let seat = Seat(slot.clone());
        let service = hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            seat.0.touch();
            request.extensions_mut().insert(peer.clone());
            request.extensions_mut().insert(seat.clone());
            let request = request.map(|body| TimedBody::new(body, limits.request_body));
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
            () = slot.revoked() => {
                return tracing::debug!(peer = %address, "connection closed for a peer with a better claim");
            }
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

/// Machine id and serial number of a certificate that the verifier has accepted.
fn peer_certificate(certificate: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?;
    Some(PeerCertificate {
        machine: name.as_str().ok()?.parse().ok()?,
        serial: hex::encode(parsed.raw_serial()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;
    use axum::body::Bytes;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;
    use tokio_rustls::client::TlsStream;

    /// A listener with eight slots, and limits of one second for bodies and writes.
    struct Small {
        address: SocketAddr,
        client: Arc<rustls::ClientConfig>,
        stop: CancellationToken,
        serving: tokio::task::JoinHandle<()>,
        _dir: tempfile::TempDir,
    }

    impl Small {
        async fn start() -> Small {
            let dir = tempfile::tempdir().unwrap();
            let now = crate::now();
            let authority = Authority::open(&dir.path().join("ca"), now).unwrap();
            let names = std::collections::BTreeSet::from(["localhost".to_owned()]);
            let pair = authority.server_certificate(&dir.path().join("tls"), &names, now);
            let certificate = Arc::new(ServerCertificate::new(pair.unwrap()).unwrap());
            let config = server_config(authority.certificate(), certificate).unwrap();
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.certificate().clone()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let client = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let router = Router::new()
                .route("/", get(async || "here"))
                .route("/large", get(async || vec![b'x'; 64 << 20]))
                .route(
                    "/bug",
                    get(async || -> &'static str { panic!("a bug in a route") }),
                )
                .route("/body", post(async |body: Bytes| format!("{} bytes", body.len())));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let limits = Limits {
                connections: 8,
                handshake: Duration::from_secs(30),
                request_body: Duration::from_secs(1),
                write: Duration::from_secs(1),
                ..Limits::default()
            };
            let stop = CancellationToken::new();
            let standing: StandingOf = Arc::new(|_| Standing::Stranger);
            let broken: OnBroken = Arc::new(|_, _| {});
            let serving = tokio::spawn(serve(
                listener,
                config,
                router,
                limits,
                standing,
                broken,
                stop.clone(),
            ));
            Small {
                address,
                client: Arc::new(client),
                stop,
                serving,
                _dir: dir,
            }
        }

        async fn idle(&self, from: &str) -> TcpStream {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
            socket.connect(self.address).await.unwrap()
        }

        async fn tls(&self) -> TlsStream<TcpStream> {
            let connector = tokio_rustls::TlsConnector::from(self.client.clone());
            let stream = self.idle("127.0.0.1").await;
            connector
                .connect("localhost".try_into().unwrap(), stream)
                .await
                .unwrap()
        }

        async fn ask(&self, request: &str) -> String {
            let mut stream = self.tls().await;
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
            let _ = read.await.expect("the server ends the connection");
            String::from_utf8_lossy(&answer).into_owned()
        }
    }

    #[tokio::test]
    async fn idle_holders_of_all_slots_are_evicted_and_a_body_must_arrive() {
        let small = Small::start().await;
        let mut idle = Vec::new();
        for _ in 0..20 {
            idle.push(small.idle("127.0.0.2").await);
        }
        let answer = small
            .ask("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await;
        assert!(answer.ends_with("here"), "{answer}");
        let slow = small
            .ask("POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
            .await;
        assert!(!slow.contains("200 OK"), "{slow}");
        small.stop.cancel();
        drop(idle);
    }

    #[tokio::test]
    async fn a_route_that_panics_ends_the_listener_with_that_panic() {
        let small = Small::start().await;
        let request = "GET /bug HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(small.ask(request).await, "");
        let ended = tokio::time::timeout(Duration::from_secs(20), small.serving).await;
        let panic = ended.expect("the listener ends").unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"a bug in a route"));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_ends() {
        let small = Small::start().await;
        let mut stream = small.tls().await;
        stream
            .write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
        let _ = read.await.expect("the server ends the connection");
        assert!(answer.len() < 64 << 20, "{} bytes came", answer.len());
        small.stop.cancel();
    }
}
