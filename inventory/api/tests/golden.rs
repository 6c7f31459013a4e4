//! Golden files freeze each message between agent and server, because agents installed years ago still use them. A difference here
//! is a change of the wire format: make it additive, or give the message a new version. `SLIPWAY_BLESS=1` rewrites the files.

use std::path::Path;

use inventory_api::agent::*;
use inventory_api::burn_in::{BurnInPart, BurnInRequest, BurnInResult};
use inventory_api::check::{CheckResult, Finding, Severity, Verdict};
use inventory_api::deploy::{Account, CronJob, NicConfig, Script, ScriptRun};
use inventory_api::plan::*;
use inventory_api::report::*;
use inventory_api::task::{Task, TaskOutcome, TaskReport};
use inventory_api::{Mac, Problem, Sha256Digest, UnixMs};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Serialises the message, compares it with its file, and reads it back.
fn golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, message: &T) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let text = serde_json::to_string_pretty(message).unwrap() + "\n";
    if std::env::var_os("SLIPWAY_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(text, kept, "the wire form of {name} changed");
    assert_eq!(
        &serde_json::from_str::<T>(&kept).unwrap(),
        message,
        "{name} does not come back as it went"
    );
}

const NIC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

fn account() -> Account {
    Account {
        name: "alice".into(),
        uid: Some(1500),
        full_name: Some("Alice".into()),
        shell: Some("/bin/bash".into()),
        groups: vec!["operators".into()],
        sudo: true,
        ssh_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 alice".into()],
        password_hash: Some("$6$salt$hash".into()),
    }
}

fn job() -> CronJob {
    CronJob {
        name: "trim".into(),
        schedule: "17 3 * * 0".into(),
        user: "root".into(),
        command: "fstrim -a".into(),
    }
}

fn script() -> Script {
    Script {
        name: "setup".into(),
        content: "#!/bin/sh\n".into(),
        run: ScriptRun::FirstBoot,
        path: None,
        everyone: false,
    }
}

fn root_mount() -> Mount {
    Mount {
        device: "UUID=0a".into(),
        path: "/".into(),
        kind: "ext4".into(),
        options: "defaults".into(),
        pass: 1,
    }
}

fn plan() -> InstallPlan {
    let partition = Partition {
        number: 3,
        name: "root".into(),
        role: PartitionRole::Root,
        guid: "0b".into(),
        first_lba: 1_052_672,
        last_lba: 12_580_863,
    };
    let source = ImageSource {
        path: "/images/ab".into(),
        channel: ImageChannel::Http,
        sha256: Sha256Digest([0xab; 32]),
        compressed_bytes: 1,
        content_sha256: Sha256Digest([0xcd; 32]),
        content_bytes: 2,
    };
    let nic = NicConfig {
        mac: Some(NIC),
        addresses: vec!["10.0.0.7/24".into()],
        gateway: Some("10.0.0.1".into()),
        dns: vec!["10.0.0.1".into()],
    };
    InstallPlan {
        schema: PLAN_SCHEMA,
        id: "p-0123456789abcdef".parse().unwrap(),
        machine: "m-0123456789ab".parse().unwrap(),
        made_at: UnixMs(1_790_000_000_000),
        image: "debian-12".into(),
        image_version: "1".into(),
        hostname: "web-1".into(),
        disk: DiskTarget {
            serial: Some("S1".into()),
            wwn: Some("naa.5".into()),
            model: Some("Disk".into()),
            size_bytes: 6_442_450_944,
            block_bytes: 512,
            removable: false,
        },
        steps: vec![
            Step::EraseDisk {},
            Step::Partition {
                disk_guid: "0c".into(),
                partitions: vec![partition],
            },
            Step::MakeFat {
                partition: 2,
                volume_id: "1A2B-3C4D".into(),
                label: "ESP".into(),
            },
            Step::WriteImage {
                partition: 3,
                source,
                uuid: "0a".into(),
            },
            Step::Bootloader {
                bios_partition: 1,
                esp_partition: 2,
                root_partition: 3,
                root_uuid: "0a".into(),
                kernel_args: vec!["quiet".into()],
            },
            Step::Fstab {
                mounts: vec![root_mount()],
            },
            Step::Hostname {
                hostname: "web-1".into(),
            },
            Step::Network { nics: vec![nic] },
            Step::Accounts {
                accounts: vec![account()],
            },
            Step::Cron { jobs: vec![job()] },
            Step::Scripts {
                scripts: vec![script()],
            },
            Step::Agent {},
            Step::Finish {},
        ],
    }
}

#[test]
fn claim() {
    let request = ClaimRequest {
        ticket: "0123".into(),
        csr_pem: "PEM".into(),
        boot_mac: NIC,
        agent_version: "0.1.0".into(),
    };
    golden("claim-request", &request);
    let shown = format!("{request:?}");
    assert!(shown.contains("PEM") && !shown.contains("0123"), "{shown}");
    golden(
        "claim-response",
        &ClaimResponse {
            machine: "m-0123456789ab".parse().unwrap(),
            certificate_pem: "PEM".into(),
            server_time: UnixMs(1),
            page_url: Some("https://server/machines/m-0123456789ab".into()),
        },
    );
}

#[test]
fn report() {
    let report = AssetReport {
        schema: REPORT_SCHEMA,
        agent_version: "0.1.0".into(),
        boot: BootFacts {
            mode: Some(FirmwareMode::Uefi),
            boot_mac: Some(NIC),
            ..Default::default()
        },
        system: Some(SystemFacts {
            serial: Some("S".into()),
            ..Default::default()
        }),
        board: Some(BoardFacts::default()),
        chassis: Some(ChassisFacts::default()),
        firmware: Some(FirmwareFacts::default()),
        cpu: Some(CpuFacts {
            processors: vec![ProcessorFacts::default()],
            ..Default::default()
        }),
        memory: MemoryFacts {
            usable_bytes: Some(1),
            slots: vec![MemorySlot::default()],
            ..Default::default()
        },
        disks: vec![DiskFacts {
            transport: Some(Transport::Nvme),
            ..Default::default()
        }],
        nics: vec![NicFacts {
            mac: Some(NIC),
            ..Default::default()
        }],
        problems: vec![CollectorProblem {
            collector: "smbios".into(),
            detail: "no table".into(),
        }],
        ..Default::default()
    };
    golden(
        "report-request",
        &ReportRequest {
            nonce: "00".into(),
            runs_on: RunsOn::MiniOs,
            report: Box::new(report),
        },
    );
    let finding = Finding {
        code: "memory-total".into(),
        place: "memory".into(),
        expected: "64 GiB".into(),
        found: "32 GiB".into(),
        severity: Severity::Error,
        sentence: "64 GiB of memory are expected; found: 32 GiB.".into(),
    };
    golden(
        "report-response",
        &ReportResponse {
            check: Some(CheckResult {
                verdict: Verdict::Fail,
                findings: vec![finding],
            }),
            message: "m".into(),
            place: Some("rack A12, unit 7".into()),
            page_url: Some("https://server/at/m-0123456789ab".into()),
        },
    );
}

fn task(task: Task) -> Assignment {
    Assignment::Task { id: 7, task }
}

#[test]
fn tasks() {
    let result = BurnInResult {
        started_at: UnixMs(1_795_000_000_000),
        elapsed_ms: 60_000,
        passed: true,
        parts: vec![BurnInPart {
            name: "cpu".into(),
            passed: true,
            elapsed_ms: 60_000,
            score: Some(512.5),
            unit: "rounds/s".into(),
            max_temperature_c: Some(71.0),
            detail: "d".into(),
            ..BurnInPart::default()
        }],
    };
    let outcomes = [
        (
            "running",
            TaskOutcome::Running {
                percent: 40,
                doing: "d".into(),
            },
        ),
        (
            "done",
            TaskOutcome::Done {
                detail: "d".into(),
                burn_in: Some(Box::new(result)),
            },
        ),
        (
            "failed",
            TaskOutcome::Failed {
                code: "no-locate-led".into(),
                detail: "d".into(),
                burn_in: None,
            },
        ),
    ];
    for (name, outcome) in outcomes {
        golden(&format!("task-{name}"), &TaskReport { id: 7, outcome });
    }
}

#[test]
fn assignments() {
    let expect = VerifyRequest {
        hostname: "web-1".into(),
        accounts: vec![account()],
        cron: vec![job()],
        scripts: vec![script()],
        mounts: vec![root_mount()],
    };
    let all = [
        ("wait", Assignment::Wait { message: "m".into() }),
        ("report", Assignment::Report {}),
        (
            "install",
            Assignment::Install {
                plan: Box::new(plan()),
            },
        ),
        (
            "wipe",
            Assignment::Wipe {
                disks: vec![plan().disk],
            },
        ),
        ("reboot", Assignment::Reboot { message: "m".into() }),
        (
            "verify",
            Assignment::Verify {
                plan: plan().id,
                expect,
            },
        ),
        ("stop", Assignment::Stop { message: "m".into() }),
        ("task-recheck", task(Task::Recheck {})),
        ("task-identify", task(Task::Identify { seconds: 60 })),
        (
            "task-burn-in",
            task(Task::BurnIn {
                request: BurnInRequest {
                    max_temperature_c: Some(85.0),
                    ..BurnInRequest::default()
                },
            }),
        ),
    ];
    for (name, assignment) in all {
        golden(
            &format!("assignment-{name}"),
            &AssignmentResponse { seq: 7, assignment },
        );
    }
}

#[test]
fn steps_and_proof() {
    let outcomes = [
        ("starting", StepOutcome::Starting {}),
        ("done", StepOutcome::Done { elapsed_ms: 5 }),
        (
            "failed",
            StepOutcome::Failed {
                code: "disk-missing".into(),
                detail: "d".into(),
                wrote: false,
            },
        ),
    ];
    for (name, outcome) in outcomes {
        let step = StepReport {
            plan: plan().id,
            index: 0,
            name: "erase-disk".into(),
            outcome,
        };
        golden(&format!("step-{name}"), &step);
    }
    golden("permission-continue", &Permission::Continue {});
    golden("permission-stop", &Permission::Stop { message: "m".into() });
    golden(
        "progress",
        &Progress {
            plan: plan().id,
            index: 3,
            done_bytes: 1,
            total_bytes: 2,
        },
    );
    let item = VerifiedItem {
        what: "hostname".into(),
        ok: true,
        found: "web-1".into(),
    };
    golden(
        "verification",
        &Verification {
            plan: plan().id,
            items: vec![item],
        },
    );
    golden(
        "problem",
        &Problem {
            code: "ticket-used".into(),
            title: "Ticket was used".into(),
            status: 409,
            detail: "d".into(),
        },
    );
}

/// Facts from a newer agent survive an old server.
#[test]
fn the_unknown_among_facts_is_kept_as_unknown() {
    let disk: DiskFacts = serde_json::from_str(r#"{"name":"x","transport":"photonic","new":1}"#).unwrap();
    assert_eq!(disk.transport, Some(Transport::Unknown));
    let outcome: StepOutcome = serde_json::from_str(r#"{"kind":"postponed"}"#).unwrap();
    assert_eq!(outcome, StepOutcome::Unknown);
}
