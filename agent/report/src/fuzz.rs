//! Doors for fuzzers and property tests: every parser of bytes that firmware or a device wrote, with any bytes. A door
//! panics when a parser does, or when a fact comes out that could hurt who reads it.
//!
//! `tests/fuzz` calls them under `cargo fuzz`.

/// A parser with any bytes.
pub type Door = fn(&[u8]);

/// The doors by the kind of bytes behind them.
pub const DOORS: [(&str, Door); 9] = [
    ("smbios", super::smbios::fuzz),
    ("disks", super::disks::fuzz),
    ("lldp", super::lldp::fuzz),
    ("tpm", super::tpm::fuzz),
    ("bmc", super::bmc::fuzz),
    ("raid", super::raid::fuzz),
    ("optics", super::optics::fuzz),
    ("boot", super::boot::fuzz),
    ("cpu", super::cpu::fuzz),
];
