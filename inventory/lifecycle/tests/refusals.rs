//! What the agent would refuse is refused by the plan, as far as a report can tell: nobody learns it after the machine was
//! booted, and nothing is erased for a system that cannot boot.

use agent::install::{LiveDisk, Refused, verify};
use inventory_api::deploy::{Account, CronJob, DeployRequest, DiskChoice, NicConfig, Script, ScriptRun};
use inventory_api::image::{BootFiles, ImageManifest};
use inventory_api::plan::InstallPlan;
use inventory_api::report::{
    AssetReport, BootFacts, DiskFacts, FirmwareMode, MemoryFacts, NicFacts, Transport,
};
use inventory_api::{Mac, Sha256Digest, UnixMs};
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

fn image() -> ImageManifest {
    ImageManifest {
        name: "debian-12".into(),
        version: "1".into(),
        os: "Debian".into(),
        architecture: "x86_64".into(),
        file: "root.ext4.zst".into(),
        sha256: Sha256Digest([1; 32]),
        compressed_bytes: 100,
        content_sha256: Sha256Digest([2; 32]),
        content_bytes: GIB,
        boot: BootFiles {
            kernel_release: "6.1".into(),
            kernel: "/vmlinuz".into(),
            initrd: "/initrd.img".into(),
            firmware: vec![FirmwareMode::Bios, FirmwareMode::Uefi],
        },
        built_at: UnixMs(0),
        public: true,
        recipe_sha256: None,
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

/// The agent's word on the plan, on the machine that reported.
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

/// Cases 15 and 16 and their siblings: for each disk that the agent or the firmware would refuse, alone: the code and what is
/// said; beside a larger good one: that one is taken, also by `smallest`.
#[test]
fn what_a_disk_would_be_refused_for_stands_in_the_plan() {
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
    // The same sectors on UEFI are good.
    let mut large = disk("sda");
    large.logical_block_bytes = Some(4096);
    let uefi = report(Uefi, vec![large]);
    let made = plan(&uefi, &DeployRequest::default()).unwrap();
    assert_eq!((made.disk.block_bytes, agents_word(&made, &uefi)), (4096, Ok(())));
}

/// The agent's `Refused` one by one: foreseen by the plan, or why it cannot be.
#[test]
fn every_refusal_of_the_agent_is_foreseen_or_cannot_be() {
    // No catch-all: a new refusal asks for its line here.
    let foreseen = |refused: &Refused| match refused {
        // Made by the server itself, never from a report.
        Refused::Schema(_) | Refused::Machine { .. } | Refused::Layout(_) => {
            "the plan is right by construction"
        }
        Refused::DiskUnnamed | Refused::DiskAmbiguous { .. } => "disk-no-identity",
        Refused::DiskReadOnly(_) => "disk-unusable",
        Refused::DiskRemovable(_) => "no-disk, unless named",
        Refused::ImageSize(_) => "disk-too-small",
        Refused::Content { .. } => "bad-request",
        // These come after the report: a disk was pulled or changed, or something began to use it. The mini-os mounts no
        // disk and starts no RAID, so a report has nothing to foresee it by.
        Refused::DiskMissing { .. } | Refused::DiskSize { .. } | Refused::DiskBusy { .. } => {
            "after the report"
        }
    };
    assert_eq!(foreseen(&Refused::DiskReadOnly("sda".into())), "disk-unusable");
    // Not foreseen, and why: `accounts` (which accounts, shells and groups the image has is in the image), `boot-files`,
    // `image-kind` (the same), `disk-open`, `disk-write`, `disk-read`, `partition-*`, `mount` (the medium and the kernel at work),
    // `image-fetch`, `server-gone` (the network).

    // Two disks of one serial number, or of one WWN where nothing else tells them apart.
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
    // Case 01's kind: an old agent lists both paths of each disk. One WWN and one serial number: one path is taken.
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

/// Requests that the plan lets through, the agent lets through.
#[test]
fn a_request_that_makes_a_plan_is_good_for_the_agent() {
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
