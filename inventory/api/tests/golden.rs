//! Golden files freeze each message between agent and server, because agents installed years ago still use
//! them. A difference here is a change of the wire format: make it additive, or give the message a new
//! version. `SLIPWAY_BLESS=1` rewrites the files.

use std::path::Path;

use inventory_api::agent::*;
use inventory_api::burn_in::{BurnInPart, BurnInRequest, BurnInResult};
use inventory_api::plan::Step;
use inventory_api::report::{DiskFacts, Transport};
use inventory_api::sample::{self, plan};
use inventory_api::task::{Task, TaskOutcome, TaskReport};
use inventory_api::{Problem, UnixMs};
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

/// Messages as they were before the samples of today: still read, and written as they were.
#[test]
fn messages_of_november_2026_are_read_and_written_unchanged() {
    fn unchanged<T: Serialize + DeserializeOwned>(name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/2026-11/{name}.json"));
        let kept = std::fs::read_to_string(&path).unwrap();
        let message: T = serde_json::from_str(&kept).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            serde_json::to_string_pretty(&message).unwrap() + "\n",
            kept,
            "{name}"
        );
    }
    unchanged::<AssignmentResponse>("assignment-install");
    unchanged::<AssignmentResponse>("assignment-verify");
    unchanged::<AssignmentResponse>("assignment-wipe");
    unchanged::<ClaimRequest>("claim-request");
    unchanged::<ReportRequest>("report-request");
    unchanged::<ReportResponse>("report-response");
}

#[test]
fn claim() {
    let request = ClaimRequest {
        ticket: "0123".into(),
        csr_pem: "PEM".into(),
        boot_mac: sample::mac(4),
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
    golden(
        "report-request",
        &ReportRequest {
            nonce: "00".into(),
            runs_on: RunsOn::MiniOs,
            report: Box::new(sample::report()),
        },
    );
    golden(
        "report-response",
        &ReportResponse {
            check: Some(sample::failed_check()),
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
    let mut expect = VerifyRequest {
        hostname: plan().hostname,
        ..VerifyRequest::default()
    };
    for step in plan().steps {
        match step {
            Step::Accounts { accounts } => expect.accounts = accounts,
            Step::Cron { jobs } => expect.cron = jobs,
            Step::Scripts { scripts } => expect.scripts = scripts,
            Step::Fstab { mounts } => expect.mounts = mounts,
            _ => {}
        }
    }
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
