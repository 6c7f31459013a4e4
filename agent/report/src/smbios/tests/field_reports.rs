//! Field reports 15 and 17 to 23: observations on real machines, each as a test.

use super::*;
use crate::smbios::entry::Announced;

/// One structure: type, handle, fields from byte 4 on, strings.
fn structure(kind: u8, handle: u16, fields: &[u8], strings: &[&str]) -> Vec<u8> {
    let mut bytes = vec![kind, fields.len() as u8 + 4];
    bytes.extend(handle.to_le_bytes());
    bytes.extend(fields);
    for text in strings {
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0] });
    bytes
}

/// Type 16 with 15 bytes: use and number of slots.
fn array(handle: u16, usage: u8, slots: u8) -> Vec<u8> {
    structure(16, handle, &[3, usage, 6, 0, 0, 0, 1, 0xfe, 0xff, slots, 0], &[])
}

/// Type 17 with 28 bytes in an array: size in MiB, form factor and type.
fn device(handle: u16, array: u16, mib: u16, form: u8, kind: u8, slot: &str) -> Vec<u8> {
    let mut fields = vec![];
    fields.extend(array.to_le_bytes());
    fields.extend([0xfe, 0xff, 72, 0, 64, 0]);
    fields.extend(mib.to_le_bytes());
    fields.extend([form, 0, 1, 0, kind, 0x80, 0, 0x40, 6, 2, 3, 0, 4, 1]);
    structure(
        17,
        handle,
        &fields,
        &[slot, "Samsung", "4459CFDE", "M393B5270CH0-CH9"],
    )
}

fn end() -> Vec<u8> {
    structure(127, 0xfeff, &[], &[])
}

fn of_version_2(minor: u8, bytes: usize, structures: usize) -> EntryPoint {
    EntryPoint {
        version: Some((2, minor)),
        announced: Some(Announced { bytes, structures }),
        ends_at_marker: false,
        ..EntryPoint::NONE
    }
}

/// A table with a correct entry point.
fn sound(structures: &[Vec<u8>]) -> (AssetReport, Problems) {
    let bytes = structures.concat();
    read(&bytes, of_version_2(7, bytes.len(), structures.len()))
}

#[test]
fn field_report_15_the_uuid_is_in_the_order_of_the_version() {
    let mut fields = vec![0, 0, 0, 0];
    fields.extend(*b"\x44\x45\x4c\x4c\x51\xa2\x10\x50\x80\x46\xc3\xc0\x4f\x33\x30\x42");
    fields.push(6);
    let bytes = [structure(1, 1, &fields, &[]), end()].concat();
    let uuid = |minor| {
        let (report, problems) = read(&bytes, of_version_2(minor, bytes.len(), 2));
        assert_eq!(problems.found, [], "2.{minor}");
        report.system.unwrap().uuid.unwrap()
    };
    assert_eq!(uuid(5), "44454c4c-51a2-1050-8046-c3c04f333042");
    assert_eq!(uuid(6), "4c4c4544-a251-5010-8046-c3c04f333042");
}

#[test]
fn field_report_17_the_flash_chip_of_the_firmware_is_no_memory() {
    let (report, problems) = sound(&[
        array(0x10, 3, 1),
        device(0x11, 0x10, 4096, 9, 0x18, "DIMM_A1"),
        // Flash memory, as in HP Z600 and ThinkCentre m720s.
        array(0x20, 5, 1),
        device(0x21, 0x20, 4, 5, 9, "BIOS"),
        end(),
    ]);
    assert_eq!(problems.found, []);
    assert_eq!(report.memory.installed_bytes, Some(4 << 30));
    assert_eq!((report.memory.slots.len(), report.memory.arrays.len()), (1, 1));
    assert_eq!(report.memory.slots[0].slot.as_deref(), Some("DIMM_A1"));
}

#[test]
fn field_report_18_the_slots_of_every_array_count() {
    let (report, problems) = sound(&[
        array(0x10, 3, 1),
        array(0x20, 3, 1),
        device(0x11, 0x10, 8192, 9, 0x18, "CPU1_A1"),
        device(0x21, 0x20, 8192, 9, 0x18, "CPU2_A1"),
        end(),
    ]);
    assert_eq!(problems.found, []);
    assert_eq!(report.memory.installed_bytes, Some(16 << 30));
    assert_eq!((report.memory.slots.len(), report.memory.arrays.len()), (2, 2));
}

#[test]
fn field_report_19_a_table_above_64_kib_with_many_empty_slots_is_read_to_its_end() {
    let mut structures = vec![array(0x10, 3, 128)];
    structures.push(device(0x11, 0x10, 1024, 9, 3, "RAM slot #0"));
    structures.extend((1..128).map(|n| device(0x11 + n, 0x10, 0, 9, 1, &format!("RAM slot #{n}"))));
    // Vendor structures make the table long.
    let filler = "x".repeat(200);
    structures.extend((0..400).map(|n| structure(221, 0x1000 + n, &[1], &[&filler])));
    structures.push(structure(3, 3, &[1, 23, 0, 0, 0], &["Last"]));
    structures.push(end());
    let bytes = structures.concat();
    assert!(bytes.len() > 64 * 1024, "{}", bytes.len());
    let entry = EntryPoint {
        version: Some((3, 0)),
        ..EntryPoint::NONE
    };
    let (report, problems) = read(&bytes, entry);
    assert_eq!(problems.found, []);
    assert_eq!(report.chassis.unwrap().manufacturer.as_deref(), Some("Last"));
    let slots = &report.memory.slots;
    assert_eq!(slots.len(), 128);
    assert_eq!(
        slots.iter().filter(|slot| slot.populated == Some(false)).count(),
        127
    );
    assert_eq!(report.memory.installed_bytes, Some(1 << 30));
    // VMware itself: 64 empty NVDIMM slots and 63 empty slots.
    if let Some(norm) = fixtures::find("smbios/norm") {
        let (report, _) = report_of(&norm.join("u-root__VMWare"));
        let slots = &report.memory.slots;
        assert_eq!(slots.len(), 128);
        assert_eq!(
            slots.iter().filter(|slot| slot.populated == Some(true)).count(),
            1
        );
        assert_eq!(report.memory.installed_bytes, Some(1 << 30));
    }
}

#[test]
fn field_report_20_wrong_announcements_and_a_second_type_0_are_accepted_and_a_problem() {
    let firmware = |version: &str| {
        let fields = [1, 2, 0, 0xf0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0];
        structure(0, 0, &fields, &["Apple Inc.", version])
    };
    let bytes = [firmware("MBP1"), firmware("MBP2"), array(0x10, 3, 2), end()].concat();
    let (report, problems) = read(&bytes, of_version_2(4, bytes.len() + 400, 91));
    assert_eq!(report.firmware.unwrap().version.as_deref(), Some("MBP1"));
    assert_eq!(report.memory.arrays.len(), 1);
    let said: Vec<&str> = problems.found.iter().map(|p| p.detail.as_str()).collect();
    for odd in [
        "entry point: 91 structures announced, 4 found",
        "bytes announced, the table has",
        "type 0: 2 structures instead of one; using the first",
        "1 handles are used more than once",
    ] {
        assert!(said.iter().any(|said| said.contains(odd)), "{odd}: {said:?}");
    }
}

#[test]
fn field_report_21_a_structure_of_no_length_ends_the_table() {
    let before = [array(0x10, 3, 2), device(0x11, 0x10, 8192, 9, 0x18, "A1")].concat();
    let after = device(0x12, 0x10, 8192, 9, 0x18, "A2");
    let bytes = [&before[..], &[4, 0, 1, 0, 0, 0], &after, &end()].concat();
    let (report, problems) = read(&bytes, of_version_2(7, bytes.len(), 5));
    assert_eq!(report.memory.slots.len(), 1);
    assert_eq!(report.memory.installed_bytes, Some(8 << 30));
    let broken = format!("table: broken at byte {}: a structure of length 0", before.len());
    assert!(problems.found[0].detail.starts_with(&broken), "{problems:?}");
}

#[test]
fn field_report_22_a_32_bit_entry_point_before_3_2_content_is_no_error() {
    // Type 2 with contained handles, type 17 with the fields of 3.2, type 4 with those of 3.0.
    let board = structure(
        2,
        2,
        &[1, 2, 0, 3, 0, 9, 0, 3, 0, 10, 2, 0x11, 0, 0x12, 0],
        &["Dell Inc.", "0W23H8", "SER1ALA"],
    );
    let mut dimm = device(0x11, 0x10, 0x7fff, 9, 0x1a, "A1");
    let strings = dimm.split_off(28);
    dimm[1] = 0x54;
    dimm.resize(0x54, 0);
    dimm[0x1c..0x20].copy_from_slice(&(64 * 1024_u32).to_le_bytes());
    dimm[0x20..0x22].copy_from_slice(&2666_u16.to_le_bytes());
    dimm[0x26..0x28].copy_from_slice(&1200_u16.to_le_bytes());
    dimm[0x28] = 3;
    dimm.extend(strings);
    let mut cpu = vec![0; 0x2c];
    (cpu[1], cpu[2], cpu[0x14], cpu[0x15]) = (3, 0xb3, 0x41, 0x36);
    (cpu[0x1f], cpu[0x20], cpu[0x21]) = (0xff, 0xff, 0xff);
    cpu[0x26..0x28].copy_from_slice(&288_u16.to_le_bytes());
    cpu[0x28..0x2a].copy_from_slice(&288_u16.to_le_bytes());
    cpu[0x2a..0x2c].copy_from_slice(&576_u16.to_le_bytes());
    let structures = [board, array(0x10, 3, 1), dimm, structure(4, 4, &cpu, &[]), end()];
    let bytes = structures.concat();
    let (report, problems) = read(&bytes, of_version_2(8, bytes.len(), 5));
    assert_eq!(problems.found, []);
    let board = report.board.unwrap();
    assert_eq!(board.serial.as_deref(), Some("SER1ALA"));
    let slot = &report.memory.slots[0];
    assert_eq!(
        (slot.size_bytes, slot.configured_mts),
        (Some(64 << 30), Some(2666))
    );
    assert_eq!(
        (slot.technology.as_deref(), slot.voltage),
        (Some("DRAM"), Some(1.2))
    );
    let cpu = &report.cpu.unwrap().processors[0];
    assert_eq!(
        (cpu.cores, cpu.threads, cpu.enabled, cpu.upgrade.as_deref()),
        (Some(288), Some(576), Some(true), Some("Socket LGA3647-1"))
    );
    if let Some(norm) = fixtures::find("smbios/norm") {
        let (_, problems) = report_of(&norm.join("jcreekmore__Dell-14G-R640-class_SMBIOS3.2"));
        assert_eq!(problems.found, []);
    }
}

/// EDAC counts ranks: the modules come from SMBIOS, whatever EDAC shows.
#[test]
fn field_report_23_modules_are_from_smbios_and_not_from_edac() {
    let dir = tempfile::tempdir().unwrap();
    let tables = dir.path().join("sys/firmware/dmi/tables");
    std::fs::create_dir_all(&tables).unwrap();
    let bytes = [array(0x10, 3, 1), device(0x11, 0x10, 8192, 9, 0x1a, "A1"), end()].concat();
    std::fs::write(tables.join("DMI"), bytes).unwrap();
    for rank in 0..4 {
        let rank = dir
            .path()
            .join(format!("sys/devices/system/edac/mc/mc0/rank{rank}"));
        std::fs::create_dir_all(&rank).unwrap();
        std::fs::write(rank.join("size"), "4096\n").unwrap();
        std::fs::write(rank.join("dimm_label"), "mc#0csrow#0channel#0\n").unwrap();
        std::fs::write(rank.join("dimm_ce_count"), "3\n").unwrap();
        std::fs::write(rank.join("dimm_ue_count"), "0\n").unwrap();
    }
    let report = crate::collect(&Roots::under(dir.path()));
    assert_eq!(report.problems, []);
    assert_eq!(report.memory.slots.len(), 1);
    assert_eq!(report.memory.installed_bytes, Some(8 << 30));
    assert_eq!(report.memory.edac.len(), 4);
    assert_eq!(report.memory.edac[0].corrected, Some(3));
}
