//! The table as bytes: its valid part, and its structures.

use std::collections::HashSet;
use std::ops::Range;

use super::super::Problems;
use super::super::roots::Roots;
use super::entry::{Announced, EntryPoint};
use super::structure::Structure;

/// Real tables are below 64 KiB, those of some virtual machines slightly above (seen in the field).
const TABLE_LIMIT: u64 = 4 * 1024 * 1024;
/// An entry point has 24 or 31 bytes; some captures fill a page.
const ENTRY_LIMIT: u64 = 4096;
/// Maximum number of structures; the handle has 16 bits.
const STRUCTURE_LIMIT: usize = 65_536;
const HEADER: usize = 4;
const END_OF_TABLE: u8 = 127;
/// Type of a structure that the firmware disabled.
const INACTIVE: u8 = 126;

/// The valid part of a table.
pub(crate) struct Table {
    structures: Vec<Structure>,
    /// Version from the entry point, with dmidecode's corrections, or the lowest version implied by the
    /// structures' lengths. Absent if neither is known.
    pub version: Option<(u8, u8)>,
}

impl Table {
    /// Reads and checks the table. None if this machine has no SMBIOS, or it is unreadable (which is noted as
    /// a problem).
    pub fn read(roots: &Roots, problems: &mut Problems) -> Option<Table> {
        // Absent without SMBIOS (also in containers) and in a capture without sys.
        let bytes = problems.read(&roots.sys("firmware/dmi/tables/DMI"), TABLE_LIMIT)?;
        let path = roots.sys("firmware/dmi/tables/smbios_entry_point");
        // Absent in a capture of only the table.
        let entry = problems.read(&path, ENTRY_LIMIT).map(|bytes| {
            EntryPoint::parse(&bytes).unwrap_or_else(|why| {
                problems.note(format_args!("{}: {why}; it is not used", path.display()));
                EntryPoint::NONE
            })
        });
        Some(Table::parse(&bytes, entry.unwrap_or(EntryPoint::NONE), problems))
    }

    /// Keeps the part before the first error.
    pub fn parse(bytes: &[u8], entry: EntryPoint, problems: &mut Problems) -> Table {
        let walk = walk(bytes, &entry);
        for detail in walk.oddities(bytes, &entry) {
            problems.note(detail);
        }
        let structures: Vec<Structure> = walk
            .structures
            .into_iter()
            .filter_map(|at| bytes.get(at))
            .map(Structure::new)
            .filter(|s| s.kind() != INACTIVE)
            .collect();
        note_repeated_handles(&structures, problems);
        let version = entry.version.or_else(|| least_version(&structures));
        if version.is_none() && structures.iter().any(|s| s.kind() == 1) {
            problems.note("the table's version is unknown, and with it the UUID's byte order");
        }
        Table { structures, version }
    }

    /// The structures of one type with at least `least` bytes, in table order. A shorter one is skipped and
    /// reported: its strings would be read as fields. `least` is dmidecode's minimum.
    pub fn all<'a>(&'a self, kind: u8, least: usize, problems: &mut Problems) -> Vec<&'a Structure> {
        let (whole, short): (Vec<&Structure>, Vec<&Structure>) = self
            .structures
            .iter()
            .filter(|s| s.kind() == kind)
            .partition(|s| s.length() >= least);
        for s in short {
            problems.note(format_args!(
                "type {kind} handle 0x{:04x}: has {} bytes, needs at least {least}; skipped",
                s.handle(),
                s.length()
            ));
        }
        whole
    }

    /// The first structure of a type that should occur once; more are reported (seen in the field).
    pub fn single(&self, kind: u8, least: usize, problems: &mut Problems) -> Option<&Structure> {
        let all = self.all(kind, least, problems);
        if all.len() > 1 {
            problems.note(format_args!(
                "type {kind}: {} structures instead of one; using the first",
                all.len()
            ));
        }
        all.into_iter().next()
    }
}

/// Handles should be unique (6.1.2). All structures with a repeated handle are kept, because it is unknown
/// which one a reference means.
fn note_repeated_handles(structures: &[Structure], problems: &mut Problems) {
    let mut seen = HashSet::new();
    let mut repeated: Vec<u16> = structures
        .iter()
        .filter(|s| s.kind() != END_OF_TABLE)
        .map(Structure::handle)
        .filter(|handle| !seen.insert(*handle))
        .collect();
    repeated.sort_unstable();
    repeated.dedup();
    if let Some(first) = repeated.first() {
        problems.note(format_args!(
            "{} handles are used more than once, first 0x{first:04x}; all structures are kept",
            repeated.len()
        ));
    }
}

/// The lowest version with structures this long: only 2.6 matters, which changed the UUID's byte order.
/// Lengths are in table 3 of the specification.
fn least_version(structures: &[Structure]) -> Option<(u8, u8)> {
    let newer = |s: &Structure| match s.kind() {
        4 => s.length() >= 0x2a,
        9 => s.length() >= 0x11,
        17 => s.length() >= 0x1c,
        41 => s.length() >= 0x0b,
        _ => false,
    };
    structures.iter().any(newer).then_some((2, 6))
}

/// Why the walk over a table ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Marker,
    /// The announced number of structures.
    Count,
    /// The bytes ended between two structures.
    Bytes,
    /// A structure's stated length is shorter than its header. "DMI table is broken" (seen in the field).
    Length {
        length: u8,
    },
    /// The bytes ended within a structure or its strings.
    Cut,
    /// More structures than handles.
    TooMany,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Walk {
    structures: Vec<Range<usize>>,
    offset: usize,
    /// Whether the last structure is the end-of-table structure.
    marked: bool,
    end: End,
}

/// Walks from structure to structure (6.1.2) and stops where dmidecode 3.6 stops: at the end-of-table
/// structure of a 3.x table, at the announced count or length of a 2.x table, or before the first structure
/// with broken framing.
fn walk(bytes: &[u8], entry: &EntryPoint) -> Walk {
    // A length of zero means none.
    let said = entry.announced.map(|a| a.bytes).filter(|bytes| *bytes != 0);
    let length = said.or(entry.most).unwrap_or(usize::MAX).min(bytes.len());
    let count = entry.announced.map_or(0, |a| a.structures);
    let bytes = bytes.get(..length).unwrap_or(bytes);
    let (mut structures, mut offset, mut marked) = (Vec::new(), 0, false);
    let end = loop {
        if marked && entry.ends_at_marker {
            break End::Marker;
        }
        if count != 0 && structures.len() == count {
            break End::Count;
        }
        if structures.len() == STRUCTURE_LIMIT {
            break End::TooMany;
        }
        let rest = bytes.get(offset..).unwrap_or_default();
        let [kind, length, _, _, ..] = *rest else {
            break if rest.is_empty() { End::Bytes } else { End::Cut };
        };
        if usize::from(length) < HEADER {
            break End::Length { length };
        }
        let strings = rest.get(usize::from(length)..).unwrap_or_default();
        let Some(zeros) = strings.windows(2).position(|pair| pair == [0, 0]) else {
            break End::Cut;
        };
        let end = offset + usize::from(length) + zeros + 2;
        structures.push(offset..end);
        (offset, marked) = (end, kind == END_OF_TABLE);
    };
    Walk {
        structures,
        offset,
        marked,
        end,
    }
}

impl Walk {
    fn oddities(&self, bytes: &[u8], entry: &EntryPoint) -> Vec<String> {
        let total = bytes.len();
        let kept = format!(
            "{} structures in {} of {total} bytes are used",
            self.structures.len(),
            self.offset
        );
        let at = self.offset;
        let mut odd = Vec::new();
        match self.end {
            End::Marker | End::Count => {}
            // A 2.x table with a correct count needs no end-of-table structure.
            End::Bytes if self.marked => {}
            End::Bytes => odd.push(format!("table: no end-of-table structure; {kept}")),
            End::Length { length } => {
                odd.push(format!(
                    "table: broken at byte {at}: a structure of length {length}; {kept}"
                ));
            }
            End::Cut => odd.push(format!("table: ends within the structure at byte {at}; {kept}")),
            End::TooMany => odd.push(format!("table: more than {STRUCTURE_LIMIT} structures; {kept}")),
        }
        if let Some(Announced {
            bytes: length,
            structures,
        }) = entry.announced
        {
            if structures != 0 && structures != self.structures.len() {
                odd.push(format!(
                    "entry point: {structures} structures announced, {} found",
                    self.structures.len()
                ));
            }
            if length > total {
                odd.push(format!(
                    "entry point: {length} bytes announced, the table has {total}"
                ));
            } else if length != self.offset {
                odd.push(format!(
                    "entry point: {length} bytes announced, the structures take {}",
                    self.offset
                ));
            }
        }
        let unused = bytes.get(self.offset..).unwrap_or_default();
        // A 3.x table may be shorter than its maximum.
        let filler = unused.iter().all(|b| matches!(b, 0 | 0xff));
        if odd.is_empty() && !filler {
            odd.push(format!("table: {} bytes after its end; {kept}", unused.len()));
        }
        odd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: [u8; 8] = [1, 5, 0, 1, 1, b'A', 0, 0];
    const END: [u8; 6] = [127, 4, 0xff, 0xfe, 0, 0];

    fn announced(bytes: usize, structures: usize) -> EntryPoint {
        EntryPoint {
            version: Some((2, 8)),
            announced: Some(Announced { bytes, structures }),
            ends_at_marker: false,
            ..EntryPoint::NONE
        }
    }

    #[test]
    fn a_sound_table_ends_at_its_marker() {
        let bytes = [&SOUND[..], &END, &[9, 9, 9]].concat();
        let walk = walk(&bytes, &EntryPoint::NONE);
        assert_eq!(walk.structures, [0..8, 8..14]);
        assert_eq!((walk.offset, walk.end), (14, End::Marker));
    }

    #[test]
    fn a_table_of_version_2_ends_where_its_entry_point_says() {
        // A type byte damaged into the end marker does not end the table.
        let bytes = [&END[..], &SOUND, &SOUND, &END].concat();
        let ends = |length, count| {
            let walk = walk(&bytes, &announced(length, count));
            (walk.structures.len(), walk.end)
        };
        assert_eq!(ends(28, 4), (4, End::Count));
        assert_eq!(ends(28, 2), (2, End::Count));
        assert_eq!(ends(28, 0), (4, End::Bytes));
        assert_eq!(ends(14, 4), (2, End::Bytes));
        assert_eq!(ends(20, 4), (2, End::Cut));
        assert_eq!(ends(9999, 9), (4, End::Bytes));
    }

    #[test]
    fn structures_before_the_damage_are_kept_and_the_damage_is_a_problem() {
        let ends = |tail: &[u8]| {
            let walk = walk(&[&SOUND[..], tail].concat(), &EntryPoint::NONE);
            assert_eq!((walk.structures.len(), walk.offset), (1, 8));
            walk.end
        };
        assert_eq!(ends(&[]), End::Bytes);
        assert_eq!(ends(&[4, 0, 0, 2, 0, 0]), End::Length { length: 0 });
        assert_eq!(ends(&[4, 40, 0, 2, 0, 0]), End::Cut);
        assert_eq!(ends(&[4, 4, 0, 2, b'A', 0]), End::Cut);
        assert_eq!(ends(&[4]), End::Cut);
    }

    #[test]
    fn without_an_entry_point_the_version_follows_from_the_lengths() {
        let device = |length: u8| {
            let mut device = vec![17, length, 0, 0x11];
            device.resize(usize::from(length), 0);
            device.extend([0, 0]);
            [&SOUND[..], &device, &END].concat()
        };
        let read = |bytes: &[u8]| {
            let mut problems = Problems::new("smbios");
            let version = Table::parse(bytes, EntryPoint::NONE, &mut problems).version;
            (version, problems.found.len())
        };
        assert_eq!(read(&device(0x1c)), (Some((2, 6)), 0));
        assert_eq!(read(&device(0x1b)), (None, 1));
    }

    #[test]
    fn structures_with_a_repeated_handle_are_all_kept_and_a_problem() {
        let bytes = [&SOUND[..], &SOUND, &END].concat();
        let mut problems = Problems::new("smbios");
        let table = Table::parse(&bytes, announced(22, 3), &mut problems);
        assert_eq!(table.all(1, 5, &mut problems).len(), 2);
        assert_eq!(problems.found.len(), 1, "{problems:?}");
    }
}
