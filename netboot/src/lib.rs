//! Answers machines that ask the network how to boot: DHCP, TFTP, HTTP boot.

pub mod config;
pub mod server;
pub mod source;

pub use config::{Config, DEFAULT_HTTP_PORT};
pub use netboot_protocol::{Mode, Network, NetworkError, NetworkSettings, PoolRange};
pub use server::{BoundNetwork, Netboot, NetbootError, Running};
pub use source::{BootClient, BootSource, ScriptOrder};
