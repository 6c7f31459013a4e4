//! Simulated machines: they send real DHCP, TFTP and HTTP bytes as firmware and iPXE do, then run the real
//! agent library with a captured machine as its roots and a file as its disk.

pub mod captured;
pub mod dhcp;
mod ipxe;
pub mod machine;
pub mod raw;
pub mod rig;
pub mod tftp;
mod tree;

pub use captured::Captured;
pub use machine::{BootService, Booted, Console, Machine, Netbooted, PowerOn};
pub use raw::Raw;
pub use rig::Rig;
