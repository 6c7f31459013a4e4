use inventory_api::Mac;
use inventory_api::report::{
    BoardFacts, ChassisFacts, CollectorProblem, DiskFacts, MemorySlot, NicFacts, PowerSupply, SystemFacts,
};
use proptest::prelude::*;

use super::*;

fn dimm(slot: &str, serial: &str) -> MemorySlot {
    MemorySlot {
        slot: Some(slot.into()),
        populated: Some(true),
        part: Some("MTA36ASF8G72PZ-3G2".into()),
        serial: Some(serial.into()),
        ..MemorySlot::default()
    }
}

fn disk(name: &str, serial: &str) -> DiskFacts {
    DiskFacts {
        name: name.into(),
        serial: Some(serial.into()),
        model: Some("SAMSUNG MZ7".into()),
        ..DiskFacts::default()
    }
}

fn report(dimms: &[MemorySlot], disks: &[DiskFacts]) -> AssetReport {
    let mut report = AssetReport {
        system: Some(SystemFacts::default()),
        disks: disks.to_vec(),
        ..AssetReport::default()
    };
    report.memory.slots = dimms.to_vec();
    report
}

fn held(report: &AssetReport) -> Vec<Held> {
    let parts = parts(report);
    parts
        .into_iter()
        .map(|p| Held {
            key: p.key,
            kind: p.kind,
            place: p.place,
        })
        .collect()
}

fn words(before: &AssetReport, after: &AssetReport) -> Vec<String> {
    let (before, blind) = (held(before), not_looked_at(after));
    diff(&before, &parts(after), &blind)
        .iter()
        .map(|c| match c {
            Change::Arrived(p) => format!("+{} {}", p.serial, p.place),
            Change::Moved { part, from } => format!("{} {from}>{}", part.serial, part.place),
            Change::Removed(h) => format!("-{}", h.place),
        })
        .collect()
}

#[test]
fn installed_moved_and_removed() {
    let before = report(&[dimm("A1", "AA01"), dimm("A2", "AA02")], &[disk("sda", "S001")]);
    let after = report(&[dimm("A1", "AA02"), dimm("A3", "AA03")], &[disk("sda", "S001")]);
    assert_eq!(
        words(&AssetReport::default(), &before),
        ["+AA01 A1", "+AA02 A2", "+S001 sda"]
    );
    assert_eq!(words(&before, &after), ["-A1", "AA02 A2>A1", "+AA03 A3"]);
    assert!(words(&before, &before).is_empty());
}

#[test]
fn parts_whose_collector_failed_were_not_removed() {
    let before = report(&[dimm("A1", "AA01")], &[disk("sda", "S001")]);
    let mut after = report(&[], &[]);
    after.problems = vec![CollectorProblem {
        collector: "disks".into(),
        detail: "no".into(),
    }];
    assert_eq!(words(&before, &after), ["-A1"]);
    after.system = None;
    assert!(
        words(&before, &after).is_empty(),
        "no SMBIOS table was read at all"
    );
}

#[test]
fn a_placeholder_serial_number_makes_no_part() {
    for junk in [
        "",
        "  ",
        "0",
        "00000000",
        "FFFFFFFF",
        "................",
        "To Be Filled By O.E.M.",
        "Default string",
        "Not Specified",
        "0123456789",
        "123456789",
        "N/A",
        "System Serial Number",
        "None",
        "1234567890",
    ] {
        assert!(parts(&report(&[dimm("A1", junk)], &[])).is_empty(), "{junk:?}");
    }
}

#[test]
fn a_serial_number_in_several_slots_does_not_count_and_two_paths_are_one_disk() {
    let r = report(
        &[dimm("A1", "SAME99"), dimm("A2", "SAME99"), dimm("A3", "OWN777")],
        &[disk("sda", "S001"), disk("sdb", "S001")],
    );
    let serials: Vec<_> = parts(&r).into_iter().map(|p| (p.serial, p.place)).collect();
    assert_eq!(
        serials,
        [("OWN777".into(), "A3".into()), ("S001".into(), "sda".into())]
    );
}

#[test]
fn every_kind_of_part_is_followed_and_media_are_not() {
    let mut r = report(
        &[dimm("A1", "AA01")],
        &[disk("sda", "S001"), disk("sdb", "STICK1"), disk("sdc", "VOL001")],
    );
    r.disks[1].removable = Some(true);
    r.disks[2].raid_volume = Some(true);
    r.board = Some(BoardFacts {
        serial: Some("BOARD7".into()),
        ..BoardFacts::default()
    });
    r.chassis = Some(ChassisFacts {
        serial: Some("CHAS77".into()),
        ..ChassisFacts::default()
    });
    r.power_supplies = vec![
        PowerSupply {
            location: Some("PSU1".into()),
            serial: Some("PSU001".into()),
            ..PowerSupply::default()
        },
        PowerSupply {
            location: Some("PSU2".into()),
            serial: Some("PSU002".into()),
            present: Some(false),
            ..PowerSupply::default()
        },
    ];
    let nic = |mac: [u8; 6], pci: Option<&str>| NicFacts {
        name: "eth".into(),
        permanent_mac: Some(Mac(mac)),
        pci: pci.map(str::to_owned),
        ..NicFacts::default()
    };
    r.nics = vec![
        nic([0, 0x1b, 1, 2, 3, 4], Some("0000:01:00.0")),
        nic([0, 0x1b, 1, 2, 3, 5], None),
    ];
    let kinds: Vec<_> = parts(&r).iter().map(|p| (p.kind, p.serial.clone())).collect();
    assert_eq!(
        kinds,
        [
            (PartKind::Chassis, "CHAS77".into()),
            (PartKind::Board, "BOARD7".into()),
            (PartKind::Dimm, "AA01".into()),
            (PartKind::Disk, "S001".into()),
            (PartKind::Nic, "00:1b:01:02:03:04".into()),
            (PartKind::Psu, "PSU001".into()),
        ]
    );
}

#[test]
fn stretches_that_overlap_mean_two_machines_had_the_part_at_once() {
    let s = |since, until| Stretch {
        since: UnixMs(since),
        until: UnixMs(until),
    };
    assert!(!at_once(s(1, 1), s(2, 2)));
    assert!(at_once(s(1, 3), s(2, 2)));
    assert!(at_once(s(2, 2), s(1, 3)));
    assert!(!at_once(s(5, 9), s(1, 3)));
}

proptest! {
    /// Applying the changes to what was gives what is.
    #[test]
    fn applying_the_changes_to_the_old_parts_gives_the_new_ones(
        before in proptest::collection::btree_map("[a-f]", 0u8..6, 0..6),
        after in proptest::collection::btree_map("[a-f]", 0u8..6, 0..6),
    ) {
        let build = |m: &BTreeMap<String, u8>| {
            let dimms: Vec<_> = m.iter().map(|(s, slot)| dimm(&format!("A{slot}"), &format!("{s}X7Q2"))).collect();
            report(&dimms, &[])
        };
        let (b, a) = (build(&before), build(&after));
        let (had, have) = (held(&b), parts(&a));
        let mut place: BTreeMap<String, String> = had.iter().map(|h| (h.key.clone(), h.place.clone())).collect();
        for change in diff(&had, &have, &[]) {
            match change {
                Change::Arrived(p) => prop_assert!(place.insert(p.key.clone(), p.place.clone()).is_none()),
                Change::Moved { part, from } => {
                    let old = place.insert(part.key.clone(), part.place.clone());
                    prop_assert_eq!(old.as_deref(), Some(from));
                }
                Change::Removed(h) => prop_assert!(place.remove(&h.key).is_some()),
            }
        }
        let now: BTreeMap<String, String> = have.iter().map(|p| (p.key.clone(), p.place.clone())).collect();
        prop_assert_eq!(place, now);
    }
}

#[test]
fn usb_sticks_and_remote_volumes_are_not_parts_of_the_machine() {
    use inventory_api::report::Transport;
    let by = |transport, serial: &str| DiskFacts {
        transport: Some(transport),
        ..disk("sdb", serial)
    };
    let mut disks: Vec<DiskFacts> = [
        Transport::FibreChannel,
        Transport::Iscsi,
        Transport::NvmeOf,
        Transport::Pmem,
        Transport::Usb,
        Transport::Sd,
    ]
    .into_iter()
    .map(|transport| by(transport, "ARRAY7X1"))
    .collect();
    assert!(parts(&report(&[], &disks)).is_empty());
    disks.extend([by(Transport::Sas, "WFK00001"), by(Transport::Mmc, "0x1b2c3d4e")]);
    let kept: Vec<String> = parts(&report(&[], &disks))
        .into_iter()
        .map(|part| part.serial)
        .collect();
    assert_eq!(kept, ["WFK00001", "0x1b2c3d4e"]);
}

#[test]
fn a_disk_without_a_size_does_not_mean_that_the_disk_collector_failed() {
    let mut without = report(&[], &[]);
    let problem = |collector: &str| CollectorProblem {
        collector: collector.into(),
        detail: "the kernel gives sdb no size".into(),
    };
    without.problems = vec![problem("disk-size")];
    assert!(not_looked_at(&without).is_empty());
    without.problems = vec![problem("disks")];
    assert_eq!(not_looked_at(&without), [PartKind::Disk]);
}
