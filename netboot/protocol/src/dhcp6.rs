//! DHCPv6 (RFC 8415) with the boot data of RFC 5970: who asks, and what to answer. A message goes through [`classify`],
//! [`select_network`], [`decide`] and [`encode`].
//!
//! Options are read and written here and not by dhcproto: its v6 reader panics for a short vendor class in builds with
//! overflow checks, and options 59 and 62 are unknown to it (netboot-measured.md 1.2). The tests read our replies with it.

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
pub use reply::{
    AssociationAnswer, Content, Decision, ReplyKind, Status, decide, select_network, would_decide,
};
