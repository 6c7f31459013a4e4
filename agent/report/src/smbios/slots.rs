//! Types 9, 10 and 41: expansion slots and the devices on the board.

use inventory_api::report::{ExpansionSlot, OnboardDevice};

use super::super::Problems;
use super::structure::Structure;
use super::table::Table;
use super::words;

/// Maximum number of slots and devices.
const LIMIT: usize = 512;

pub(super) fn slots(table: &Table, problems: &mut Problems) -> Vec<ExpansionSlot> {
    let slots = table.all(9, 0x0c, problems);
    slots
        .into_iter()
        .take(LIMIT)
        .map(|s| ExpansionSlot {
            slot: s.place(0x04, problems),
            kind: s.named(0x05, words::slot::slot),
            width: s.named(0x06, words::slot::width),
            in_use: match s.byte(0x07) {
                Some(3) => Some(false),
                Some(4) => Some(true),
                // Other, unknown; unavailable: its processor is missing.
                _ => None,
            },
            pci: s.since(0x11).and_then(|s| pci(s, 0x0d)),
        })
        .collect()
}

/// Segment, bus, device and function in four bytes (7.10.8). All ones means not applicable. For a missing
/// address firmware writes the host bridge's 0000:00:00.0, or bus 0xff device 0x1f.
fn pci(s: &Structure, offset: usize) -> Option<String> {
    let segment = s.word(offset)?;
    let bus = s.byte(offset + 2)?;
    let function = s.byte(offset + 3)?;
    if (bus, function) == (0xff, 0xff) || (segment, bus, function) == (0, 0, 0) {
        return None;
    }
    Some(format!(
        "{segment:04x}:{bus:02x}:{:02x}.{}",
        function >> 3,
        function & 7
    ))
}

/// Type 41 (2.6); type 10 is its predecessor, repeated by newer tables.
pub(super) fn onboard(table: &Table, problems: &mut Problems) -> Vec<OnboardDevice> {
    let extended = table.all(41, 0x0b, problems);
    if !extended.is_empty() {
        return extended
            .into_iter()
            .take(LIMIT)
            .map(|s| device(s, 0x04, 0x05, pci(s, 0x07), problems))
            .collect();
    }
    // Pairs of type and description, from byte 4.
    let structures = table.all(10, 0x06, problems);
    let pairs = structures
        .into_iter()
        .flat_map(|s| (4..s.length() - 1).step_by(2).map(move |at| (s, at)));
    pairs
        .take(LIMIT)
        .map(|(s, at)| device(s, at + 1, at, None, problems))
        .collect()
}

fn device(
    s: &Structure,
    name: usize,
    kind: usize,
    pci: Option<String>,
    problems: &mut Problems,
) -> OnboardDevice {
    OnboardDevice {
        name: s.place(name, problems),
        kind: s.named(kind, words::slot::onboard),
        enabled: s.byte(kind).map(|bits| bits & 0x80 != 0),
        pci,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_addresses_are_left_out() {
        let at = |bytes: [u8; 4]| {
            let header = [41, 8, 0, 0];
            pci(&Structure::new(&[&header[..], &bytes, &[0, 0]].concat()), 4)
        };
        assert_eq!(at([0, 0, 0x3b, 0x01]).as_deref(), Some("0000:3b:00.1"));
        assert_eq!(at([1, 0, 0xff, 0xf8]).as_deref(), Some("0001:ff:1f.0"));
        assert_eq!(at([0xff; 4]), None);
        assert_eq!(at([0, 0, 0xff, 0xff]), None);
        assert_eq!(at([0; 4]), None);
    }
}
