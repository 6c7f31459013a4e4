//! The agent: PID 1 of the mini-os, later a resident service on the installed system.
//!
//! Simulated machines in tests run this library too. Only `main.rs` reads argv and the environment.

mod burn_in;
mod clock;
pub mod console;
pub mod init;
mod plain;
pub mod proof;
pub mod resident;
pub mod screen;
pub mod session;

pub use agent_install as install;
pub use agent_report as report;
