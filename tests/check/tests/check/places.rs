//! Renamed and shifted places are not moves, and modules that all differ in the same way give one finding.

use inventory_api::check::HardwareProfile;
use inventory_api::report::*;
use lifecycle::check::golden;

use crate::server::server;
use check_tests::{against, told};

type Plant = fn(&mut AssetReport);

fn codes(good: &AssetReport, plant: Plant) -> Vec<String> {
    let mut report = good.clone();
    plant(&mut report);
    let found = told(&against(&golden(good), &report));
    found.into_iter().map(|(code, _)| code).collect()
}

/// NVMe disks without bays on consecutive buses, each of a different model, and SATA disks on two
/// controllers.
fn by_path() -> AssetReport {
    let mut report = server();
    report.disks = (0..6_u8)
        .map(|n| DiskFacts {
            name: format!("d{n}"),
            model: Some(format!("MODEL{n}")),
            serial: Some(format!("SER7{n}A")),
            size_bytes: Some(960_197_124_096),
            transport: Some(if n < 4 { Transport::Nvme } else { Transport::Sata }),
            path: Some(match n {
                0..4 => format!("pci-0000:{:02x}:00.0-nvme-1", 0x20 + n),
                _ => format!("pci-0000:{:02x}:00.0-ata-1", 0x40 + n),
            }),
            ..Default::default()
        })
        .collect();
    report
}

fn shift(report: &mut AssetReport) {
    for disk in &mut report.disks {
        let path = disk.path.take().unwrap();
        let (bus, rest) = (u8::from_str_radix(&path[9..11], 16).unwrap(), &path[11..]);
        disk.path = Some(format!("pci-0000:{:02x}{rest}", bus + 1));
    }
}

#[test]
fn disks_behind_shifted_pci_addresses_have_not_moved() {
    let good = by_path();
    assert_eq!(codes(&good, shift), Vec::<String>::new());
    assert_eq!(
        codes(&good, |r| {
            shift(r);
            r.disks.remove(1);
        }),
        ["disk-missing"]
    );
    assert_eq!(
        codes(&good, |r| {
            shift(r);
            r.disks[4].model = Some("OTHER".into());
        }),
        ["disk-other-model"]
    );
}

#[test]
fn parts_in_renamed_places_have_not_moved() {
    let good = server();
    let table: &[(&[&str], Plant)] = &[
        (&[], |r| {
            let slots = r.memory.slots.iter_mut();
            slots.for_each(|s| s.slot = s.slot.take().map(|s| format!("P1_DIMM_{s}")));
        }),
        (&["dimm-missing"], |r| {
            let slots = r.memory.slots.iter_mut();
            slots.for_each(|s| s.slot = s.slot.take().map(|s| format!("P1_DIMM_{s}")));
            (r.memory.slots[4].populated, r.memory.slots[4].size_bytes) = (Some(false), None);
        }),
        // CPU1 and CPU2 are now CPU0 and CPU1.
        (&[], |r| {
            let cpus = &mut r.cpu.as_mut().unwrap().processors;
            (cpus[0].socket, cpus[1].socket) = (Some("CPU0".into()), Some("CPU1".into()));
        }),
        (&[], |r| {
            r.disks
                .iter_mut()
                .for_each(|d| d.bay = d.bay.take().map(|b| b.replace("Bay", "Slot")))
        }),
        (&["disk-smaller"], |r| {
            r.disks
                .iter_mut()
                .for_each(|d| d.bay = d.bay.take().map(|b| b.replace("Bay", "Slot")));
            r.disks[2].size_bytes = Some(480_103_981_056);
        }),
        (&[], |r| {
            r.nics
                .iter_mut()
                .for_each(|n| n.slot = Some("PCIe Slot 2".into()))
        }),
        (&["psu-other", "psu-other"], |r| {
            for (n, psu) in r.power_supplies.iter_mut().enumerate() {
                psu.location = Some(format!("SLOT {n}"));
                psu.part = Some("0TPJ2XA01".into());
            }
        }),
    ];
    for (n, (expected, plant)) in table.iter().enumerate() {
        assert_eq!(codes(&good, *plant), *expected, "row {n}");
    }
}

#[test]
fn all_modules_that_differ_alike_are_one_finding() {
    let good = server();
    let table: &[(&str, Plant)] = &[
        ("dimm-other-part", |r| {
            r.memory
                .slots
                .iter_mut()
                .for_each(|s| s.part = s.part.as_ref().map(|_| "OTHER-1".into()))
        }),
        ("dimm-smaller", |r| {
            r.memory
                .slots
                .iter_mut()
                .for_each(|s| s.size_bytes = s.size_bytes.map(|n| n / 2));
            r.memory.usable_bytes = None;
        }),
        ("dimm-other-kind", |r| {
            r.memory.slots.iter_mut().for_each(|s| s.rank = s.rank.map(|_| 1))
        }),
        ("dimm-other-kind", |r| {
            r.memory.slots.iter_mut().for_each(|s| s.rank = None)
        }),
        ("memory-slow", |r| {
            r.memory
                .slots
                .iter_mut()
                .for_each(|s| s.configured_mts = s.configured_mts.map(|_| 2400))
        }),
    ];
    for (code, plant) in table {
        let mut report = good.clone();
        plant(&mut report);
        let result = against(&golden(&good), &report);
        assert_eq!(
            told(&result),
            [((*code).to_owned(), "memory".to_owned())],
            "{result:#?}"
        );
        let sentence = &result.findings[0].sentence;
        println!("{sentence}");
        assert!(sentence.starts_with("All 16 modules"), "{sentence}");
        assert!(!sentence.contains("1 ranks"), "{sentence}");
    }
}

#[test]
fn a_minimum_that_cannot_be_compared_says_so() {
    let check = |text: &str| {
        let profile: HardwareProfile = toml::from_str(text).unwrap();
        against(&profile, &server()).findings[0].sentence.clone()
    };
    for text in [
        "bmc.min_firmware = 'iDRAC F3'",
        "disks = [{ count = 4, min_firmware = '2.0' }]",
        "nics = [{ count = 4, min_firmware = 'F3' }]",
        "firmware.min_version = 'U30 v2.40'",
    ] {
        let sentence = check(text);
        assert!(sentence.contains("cannot be compared"), "{text}: {sentence}");
    }
}
