//! Type 4: processor sockets.

use inventory_api::report::{CpuFacts, ProcessorFacts};
use smbioslib::{SMBiosProcessorInformation, SMBiosStruct, UndefinedStruct};

use super::super::Problems;
use super::table::{Table, code, name, place};

/// Sockets kept. VMware writes 128 (field report 19).
const SOCKET_LIMIT: usize = 256;

/// Processor types of 7.5.1 that are no processor the system runs on: math, DSP, video.
const NOT_CENTRAL: [u8; 3] = [4, 5, 6];

pub(super) fn processors(table: &Table, problems: &mut Problems) -> Vec<ProcessorFacts> {
    let sockets: Vec<SMBiosProcessorInformation> = table.all(problems);
    if sockets.len() > SOCKET_LIMIT {
        problems.note(format_args!(
            "type 4: {} sockets, the first {SOCKET_LIMIT} are kept",
            sockets.len()
        ));
    }
    sockets
        .iter()
        .filter(|s| {
            s.parts()
                .get_field_byte(0x05)
                .is_none_or(|kind| !NOT_CENTRAL.contains(&kind))
        })
        .take(SOCKET_LIMIT)
        .map(|s| processor(s, problems))
        .collect()
}

fn processor(s: &SMBiosProcessorInformation, problems: &mut Problems) -> ProcessorFacts {
    let parts = s.parts();
    let socket = place(parts, s.socket_designation(), problems);
    // 7.5, Status: bit 6 is "socket populated".
    let populated = parts.get_field_byte(0x18).map(|status| status & 0x40 != 0);
    if populated == Some(false) {
        // Tables name a maker and even a model for an empty socket.
        return ProcessorFacts {
            socket,
            populated,
            ..ProcessorFacts::default()
        };
    }
    ProcessorFacts {
        socket,
        populated,
        manufacturer: name(parts, s.processor_manufacturer(), problems),
        model: name(parts, s.processor_version(), problems),
        serial: code(parts, s.serial_number(), problems),
        cores: count(parts, 0x23, 0x2a),
        cores_enabled: count(parts, 0x24, 0x2c),
        threads: count(parts, 0x25, 0x2e),
        ..ProcessorFacts::default()
    }
}

/// A byte, or the word that holds counts of 256 and more when the byte is 0xff (3.0). Zero is unknown.
fn count(parts: &UndefinedStruct, byte: usize, word: usize) -> Option<u32> {
    let small = u32::from(parts.get_field_byte(byte)?);
    let count = match (small, parts.get_field_word(word)) {
        // 0xffff is reserved.
        (0xff, Some(large)) if large != 0 && large != 0xffff => u32::from(large),
        _ => small,
    };
    (count != 0).then_some(count)
}

/// What the sockets together say; the kernel's own count goes before it.
pub(super) fn summary(processors: Vec<ProcessorFacts>) -> CpuFacts {
    let populated = || processors.iter().filter(|p| p.populated == Some(true));
    let sum = |of: fn(&ProcessorFacts) -> Option<u32>| {
        let total = populated()
            .map(of)
            .try_fold(0_u32, |sum, count| sum.checked_add(count?))?;
        (total > 0).then_some(total)
    };
    CpuFacts {
        sockets: u32::try_from(populated().count()).ok().filter(|n| *n > 0),
        vendor: None,
        model: populated().find_map(|p| p.model.clone()),
        cores: sum(|p| p.cores_enabled.or(p.cores)),
        threads: sum(|p| p.threads),
        flags: Vec::new(),
        processors,
        ..CpuFacts::default()
    }
}
