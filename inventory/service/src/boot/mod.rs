//! Booting: what machines are given, what was heard from them, and which loaders work.

pub(crate) mod journey;
pub(crate) mod journeys;
pub(crate) mod known_macs;
pub(crate) mod loader_memory;
mod loaders;
pub mod mac_refresh;
pub mod missing;
mod script;
mod source;

pub use source::Boot;
