//! TLS: Slipway's own certificate authority, and the listener, which identifies the peer.

mod authority;
mod bounds;
mod broken;
mod listener;
mod request;

pub use authority::{Authority, CertificateAndKey, Issued, TlsError};
pub use broken::{BrokenHandshakes, BrokenTls};
pub use listener::{
    Limits, OnBroken, Peer, PeerCertificate, Seat, ServerCertificate, StandingOf, serve, server_config,
};
pub use request::{CsrError, SigningRequest};

#[cfg(test)]
fn now() -> inventory_api::UnixMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    inventory_api::UnixMs(since.unwrap().as_millis() as i64)
}
