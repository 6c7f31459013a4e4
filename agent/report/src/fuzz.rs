//! Entry points for fuzzers and property tests: every parser of bytes from firmware or a device, with
//! arbitrary bytes. An entry point panics if the parser does, or if it yields a harmful fact.
//!
//! `tests/fuzz` calls them under `cargo fuzz`.

use inventory_api::report::NicFacts;

use super::harmless::assert_harmless;

/// Runs a parser with arbitrary bytes.
pub type Door = fn(&[u8]);

/// The entry points, by name of the format.
pub const DOORS: [(&str, Door); 9] = [
    ("smbios", super::smbios::fuzz::door),
    ("disks", super::disks::fuzz::door),
    ("lldp", super::lldp::fuzz::door),
    ("tpm", super::tpm::fuzz::door),
    ("bmc", super::bmc::fuzz::door),
    ("raid", super::raid::fuzz::door),
    ("optics", optics),
    ("boot", boot),
    ("cpu", super::cpu::fuzz::door),
];

pub(super) fn optics(memory: &[u8]) {
    let nic = NicFacts {
        optic: super::optics::parse(memory),
        ..Default::default()
    };
    assert_harmless(|report| report.nics.push(nic));
}

fn boot(bytes: &[u8]) {
    assert_harmless(|report| {
        report.boot.order = super::boot::numbers(bytes);
        report.boot.entries.extend(super::boot::load_option(1, bytes));
    });
}
