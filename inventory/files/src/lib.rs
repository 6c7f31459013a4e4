//! Reads files of purchase orders, hardware profiles and racks, and writes CSV. Stores nothing.

pub mod export;
pub mod import;
