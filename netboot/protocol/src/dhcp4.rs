//! DHCPv4 (RFC 2131) with PXE boot data. A message goes through [`client::classify`],
//! [`reply::select_network`], [`reply::decide`], [`encode::encode`] and [`reply::destination`].

pub(crate) mod boot_file;
pub mod claims;
pub(crate) mod class;
pub(crate) mod client;
pub(crate) mod code;
pub(crate) mod custom;
pub(crate) mod encode;
pub mod foreign;
pub mod frame;
pub(crate) mod options;
pub(crate) mod outsider;
pub mod packet;
pub(crate) mod proxy;
pub(crate) mod reply;

/// The decision about a DHCPv4 message.
pub type Decision = crate::decision::Decision<encode::ReplyContent, std::net::Ipv4Addr>;
