//! Types 0, 1, 2 and 3: firmware, system, base board and chassis.

use inventory_api::report::{BoardFacts, ChassisFacts, FirmwareFacts, SystemFacts};
use smbioslib::{
    SMBiosBaseboardInformation, SMBiosInformation, SMBiosStruct, SMBiosSystemChassisInformation,
    SMBiosSystemInformation,
};

use super::super::{Problems, clean};
use super::table::{Table, code, name, string};
use super::words;

pub(super) fn system(table: &Table, problems: &mut Problems) -> Option<SystemFacts> {
    let s: SMBiosSystemInformation = table.single(problems)?;
    let parts = s.parts();
    Some(SystemFacts {
        manufacturer: name(parts, s.manufacturer(), problems),
        product: name(parts, s.product_name(), problems),
        version: code(parts, s.version(), problems),
        serial: code(parts, s.serial_number(), problems),
        uuid: parts
            .get_field_data(0x08, 0x18)
            .and_then(|raw| uuid(raw.try_into().ok()?, table.version)),
        sku: code(parts, s.sku_number(), problems),
        family: code(parts, s.family(), problems),
    })
}

/// The UUID as dmidecode prints it: the first three fields are little-endian since SMBIOS 2.6 (7.2.1), before that
/// firmware wrote it in the order of its text. Field report 15: DHCP option 97 has yet another order.
fn uuid(raw: [u8; 16], version: Option<(u8, u8)>) -> Option<String> {
    if raw == [0; 16] || raw == [0xff; 16] {
        return None;
    }
    let mut b = raw;
    if version.is_none_or(|version| version >= (2, 6)) {
        b[0..4].reverse();
        b[4..6].reverse();
        b[6..8].reverse();
    }
    let hex = hex::encode(b);
    Some(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

pub(super) fn board(table: &Table, problems: &mut Problems) -> Option<BoardFacts> {
    let s: SMBiosBaseboardInformation = table.first()?;
    let parts = s.parts();
    Some(BoardFacts {
        manufacturer: name(parts, s.manufacturer(), problems),
        product: name(parts, s.product(), problems),
        version: code(parts, s.version(), problems),
        serial: code(parts, s.serial_number(), problems),
        asset_tag: code(parts, s.asset_tag(), problems),
        ..BoardFacts::default()
    })
}

pub(super) fn chassis(table: &Table, problems: &mut Problems) -> Option<ChassisFacts> {
    let s: SMBiosSystemChassisInformation = table.first()?;
    let parts = s.parts();
    Some(ChassisFacts {
        manufacturer: name(parts, s.manufacturer(), problems),
        kind: parts
            .get_field_byte(0x05)
            .and_then(words::chassis)
            .map(str::to_owned),
        version: code(parts, s.version(), problems),
        serial: code(parts, s.serial_number(), problems),
        asset_tag: code(parts, s.asset_tag_number(), problems),
        ..ChassisFacts::default()
    })
}

pub(super) fn firmware(table: &Table, problems: &mut Problems) -> Option<FirmwareFacts> {
    let s: SMBiosInformation = table.single(problems)?;
    let parts = s.parts();
    Some(FirmwareFacts {
        vendor: name(parts, s.vendor(), problems),
        version: name(parts, s.version(), problems),
        date: string(parts, s.release_date(), problems).and_then(|date| clean::fact(&date)),
        ..FirmwareFacts::default()
    })
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
        assert_eq!(uuid(raw, None), uuid(raw, Some((3, 0))));
    }

    #[test]
    fn a_uuid_that_names_no_machine_is_none() {
        assert_eq!(uuid([0; 16], Some((3, 0))), None);
        assert_eq!(uuid([0xff; 16], None), None);
    }
}
