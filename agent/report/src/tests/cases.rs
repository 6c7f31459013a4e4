//! Machines of the field cases (tests/cases), with all collectors.

use std::path::{Path, PathBuf};

use inventory_api::report::{AssetReport, MemoryClass, Transport};

use super::super::{Roots, collect_with};

fn collected(root: &Path) -> AssetReport {
    collect_with(&Roots::under(root), std::time::Duration::ZERO)
}

/// The report of a packed tree. None if the archive is not in git because of its size, and the folder with
/// all cases is missing.
fn packed(case: &str, archive: &str) -> Option<AssetReport> {
    let shared = std::env::var_os("SLIPWAY_CASES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases"),
        PathBuf::from,
    );
    let archives = [fixtures::case(case), shared.join(case)].map(|folder| folder.join(archive));
    let Some(archive) = archives.iter().find(|archive| archive.is_file()) else {
        println!("skipped: no {}", archives[1].display());
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let tar = std::process::Command::new("tar")
        .arg("xzf")
        .arg(archive)
        .arg("-C")
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(tar.success(), "{}", archive.display());
    // Some have a folder above sys and proc.
    let root = ["", "root"]
        .map(|inside| dir.path().join(inside))
        .into_iter()
        .find(|root| root.join("sys").is_dir());
    Some(collected(&root.unwrap()))
}

const GIB: u64 = 1 << 30;

#[test]
fn case_01_two_paths_of_each_disk() {
    let Some(report) = packed("01-dual-path-sas", "root.tar.gz") else {
        return;
    };
    let short: Vec<_> = report
        .disks
        .iter()
        .map(|disk| (disk.name.as_str(), disk.paths[0].name.as_str()))
        .collect();
    assert_eq!(
        short,
        [("sda", "sde"), ("sdb", "sdf"), ("sdc", "sdg"), ("sdd", "sdh")]
    );
    assert!(
        report.disks[0].paths[0]
            .path
            .as_deref()
            .unwrap()
            .starts_with("pci-0000:86:00.0-sas-")
    );
}

#[test]
fn case_03_persistent_memory_in_both_modes() {
    let modules = 12 * 126 * GIB;
    let app = packed("03-persistent-memory", "root-optane-app.tar.gz").unwrap();
    assert_eq!(
        (app.memory.installed_bytes, app.memory.persistent_bytes),
        (Some(384 * GIB), Some(modules))
    );
    let persistent = app
        .memory
        .slots
        .iter()
        .filter(|slot| slot.class == Some(MemoryClass::Persistent));
    assert_eq!(persistent.clone().count(), 12);
    assert!(
        persistent
            .clone()
            .all(|slot| slot.non_volatile_bytes == Some(126 * GIB) && slot.volatile_bytes == Some(0))
    );
    let disks: Vec<_> = app
        .disks
        .iter()
        .map(|disk| (disk.name.as_str(), disk.transport))
        .collect();
    assert_eq!(
        disks,
        [
            ("nvme0n1", Some(Transport::Nvme)),
            ("pmem0", Some(Transport::Pmem))
        ]
    );
    let mode = packed("03-persistent-memory", "root-optane-mem.tar.gz").unwrap();
    assert_eq!(
        (mode.memory.installed_bytes, mode.memory.persistent_bytes),
        (Some(modules), None)
    );
    let dram = mode
        .memory
        .slots
        .iter()
        .filter(|slot| slot.class == Some(MemoryClass::Dram));
    assert!(dram.clone().count() == 12 && dram.clone().all(|slot| slot.cache_bytes == slot.size_bytes));
}

#[test]
fn case_09_representors() {
    let report = packed("09-switchdev-representors", "root.tar.gz").unwrap();
    let short: Vec<_> = report
        .nics
        .iter()
        .map(|nic| (nic.name.as_str(), nic.port.as_deref()))
        .collect();
    assert_eq!(
        short,
        [
            ("ens1f0np0", Some("p0")),
            ("ens2f0np0", Some("c2pf0")),
            ("ibp178s0", None)
        ]
    );
    assert_eq!(
        report.nics[2].link_layer,
        Some(inventory_api::report::LinkLayer::Infiniband)
    );
}

#[test]
fn case_10_the_shelf_of_each_bay() {
    let Some(report) = packed("10-two-shelves", "root.tar.gz") else {
        return;
    };
    let short: Vec<_> = report
        .disks
        .iter()
        .map(|disk| (disk.bay.as_deref().unwrap(), disk.shelf.as_deref().unwrap()))
        .collect();
    let (first, second) = ("5000ccab05000000", "5000ccab05000001");
    assert_eq!(
        short,
        [
            ("Slot 01", first),
            ("Slot 02", first),
            ("Slot 03", first),
            ("Slot 01", second),
            ("Slot 02", second),
            ("Slot 03", second),
        ]
    );
}

#[test]
fn case_16_a_disk_without_size_is_told() {
    let report = packed("16-sectors-of-520-bytes", "root.tar.gz").unwrap();
    let told = report
        .problems
        .iter()
        .find(|problem| problem.collector == "disk-size")
        .unwrap();
    assert_eq!(
        told.detail,
        "the kernel gives sda no size: sectors other than 512 or 4096 bytes, or a fault"
    );
    assert_eq!(
        (report.disks[0].size_bytes, report.disks[0].logical_block_bytes),
        (None, None)
    );
}

#[test]
fn case_asset_13_a_flash_chip_is_no_module() {
    let report = collected(&fixtures::case("asset/13-spi-rom"));
    let kinds: Vec<_> = report
        .memory
        .slots
        .iter()
        .map(|slot| (slot.kind.as_deref(), slot.class))
        .collect();
    assert_eq!(kinds, [(Some("DDR3"), Some(MemoryClass::Dram))]);
}

#[test]
fn case_asset_14_placeholders_are_no_facts_and_numbers_are_decoded() {
    let report = collected(&fixtures::case("asset/14-placeholders"));
    let text = serde_json::to_string(&report).unwrap();
    for junk in [
        "NOT SUPPORT",
        "0x20",
        "SKU Number",
        "Chassis Manufacture",
        "Asset Tag",
        "AssetTag",
        "Chassis Location",
        "Reserved for",
        "_PART_NUM",
        "_ASSET_NUM",
        "Not Supported",
        "To be filled",
        "0x4A4D",
        "JEDEC",
    ] {
        assert!(!text.contains(junk), "{junk} in {text}");
    }
    let slots: Vec<_> = report
        .memory
        .slots
        .iter()
        .map(|slot| (slot.manufacturer.as_deref(), slot.part.as_deref()))
        .collect();
    assert!(
        slots.contains(&(Some("SK hynix"), slots[0].1))
            || slots.iter().any(|(maker, _)| *maker == Some("SK hynix")),
        "{slots:?}"
    );
    assert!(
        slots
            .iter()
            .any(|(_, part)| part.is_some_and(|part| part.starts_with("JM80"))),
        "{slots:?}"
    );
}
