//! The wire types: the messages between agent, server, CLI and web page.
//!
//! Everything here is data. Two rules decide the shape of an enum:
//! - *facts*, agent to server, have an `Unknown` variant, so that an old server survives a new agent;
//! - *plans*, server to agent, reject unknown values: an unknown step is never skipped.
//!
//! Facts are `Option` or a list, never a placeholder string.

pub mod agent;
pub mod boot;
pub mod burn_in;
pub mod check;
pub mod conflict;
pub mod delivery;
pub mod deploy;
pub mod dhcp;
pub mod efi;
pub mod guid;
pub mod id;
pub mod image;
pub mod import;
pub mod loader;
pub mod lookup;
pub mod machine;
pub mod network;
pub mod page;
pub mod parts;
pub mod plan;
pub mod problem;
pub mod report;
pub mod rescue;
pub mod routes;
#[cfg(feature = "sample")]
pub mod sample;
pub mod serial;
pub mod task;
pub mod text;
pub mod valid;
mod words;

pub use id::{Guid, Mac, MachineId, PlanId, Sha256Digest, UnixMs};
pub use problem::Problem;
