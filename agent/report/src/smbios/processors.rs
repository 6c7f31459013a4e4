//! Types 4 and 7: processor sockets and caches.

use inventory_api::report::{CpuFacts, ProcessorFacts, SmbiosCache};

use super::super::Problems;
use super::structure::Structure;
use super::table::Table;
use super::words;

/// Maximum number of sockets. VMware writes 128 (seen in the field).
const SOCKET_LIMIT: usize = 256;
/// Maximum number of caches: three levels per socket, and split ones.
const CACHE_LIMIT: usize = 1024;

/// Processor types of 7.5.1 that do not run the system: math, DSP, video.
const NOT_CENTRAL: [u8; 3] = [4, 5, 6];

/// A summary of the sockets; the kernel's own count wins. None without types 4 and 7.
pub(super) fn cpu(table: &Table, problems: &mut Problems) -> Option<CpuFacts> {
    let processors = processors(table, problems);
    let smbios_caches = caches(table, problems);
    if processors.is_empty() && smbios_caches.is_empty() {
        return None;
    }
    let populated = || processors.iter().filter(|p| p.populated == Some(true));
    let sum = |of: fn(&ProcessorFacts) -> Option<u32>| {
        let total = populated()
            .map(of)
            .try_fold(0_u32, |sum, count| sum.checked_add(count?))?;
        (total > 0).then_some(total)
    };
    Some(CpuFacts {
        sockets: u32::try_from(populated().count()).ok().filter(|n| *n > 0),
        model: populated().find_map(|p| p.model.clone()),
        cores: sum(|p| p.cores_enabled.or(p.cores)),
        threads: sum(|p| p.threads),
        processors,
        smbios_caches,
        ..CpuFacts::default()
    })
}

fn processors(table: &Table, problems: &mut Problems) -> Vec<ProcessorFacts> {
    let mut sockets = table.all(4, 0x1a, problems);
    sockets.retain(|s| s.byte(0x05).is_none_or(|kind| !NOT_CENTRAL.contains(&kind)));
    problems.keep(&mut sockets, SOCKET_LIMIT, "type 4", "sockets");
    sockets.into_iter().map(|s| processor(s, problems)).collect()
}

fn processor(s: &Structure, problems: &mut Problems) -> ProcessorFacts {
    // 7.5, Status: bit 6 is "socket populated".
    let status = s.byte(0x18).unwrap_or(0);
    let populated = status & 0x40 != 0;
    let socket = ProcessorFacts {
        socket: s.place(0x04, problems),
        populated: Some(populated),
        kind: s.named(0x05, words::processor::kind),
        max_mhz: mhz(s, 0x14),
        upgrade: s.named(0x19, words::processor::upgrade),
        ..ProcessorFacts::default()
    };
    if !populated {
        // Some tables give a maker and even a model for an empty socket.
        return socket;
    }
    let count = |byte, word| count(s.since(0x28)?, byte, word);
    let manufacturer = s.fact(0x07, problems);
    ProcessorFacts {
        family: family(s, manufacturer.as_deref()).map(str::to_owned),
        manufacturer,
        model: s.fact(0x10, problems),
        serial: s.since(0x23).and_then(|s| s.fact(0x20, problems)),
        asset_tag: s.since(0x23).and_then(|s| s.fact(0x21, problems)),
        part: s.since(0x23).and_then(|s| s.fact(0x22, problems)),
        cores: count(0x23, 0x2a),
        cores_enabled: count(0x24, 0x2c),
        threads: count(0x25, 0x2e),
        enabled: match status & 0x07 {
            1 => Some(true),
            // By the user, by the firmware.
            2 | 3 => Some(false),
            // Unknown; idle, waiting to be enabled; other.
            _ => None,
        },
        current_mhz: mhz(s, 0x16),
        ..socket
    }
}

/// 7.5.2: 0xfe refers to the second field (2.6).
fn family(s: &Structure, manufacturer: Option<&str>) -> Option<&'static str> {
    let code = match (s.byte(0x06)?, s.word(0x28)) {
        (0xfe, Some(second)) => second,
        (first, _) => u16::from(first),
    };
    words::processor::family(code, manufacturer)
}

/// MHz; zero is unknown.
fn mhz(s: &Structure, offset: usize) -> Option<u32> {
    s.word(offset).filter(|mhz| *mhz != 0).map(u32::from)
}

/// A byte, or, if that is 0xff, the word for counts of 256 and more (3.0). Zero is unknown.
fn count(s: &Structure, byte: usize, word: usize) -> Option<u32> {
    let count = match (s.byte(byte)?, s.word(word)) {
        // 0xffff is reserved.
        (0xff, Some(large)) if large != 0xffff => u32::from(large),
        (small, _) => u32::from(small),
    };
    (count != 0).then_some(count)
}

fn caches(table: &Table, problems: &mut Problems) -> Vec<SmbiosCache> {
    let mut caches = table.all(7, 0x0f, problems);
    problems.keep(&mut caches, CACHE_LIMIT, "type 7", "caches");
    caches.into_iter().map(|s| cache(s, problems)).collect()
}

fn cache(s: &Structure, problems: &mut Problems) -> SmbiosCache {
    let configuration = s.word(0x05);
    let typed = |offset, words| s.since(0x13)?.named(offset, words);
    SmbiosCache {
        name: s.place(0x04, problems),
        level: configuration.map(|bits| u32::from(bits & 0x07) + 1),
        // 7.8: Installed Cache Size 2 (3.1) wins over the word.
        size_bytes: s
            .dword(0x17)
            .or_else(|| s.word(0x09).map(widened))
            .map(cache_bytes),
        enabled: configuration.map(|bits| bits & 0x80 != 0),
        kind: typed(0x11, words::cache_kind),
        associativity: typed(0x12, words::associativity),
        error_correction: typed(0x10, words::cache_error_correction),
    }
}

/// Moves the word's granularity bit to its place in the double word.
fn widened(size: u16) -> u32 {
    (u32::from(size & 0x8000) << 16) | u32::from(size & 0x7fff)
}

/// 7.8: in KiB, or in units of 64 KiB if the top bit is set. Zero: not installed.
fn cache_bytes(size: u32) -> u64 {
    let unit = if size & 0x8000_0000 == 0 { 1024 } else { 64 * 1024 };
    u64::from(size & 0x7fff_ffff) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_sizes_in_both_granularities() {
        assert_eq!(cache_bytes(widened(512)), 512 << 10);
        assert_eq!(cache_bytes(widened(0x8000 | 320)), 20 << 20);
        assert_eq!(cache_bytes(0x8000_1800), 384 << 20);
        assert_eq!(cache_bytes(0), 0);
    }

    #[test]
    fn counts_above_255_are_read_from_the_second_field() {
        let mut bytes = vec![0; 0x32];
        (bytes[0], bytes[1]) = (4, 0x30);
        (bytes[0x23], bytes[0x24], bytes[0x25]) = (0xff, 0xff, 64);
        bytes[0x2a..0x2c].copy_from_slice(&288_u16.to_le_bytes());
        bytes[0x2c..0x2e].copy_from_slice(&0xffff_u16.to_le_bytes());
        let s = Structure::new(&bytes);
        assert_eq!(count(&s, 0x23, 0x2a), Some(288));
        assert_eq!(count(&s, 0x24, 0x2c), Some(255));
        assert_eq!(count(&s, 0x25, 0x2e), Some(64));
    }
}
