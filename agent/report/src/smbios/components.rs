//! Types 22, 43 and 45: batteries, the TPM, firmware images.

use inventory_api::report::{BatteryFacts, FirmwareComponent, TpmFacts};

use super::super::{Problems, clean};
use super::table::Table;

/// Maximum number of batteries and firmware images.
const LIMIT: usize = 256;

/// Type 45 (7.46), since SMBIOS 3.5.
pub(super) fn firmware(table: &Table, problems: &mut Problems) -> Vec<FirmwareComponent> {
    let images = table.all(45, 0x18, problems);
    images
        .into_iter()
        .take(LIMIT)
        .map(|s| FirmwareComponent {
            name: s.fact(0x04, problems),
            // "0" and "00" are valid versions.
            version: s.place(0x05, problems),
            id: s.fact(0x07, problems),
            date: s.fact(0x09, problems),
            manufacturer: s.fact(0x0a, problems),
            state: s.named(0x16, state),
        })
        .filter(|image| image.name.is_some() || image.id.is_some())
        .collect()
}

/// 7.46.3.
fn state(code: u8) -> Option<&'static str> {
    Some(match code {
        0x01 => "Other",
        0x03 => "Disabled",
        0x04 => "Enabled",
        0x05 => "Absent",
        0x06 => "Stand-by Offline",
        0x07 => "Stand-by Spare",
        0x08 => "Unavailable Offline",
        _ => return None,
    })
}

/// Type 22 (7.23).
pub(super) fn batteries(table: &Table, problems: &mut Problems) -> Vec<BatteryFacts> {
    let batteries = table.all(22, 0x10, problems);
    batteries
        .into_iter()
        .take(LIMIT)
        .map(|s| BatteryFacts {
            location: s.place(0x04, problems),
            manufacturer: s.fact(0x05, problems),
            serial: s.fact(0x07, problems),
            model: s.fact(0x08, problems),
            ..BatteryFacts::default()
        })
        // Server boards may carry a laptop's entry with nothing in it.
        .filter(|battery| {
            battery.manufacturer.is_some() || battery.serial.is_some() || battery.model.is_some()
        })
        .collect()
}

/// Type 43 (7.44). None if absent or without a maker.
pub(super) fn tpm(table: &Table, problems: &mut Problems) -> Option<TpmFacts> {
    let s = table.all(43, 0x1f, problems).into_iter().next()?;
    // Four letters, padded with zeros or blanks.
    let letters = s.bytes(0x04, 0x08)?.split(|b| *b == 0).next()?;
    let manufacturer =
        clean::ascii(letters).filter(|name| name.bytes().all(|b| b.is_ascii_graphic() || b == b' '))?;
    let (major, minor) = s.byte(0x08).zip(s.byte(0x09))?;
    let firmware = match major {
        // The first two bytes repeat the specification version.
        1 => s
            .byte(0x0c)
            .zip(s.byte(0x0d))
            .map(|(major, minor)| format!("{major}.{minor}")),
        2 => s
            .dword(0x0a)
            .map(|version| format!("{}.{}", version >> 16, version & 0xffff)),
        _ => None,
    };
    Some(TpmFacts {
        version: (major != 0).then(|| format!("{major}.{minor}")),
        manufacturer: Some(manufacturer),
        firmware,
        endorsement_key_sha256: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::entry::EntryPoint;
    use super::*;

    fn structure(kind: u8, fields: &[u8], strings: &str) -> Vec<u8> {
        let head = [kind, 4 + fields.len() as u8, kind, 0];
        [&head, fields, strings.as_bytes(), &[0, 0]].concat()
    }

    fn table(bytes: &[u8]) -> (Table, Problems) {
        let mut problems = Problems::new("smbios");
        let end = [127, 4, 0xff, 0xfe, 0, 0];
        let table = Table::parse(&[bytes, &end].concat(), EntryPoint::NONE, &mut problems);
        (table, Problems::new("smbios"))
    }

    #[test]
    fn firmware_images_with_version_and_state() {
        let fields = |name: u8, state: u8| {
            let mut fields = vec![name, 2, 0, 3, 0, 4, 5, 0];
            fields.resize(18, 0);
            fields.extend([state, 0]);
            fields
        };
        let bmc = structure(
            45,
            &fields(1, 4),
            "BMC Firmware\x002.86\x00bmc-0\x002026-01-02\x00Dell Inc.",
        );
        let empty = structure(45, &fields(0, 5), "");
        let (table, mut problems) = table(&[bmc, empty].concat());
        let expected = FirmwareComponent {
            name: Some("BMC Firmware".to_owned()),
            version: Some("2.86".to_owned()),
            id: Some("bmc-0".to_owned()),
            date: Some("2026-01-02".to_owned()),
            manufacturer: Some("Dell Inc.".to_owned()),
            state: Some("Enabled".to_owned()),
        };
        assert_eq!(firmware(&table, &mut problems), [expected]);
    }

    #[test]
    fn a_tpm_by_its_table_alone() {
        let tpm_of = |vendor: &[u8; 4], major: u8, minor: u8, version: u32| {
            let mut fields = [&vendor[..], &[major, minor], &version.to_le_bytes()].concat();
            fields.resize(0x1b, 0);
            let (table, mut problems) = table(&structure(43, &fields, ""));
            tpm(&table, &mut problems)
        };
        let expected = TpmFacts {
            version: Some("2.0".to_owned()),
            manufacturer: Some("IFX".to_owned()),
            firmware: Some("7.85".to_owned()),
            endorsement_key_sha256: None,
        };
        assert_eq!(tpm_of(b"IFX\0", 2, 0, 0x0007_0055), Some(expected));
        let old = tpm_of(b"STM ", 1, 2, 0x0208_0201).unwrap();
        assert_eq!(
            (old.version.as_deref(), old.firmware.as_deref()),
            (Some("1.2"), Some("8.2"))
        );
        assert_eq!(tpm_of(b"\0\0\0\0", 2, 0, 0), None);
        assert_eq!(tpm_of(b"\xff\xff\xff\xff", 2, 0, 0), None);
    }

    #[test]
    fn a_battery_that_is_there() {
        let fields = |strings: [u8; 5]| {
            let mut fields = strings.to_vec();
            fields.resize(12, 0);
            fields
        };
        let full = structure(
            22,
            &fields([1, 2, 0, 3, 4]),
            "Rear\x00Sony\x00123456A\x00DELL XJ1",
        );
        let empty = structure(22, &fields([1, 0, 0, 0, 0]), "Rear");
        let (table, mut problems) = table(&[full, empty].concat());
        let found = batteries(&table, &mut problems);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].location.as_deref(), found[0].model.as_deref()),
            (Some("Rear"), Some("DELL XJ1"))
        );
    }
}
