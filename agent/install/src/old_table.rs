//! The old partitions of a disk, from any remaining tables: GPT at both ends, MBR with its logical
//! partitions. Parsed leniently and by hand, because the GPT and MBR crates reject a table with a wrong
//! checksum or size, and whatever can still be read of it must be cleared. Every number is bounds-checked.

use std::ops::Range;

use super::area::Area;

/// Maximum number of partitions; a GPT has room for 128, an MBR's chain is unlimited.
const MOST: usize = 256;

/// What a table is read from.
pub(super) trait Medium {
    fn size(&self) -> u64;
    /// Fills `buffer` from `offset`; false if that cannot be read.
    fn fill(&self, buffer: &mut [u8], offset: u64) -> bool;
}

impl Medium for Area {
    fn size(&self) -> u64 {
        self.len
    }
    fn fill(&self, buffer: &mut [u8], offset: u64) -> bool {
        offset < self.len && self.read_at(buffer, offset).is_ok()
    }
}

impl Medium for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }
    fn fill(&self, buffer: &mut [u8], offset: u64) -> bool {
        let from = usize::try_from(offset)
            .ok()
            .and_then(|at| self.get(at..)?.get(..buffer.len()));
        from.map(|bytes| buffer.copy_from_slice(bytes)).is_some()
    }
}

/// Byte ranges of the partitions, sorted, without duplicates. Empty if nothing can be read.
pub(super) fn partitions(disk: &(impl Medium + ?Sized), block: u64) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    // A table written with another sector size (a USB bridge, another controller) counts in that size.
    for unit in [block, if block == 512 { 4096 } else { 512 }] {
        let backup = (disk.size() / unit).saturating_sub(1) * unit;
        for header in [unit, backup] {
            gpt(disk, unit, header, &mut found);
        }
        mbr(disk, unit, &mut found);
    }
    found.retain(|p: &Range<u64>| p.start > 0 && p.start < p.end && p.start < disk.size());
    for p in &mut found {
        p.end = p.end.min(disk.size());
    }
    found.sort_by_key(|p| (p.start, p.end));
    found.dedup();
    found.truncate(MOST);
    found
}

/// UEFI specification 5.3.2 and 5.3.3.
fn gpt(disk: &(impl Medium + ?Sized), unit: u64, header_at: u64, found: &mut Vec<Range<u64>>) {
    let mut header = [0; 92];
    if !disk.fill(&mut header, header_at) || !header.starts_with(b"EFI PART") {
        return;
    }
    let size = le32(&header, 84).clamp(128, 4096) as usize;
    let count = (le32(&header, 80) as usize).min(MOST);
    let at = le64(&header, 72).saturating_mul(unit);
    let mut entry = vec![0; size];
    for i in 0..count {
        let offset = at.saturating_add((i * size) as u64);
        if !disk.fill(&mut entry, offset) {
            return;
        }
        if entry[..16] != [0; 16] {
            let (first, last) = (le64(&entry, 32), le64(&entry, 40));
            found.push(first.saturating_mul(unit)..last.saturating_add(1).saturating_mul(unit));
        }
    }
}

/// Primary partitions, and the chain of logical ones in an extended partition (types 05, 0f, 85).
fn mbr(disk: &(impl Medium + ?Sized), unit: u64, found: &mut Vec<Range<u64>>) {
    let read = |at: u64| {
        let mut sector = [0; 512];
        let there = disk.fill(&mut sector, at) && sector[510..] == [0x55, 0xaa];
        there.then_some(sector)
    };
    let entries = |sector: &[u8; 512]| -> Vec<(u8, u64, u64)> {
        let entries = sector[446..510].chunks_exact(16);
        entries
            .map(|e| (e[4], u64::from(le32(e, 8)) * unit, u64::from(le32(e, 12)) * unit))
            .filter(|(kind, start, len)| !matches!(kind, 0 | 0xee) && *start > 0 && *len > 0)
            .collect()
    };
    let is_extended = |kind: u8| matches!(kind, 0x05 | 0x0f | 0x85);
    let Some(first) = read(0) else { return };
    for (kind, start, len) in entries(&first) {
        found.push(start..start.saturating_add(len));
        // Each link has one partition, relative to the link, and the next link, relative to the extended
        // partition.
        let mut link = is_extended(kind).then_some(start);
        for _ in 0..MOST {
            let Some((at, sector)) = link.and_then(|at| Some((at, read(at)?))) else {
                break;
            };
            link = None;
            for (kind, offset, len) in entries(&sector) {
                if is_extended(kind) {
                    link = Some(start.saturating_add(offset)).filter(|next| *next > at);
                } else {
                    let from = at.saturating_add(offset);
                    found.push(from..from.saturating_add(len));
                }
            }
        }
    }
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or(0)
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(0)
}

/// Fuzz target: a disk of arbitrary bytes.
#[doc(hidden)]
pub fn fuzz_partitions(bytes: &[u8]) {
    for block in [512, 4096] {
        for p in partitions(bytes, block) {
            assert!(
                p.start < p.end && p.end <= bytes.len() as u64,
                "{p:?} is not on the disk"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
        bytes[at..at + what.len()].copy_from_slice(what);
    }

    fn entry(kind: u8, start: u32, len: u32) -> [u8; 16] {
        let mut entry = [0; 16];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..].copy_from_slice(&len.to_le_bytes());
        entry
    }

    #[test]
    fn an_mbr_with_logical_partitions() {
        let mut bytes = vec![0; 1 << 20];
        for at in [0, 100, 300] {
            put(&mut bytes, at * 512 + 510, &[0x55, 0xaa]);
        }
        put(&mut bytes, 446, &entry(0x83, 10, 20));
        put(&mut bytes, 462, &entry(0x05, 100, 1000));
        put(&mut bytes, 100 * 512 + 446, &entry(0x83, 2, 50));
        put(&mut bytes, 100 * 512 + 462, &entry(0x05, 200, 300));
        put(&mut bytes, 300 * 512 + 446, &entry(0x82, 2, 50));
        // A cycle ends.
        put(&mut bytes, 300 * 512 + 462, &entry(0x05, 0, 300));
        let sectors = |p: Range<u64>| (p.start / 512, p.end / 512);
        let found: Vec<_> = partitions(&bytes[..], 512).into_iter().map(sectors).collect();
        for wanted in [(10, 30), (100, 1100), (102, 152), (302, 352)] {
            assert!(found.contains(&wanted), "{wanted:?} in {found:?}");
        }
    }

    #[test]
    fn a_backup_gpt_alone_and_numbers_that_lie() {
        let mut bytes = vec![0; 1 << 20];
        let last = bytes.len() - 512;
        put(&mut bytes, last, b"EFI PART");
        put(&mut bytes, last + 72, &((last as u64 / 512) - 32).to_le_bytes());
        put(&mut bytes, last + 80, &u32::MAX.to_le_bytes());
        put(&mut bytes, last + 84, &128u32.to_le_bytes());
        let entries = last - 32 * 512;
        put(&mut bytes, entries, &[1; 16]);
        put(&mut bytes, entries + 32, &40u64.to_le_bytes());
        put(&mut bytes, entries + 40, &79u64.to_le_bytes());
        put(&mut bytes, entries + 128, &[1; 16]);
        put(&mut bytes, entries + 160, &u64::MAX.to_le_bytes());
        put(&mut bytes, entries + 168, &u64::MAX.to_le_bytes());
        assert_eq!(
            partitions(&bytes[..], 512),
            std::slice::from_ref(&(40 * 512..80 * 512))
        );
    }
}
