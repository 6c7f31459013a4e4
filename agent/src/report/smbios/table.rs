//! The table as bytes: which version it claims, how far it can be trusted, and its structures by smbios-lib.

use std::collections::HashSet;

use smbioslib::{SMBiosData, SMBiosString, SMBiosStringError, SMBiosStruct, SMBiosVersion, UndefinedStruct};

use super::super::roots::{Roots, read_bounded};
use super::super::{Problems, clean};

/// Real tables are below 64 KiB, a few virtual machines' somewhat above (field report 19).
const TABLE_LIMIT: u64 = 4 * 1024 * 1024;
/// An entry point has 24 or 31 bytes.
const ENTRY_LIMIT: u64 = 64;
/// Structures looked at; the handle has 16 bits.
const STRUCTURE_LIMIT: usize = 65_536;
const HEADER: usize = 4;
const END_OF_TABLE: u8 = 127;

/// The sound part of a table.
pub(super) struct Table {
    data: SMBiosData,
    /// Version by the entry point, with dmidecode's corrections; absent: no or unknown entry point.
    pub version: Option<(u8, u8)>,
}

impl Table {
    /// Reads and checks; None: this machine has no SMBIOS, or it is unreadable (then that is a problem).
    pub fn read(roots: &Roots, problems: &mut Problems) -> Option<Table> {
        let path = roots.sys("firmware/dmi/tables/DMI");
        let bytes = match read_bounded(&path, TABLE_LIMIT) {
            Ok((bytes, cut)) => {
                if cut {
                    problems.note(format_args!(
                        "{}: longer than {TABLE_LIMIT} bytes, the rest is not read",
                        path.display()
                    ));
                }
                bytes
            }
            // Ordinary on a machine or in a container without SMBIOS, and in a capture without sys.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
            Err(e) => {
                problems.note(format_args!("{}: {e}", path.display()));
                return None;
            }
        };
        let path = roots.sys("firmware/dmi/tables/smbios_entry_point");
        let entry = match read_bounded(&path, ENTRY_LIMIT) {
            Ok((bytes, _)) => EntryPoint::parse(&bytes),
            Err(e) => {
                problems.note(format_args!(
                    "{}: {e}; the version is taken as 2.6 or newer",
                    path.display()
                ));
                EntryPoint::default()
            }
        };
        Some(Table::parse(bytes, entry, problems))
    }

    /// Keeps the part before the first damage.
    pub fn parse(mut bytes: Vec<u8>, entry: EntryPoint, problems: &mut Problems) -> Table {
        let walk = walk(&bytes);
        for detail in walk.oddities(bytes.len(), &entry) {
            problems.note(detail);
        }
        bytes.truncate(walk.sound_bytes);
        let version = entry
            .version
            .map(|(major, minor)| SMBiosVersion::new(major, minor, 0));
        Table {
            data: SMBiosData::from_vec_and_version(bytes, version),
            version: entry.version,
        }
    }

    /// The structures of one type, each once: a byte for byte repetition under the same handle is not a second part.
    pub fn all<'a, T: SMBiosStruct<'a>>(&'a self, problems: &mut Problems) -> Vec<T> {
        let mut seen = HashSet::new();
        let all: Vec<T> = self.data.collect();
        let before = all.len();
        let once: Vec<T> = all
            .into_iter()
            .filter(|s| {
                let parts = s.parts();
                seen.insert((
                    parts.fields.clone(),
                    parts.strings.iter().cloned().collect::<Vec<_>>(),
                ))
            })
            .collect();
        if once.len() < before {
            problems.note(format_args!(
                "type {}: {} of {before} structures repeat another byte for byte, handle too; each is counted once",
                T::STRUCT_TYPE,
                before - once.len()
            ));
        }
        once
    }

    /// The first structure of a type that has one in a machine; more are said to be odd (field report 20).
    pub fn single<'a, T: SMBiosStruct<'a>>(&'a self, problems: &mut Problems) -> Option<T> {
        let all = self.all::<T>(problems);
        if all.len() > 1 {
            problems.note(format_args!(
                "type {}: {} structures where one belongs; the first is used",
                T::STRUCT_TYPE,
                all.len()
            ));
        }
        all.into_iter().next()
    }

    /// The first structure of a type that may stand several times (boards, chassis).
    pub fn first<'a, T: SMBiosStruct<'a>>(&'a self) -> Option<T> {
        self.data.first()
    }
}

/// One string, as the table has it. The specification wants UTF-8 since 3.5; older firmware writes Latin-1.
pub(super) fn string(
    parts: &UndefinedStruct,
    string: SMBiosString,
    problems: &mut Problems,
) -> Option<String> {
    match string.as_ref() {
        Ok(text) => Some(text.clone()),
        Err(SMBiosStringError::Utf8(e)) => Some(e.as_bytes().iter().map(|b| char::from(*b)).collect()),
        // An older table has shorter structures.
        Err(SMBiosStringError::FieldOutOfBounds) => None,
        Err(SMBiosStringError::InvalidStringNumber(number)) => {
            problems.note(format_args!(
                "type {} handle 0x{:04x}: names string {number}, it has {}",
                parts.header.struct_type(),
                *parts.header.handle(),
                parts.strings.iter().count()
            ));
            None
        }
    }
}

/// A string that is a name.
pub(super) fn name(parts: &UndefinedStruct, value: SMBiosString, problems: &mut Problems) -> Option<String> {
    clean::fact(&string(parts, value, problems)?)
}

/// A string that says where: a slot, a bank, a socket.
pub(super) fn place(parts: &UndefinedStruct, value: SMBiosString, problems: &mut Problems) -> Option<String> {
    clean::place(&string(parts, value, problems)?)
}

/// A string that is a number given by the maker: serial, part number, asset tag, version.
pub(super) fn code(parts: &UndefinedStruct, value: SMBiosString, problems: &mut Problems) -> Option<String> {
    clean::serial(&string(parts, value, problems)?)
}

/// What the entry point says of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryPoint {
    /// Major and minor version.
    pub version: Option<(u8, u8)>,
    /// Announced bytes and structures (32-bit entry point only; the 64-bit one has a maximum).
    pub announced: Option<(usize, usize)>,
}

impl EntryPoint {
    /// SMBIOS specification 3.9, 5.2: `_SM3_`, `_SM_`; older: `_DMI_` alone.
    pub fn parse(bytes: &[u8]) -> EntryPoint {
        let word = |at: usize| {
            Some(usize::from(u16::from_le_bytes([
                *bytes.get(at)?,
                *bytes.get(at + 1)?,
            ])))
        };
        let at = |at: usize| bytes.get(at).copied();
        if bytes.starts_with(b"_SM3_") {
            return EntryPoint {
                version: at(7).zip(at(8)),
                announced: None,
            };
        }
        if bytes.starts_with(b"_SM_") {
            // Versions some firmware writes and what it means: dmidecode 3.6, smbios_decode.
            let version = at(6).zip(at(7)).map(|version| match version {
                (2, 31 | 33) => (2, 3),
                (2, 51) => (2, 6),
                other => other,
            });
            return EntryPoint {
                version,
                announced: word(0x16).zip(word(0x1c)),
            };
        }
        if bytes.starts_with(b"_DMI_") {
            let version = at(0x0e).map(|bcd| (bcd >> 4, bcd & 0x0f));
            return EntryPoint {
                version,
                announced: word(0x06).zip(word(0x0c)),
            };
        }
        EntryPoint::default()
    }
}

/// Why the walk over a table ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The end-of-table structure.
    Marker,
    /// The bytes ended between two structures.
    Bytes,
    /// A structure says it is shorter than its own header. "DMI table is broken" (field report 21).
    Length { offset: usize, length: u8 },
    /// The bytes ended within a structure or its strings.
    Cut { offset: usize },
    /// More structures than handles.
    TooMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Walk {
    structures: usize,
    sound_bytes: usize,
    end: End,
}

/// Goes from structure to structure as the specification says (6.1.2): smbios-lib does the same, but does not tell why it ended.
fn walk(bytes: &[u8]) -> Walk {
    let mut offset = 0;
    let mut structures = 0;
    let end = loop {
        if structures == STRUCTURE_LIMIT {
            break End::TooMany;
        }
        let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) else {
            break End::Bytes;
        };
        let (Some(&kind), Some(&length)) = (rest.first(), rest.get(1)) else {
            break End::Cut { offset };
        };
        if usize::from(length) < HEADER {
            break End::Length { offset, length };
        }
        let Some(strings) = rest.get(usize::from(length)..) else {
            break End::Cut { offset };
        };
        let Some(zeros) = strings.windows(2).position(|pair| pair == [0, 0]) else {
            break End::Cut { offset };
        };
        offset += usize::from(length) + zeros + 2;
        structures += 1;
        if kind == END_OF_TABLE {
            break End::Marker;
        }
    };
    Walk {
        structures,
        sound_bytes: offset,
        end,
    }
}

impl Walk {
    fn oddities(&self, total: usize, entry: &EntryPoint) -> Vec<String> {
        let kept = format!(
            "{} structures in {} of {total} bytes are used",
            self.structures, self.sound_bytes
        );
        let mut odd = Vec::new();
        match self.end {
            End::Marker if self.sound_bytes == total => {}
            End::Marker => odd.push(format!("table: bytes after its end-of-table structure; {kept}")),
            End::Bytes => odd.push(format!("table: no end-of-table structure; {kept}")),
            End::Length { offset, length } => {
                odd.push(format!(
                    "table: broken at byte {offset}: a structure of length {length}; {kept}"
                ));
            }
            End::Cut { offset } => odd.push(format!(
                "table: ends within the structure at byte {offset}; {kept}"
            )),
            End::TooMany => odd.push(format!("table: more than {STRUCTURE_LIMIT} structures; {kept}")),
        }
        if let Some((bytes, structures)) = entry.announced {
            if structures != 0 && structures != self.structures {
                odd.push(format!(
                    "entry point: {structures} structures announced, {} found",
                    self.structures
                ));
            }
            if bytes != self.sound_bytes && bytes != 0 {
                odd.push(format!(
                    "entry point: {bytes} bytes announced, the structures take {}",
                    self.sound_bytes
                ));
            }
        }
        odd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: [u8; 6] = [127, 4, 0xff, 0xfe, 0, 0];

    #[test]
    fn a_sound_table_ends_at_its_marker() {
        let mut bytes = vec![1, 5, 0, 1, 1, b'A', 0, 0];
        bytes.extend(END);
        bytes.extend([9, 9, 9]);
        assert_eq!(
            walk(&bytes),
            Walk {
                structures: 2,
                sound_bytes: 14,
                end: End::Marker
            }
        );
    }

    #[test]
    fn damage_is_named_and_what_stands_before_it_is_kept() {
        let sound = [1, 5, 0, 1, 1, b'A', 0, 0];
        let with = |tail: &[u8]| walk(&[&sound[..], tail].concat());
        assert_eq!(
            with(&[]),
            Walk {
                structures: 1,
                sound_bytes: 8,
                end: End::Bytes
            }
        );
        assert_eq!(
            with(&[4, 0, 0, 2, 0, 0]).end,
            End::Length { offset: 8, length: 0 }
        );
        assert_eq!(with(&[4, 40, 0, 2, 0, 0]).end, End::Cut { offset: 8 });
        assert_eq!(with(&[4, 4, 0, 2, b'A', 0]).end, End::Cut { offset: 8 });
        assert_eq!(with(&[4]).end, End::Cut { offset: 8 });
    }

    #[test]
    fn versions_as_dmidecode_corrects_them() {
        let entry = |major, minor| EntryPoint::parse(&[b'_', b'S', b'M', b'_', 0, 31, major, minor]).version;
        assert_eq!(entry(2, 31), Some((2, 3)));
        assert_eq!(entry(2, 51), Some((2, 6)));
        assert_eq!(entry(3, 2), Some((3, 2)));
        assert_eq!(EntryPoint::parse(b"_SM3_\0\x18\x03\x02").version, Some((3, 2)));
        assert_eq!(
            EntryPoint::parse(b"_DMI_\0\0\0\0\0\0\0\0\0\x24").version,
            Some((2, 4))
        );
        assert_eq!(EntryPoint::parse(b"garbage"), EntryPoint::default());
        assert_eq!(EntryPoint::parse(b""), EntryPoint::default());
    }

    #[test]
    fn a_repeated_structure_counts_once() {
        use smbioslib::SMBiosMemoryDevice;
        let device = [17, 4, 7, 0, 0, 0];
        let other = [17, 4, 8, 0, 0, 0];
        let bytes = [&device[..], &device, &other, &END].concat();
        let mut problems = Problems::new("smbios");
        let table = Table::parse(bytes, EntryPoint::default(), &mut problems);
        assert_eq!(table.all::<SMBiosMemoryDevice>(&mut problems).len(), 2);
        assert_eq!(problems.found.len(), 1, "{problems:?}");
    }
}
