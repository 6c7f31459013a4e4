//! Pluggable modules and cables, from their memory. Pure. Maker, part and serial number are at fixed offsets:
//! SFF-8472 (SFP) at 20 of A0h; SFF-8636 (QSFP) and CMIS (QSFP-DD, OSFP) in page 00h at 148 and 129.

use inventory_api::report::OpticFacts;

use super::clean;

/// Bytes read: page 00h with the lower half, or A0h.
pub(super) const BYTES: u32 = 256;

/// Parses a module's memory from its start. None if the kind has no such fields, or they are empty.
pub(super) fn parse(memory: &[u8]) -> Option<OpticFacts> {
    // SFF-8024, table 4-1, and the offsets of maker, part and serial number.
    let (kind, [maker, part, serial]) = match *memory.first()? {
        0x03 => ("SFP", [20, 40, 68]),
        0x0b => ("DWDM-SFP", [20, 40, 68]),
        0x0c => ("QSFP", [148, 168, 196]),
        0x0d => ("QSFP+", [148, 168, 196]),
        0x11 => ("QSFP28", [148, 168, 196]),
        0x18 => ("QSFP-DD", [129, 148, 166]),
        0x19 => ("OSFP", [129, 148, 166]),
        0x1a => ("SFP-DD", [129, 148, 166]),
        0x1b => ("DSFP", [129, 148, 166]),
        0x1e => ("QSFP+ with CMIS", [129, 148, 166]),
        0x1f => ("SFP-DD with CMIS", [129, 148, 166]),
        0x20 => ("SFP+ with CMIS", [129, 148, 166]),
        _ => return None,
    };
    // Sixteen ASCII bytes, padded with blanks.
    let text = |at: usize| clean::ascii(memory.get(at..at + 16)?);
    let facts = OpticFacts {
        kind: Some(sfp(memory, kind).to_owned()),
        manufacturer: text(maker),
        part: text(part),
        serial: text(serial),
    };
    (facts.manufacturer.is_some() || facts.part.is_some() || facts.serial.is_some()).then_some(facts)
}

/// Names a faster SFP by its nominal rate, in units of 100 MBd; 255 means units of 250 MBd in byte 66
/// (SFF-8472, table 4-1).
fn sfp<'a>(memory: &[u8], kind: &'a str) -> &'a str {
    let byte = |at: usize| memory.get(at).copied().map_or(0, u32::from);
    let rate = match byte(12) {
        255 => byte(66) * 250,
        rate => rate * 100,
    };
    match (kind, rate) {
        ("SFP", 40_000..) => "SFP56",
        ("SFP", 20_000..) => "SFP28",
        ("SFP", 8_000..) => "SFP+",
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(identifier: u8, places: [usize; 3], rate: u8) -> Vec<u8> {
        let mut memory = vec![b' '; BYTES as usize];
        (memory[0], memory[12], memory[66]) = (identifier, rate, 103);
        for (at, text) in places
            .into_iter()
            .zip(["FINISAR CORP.", "FTLX8574D3BCV", "N3AB1CD"])
        {
            memory[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        memory
    }

    #[test]
    fn modules_of_each_standard() {
        for (identifier, places, rate, kind) in [
            (0x03, [20, 40, 68], 13, "SFP"),
            (0x03, [20, 40, 68], 103, "SFP+"),
            (0x03, [20, 40, 68], 255, "SFP28"),
            (0x0d, [148, 168, 196], 0, "QSFP+"),
            (0x11, [148, 168, 196], 0, "QSFP28"),
            (0x18, [129, 148, 166], 0, "QSFP-DD"),
            (0x19, [129, 148, 166], 0, "OSFP"),
        ] {
            let expected = OpticFacts {
                kind: Some(kind.to_owned()),
                manufacturer: Some("FINISAR CORP.".to_owned()),
                part: Some("FTLX8574D3BCV".to_owned()),
                serial: Some("N3AB1CD".to_owned()),
            };
            let memory = module(identifier, places, rate);
            assert_eq!(parse(&memory), Some(expected), "{kind}");
            for end in 0..memory.len() {
                parse(&memory[..end]);
            }
        }
    }

    #[test]
    fn an_empty_cage_and_unknown_kinds_are_none() {
        for memory in [&[][..], &[0; 256], &[0xff; 256], &[3; 10]] {
            assert_eq!(parse(memory), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_memory_is_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            super::super::fuzz::optics(&bytes);
        }
    }
}
