//! Entry points for fuzzers and property tests: every parser of bytes from firmware or a device, with
//! arbitrary bytes. An entry point panics if the parser does, or if it yields a harmful fact.
//!
//! `tests/fuzz` calls them under `cargo fuzz`.

/// Runs a parser with arbitrary bytes.
pub type Door = fn(&[u8]);

/// The entry points, by name of the format.
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
