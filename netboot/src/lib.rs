//! Answers machines that ask the network how to boot: DHCP, TFTP, HTTP boot.

pub mod source;

pub use source::{BootClient, BootSource, ScriptOrder};
