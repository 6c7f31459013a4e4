//! The Slipway server as a whole: what `slipway serve` opens, starts and stops.

pub mod app;
mod boot_files;
pub mod data_dir;
pub mod tokens;
