//! Damaged tables: whatever dmidecode can read is read, the rest is a problem, nothing is invented.

use std::process::Command;

use super::*;
use crate::smbios::entry::Announced;

#[test]
fn what_dmidecode_could_read_of_a_damaged_table_is_read() {
    let Some(malformed) = fixtures::find("smbios-malformed") else {
        return;
    };
    let mut oracle = Oracle::of_damaged();
    for machine in machines(&malformed) {
        let (report, problems) = report_of(&machine);
        let text = std::fs::read_to_string(machine.join("dmidecode.txt")).unwrap();
        oracle.machine(&name(&machine), &report, &from_text(&text));
        // dmidecode prints a missing string without a warning.
        let odd = !std::fs::read(machine.join("dmidecode.stderr"))
            .unwrap()
            .is_empty()
            || text.contains("<BAD INDEX>");
        println!("{}: {:?}", name(&machine), problems.found.first());
        assert_eq!(
            !problems.found.is_empty(),
            odd,
            "{}: {problems:?}",
            name(&machine)
        );
        assert_eq!(
            report.system.unwrap().product.as_deref(),
            Some("PowerEdge 6450/550")
        );
    }
    oracle.assert();
}

#[test]
fn a_table_cut_anywhere_is_no_panic_and_no_invention() {
    let Some(norm) = fixtures::find("smbios/norm") else {
        return;
    };
    let machine = norm.join("go-smbios__Dell-PowerEdge-R630-Dual-Xeon");
    let bytes = std::fs::read(machine.join("DMI")).unwrap();
    let entry = entry_of(&machine);
    let (whole, _) = read(&bytes, entry);
    for cut in 0..bytes.len() {
        let (report, problems) = read(&bytes[..cut], entry);
        assert!(!problems.found.is_empty(), "cut at {cut}");
        assert!(
            report.system.is_none() || report.system == whole.system,
            "cut at {cut}"
        );
        let slots = &report.memory.slots;
        assert_eq!(slots[..], whole.memory.slots[..slots.len()], "cut at {cut}");
        let all = |report: &AssetReport| report.cpu.clone().unwrap_or_default().processors;
        let processors = all(&report);
        assert_eq!(processors[..], all(&whole)[..processors.len()], "cut at {cut}");
    }
}

/// Numbers from a seed (xorshift64*), for reproducible damage.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

/// Offsets of the structures of a valid table.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    let mut all = vec![];
    let mut at = 0;
    while let Some([_, length, ..]) = bytes.get(at..) {
        all.push(at);
        let strings = &bytes[at + usize::from(*length)..];
        let Some(zeros) = strings.windows(2).position(|pair| pair == [0, 0]) else {
            break;
        };
        at += usize::from(*length) + zeros + 2;
    }
    all
}

/// Damages a table in one of the known ways, or at random; returns the name of the damage.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) -> &'static str {
    let structures = offsets(bytes);
    let at = structures[dice.below(structures.len())];
    let next = *structures.iter().find(|next| **next > at).unwrap_or(&bytes.len());
    match dice.below(12) {
        0 => {
            for _ in 0..=dice.below(20) {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
            "bits flipped"
        }
        1 => {
            let end = dice.below(bytes.len());
            bytes.truncate(end);
            "cut"
        }
        2 => {
            bytes[at + 1] = dice.byte();
            "a length is any"
        }
        3 => {
            bytes[at + 1] = dice.below(4) as u8;
            "a length below the header"
        }
        4 => {
            let from = structures[dice.below(structures.len())];
            let handle = [bytes[from + 2], bytes[from + 3]];
            bytes[at + 2..at + 4].copy_from_slice(&handle);
            "a handle stands twice"
        }
        5 => {
            let again = bytes[at..next].to_vec();
            bytes.splice(next..next, again);
            "a structure stands twice"
        }
        6 => {
            bytes[at] = [0, 1, 2, 3, 4, 7, 9, 16, 17, 126, 127][dice.below(11)];
            "a type is another"
        }
        7 => {
            let field = at + 4 + dice.below(usize::from(bytes[at + 1]).saturating_sub(4).max(1));
            bytes[field.min(next - 1)] = dice.byte();
            "a field is any"
        }
        8 => {
            bytes[next - 1] = b'x';
            "strings without their end"
        }
        9 => {
            bytes.drain(at..next);
            "a structure is gone"
        }
        10 => {
            let end = dice.below(bytes.len());
            let from = dice.below(end + 1);
            bytes.drain(from..end);
            "bytes are gone"
        }
        _ => {
            bytes.extend((0..dice.below(200)).map(|_| dice.byte()));
            "a tail of noise"
        }
    }
}

/// The tables to damage: small and large, 2.x and 3.x, laptops, servers.
fn sound_tables() -> Vec<(String, Vec<u8>, EntryPoint)> {
    let mut all = vec![];
    for part in ["smbios/norm", "smbios/linuxhw"] {
        let Some(folder) = fixtures::find(part) else {
            return vec![];
        };
        for machine in machines(&folder) {
            let bytes = std::fs::read(machine.join("DMI")).unwrap();
            all.push((name(&machine), bytes, entry_of(&machine)));
        }
    }
    all
}

/// The part before the damage gives the same facts as before.
#[test]
fn structures_before_the_damage_give_the_same_facts() {
    let tables = sound_tables();
    let mut dice = Dice(0x5eed);
    for _ in 0..if tables.is_empty() { 0 } else { 3000 } {
        let (name, sound, entry) = &tables[dice.below(tables.len())];
        // The count and length are not tested here.
        let entry = EntryPoint {
            announced: None,
            ..*entry
        };
        let mut bytes = sound.clone();
        let how = damage(&mut bytes, &mut dice);
        let same = bytes.iter().zip(sound).take_while(|(a, b)| a == b).count();
        let leading = offsets(sound)
            .into_iter()
            .take_while(|at| *at <= same)
            .last()
            .unwrap_or(0);
        let (before, _) = read(&sound[..leading], entry);
        let (after, _) = read(&bytes, entry);
        let at = format!("{name}: {how} at byte {same}");
        assert!(before.system.is_none() || before.system == after.system, "{at}");
        assert!(before.board.is_none() || before.board == after.board, "{at}");
        assert!(
            before.chassis.is_none() || before.chassis == after.chassis,
            "{at}"
        );
        assert!(
            before.firmware.is_none() || before.firmware == after.firmware,
            "{at}"
        );
        assert!(after.slots.starts_with(&before.slots), "{at}");
        assert!(after.power_supplies.starts_with(&before.power_supplies), "{at}");
        let all = |report: &AssetReport| report.cpu.clone().unwrap_or_default();
        assert!(
            all(&after).processors.starts_with(&all(&before).processors),
            "{at}"
        );
        assert!(
            all(&after).smbios_caches.starts_with(&all(&before).smbios_caches),
            "{at}"
        );
        // Whether a slot is system memory depends on its array, which may follow it: compare only the arrays.
        assert!(after.memory.arrays.starts_with(&before.memory.arrays), "{at}");
    }
}

/// The bytes of an entry point for a table of this length, as in a dump of dmidecode.
fn dump(entry: &EntryPoint, table: &[u8]) -> Vec<u8> {
    let (major, minor) = entry.version.unwrap();
    let mut head = vec![0_u8; 32];
    let sum = |bytes: &[u8]| 0_u8.wrapping_sub(bytes.iter().fold(0, |sum, b| sum.wrapping_add(*b)));
    match entry.announced {
        Some(Announced { bytes, structures }) => {
            head[..4].copy_from_slice(b"_SM_");
            (head[5], head[6], head[7]) = (0x1f, major, minor);
            head[0x10..0x15].copy_from_slice(b"_DMI_");
            head[0x16..0x18].copy_from_slice(&(bytes as u16).to_le_bytes());
            head[0x18] = 32;
            head[0x1c..0x1e].copy_from_slice(&(structures as u16).to_le_bytes());
            head[0x15] = sum(&head[0x10..0x1f]);
            head[4] = sum(&head[..0x1f]);
        }
        None => {
            head[..5].copy_from_slice(b"_SM3_");
            (head[6], head[7], head[8]) = (0x18, major, minor);
            let most = entry.most.unwrap_or(table.len()) as u32;
            head[0x0c..0x10].copy_from_slice(&most.to_le_bytes());
            head[0x10] = 32;
            head[5] = sum(&head[..0x18]);
        }
    }
    head.extend(table);
    head
}

/// Compares with the real dmidecode on damaged tables, if available: `DMIDECODE=/path/to/dmidecode` (3.6);
/// `DAMAGED_TABLES` is their number.
#[test]
fn dmidecode_itself_agrees_on_damaged_tables() {
    let Some(dmidecode) = std::env::var_os("DMIDECODE") else {
        println!("skipped: no DMIDECODE=/path/to/dmidecode 3.6");
        return;
    };
    let count = std::env::var("DAMAGED_TABLES").map_or(300, |n| n.parse().unwrap());
    let seed = std::env::var("DAMAGED_SEED").map_or(0xd1ce, |n| n.parse().unwrap());
    let tables = sound_tables();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump.bin");
    let mut dice = Dice(seed);
    let mut oracle = Oracle::of_damaged();
    for i in 0..count {
        let (name, sound, entry) = &tables[dice.below(tables.len())];
        let mut bytes = sound.clone();
        let mut how = damage(&mut bytes, &mut dice);
        // The entry point sometimes matches the new length and sometimes is wrong.
        let announced = entry.announced.map(|announced| Announced {
            bytes: match dice.below(4) {
                0 => announced.bytes.min(bytes.len()),
                _ => bytes.len(),
            }
            .min(0xffff),
            structures: match dice.below(5) {
                0 => 0,
                1 => {
                    how = "a count is any";
                    dice.below(300)
                }
                _ => announced.structures,
            },
        });
        let most = entry.most.map(|most| match dice.below(4) {
            0 => dice.below(bytes.len()).max(1),
            _ => most.min(bytes.len()),
        });
        let entry = EntryPoint {
            announced,
            most,
            ..*entry
        };
        std::fs::write(&path, dump(&entry, &bytes)).unwrap();
        let said = Command::new(&dmidecode)
            .arg("--from-dump")
            .arg(&path)
            .output()
            .unwrap();
        if !said.status.success() {
            // dmidecode 3.6 reads beyond some vendors' short structures and crashes.
            println!("{i} {name} ({how}): {}", said.status);
            continue;
        }
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let (report, _) = read(&bytes, entry);
        oracle.machine(&format!("{i} {name} ({how})"), &report, &from_text(&text));
        if oracle.wrong().len() > 40 {
            break;
        }
    }
    println!("{}", oracle.summary().split(": {").next().unwrap());
    oracle.assert();
}

/// An entry point from the bytes of a fuzz case.
fn any_entry(bytes: &[u8]) -> EntryPoint {
    EntryPoint::parse(bytes).unwrap_or(EntryPoint::NONE)
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
        entry in proptest::collection::vec(proptest::num::u8::ANY, 0..32),
    ) {
        read(&bytes, any_entry(&entry));
    }

    /// Structures of known types with any content: closer to a broken table than random bytes.
    #[test]
    fn any_structures_are_read_without_a_panic(
        structures in proptest::collection::vec(
            (
                proptest::sample::select(vec![0_u8, 1, 2, 3, 4, 7, 9, 10, 11, 16, 17, 38, 39, 41, 42, 127]),
                proptest::collection::vec(proptest::num::u8::ANY, 0..120),
            ),
            0..12,
        ),
        version in proptest::option::of((2_u8..4, 0_u8..10)),
        announced in proptest::option::of((0_usize..2000, 0_usize..20)),
    ) {
        let mut bytes = Vec::new();
        for (kind, body) in &structures {
            bytes.extend([*kind, body.len() as u8 / 2 + 4, 0, 0]);
            bytes.extend(body);
            bytes.extend([0, 0]);
        }
        let entry = EntryPoint {
            version,
            announced: announced.map(|(bytes, structures)| Announced { bytes, structures }),
            ends_at_marker: announced.is_none(),
            ..EntryPoint::NONE
        };
        read(&bytes, entry);
    }
}
