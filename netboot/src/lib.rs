//! Answers machines that ask the network how to boot: DHCP, TFTP, HTTP boot.
//!
//! [`Netboot::bind`] opens the sockets, [`Netboot::start`] spawns the tasks, [`Running::run`] waits for them.
//! `netboot-protocol` decides about packets, a [`BootSource`] about machines.

pub mod config;
mod content;
mod dhcp;
mod endpoint;
mod error;
mod files;
mod firmware;
mod http;
mod leases;
mod link;
pub mod log;
mod networks;
mod ra;
mod running;
mod scripts;
mod server;
mod shared;
pub mod slots;
mod socket;
mod socket6;
pub mod source;
mod tasks;
mod tftp;
mod visitors;

pub use config::{Config, DEFAULT_HTTP_PORT};
pub use endpoint::{BoundNetwork, BoundV6};
pub use error::NetbootError;
pub use leases::LeaseTable;
pub use netboot_protocol::{
    ClassMatch, ClassSettings, CustomOption, Lease, LeaseState, Mode, Network, NetworkError, NetworkSettings,
    OnForeignServer, PoolRange, Route, V6Settings, clash,
};
pub use networks::{Networks, ReservationError};
pub use server::{Netboot, Running};
pub use source::{BootClient, BootInstruction, BootSource};

pub(crate) fn now() -> inventory_api::UnixMs {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    inventory_api::UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
