//! The agent: first process of the mini-os, later resident on the installed system.
//!
//! The library is what the simulated machines of the tests run too; only `main.rs` reads argv and the environment.

pub mod burn_in;
mod clock;
pub mod console;
pub mod init;
pub mod install;
pub mod report;
pub mod resident;
pub mod screen;
pub mod session;
