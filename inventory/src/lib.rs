//! The Slipway server: everything that `slipway serve` opens, starts and stops.

pub mod app;
mod boot_files;
pub mod data_dir;
pub mod error;
pub mod tokens;
