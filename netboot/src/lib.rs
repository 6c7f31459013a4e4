//! Answers machines that ask the network how to boot: DHCP, TFTP, HTTP boot.
//!
//! [`Netboot::bind`] opens the sockets, [`Netboot::start`] spawns the tasks, [`Running::run`] waits for them.
//! `netboot-protocol` decides about packets, a [`BootSource`] about machines.

pub mod config;
mod connection;
mod dhcp;
mod dhcp6;
mod endpoint;
mod farewell;
mod files;
mod firmware;
mod http;
mod journal;
mod leases;
mod link;
pub mod log;
mod networks;
mod probe;
mod ra;
mod reception;
mod running;
mod scripts;
mod send;
mod server;
mod server_listener;
pub mod slots;
mod socket;
mod socket6;
pub mod source;
mod tftp;
mod visitors;
mod work_limits;

pub use config::{Config, DEFAULT_HTTP_PORT};
pub use leases::LeaseTable;
pub use netboot_protocol::{
    ClassMatch, ClassSettings, CustomOption, Lease, LeaseState, Mode, Network, NetworkError, NetworkSettings,
    OnForeignServer, PoolRange, Route, V6Settings, clash,
};
pub use networks::{Networks, ReservationError};
pub use server::{BoundNetwork, BoundV6, Netboot, NetbootError, Running};
pub use source::{BootClient, BootSource, ScriptOrder};

pub(crate) fn now() -> inventory_api::UnixMs {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    inventory_api::UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
