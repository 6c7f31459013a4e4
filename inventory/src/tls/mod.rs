//! TLS: Slipway's own certificate authority, and the listener that tells who is at the other end.

mod authority;
mod listener;

pub use authority::{Authority, CsrError, Issued, SigningRequest, TlsError};
pub use listener::{Limits, Peer, PeerCertificate, serve, server_config};
