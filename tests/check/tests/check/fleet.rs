//! Fleets: one odd machine among many, split fleets, serial numbers shared by two parts.

use std::collections::BTreeSet;
use std::path::Path;

use inventory_api::check::SeverityRule;
use inventory_api::report::*;
use lifecycle::check::{Outlier, golden, outliers, unhealthy};

use crate::server::server;
use check_tests::{against, machines, name_of, told};

fn fleet(reports: &[AssetReport]) -> Vec<(String, &AssetReport)> {
    let named = reports.iter().enumerate();
    named.map(|(n, report)| (format!("m-{n}"), report)).collect()
}

/// Which machine is odd, in which fact and where.
fn odd(found: &[Outlier]) -> Vec<(&str, &str, &str)> {
    found
        .iter()
        .filter_map(|o| match o {
            Outlier::Odd {
                machine, fact, place, ..
            } => Some((machine.as_str(), fact.as_str(), place.as_str())),
            Outlier::Groups { .. } => None,
        })
        .collect()
}

type Plant = fn(&mut AssetReport);

const ODD: &[(&str, &str, Plant)] = &[
    ("firmware", "", |r| {
        r.firmware.as_mut().unwrap().version = Some("2.9.4".into())
    }),
    ("microcode", "", |r| {
        r.cpu.as_mut().unwrap().microcode = Some("0x2006906".into())
    }),
    ("CPU flags", "", |r| drop(r.cpu.as_mut().unwrap().flags.pop())),
    ("threads of a core", "", |r| {
        r.cpu.as_mut().unwrap().threads_per_core = Some(1)
    }),
    ("CPU", "CPU2", |r| {
        r.cpu.as_mut().unwrap().processors[1].cores_enabled = Some(8)
    }),
    ("memory module", "A3", |r| {
        r.memory.slots[2].configured_mts = Some(2666)
    }),
    ("memory module", "A4", |r| {
        let module = r.memory.slots[2].clone();
        r.memory.slots[3] = MemorySlot {
            slot: Some("A4".into()),
            ..module
        };
    }),
    ("disk", "Bay 2", |r| r.disks[2].model = Some("ST960FX".into())),
    ("disk", "Bay 2", |r| r.disks[2].firmware = Some("HXT7804Q".into())),
    ("network port", "Slot 2 p1", |r| {
        r.nics[1].firmware = Some("8.30".into())
    }),
    ("link speed", "Slot 2 p1", |r| r.nics[1].speed_mbps = Some(1000)),
    ("power supply", "PSU2", |r| {
        r.power_supplies[1].max_watts = Some(750)
    }),
    ("Secure Boot", "", |r| r.boot.secure_boot = Some(false)),
    ("boot mode", "", |r| r.boot.mode = Some(FirmwareMode::Bios)),
    ("BMC firmware", "", |r| {
        r.bmc.as_mut().unwrap().firmware = Some("3.36".into())
    }),
];

/// Identical machines with different serial numbers.
fn clones(count: usize) -> Vec<AssetReport> {
    (0..count)
        .map(|n| {
            let mut report = server();
            report.boot.mode = Some(FirmwareMode::Uefi);
            report.boot.secure_boot = Some(true);
            report.system.as_mut().unwrap().serial = Some(format!("SER{n:04}"));
            for slot in &mut report.memory.slots {
                slot.serial = slot.serial.as_ref().map(|s| format!("{s}-{n}"));
            }
            for disk in &mut report.disks {
                disk.serial = Some(format!("{}-{n}", disk.name));
                if let Some(health) = &mut disk.health {
                    health.temperature_c = Some(30 + n as i32);
                }
            }
            report
        })
        .collect()
}

#[test]
fn the_odd_one_among_twenty_is_named() {
    assert_eq!(outliers(&fleet(&clones(20))), []);
    for (n, (fact, place, plant)) in ODD.iter().enumerate() {
        let mut reports = clones(20);
        plant(&mut reports[n]);
        let found = outliers(&fleet(&reports));
        assert_eq!(found.len(), 1, "{fact}: {found:#?}");
        let who = format!("m-{n}");
        assert_eq!(odd(&found), [(who.as_str(), *fact, *place)]);
        let Outlier::Odd {
            found, usual, others, ..
        } = &found[0]
        else {
            panic!()
        };
        println!("{who}: {fact} {place}: {found:?}, the others {usual:?}");
        assert_ne!(found, usual);
        assert_eq!(*others, 19);
    }
}

#[test]
fn too_few_machines_and_a_split_fleet_give_no_outlier() {
    let plant = ODD[0].2;
    let mut two = clones(2);
    plant(&mut two[0]);
    assert_eq!(outliers(&fleet(&two)), []);
    let mut three = clones(3);
    plant(&mut three[0]);
    assert_eq!(odd(&outliers(&fleet(&three))).len(), 1);
    let mut half = clones(20);
    half[..10].iter_mut().for_each(plant);
    let found = outliers(&fleet(&half));
    let [Outlier::Groups { fact, groups, .. }] = &found[..] else {
        panic!("{found:#?}")
    };
    assert_eq!(fact, "firmware");
    let sizes: Vec<usize> = groups.iter().map(|(_, who)| who.len()).collect();
    assert_eq!(sizes, [10, 10]);
    // A fact that differs on every machine does not describe the model.
    let mut all = clones(20);
    for (n, report) in all.iter_mut().enumerate() {
        report.disks[0].firmware = Some(format!("F{n}"));
    }
    assert_eq!(outliers(&fleet(&all)), []);
}

#[test]
fn the_odd_one_among_clones_of_every_captured_machine_is_named() {
    for (name, report) in machines() {
        let Some(n) = report
            .memory
            .slots
            .iter()
            .position(|s| s.configured_mts.is_some())
        else {
            continue;
        };
        let mut reports = vec![report.clone(); 20];
        assert_eq!(outliers(&fleet(&reports)), [], "{name}");
        let speed = reports[13].memory.slots[n].configured_mts;
        reports[13].memory.slots[n].configured_mts = speed.map(|s| s / 2);
        let found = outliers(&fleet(&reports));
        assert_eq!(found.len(), 1, "{name}: {found:#?}");
        assert_eq!(odd(&found)[0].0, "m-13", "{name}");
        // And by the golden profile of any other machine.
        let wrong: Vec<usize> = (0..20)
            .filter(|at| against(&golden(&reports[0]), &reports[*at]).findings != unhealthy(report))
            .collect();
        assert_eq!(wrong, [13], "{name}");
    }
}

/// `[('disk', '1I:1:1', 'type', 'SAS'), ...]` as in the files.
fn tuples(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut tuple = Vec::new();
    let mut word: Option<(char, String)> = None;
    for c in text.chars() {
        match &mut word {
            Some((quote, text)) if c == *quote => {
                tuple.push(std::mem::take(text));
                word = None;
            }
            Some((_, text)) => text.push(c),
            None if c == '\'' || c == '"' => word = Some((c, String::new())),
            None if c == ')' => all.push(std::mem::take(&mut tuple)),
            None => {}
        }
    }
    all
}

/// A blade's report.
fn blade(path: &Path) -> AssetReport {
    let facts = tuples(&std::fs::read_to_string(path).unwrap());
    let mut report = AssetReport::default();
    let mut cpu = CpuFacts::default();
    let mut disk = Vec::<DiskFacts>::new();
    for fact in &facts {
        let [kind, item, key, value] = &fact[..] else {
            continue;
        };
        let text = || Some(value.clone());
        let slots = &mut report.memory.slots;
        match (kind.as_str(), key.as_str()) {
            ("memory", _) if item.starts_with("bank:") => {
                if slots.last().and_then(|s| s.bank.as_ref()) != Some(item) {
                    slots.push(MemorySlot {
                        bank: Some(item.clone()),
                        populated: Some(false),
                        ..Default::default()
                    });
                }
                let slot = slots.last_mut().unwrap();
                match key.as_str() {
                    "slot" => slot.slot = text(),
                    "product" => slot.part = text(),
                    "vendor" => slot.manufacturer = text(),
                    "clock" => {
                        slot.configured_mts = value.parse::<u64>().ok().map(|hz| (hz / 1_000_000) as u32)
                    }
                    "size" => {
                        slot.size_bytes = value.parse().ok();
                        slot.populated = Some(true);
                    }
                    _ => {}
                }
            }
            ("disk", "type") => disk.push(DiskFacts {
                bay: Some(item.clone()),
                transport: Some(if value == "SAS" {
                    Transport::Sas
                } else {
                    Transport::Sata
                }),
                ..Default::default()
            }),
            // The controller's slot is part of the place, because bay 1I:1:1 occurs twice.
            ("disk", "slot") => {
                let disk = disk.last_mut().unwrap();
                disk.bay = Some(format!("controller {value} bay {item}"));
            }
            ("disk", "size") if item.contains(':') => {
                disk.last_mut().unwrap().size_bytes = value.parse::<u64>().ok().map(|gb| gb * 1_000_000_000);
            }
            ("firmware", "version") => report.firmware.get_or_insert_default().version = text(),
            ("firmware", "date") => report.firmware.get_or_insert_default().date = text(),
            ("system", "name") => report.system.get_or_insert_default().product = text(),
            ("system", "vendor") => report.system.get_or_insert_default().manufacturer = text(),
            ("system", "serial") => report.system.get_or_insert_default().serial = text(),
            ("cpu", "product") => cpu.processors.push(ProcessorFacts {
                socket: Some(item.clone()),
                populated: Some(true),
                model: text(),
                ..Default::default()
            }),
            ("cpu", "enabled_cores") => {
                cpu.processors.last_mut().unwrap().cores_enabled = value.parse().ok();
            }
            ("network", "driver") => report.nics.push(NicFacts {
                name: item.clone(),
                driver: text(),
                ..Default::default()
            }),
            _ => {}
        }
    }
    report.disks = disk;
    report.cpu = Some(cpu);
    report
}

#[test]
fn near_identical_blades_and_the_ones_that_differ() {
    let Some(samples) = fixtures::find("inventory/redhat-hardware/cardiff_samples") else {
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(samples)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "hw_"))
        .collect();
    files.sort();
    let blades: Vec<(String, AssetReport)> = files.iter().map(|p| (name_of(p), blade(p))).collect();
    assert_eq!(blades.len(), 19);
    let fleet: Vec<(String, &AssetReport)> = blades
        .iter()
        .map(|(name, report)| (name.clone(), report))
        .collect();

    // The differences in the files: four machines with six modules fewer, one of them with eight SATA disks
    // at a second controller.
    let modules = |r: &AssetReport| r.memory.slots.iter().filter(|s| s.size_bytes.is_some()).count();
    let most = blades.iter().map(|(_, r)| modules(r)).max().unwrap();
    let names = |of: &dyn Fn(&AssetReport) -> bool| -> BTreeSet<&str> {
        let those = blades.iter().filter(|(_, r)| of(r));
        those.map(|(name, _)| name.as_str()).collect()
    };
    let with_disks = names(&|r| r.disks.len() == 10);
    let small = names(&|r| modules(r) == most - 6);
    assert_eq!((with_disks.len(), small.len()), (1, 4));
    assert_eq!(
        (
            names(&|r| r.disks.len() == 2).len(),
            names(&|r| modules(r) == most).len()
        ),
        (18, 15)
    );

    let found = outliers(&fleet);
    for outlier in &found {
        println!("{outlier:?}");
    }
    let odd: BTreeSet<&str> = odd(&found).into_iter().map(|(who, _, _)| who).collect();
    assert_eq!(odd, with_disks);
    let groups: Vec<_> = found
        .iter()
        .filter_map(|o| match o {
            Outlier::Groups { fact, place, groups } => Some((fact.as_str(), place, groups)),
            Outlier::Odd { .. } => None,
        })
        .collect();
    let [(fact, place, groups)] = &groups[..] else {
        panic!("{groups:#?}")
    };
    assert_eq!((*fact, place.split(", ").count()), ("memory module", 6));
    let split: BTreeSet<&str> = groups[1].1.iter().map(String::as_str).collect();
    assert_eq!(split, small);

    // The same by the profile of a good one.
    let sound = blades.iter().find(|(n, _)| !small.contains(n.as_str())).unwrap();
    let mut profile = golden(&sound.1);
    for ignore in [false, true] {
        for (name, report) in &blades {
            let found: Vec<String> = told(&against(&profile, report))
                .into_iter()
                .map(|(code, _)| code)
                .collect();
            let mut expected = Vec::new();
            if small.contains(name.as_str()) {
                expected.extend(["dimm-missing"; 6]);
            }
            if with_disks.contains(name.as_str()) && !ignore {
                expected.extend(["disk-extra"; 8]);
            }
            assert_eq!(found, expected, "{name}");
        }
        profile.severity.insert("disk-extra".into(), SeverityRule::Ignore);
    }
}
