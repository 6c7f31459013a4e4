//! The plan check as a table, with seen in the field (the wrong disk wiped).

use agent_install::{LiveDisk, verify};
use inventory_api::id::MachineId;
use inventory_api::plan::{InstallPlan, Step};
use inventory_api::report::DiskFacts;

use crate::bench::{DISK, facts, plan};

fn live(disks: &[DiskFacts]) -> Vec<LiveDisk> {
    disks
        .iter()
        .map(|f| LiveDisk {
            facts: f.clone(),
            in_use: None,
        })
        .collect()
}

fn machine() -> MachineId {
    "m-0123456789ab".parse().expect("an id")
}

fn code(plan: &InstallPlan, disks: &[LiveDisk]) -> &'static str {
    match verify(plan, &machine(), disks) {
        Ok(_) => "ok",
        Err(refused) => {
            assert!(refused.to_string().len() > 10);
            refused.code()
        }
    }
}

fn base() -> InstallPlan {
    plan(b"image", b"content", DISK)
}

/// Field report 24 (xcat-core#815 and #647, talos#4766, op-build#298, harvester#6909): a disk was chosen by
/// /dev/sdX or by the first WWN, and the wrong one was wiped. Only stable ids count, and two matching disks
/// are refused.
#[test]
fn field_report_24_two_disks_that_match_are_refused_whatever_their_names() {
    let with = |name: &str, serial: Option<&str>, wwn: Option<&str>| DiskFacts {
        serial: serial.map(str::to_owned),
        wwn: wwn.map(str::to_owned),
        ..facts(name, "")
    };
    let plan_of = |serial: Option<&str>, wwn: Option<&str>| {
        let mut plan = base();
        plan.disk.serial = serial.map(str::to_owned);
        plan.disk.wwn = wwn.map(str::to_owned);
        plan
    };
    // Both paths of one multipath disk, or two disks of a series with the same WWN: do not guess.
    let twins = live(&[
        with("sda", None, Some("naa.5000c500a")),
        with("sdb", None, Some("naa.5000c500a")),
    ]);
    assert_eq!(
        code(&plan_of(None, Some("naa.5000c500a")), &twins),
        "disk-ambiguous"
    );
    // Same serial number, WWN and size: two paths to one disk. The first is used.
    let both = [
        with("sda", Some("S1"), Some("naa.5000c500a")),
        with("sdb", Some("S1"), Some("naa.5000c500a")),
    ];
    let located = verify(
        &plan_of(Some("S1"), Some("naa.5000c500a")),
        &machine(),
        &live(&both),
    );
    assert_eq!(located.map(|l| l.name), Ok("sda".into()));
    // If one path is in use, the disk is in use; another size means another disk.
    let mut busy = live(&both);
    busy[1].in_use = Some("sdb1 is mounted on /".into());
    assert_eq!(
        code(&plan_of(Some("S1"), Some("naa.5000c500a")), &busy),
        "disk-busy"
    );
    let mut other = both.clone();
    other[1].size_bytes = Some(DISK / 2);
    assert_eq!(
        code(&plan_of(Some("S1"), Some("naa.5000c500a")), &live(&other)),
        "disk-ambiguous"
    );
    // A disk with the serial number but another WWN is another disk, wherever it is in the list.
    let mixed = [
        with("sda", Some("S1"), Some("naa.5000c500b")),
        with("sdb", Some("S1"), Some("naa.5000c500a")),
        with("sdc", Some("S2"), Some("naa.5000c500a")),
    ];
    for turn in 0..3 {
        let mut disks = mixed.to_vec();
        disks.rotate_left(turn);
        // The kernel names them in order of detection.
        for (n, disk) in disks.iter_mut().enumerate() {
            disk.name = ["sda", "sdb", "sdc"][n].into();
        }
        let wanted = disks
            .iter()
            .find(|d| d.wwn == mixed[1].wwn && d.serial == mixed[1].serial);
        let name = wanted.map(|d| d.name.clone());
        let located = verify(
            &plan_of(Some("S1"), Some("naa.5000c500a")),
            &machine(),
            &live(&disks),
        );
        assert_eq!(located.ok().map(|l| l.name), name, "turn {turn}");
        assert_eq!(code(&plan_of(Some("S1"), None), &live(&disks)), "disk-ambiguous");
    }
}

#[test]
fn field_report_24_the_disk_is_found_by_what_does_not_change() {
    // The names have swapped since the plan was made: the serial number counts.
    let disks = live(&[facts("sda", "S2"), facts("sdb", " S1 ")]);
    let located = verify(&base(), &machine(), &disks).expect("found");
    assert_eq!(
        (located.name.as_str(), located.size_bytes, located.block_bytes),
        ("sdb", DISK, 512)
    );
}

#[test]
fn disks_that_are_not_the_planned_one_are_refused() {
    let good = facts("sda", "S1");
    let with = |change: fn(&mut DiskFacts)| {
        let mut disk = good.clone();
        change(&mut disk);
        live(&[disk])
    };
    let plan = base();
    assert_eq!(code(&plan, &with(|_| {})), "ok");
    assert_eq!(code(&plan, &[]), "disk-missing");
    assert_eq!(code(&plan, &live(&[facts("sda", "S2")])), "disk-missing");
    assert_eq!(code(&plan, &with(|d| d.serial = None)), "disk-missing");
    assert_eq!(
        code(&plan, &live(&[good.clone(), facts("sdb", "S1")])),
        "disk-ambiguous"
    );
    assert_eq!(
        code(&plan, &with(|d| d.size_bytes = Some(DISK - 512))),
        "disk-size"
    );
    assert_eq!(code(&plan, &with(|d| d.size_bytes = None)), "disk-size");
    assert_eq!(
        code(&plan, &with(|d| d.logical_block_bytes = Some(4096))),
        "disk-size"
    );
    assert_eq!(code(&plan, &with(|d| d.read_only = Some(true))), "disk-readonly");
    assert_eq!(code(&plan, &with(|d| d.removable = Some(true))), "disk-removable");
    let mut named = plan.clone();
    named.disk.removable = true;
    assert_eq!(code(&named, &with(|d| d.removable = Some(true))), "ok");
    let busy = LiveDisk {
        facts: good.clone(),
        in_use: Some("sda1 is mounted on /".into()),
    };
    assert_eq!(code(&plan, &[busy]), "disk-busy");

    let mut both = base();
    both.disk.wwn = Some("naa.5000".into());
    assert_eq!(code(&both, &with(|_| {})), "disk-missing");
    assert_eq!(code(&both, &with(|d| d.wwn = Some("naa.5000".into()))), "ok");
    let mut unnamed = base();
    unnamed.disk.serial = None;
    assert_eq!(code(&unnamed, &with(|_| {})), "plan-disk");
    unnamed.disk.serial = Some("  ".into());
    assert_eq!(code(&unnamed, &with(|d| d.serial = Some("".into()))), "plan-disk");
}

type Change = fn(&mut InstallPlan);

fn partitions(plan: &mut InstallPlan) -> &mut Vec<inventory_api::plan::Partition> {
    let found = plan.steps.iter_mut().find_map(|s| match s {
        Step::Partition { partitions, .. } => Some(partitions),
        _ => None,
    });
    found.expect("a partition step")
}

#[test]
fn wrong_plans_are_refused() {
    let table: [(&str, &str, Change); 27] = [
        ("plan-schema", "newer schema", |p| p.schema += 1),
        ("plan-machine", "other machine", |p| {
            p.machine = "m-ffffffffffff".parse().expect("an id")
        }),
        ("plan-layout", "odd block size", |p| p.disk.block_bytes = 520),
        ("plan-layout", "no partitions", |p| drop(p.steps.remove(1))),
        ("plan-layout", "no erase", |p| drop(p.steps.remove(0))),
        ("plan-layout", "no finish", |p| drop(p.steps.pop())),
        ("plan-layout", "step twice", |p| {
            p.steps.insert(0, Step::EraseDisk {})
        }),
        ("plan-layout", "wrong order", |p| p.steps.swap(1, 2)),
        ("plan-layout", "settings before the image", |p| p.steps.swap(3, 6)),
        ("plan-layout", "beyond the end", |p| {
            partitions(p)[2].last_lba = DISK / 512 - 1
        }),
        ("plan-layout", "far beyond", |p| {
            partitions(p)[2].last_lba = u64::MAX
        }),
        ("plan-layout", "over the table", |p| {
            partitions(p)[0].first_lba = 0
        }),
        ("plan-layout", "backwards", |p| partitions(p)[0].last_lba = 100),
        ("plan-layout", "not aligned", |p| partitions(p)[1].first_lba += 1),
        ("plan-layout", "overlap", |p| partitions(p)[1].last_lba += 1),
        ("plan-layout", "number twice", |p| partitions(p)[1].number = 1),
        ("plan-layout", "number 0", |p| partitions(p)[0].number = 0),
        ("plan-layout", "GUID twice", |p| {
            partitions(p)[1].guid = partitions(p)[0].guid.clone()
        }),
        ("plan-layout", "no GUID", |p| partitions(p)[1].guid = "x".into()),
        ("plan-layout", "long name", |p| {
            partitions(p)[1].name = "n".repeat(37)
        }),
        ("plan-layout", "image on the ESP", |p| {
            if let Step::WriteImage { partition, .. } = &mut p.steps[3] {
                *partition = 2;
            }
        }),
        ("plan-layout", "FAT label", |p| {
            if let Step::MakeFat { label, .. } = &mut p.steps[2] {
                *label = "too long a label".into();
            }
        }),
        ("plan-layout", "root UUID", |p| {
            if let Step::Bootloader { root_uuid, .. } = &mut p.steps[4] {
                *root_uuid = "44444444-4444-4444-8444-444444444444".into();
            }
        }),
        ("image-size", "image too large", |p| {
            if let Step::WriteImage { source, .. } = &mut p.steps[3] {
                source.content_bytes = DISK;
            }
        }),
        ("image-size", "empty image", |p| {
            if let Step::WriteImage { source, .. } = &mut p.steps[3] {
                source.content_bytes = 0;
            }
        }),
        ("plan-content", "host name", |p| {
            if let Step::Hostname { hostname } = &mut p.steps[6] {
                *hostname = "a\nb".into();
            }
        }),
        ("plan-content", "account", |p| {
            if let Step::Accounts { accounts } = &mut p.steps[8] {
                accounts[0].name = "a:0".into();
            }
        }),
    ];
    let disks = live(&[facts("sda", "S1")]);
    for (expected, what, change) in table {
        let mut plan = base();
        change(&mut plan);
        let mut disks = disks.clone();
        disks[0].facts.logical_block_bytes = Some(plan.disk.block_bytes);
        assert_eq!(code(&plan, &disks), expected, "{what}");
    }
}

#[test]
fn unknown_steps_and_fields_are_not_even_read() {
    let text = serde_json::to_string(&base()).expect("JSON");
    let known: Result<InstallPlan, _> = serde_json::from_str(&text);
    assert!(known.is_ok());
    for (from, to) in [
        ("\"erase-disk\"", "\"format-everything\""),
        ("\"schema\":1", "\"schema\":1,\"also\":2"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert!(serde_json::from_str::<InstallPlan>(&changed).is_err(), "{to}");
    }
}
