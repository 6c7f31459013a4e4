//! DHCPv6 (RFC 8415) with the boot data of RFC 5970. A message goes through [`classify`], [`select_network`],
//! [`decide`] and [`encode`].
//!
//! We read and write options ourselves: dhcproto's v6 reader panics on a short vendor class in builds with
//! overflow checks, and does not know options 59 and 62 (measured). The tests read our replies
//! with it.

mod client;
mod encode;
pub mod foreign;
mod network;
mod reply;
mod wire;

pub use crate::boot::BootUrls;
pub use client::{Association, Client, MessageKind, Relay, classify};
pub use encode::encode;
pub use network::Network;
pub use reply::{AssociationAnswer, Content, Decision, Status, decide, select_network, would_decide};
