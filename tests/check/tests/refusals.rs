//! The plan refuses whatever the agent would refuse, as far as a report can show it: nobody learns it only
//! after the machine was booted, and nothing is erased for a system that cannot boot.

use agent_install::{LiveDisk, Refused, verify};
use inventory_api::deploy::{Account, CronJob, DeployRequest, DiskChoice, NicConfig, Script, ScriptRun};
use inventory_api::plan::InstallPlan;
use inventory_api::report::{
    AssetReport, BootFacts, DiskFacts, FirmwareMode, MemoryFacts, NicFacts, Transport,
};
use inventory_api::sample::image;
use inventory_api::{Mac, UnixMs};
use lifecycle::{FreshIds, PlanError, PlanInput};

const GIB: u64 = 1 << 30;
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn disk(name: &str) -> DiskFacts {
    DiskFacts {
        name: name.into(),
        serial: Some(format!("SER-{name}")),
        size_bytes: Some(8 * GIB),
        logical_block_bytes: Some(512),
        transport: Some(Transport::Sata),
        ..Default::default()
    }
}

fn report(mode: FirmwareMode, disks: Vec<DiskFacts>) -> AssetReport {
    AssetReport {
        boot: BootFacts {
            mode: Some(mode),
            boot_mac: Some(MAC),
            ..Default::default()
        },
        memory: MemoryFacts {
            usable_bytes: Some(2 * GIB),
            ..Default::default()
        },
        disks,
        nics: vec![NicFacts {
            mac: Some(MAC),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn plan(report: &AssetReport, request: &DeployRequest) -> Result<InstallPlan, PlanError> {
    lifecycle::plan(PlanInput {
        machine: &"m-0123456789ab".parse().unwrap(),
        report,
        image: &image(),
        request,
        id: &"p-1".parse().unwrap(),
        ids: &FreshIds::from_random(&std::array::from_fn(|i| i as u8)),
        now: UnixMs(1),
    })
}

/// The agent's verdict on the plan, on the machine of the report.
fn agents_word(plan: &InstallPlan, report: &AssetReport) -> Result<(), Refused> {
    let live: Vec<LiveDisk> = report
        .disks
        .iter()
        .map(|facts| LiveDisk {
            facts: facts.clone(),
            in_use: None,
        })
        .collect();
    verify(plan, &plan.machine, &live).map(drop)
}

/// Cases 15 and 16 and similar ones: each disk that the agent or the firmware would refuse. If it is the only
/// disk: the code and text of the refusal. Beside a larger good disk: that one is chosen, also with
/// `smallest`.
#[test]
fn a_disk_that_the_agent_would_refuse_is_refused_by_the_planner() {
    use FirmwareMode::{Bios, Uefi};
    type Spoil = fn(&mut DiskFacts);
    let table: [(&str, FirmwareMode, &str, Spoil); 9] = [
        (
            "disk-unusable",
            Bios,
            "has sectors of 4096 bytes, from which BIOS cannot boot: switch the firmware to UEFI or choose another disk",
            |d| d.logical_block_bytes = Some(4096),
        ),
        (
            "disk-unusable",
            Uefi,
            "has sectors of 520 bytes: reformat it to 512 (sg_format)",
            |d| {
                d.logical_block_bytes = Some(520);
                d.size_bytes = None;
            },
        ),
        ("disk-unusable", Uefi, "has sectors of 528 bytes", |d| {
            d.logical_block_bytes = Some(528)
        }),
        ("disk-unusable", Uefi, "has sectors of 8192 bytes", |d| {
            d.logical_block_bytes = Some(8192)
        }),
        ("disk-unusable", Uefi, "has no size", |d| d.size_bytes = Some(0)),
        ("disk-unusable", Uefi, "is read-only", |d| {
            d.read_only = Some(true)
        }),
        ("disk-unusable", Uefi, "not a multiple of its sector size", |d| {
            d.size_bytes = Some(4 * GIB + 100)
        }),
        ("disk-too-small", Uefi, "needs", |d| d.size_bytes = Some(GIB)),
        ("disk-no-identity", Uefi, "cannot be named safely", |d| {
            d.serial = Some("  ".into())
        }),
    ];
    for (code, mode, says, spoil) in table {
        let mut bad = disk("sda");
        bad.size_bytes = Some(4 * GIB);
        spoil(&mut bad);
        let alone = report(mode, vec![bad.clone()]);
        let error = plan(&alone, &DeployRequest::default()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        let beside = report(mode, vec![bad.clone(), disk("sdb")]);
        for smallest in [false, true] {
            let request = DeployRequest {
                disk: Some(DiskChoice {
                    smallest,
                    ..Default::default()
                }),
                ..Default::default()
            };
            let made = plan(&beside, &request).unwrap();
            assert_eq!(made.disk.serial.as_deref(), Some("SER-sdb"), "{says}");
            assert_eq!(agents_word(&made, &beside), Ok(()));
        }
        // Two such disks: each is listed with its reason.
        let mut twin = bad.clone();
        twin.name = "sdc".into();
        twin.serial = bad.serial.map(|s| s.replace("sda", "sdc"));
        bad = disk("sda");
        bad.size_bytes = Some(4 * GIB);
        spoil(&mut bad);
        let said = plan(&report(mode, vec![bad, twin]), &DeployRequest::default())
            .unwrap_err()
            .to_string();
        assert!(said.contains("sda sata") && said.contains("sdc sata"), "{said}");
    }
    // The same sectors are fine on UEFI.
    let mut large = disk("sda");
    large.logical_block_bytes = Some(4096);
    let uefi = report(Uefi, vec![large]);
    let made = plan(&uefi, &DeployRequest::default()).unwrap();
    assert_eq!((made.disk.block_bytes, agents_word(&made, &uefi)), (4096, Ok(())));
}

/// Each `Refused` of the agent: foreseen by the plan, or why that is impossible.
#[test]
fn every_refusal_of_the_agent_is_in_the_table() {
    // No catch-all: a new refusal needs its line here.
    let foreseen = |refused: &Refused| match refused {
        // Made by the server itself, not from a report.
        Refused::Schema(_) | Refused::Machine { .. } | Refused::Layout(_) => {
            "the plan is right by construction"
        }
        Refused::DiskUnnamed | Refused::DiskAmbiguous { .. } => "disk-no-identity",
        Refused::DiskReadOnly(_) => "disk-unusable",
        Refused::DiskRemovable(_) => "no-disk, unless named",
        Refused::ImageSize(_) => "disk-too-small",
        Refused::Content { .. } => "bad-request",
        // These arise after the report: a disk was pulled or changed, or something started using it. The
        // mini-os mounts no disk and starts no RAID, so a report cannot show it.
        Refused::DiskMissing { .. } | Refused::DiskSize { .. } | Refused::DiskBusy { .. } => {
            "after the report"
        }
    };
    assert_eq!(foreseen(&Refused::DiskReadOnly("sda".into())), "disk-unusable");
    // Not foreseen: `accounts` (depends on the accounts, shells and groups in the image), `boot-files`,
    // `image-kind` (likewise), `disk-open`, `disk-write`, `disk-read`, `partition-*`, `mount` (failures of
    // medium or kernel), `image-fetch`, `server-gone` (the network).

    // Two disks with the same serial number, or the same WWN and nothing else to distinguish them.
    let twins = |change: fn(&mut DiskFacts)| {
        let mut disks = vec![disk("sda"), disk("sdb")];
        disks[1].size_bytes = Some(16 * GIB);
        disks.iter_mut().for_each(change);
        report(FirmwareMode::Uefi, disks)
    };
    for same in [
        twins(|d| d.serial = Some("S".into())),
        twins(|d| {
            d.serial = None;
            d.wwn = Some("naa.5".into());
            d.model = Some(d.name.clone());
        }),
    ] {
        let smallest = DeployRequest {
            disk: Some(DiskChoice {
                smallest: true,
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(plan(&same, &smallest).unwrap_err().code(), "no-disk");
    }
    // As in case 01, an old agent lists both paths of each disk. Same WWN and serial number: one path is
    // used.
    let paths = |wwn: Option<&str>| {
        let mut disks = vec![disk("sda"), disk("sdb")];
        for d in &mut disks {
            d.serial = Some("ZC1A2B3C4".into());
            d.model = Some("ST4000".into());
            d.wwn = wwn.map(str::to_owned);
        }
        report(FirmwareMode::Uefi, disks)
    };
    let sas = paths(Some("naa.5000c500a1b2c3d4"));
    let made = plan(&sas, &DeployRequest::default()).unwrap();
    assert_eq!(
        (made.disk.serial.as_deref(), agents_word(&made, &sas)),
        (Some("ZC1A2B3C4"), Ok(()))
    );
    assert_eq!(
        plan(&paths(None), &DeployRequest::default()).unwrap_err().code(),
        "disk-no-identity"
    );
    let mut little = report(FirmwareMode::Uefi, vec![disk("sda")]);
    little.memory.usable_bytes = Some(256 << 20);
    assert_eq!(
        plan(&little, &DeployRequest::default()).unwrap_err().code(),
        "too-little-memory"
    );
}

/// Requests that the plan accepts are accepted by the agent.
#[test]
fn the_agent_accepts_every_request_that_the_planner_accepts() {
    let here = report(FirmwareMode::Bios, vec![disk("sda")]);
    let account = |name: &str| Account {
        name: name.into(),
        ..Default::default()
    };
    let script = |name: &str, path: Option<&str>| Script {
        name: name.into(),
        content: "#!/bin/sh\n".into(),
        run: ScriptRun::Kept,
        path: path.map(str::to_owned),
        everyone: false,
    };
    let request = DeployRequest::default;
    let table: Vec<(bool, DeployRequest)> = vec![
        (true, request()),
        (
            true,
            DeployRequest {
                hostname: Some("db1.example.org".into()),
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                hostname: Some(format!("{}.example.org", "a".repeat(60))),
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                kernel_args: vec!["a".repeat(1900)],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                kernel_args: vec!["x".repeat(100); 20],
                ..request()
            },
        ),
        (
            true,
            DeployRequest {
                accounts: vec![
                    Account {
                        uid: Some(1000),
                        ..account("a")
                    },
                    account("root"),
                ],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                accounts: vec![Account {
                    uid: Some(1),
                    ..account("a")
                }],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                accounts: vec![Account {
                    uid: Some(0),
                    ..account("a")
                }],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                accounts: vec![Account {
                    uid: Some(1000),
                    ..account("root")
                }],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                accounts: vec![Account {
                    shell: Some("/bin/../sh".into()),
                    ..account("a")
                }],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                accounts: vec![Account {
                    full_name: Some("x".repeat(201)),
                    ..account("a")
                }],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                accounts: vec![Account {
                    ssh_keys: vec!["ssh-ed25519 AAAA!AAAAAAAAAAAAAAAAAA".into()],
                    ..account("a")
                }],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                scripts: vec![script("a", Some("/opt/x")), script("b", Some("/opt/x"))],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                scripts: vec![script("a", None), script("b", Some("/usr/local/sbin/a"))],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                scripts: vec![script("a", Some("/opt/a b"))],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                scripts: vec![Script {
                    content: "#!/bin/sh\0".into(),
                    ..script("a", None)
                }],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                cron: vec![CronJob {
                    name: "a".into(),
                    schedule: "@daily".into(),
                    user: "root".into(),
                    command: "x".repeat(901),
                }],
                ..request()
            },
        ),
        (
            false,
            DeployRequest {
                network: vec![NicConfig {
                    mac: None,
                    addresses: vec!["10.0.0.7/+8".into()],
                    gateway: None,
                    dns: vec![],
                }],
                ..request()
            },
        ),
    ];
    for (good, request) in table {
        match plan(&here, &request) {
            Ok(made) => {
                assert!(good, "a plan was made of {request:?}");
                assert_eq!(agents_word(&made, &here), Ok(()));
            }
            Err(error) => assert!(!good && error.code() == "bad-request", "{error}: {request:?}"),
        }
    }
}
