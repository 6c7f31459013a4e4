use super::*;
use inventory_api::Mac;
use inventory_api::check::HardwareProfile;
use inventory_api::deploy::{Account, CronJob, DiskChoice, Script, ScriptRun};
use inventory_api::report::{BootFacts, DiskFacts, FirmwareMode, NicFacts, Transport};
use inventory_api::sample::image;

const GIB: u64 = 1 << 30;

fn disk(name: &str, size: u64) -> DiskFacts {
    DiskFacts {
        name: name.into(),
        serial: Some(format!("SER-{name}")),
        size_bytes: Some(size),
        logical_block_bytes: Some(512),
        transport: Some(Transport::Virtio),
        ..Default::default()
    }
}

fn report() -> AssetReport {
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    AssetReport {
        boot: BootFacts {
            mode: Some(FirmwareMode::Uefi),
            boot_mac: Some(mac),
            ..Default::default()
        },
        disks: vec![disk("vda", 8 * GIB)],
        nics: vec![NicFacts {
            mac: Some(mac),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn make(report: &AssetReport, request: &DeployRequest) -> Result<InstallPlan, PlanError> {
    plan(PlanInput {
        machine: &"m-1".parse().unwrap(),
        report,
        image: &image(),
        request,
        id: &"p-1".parse().unwrap(),
        ids: &FreshIds::from_random(&std::array::from_fn(|i| i as u8)),
        now: UnixMs(1),
    })
}

#[test]
fn layout_is_aligned_and_inside_the_disk() {
    for (size, block) in [
        (8 * GIB, 512),
        (8 * GIB + 512, 512),
        (8 * GIB, 4096),
        (20_000_000_000_000, 4096),
    ] {
        let mut report = report();
        report.disks[0].size_bytes = Some(size);
        report.disks[0].logical_block_bytes = Some(block);
        let plan = make(&report, &DeployRequest::default()).unwrap();
        let Step::Partition { partitions, .. } = &plan.steps[1] else {
            panic!()
        };
        let block = u64::from(block);
        let mut free = EDGE_BYTES / block;
        for p in partitions {
            assert_eq!(p.first_lba, free);
            assert_eq!(p.first_lba * block % MIB, 0);
            free = p.last_lba + 1;
        }
        assert!(free * block <= size - EDGE_BYTES && size - free * block < EDGE_BYTES + MIB + 1);
    }
}

#[test]
fn a_disk_is_taken_only_if_exactly_one_matches() {
    let request = |choice: DiskChoice| DeployRequest {
        disk: Some(choice),
        ..Default::default()
    };
    let code = |report: &AssetReport, request: &DeployRequest| {
        make(report, request).map(|p| p.disk.serial).map_err(|e| e.code())
    };
    let any = DeployRequest::default();
    let mut r = report();
    assert_eq!(code(&r, &any), Ok(Some("SER-vda".into())));
    r.disks.push(disk("vdb", 16 * GIB));
    assert_eq!(code(&r, &any), Err("disk-ambiguous"));
    let smallest = request(DiskChoice {
        smallest: true,
        ..Default::default()
    });
    assert_eq!(code(&r, &smallest), Ok(Some("SER-vda".into())));
    let named = request(DiskChoice {
        serial: Some("ser-VDB".into()),
        ..Default::default()
    });
    assert_eq!(code(&r, &named), Ok(Some("SER-vdb".into())));
    let missing = request(DiskChoice {
        serial: Some("OTHER".into()),
        ..Default::default()
    });
    assert_eq!(code(&r, &missing), Err("disk-not-found"));
    r.disks[0].size_bytes = Some(GIB / 2);
    assert_eq!(
        code(&r, &any),
        Ok(Some("SER-vdb".into())),
        "one that is too small is no candidate"
    );
    let small = request(DiskChoice {
        serial: Some("SER-vda".into()),
        ..Default::default()
    });
    assert_eq!(code(&r, &small), Err("disk-too-small"));
    r.disks[1].removable = Some(true);
    assert_eq!(code(&r, &any), Err("no-disk"), "two disks, each with its reason");
    r.disks[0].read_only = Some(true);
    assert_eq!(code(&r, &any), Err("no-disk"));
    r.disks.clear();
    assert_eq!(code(&r, &any), Err("no-disk"));
    let mut r = report();
    r.disks[0].serial = None;
    assert_eq!(code(&r, &any), Err("disk-no-identity"));
    r.disks[0].wwn = Some("eui.1".into());
    assert!(code(&r, &any).is_ok());
    // Two disks with one serial number.
    let mut r = report();
    r.disks.push(DiskFacts {
        size_bytes: Some(GIB / 4),
        serial: r.disks[0].serial.clone(),
        ..disk("vdb", 1)
    });
    assert_eq!(
        code(&r, &any),
        Err("no-disk"),
        "the one cannot be named safely, the other is too small"
    );
}

/// A disk that is not built in is chosen only if it is named: a disk of each kind next to a larger NVMe disk.
#[test]
fn a_disk_that_is_not_built_in_is_taken_only_when_it_is_named() {
    let nvme = DiskFacts {
        transport: Some(Transport::Nvme),
        ..disk("nvme0n1", 8 * GIB)
    };
    type Change = fn(&mut DiskFacts);
    let kinds: [(&str, Change); 10] = [
        ("by USB", |d| d.transport = Some(Transport::Usb)),
        ("an SD card", |d| d.transport = Some(Transport::Sd)),
        ("by Fibre Channel", |d| {
            d.transport = Some(Transport::FibreChannel)
        }),
        ("by Fibre Channel", |d| {
            d.transport = Some(Transport::Scsi);
            d.path = Some("pci-0000:3b:00.0-fc-0x500a098588888888-lun-0".into());
        }),
        ("by iSCSI", |d| d.transport = Some(Transport::Iscsi)),
        ("by NVMe over fabrics", |d| d.transport = Some(Transport::NvmeOf)),
        ("persistent memory", |d| d.transport = Some(Transport::Pmem)),
        ("does not know", |d| d.transport = Some(Transport::Unknown)),
        ("a removable medium", |d| d.removable = Some(true)),
        ("by USB", |d| {
            d.transport = None;
            d.path = Some("pci-0000:00:14.0-usb-0:1:1.0-scsi-0:0:0:0".into());
        }),
    ];
    let request = |choice: DiskChoice| DeployRequest {
        disk: Some(choice),
        ..Default::default()
    };
    let smallest = DiskChoice {
        smallest: true,
        min_bytes: Some(GIB),
        ..Default::default()
    };
    for (words, make_so) in kinds {
        let mut foreign = disk("sda", 4 * GIB);
        foreign.wwn = Some("naa.5000".into());
        make_so(&mut foreign);
        let mut r = report();
        r.disks = vec![foreign.clone(), nvme.clone()];
        for choice in [None, Some(smallest.clone())] {
            let plan = make(
                &r,
                &DeployRequest {
                    disk: choice,
                    ..Default::default()
                },
            );
            assert_eq!(
                plan.unwrap().disk.serial.as_deref(),
                Some("SER-nvme0n1"),
                "{words}"
            );
        }
        for named in [
            DiskChoice {
                serial: Some("SER-sda".into()),
                ..Default::default()
            },
            DiskChoice {
                wwn: Some("NAA.5000".into()),
                ..Default::default()
            },
        ] {
            let plan = make(&r, &request(named)).unwrap();
            assert_eq!(plan.disk.serial.as_deref(), Some("SER-sda"), "{words}");
            assert_eq!(plan.disk.removable, foreign.removable == Some(true));
        }
        // Transport, model or size do not name it.
        r.disks.pop();
        for choice in [
            DiskChoice::default(),
            smallest.clone(),
            DiskChoice {
                transport: foreign.transport.filter(|t| *t != Transport::Unknown),
                ..Default::default()
            },
        ] {
            let error = make(&r, &request(choice)).unwrap_err();
            let said = error.to_string();
            assert_eq!(error.code(), "no-disk", "{said}");
            assert!(
                said.contains(words) && said.contains("not taken unless named"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_disk_is_chosen_by_its_transport() {
    let mut r = report();
    r.disks.push(DiskFacts {
        transport: Some(Transport::Nvme),
        ..disk("nvme0n1", 8 * GIB)
    });
    let choose = |transport| {
        let request = DeployRequest {
            disk: Some(DiskChoice {
                transport: Some(transport),
                ..Default::default()
            }),
            ..Default::default()
        };
        make(&r, &request)
            .map(|p| p.disk.serial)
            .map_err(|e| (e.code(), e.to_string()))
    };
    assert_eq!(choose(Transport::Nvme), Ok(Some("SER-nvme0n1".into())));
    let (code, said) = choose(Transport::Sas).unwrap_err();
    assert_eq!(code, "disk-not-found");
    assert!(
        said.starts_with("no disk matches sas; the machine has: vda virtio"),
        "{said}"
    );
    let (code, said) = choose(Transport::Unknown).unwrap_err();
    assert_eq!(
        (code, said.contains("fibre-channel")),
        ("bad-request", true),
        "{said}"
    );
}

/// Namespaces of one NVMe disk share its serial number; the WWN distinguishes them.
#[test]
fn a_namespace_is_named_by_its_wwn() {
    use inventory_api::report::DiskNamespace;
    let mut r = report();
    r.disks[0].wwn = Some("eui.1".into());
    r.disks[0].namespaces = vec![DiskNamespace {
        name: "nvme0n2".into(),
        wwn: Some("eui.2".into()),
        size_bytes: Some(16 * GIB),
    }];
    let by = |choice: DiskChoice| {
        let request = DeployRequest {
            disk: Some(choice),
            ..Default::default()
        };
        make(&r, &request)
            .map(|p| (p.disk.wwn.unwrap(), p.disk.size_bytes))
            .map_err(|e| e.code())
    };
    let wwn = |w: &str| DiskChoice {
        wwn: Some(w.into()),
        ..Default::default()
    };
    assert_eq!(by(wwn("eui.2")), Ok(("eui.2".into(), 16 * GIB)));
    assert_eq!(by(wwn("eui.1")), Ok(("eui.1".into(), 8 * GIB)));
    assert_eq!(by(DiskChoice::default()), Err("disk-ambiguous"));
}

#[test]
fn requests_that_would_break_a_file_are_refused() {
    let account = |a: Account| DeployRequest {
        accounts: vec![a],
        ..Default::default()
    };
    let named = |name: &str| Account {
        name: name.into(),
        ..Default::default()
    };
    let job = |schedule: &str| DeployRequest {
        cron: vec![CronJob {
            name: "j".into(),
            schedule: schedule.into(),
            user: "root".into(),
            command: "true".into(),
        }],
        ..Default::default()
    };
    let script = |content: &str, path: Option<&str>| DeployRequest {
        scripts: vec![Script {
            name: "s".into(),
            content: content.into(),
            run: ScriptRun::Kept,
            path: path.map(str::to_owned),
            everyone: false,
        }],
        ..Default::default()
    };
    let bad = [
        account(named("ro:ot")),
        account(named("")),
        account(named("Alice")),
        account(Account {
            full_name: Some("a\nb".into()),
            ..named("a")
        }),
        account(Account {
            uid: Some(0),
            ..named("a")
        }),
        account(Account {
            uid: Some(999),
            ..named("a")
        }),
        account(Account {
            uid: Some(5),
            ..named("root")
        }),
        DeployRequest {
            accounts: ["a", "b"]
                .map(|n| Account {
                    uid: Some(2000),
                    ..named(n)
                })
                .to_vec(),
            ..Default::default()
        },
        account(Account {
            password_hash: Some("plain".into()),
            ..named("a")
        }),
        account(Account {
            password_hash: Some("$6$a:b".into()),
            ..named("a")
        }),
        account(Account {
            ssh_keys: vec!["ssh-ed25519 AAAA\nssh-rsa B".into()],
            ..named("a")
        }),
        account(Account {
            groups: vec!["a b".into()],
            ..named("a")
        }),
        DeployRequest {
            accounts: vec![named("a"), named("a")],
            ..Default::default()
        },
        job("* * * *"),
        job("60 * * * *"),
        job("*/0 * * * *"),
        job("5-1 * * * *"),
        job("@never"),
        script("echo", None),
        script("#!/bin/sh", Some("relative")),
        script("#!/bin/sh", Some("/a/../etc/passwd")),
        DeployRequest {
            hostname: Some("-x".into()),
            ..Default::default()
        },
        DeployRequest {
            hostname: Some("{serial}".into()),
            ..Default::default()
        },
        DeployRequest {
            kernel_args: vec!["a b".into()],
            ..Default::default()
        },
    ];
    for request in bad {
        assert_eq!(
            make(&report(), &request).map_err(|e| e.code()),
            Err("bad-request"),
            "{request:?}"
        );
    }
    for schedule in ["*/5 0-6,22 1 jan-mar mon", "@daily", "0 4 * * 7"] {
        assert!(make(&report(), &job(schedule)).is_ok(), "{schedule}");
    }
    assert!(make(&report(), &script("#!/bin/sh\n", Some("/usr/local/bin/x"))).is_ok());
}

#[test]
fn an_expectation_that_makes_no_sense_is_refused() {
    let mut request = DeployRequest::default();
    let mut profile = HardwareProfile::default();
    profile.tolerance.memory_total = 700;
    request.expected = Some(profile);
    match make(&report(), &request) {
        Err(PlanError::BadRequest(bad)) => assert_eq!(bad.field, "expected.tolerance.memory_total"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_plan_survives_the_wire_and_refuses_the_unknown() {
    let plan = make(&report(), &DeployRequest::default()).unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(serde_json::from_value::<InstallPlan>(json.clone()).unwrap(), plan);
    let mut unknown = json.clone();
    unknown["steps"][0]["kind"] = "format-everything".into();
    assert!(serde_json::from_value::<InstallPlan>(unknown).is_err());
    let mut unknown = json;
    unknown["steps"][3]["extra"] = 1.into();
    assert!(serde_json::from_value::<InstallPlan>(unknown).is_err());
}
