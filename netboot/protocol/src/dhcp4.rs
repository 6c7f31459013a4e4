//! DHCPv4 (RFC 2131) with PXE boot data. A message goes through [`client::classify`],
//! [`reply::select_network`], [`reply::decide`], [`encode::encode`] and [`reply::destination`].

pub mod boot_file;
pub mod claims;
pub mod class;
pub mod client;
pub(crate) mod code;
pub mod custom;
pub mod encode;
pub mod foreign;
pub mod frame;
pub mod options;
pub mod outsider;
pub mod packet;
pub mod proxy;
pub mod reply;

/// The decision about a DHCPv4 message.
pub type Decision = crate::decision::Decision<encode::ReplyContent, std::net::Ipv4Addr>;
