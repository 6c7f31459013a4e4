//! Deployed machines: reports from mini-os and installed system, proven release, and what is forgotten
//! afterwards.

use inventory_api::MachineId;
use inventory_api::agent::{
    Assignment, ByteRange, Permission, ReportRequest, ReportResponse, RunsOn, StepOutcome, StepReport,
    WIPE_ENDS, WipedDisk,
};
use inventory_api::machine::{DeployResponse, Verb};
use inventory_api::plan::{InstallPlan, Step};
use inventory_api::report::PciDevice;
use serde_json::json;

use crate::harness::{Agent, NIC, Site, report};
use crate::replay::assert_replays;

const SECRET: &str = "DB_PASSWORD=hunter2";

fn order() -> serde_json::Value {
    json!({
        "image": "debian-12",
        "hostname": "web-{serial}",
        "accounts": [{ "name": "alice", "sudo": true, "password_hash": "$y$j9T$secret" }],
        "scripts": [{ "name": "setup", "run": "first-boot", "content": format!("#!/bin/sh\n{SECRET}\n") }],
        "expected": { "name": "web", "disks": [{ "count": 1 }], "health": { "drivers": true } },
    })
}

/// The mini-os has a driver for the device. The installed system (Debian's cloud kernel) has none and knows
/// no boot NIC.
fn report_of(runs_on: RunsOn, partitions: Option<u32>) -> ReportRequest {
    let mut sent = report(&hex::encode(rand::random::<[u8; 16]>()), runs_on);
    let driver = (runs_on == RunsOn::MiniOs).then(|| "igb".to_owned());
    sent.report.pci = vec![PciDevice {
        address: "0000:01:00.0".into(),
        class: Some("020000".into()),
        vendor: Some("8086".into()),
        device: Some("1521".into()),
        driver,
        ..PciDevice::default()
    }];
    sent.report.disks[0].partitions = partitions;
    if runs_on == RunsOn::Installed {
        sent.report.boot = Default::default();
    }
    sent
}

async fn reports(site: &Site, agent: &Agent, runs_on: RunsOn) -> ReportResponse {
    let sent = report_of(runs_on, None);
    agent.post(site, "report", &sent).await.unwrap()
}

/// A machine deployed with `order`: its plan, and its agent, which now runs on the installed system.
async fn deployed(site: &Site) -> (Agent, InstallPlan) {
    let agent = site.boot(NIC).await;
    reports(site, &agent, RunsOn::MiniOs).await;
    deploy(site, &agent.id, false).await;
    reports(site, &agent, RunsOn::MiniOs).await;
    let plan = agent.installs(site).await;
    for index in 0..=plan.steps.len() {
        if index < plan.steps.len() {
            agent
                .step(site, &plan, index, StepOutcome::Starting {})
                .await
                .unwrap();
        }
        agent
            .step(site, &plan, index, StepOutcome::Done { elapsed_ms: 1 })
            .await
            .unwrap();
    }
    reports(site, &agent, RunsOn::Installed).await;
    agent.verify(site, &plan, true).await.unwrap();
    assert_eq!(site.phase(&agent.id).await, "deployed");
    (agent, plan)
}

async fn deploy(site: &Site, id: &MachineId, dry_run: bool) -> DeployResponse {
    let deployment = serde_json::from_value(order()).unwrap();
    site.api()
        .deploy(id.as_str(), &deployment, dry_run)
        .await
        .unwrap()
}

/// A7 of the first walk: after its deployment the demo's machine had a warning and could not be planned
/// again.
#[tokio::test]
async fn the_installed_systems_report_changes_no_verdict_and_no_plan() {
    let mut site = Site::new().await;
    let (agent, plan) = deployed(&site).await;
    let before = site.detail(&agent.id).await.check.expect("a check");
    let answer = reports(&site, &agent, RunsOn::Installed).await;
    assert_eq!(
        answer.check.as_ref(),
        Some(&before),
        "the verdict of the mini-os's report"
    );
    assert!(before.findings.is_empty(), "{before:?}");
    // More daily reports than are kept, then a restart.
    for _ in 0..12 {
        reports(&site, &agent, RunsOn::Installed).await;
    }
    site.restart().await;
    let now = site.detail(&agent.id).await;
    assert_eq!(now.check.as_ref(), Some(&before));
    let known = now.report.expect("a report");
    assert_eq!(known.boot.boot_mac, Some(NIC));
    assert_eq!(known.pci[0].driver.as_deref(), Some("igb"));
    let again = deploy(&site, &agent.id, true).await.plan.expect("a plan");
    assert_eq!(again.disk, plan.disk);
    assert_eq!(again.steps.len(), plan.steps.len());
}

fn proof(plan: &InstallPlan) -> WipedDisk {
    let size = plan.disk.size_bytes;
    let range = |from: u64, to: u64| ByteRange { from, to };
    WipedDisk {
        serial: plan.disk.serial.clone(),
        wwn: plan.disk.wwn.clone(),
        size_bytes: size,
        partitions: 3,
        discarded: false,
        zeroed: vec![range(0, WIPE_ENDS), range(size - WIPE_ENDS, size)],
    }
}

async fn tell(site: &Site, wiper: &Agent, outcome: StepOutcome) -> Permission {
    let step = StepReport {
        plan: "wipe".parse().unwrap(),
        index: 0,
        name: "wipe".into(),
        outcome,
    };
    wiper.post(site, "step", &step).await.unwrap()
}

/// Releases the machine and lets the mini-os start to wipe.
async fn wiping(site: &Site, id: &MachineId) -> Agent {
    site.verb(id, Verb::Release).await.unwrap();
    let wiper = site.boot(NIC).await;
    reports(site, &wiper, RunsOn::MiniOs).await;
    let asked = wiper.assignment(site, "").await.unwrap().assignment;
    assert!(matches!(asked, Assignment::Wipe { .. }), "{asked:?}");
    tell(site, &wiper, StepOutcome::Starting {}).await;
    wiper
}

/// S6 of the security test: the server believed "wipe: done" without proof.
#[tokio::test]
async fn a_wipe_without_a_proof_for_its_disk_is_no_wipe() {
    let site = Site::new().await;
    let (agent, plan) = deployed(&site).await;
    let id = &agent.id;
    let other = WipedDisk {
        serial: Some("OTHER".into()),
        ..proof(&plan)
    };
    let halves = WipedDisk {
        zeroed: proof(&plan).zeroed[..1].to_vec(),
        ..proof(&plan)
    };
    let disks = |disks| StepOutcome::Wiped { elapsed_ms: 1, disks };
    for outcome in [
        StepOutcome::Done { elapsed_ms: 1 },
        disks(vec![]),
        disks(vec![other]),
        disks(vec![halves]),
    ] {
        let wiper = wiping(&site, id).await;
        tell(&site, &wiper, outcome.clone()).await;
        let status = site.status(id).await;
        assert_eq!(
            (status.state.as_str(), status.reason.as_deref()),
            ("failed", Some("wipe-unproven")),
            "{outcome:?}"
        );
    }
    assert_replays(&site.core().store, id).await;
}

#[tokio::test]
async fn a_release_says_what_it_did_forgets_the_deployment_and_is_doubted_where_it_was_not_done() {
    let site = Site::new().await;
    let (agent, plan) = deployed(&site).await;
    let id = &agent.id;
    assert_eq!(site.detail(id).await.machine.hostname.as_deref(), Some("web-sn1"));
    let wiper = wiping(&site, id).await;
    let outcome = StepOutcome::Wiped {
        elapsed_ms: 1,
        disks: vec![proof(&plan)],
    };
    assert_eq!(tell(&site, &wiper, outcome).await, Permission::Continue {});
    assert_eq!(site.phase(id).await, "ready");

    let history = async || site.history(id).await;
    let said = history().await.last().expect("a row").sentence.clone();
    assert!(
        said.contains("partition tables and signatures of the disk and of its 3 partitions are cleared")
            && said.contains("data blocks are still there"),
        "{said}"
    );
    // L4: no secret is kept, and the host name is gone.
    assert_eq!(site.detail(id).await.machine.hostname, None);
    let store = &site.core().store;
    let kept = store
        .plan_by_id(&plan.id)
        .await
        .unwrap()
        .expect("the plan is kept");
    let text = serde_json::to_string(&kept).unwrap()
        + &serde_json::to_string(&store.request(id).await.unwrap()).unwrap();
    assert!(!text.contains("$y$") && !text.contains(SECRET), "{text}");
    assert!(
        kept.steps
            .iter()
            .any(|s| matches!(s, Step::Scripts { scripts } if scripts.len() == 1))
    );

    // The next boot shows an empty disk. Later boots show partitions, which is recorded once.
    for (partitions, doubts) in [(0, 0), (2, 1), (2, 1)] {
        let next = site.boot(NIC).await;
        let sent = report_of(RunsOn::MiniOs, Some(partitions));
        let _: ReportResponse = next.post(&site, "report", &sent).await.unwrap();
        let rows = history().await;
        let doubted: Vec<_> = rows.iter().filter(|r| r.event == "wipe-doubted").collect();
        assert_eq!(doubted.len(), doubts, "{partitions} partitions");
        assert!(doubted.iter().all(|r| {
            r.sentence
                .contains("DISK1 was reported as wiped and has 2 partitions")
        }));
    }
    assert_replays(store, id).await;
}

/// L4: the same for a retired machine.
#[tokio::test]
async fn a_retired_machine_keeps_no_secret() {
    let site = Site::new().await;
    let (agent, plan) = deployed(&site).await;
    site.verb(&agent.id, Verb::Retire).await.unwrap();
    let kept = site
        .core()
        .store
        .plan_by_id(&plan.id)
        .await
        .unwrap()
        .expect("kept");
    let text = serde_json::to_string(&kept).unwrap();
    assert!(!text.contains("$y$") && !text.contains(SECRET), "{text}");
    assert_eq!(site.detail(&agent.id).await.machine.hostname, None);
}
