//! Types 0, 1, 2, 3 and 11: firmware, system, base board, chassis, OEM strings.

use inventory_api::report::{BoardFacts, ChassisFacts, FirmwareFacts, SystemFacts};
use uuid::Uuid;

use super::super::{Problems, clean};
use super::table::Table;
use super::words;

const OEM_LIMIT: usize = 256;

pub(super) fn system(table: &Table, problems: &mut Problems) -> Option<SystemFacts> {
    let s = table.single(1, 0x08, problems)?;
    Some(SystemFacts {
        manufacturer: s.fact(0x04, problems),
        product: s.fact(0x05, problems),
        version: s.fact(0x06, problems),
        serial: s.fact(0x07, problems),
        // Must include the wake-up type after it, as in dmidecode.
        uuid: s
            .since(0x19)
            .and_then(|s| uuid(s.bytes(0x08, 0x18)?.try_into().ok()?, table.version)),
        sku: s.since(0x1b).and_then(|s| s.fact(0x19, problems)),
        family: s.since(0x1b).and_then(|s| s.fact(0x1a, problems)),
    })
}

/// The UUID as dmidecode prints it: the first three fields are little-endian since SMBIOS 2.6 (7.2.1);
/// earlier firmware used text order. Field report 15: DHCP option 97 has yet another order. None without a
/// version, because the wrong order gives another machine's UUID.
fn uuid(raw: [u8; 16], version: Option<(u8, u8)>) -> Option<String> {
    if raw == [0; 16] || raw == [0xff; 16] {
        return None;
    }
    let uuid = match version? >= (2, 6) {
        true => Uuid::from_bytes_le(raw),
        false => Uuid::from_bytes(raw),
    };
    Some(uuid.to_string())
}

/// The first board: a blade or a server with risers has several.
pub(super) fn board(table: &Table, problems: &mut Problems) -> Option<BoardFacts> {
    let s = table.all(2, 0x08, problems).into_iter().next()?;
    Some(BoardFacts {
        manufacturer: s.fact(0x04, problems),
        product: s.fact(0x05, problems),
        version: s.fact(0x06, problems),
        serial: s.fact(0x07, problems),
        asset_tag: s.fact(0x08, problems),
        location: s.since(0x0e).and_then(|s| s.fact(0x0a, problems)),
    })
}

/// The first chassis: the one the system board is in.
pub(super) fn chassis(table: &Table, problems: &mut Problems) -> Option<ChassisFacts> {
    let s = table.all(3, 0x09, problems).into_iter().next()?;
    // The SKU follows the contained elements.
    let elements = s.byte(0x13).zip(s.byte(0x14));
    let sku = elements.map(|(count, size)| 0x15 + usize::from(count) * usize::from(size));
    let state = |offset| s.since(0x0d)?.named(offset, words::chassis_state);
    let height = s.since(0x13).and_then(|s| s.byte(0x11));
    Some(ChassisFacts {
        manufacturer: s.fact(0x04, problems),
        kind: s.named(0x05, words::chassis),
        version: s.fact(0x06, problems),
        serial: s.fact(0x07, problems),
        asset_tag: s.fact(0x08, problems),
        height_u: height.filter(|u| *u != 0).map(u32::from),
        sku: sku.and_then(|at| s.fact(at, problems)),
        power_supply_state: state(0x0a),
        thermal_state: state(0x0b),
    })
}

pub(super) fn firmware(table: &Table, problems: &mut Problems) -> Option<FirmwareFacts> {
    let s = table.single(0, 0x12, problems)?;
    let revision = |major: usize, minor: usize| {
        let (major, minor) = s.since(0x18)?.byte(major).zip(s.byte(minor))?;
        // 0xff in either: not supported (7.1).
        (major != 0xff && minor != 0xff).then(|| format!("{major}.{minor}"))
    };
    Some(FirmwareFacts {
        vendor: s.fact(0x04, problems),
        version: s.fact(0x05, problems),
        date: s.fact(0x08, problems),
        revision: revision(0x14, 0x15),
        controller_revision: revision(0x16, 0x17),
        rom_bytes: s.byte(0x09).and_then(|size| rom_bytes(size, s.word(0x18))),
    })
}

/// 7.1: in units of 64 KiB; 0xff means 16 MiB or more, given by the extended size (3.1).
fn rom_bytes(size: u8, extended: Option<u16>) -> Option<u64> {
    const MIB: u64 = 1024 * 1024;
    match (size, extended) {
        (0xff, None) => Some(16 * MIB),
        (0xff, Some(extended)) => {
            let unit = match extended >> 14 {
                0 => MIB,
                1 => 1024 * MIB,
                _ => return None,
            };
            Some(u64::from(extended & 0x3fff) * unit).filter(|bytes| *bytes != 0)
        }
        (size, _) => Some((u64::from(size) + 1) * 64 * 1024),
    }
}

/// Type 11: free text from the maker.
pub(super) fn oem_strings(table: &Table, problems: &mut Problems) -> Vec<String> {
    let structures = table.all(11, 0x05, problems);
    let strings = structures.into_iter().flat_map(|s| {
        let count = s.byte(0x04).unwrap_or(0);
        (1..=count).map_while(move |number| s.string_number(number))
    });
    let facts = strings.filter_map(|text| clean::fact(&text));
    facts.take(OEM_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_order_follows_the_version() {
        let raw = *b"\x44\x45\x4c\x4c\x51\xa2\x10\x50\x80\x46\xc3\xc0\x4f\x33\x30\x42";
        assert_eq!(
            uuid(raw, Some((2, 3))).unwrap(),
            "44454c4c-51a2-1050-8046-c3c04f333042"
        );
        assert_eq!(
            uuid(raw, Some((2, 6))).unwrap(),
            "4c4c4544-a251-5010-8046-c3c04f333042"
        );
        assert_eq!(uuid(raw, None), None);
    }

    #[test]
    fn a_uuid_that_names_no_machine_is_none() {
        assert_eq!(uuid([0; 16], Some((3, 0))), None);
        assert_eq!(uuid([0xff; 16], Some((3, 0))), None);
    }

    #[test]
    fn rom_sizes_in_both_ways() {
        assert_eq!(rom_bytes(0x7f, None), Some(8 << 20));
        assert_eq!(rom_bytes(0xff, None), Some(16 << 20));
        assert_eq!(rom_bytes(0xff, Some(32)), Some(32 << 20));
        assert_eq!(rom_bytes(0xff, Some(0x4002)), Some(2 << 30));
        assert_eq!(rom_bytes(0xff, Some(0x8002)), None);
    }
}
