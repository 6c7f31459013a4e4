//! The harness of the end-to-end tests, the demo and the bench: an isolated network, virtual servers with
//! real firmware, the real `slipway` process, and simulated machines that send real packets.

#![allow(missing_docs, reason = "only this workspace's tests use it")]

pub mod accelerator;
pub mod api;
pub mod artefacts;
pub mod boot_path;
pub mod cable;
pub mod child;
pub mod daemons;
pub mod hardware;
pub mod lab;
pub mod level;
pub mod netns;
pub mod own_disk;
pub mod qmp;
pub mod reach;
pub mod scenario;
pub mod server;
pub mod sim;
pub mod snakeoil;
pub mod vm;
pub mod wait;

pub use api::Api;
pub use boot_path::{BootPath, BootPathSpec, run};
pub use lab::Lab;
pub use level::Level;
pub use reach::Reach;
pub use server::{Server, ServerSpec};
pub use vm::{Firmware, Nic, Vm, VmSpec};
