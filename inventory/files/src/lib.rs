//! Files of purchase orders, hardware profiles and racks in, CSV out. Nothing is stored here.

pub mod export;
pub mod import;
