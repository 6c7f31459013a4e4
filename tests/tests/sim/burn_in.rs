//! Tasks for agents whose machines wait, from the API through the real agent library and back.

use std::time::Duration;

use e2e::sim::{Machine, Rig};
use e2e::wait;
use inventory_api::burn_in::{BurnInRequest, BurnInResult};
use inventory_api::check::{Outlier, Verdict};
use inventory_api::machine::{MachineDetail, MachineState};
use inventory_api::routes;
use inventory_api::task::TaskOutcome;
use lifecycle::Policy;
use serde_json::{Value, json};

use crate::fleet::{DISK, IMAGE, ONE};

/// The disk is readable where the agent looks for it, and there is memory to work on.
fn awake(machine: &Machine) {
    let root = machine.captured.root();
    std::fs::create_dir_all(root.join("dev")).unwrap();
    std::os::unix::fs::symlink(machine.disk(), root.join("dev/vda")).unwrap();
    let meminfo = "MemTotal:       16303908 kB\nMemAvailable:      16384 kB\n";
    std::fs::write(root.join("proc/meminfo"), meminfo).unwrap();
}

/// The end of a machine's newest burn-in, and the progress seen before.
async fn ended(rig: &Rig, serial: &str) -> (BurnInResult, Vec<u8>) {
    let api = rig.api().unwrap();
    let mut seen = Vec::new();
    let what = format!("the burn-in of {serial} to end");
    let result = wait::until(&what, ONE, async || {
        let detail = api.machine(serial).await?;
        assert_eq!(
            detail.machine.status.state,
            MachineState::Ready,
            "a task changes no state"
        );
        Ok(match detail.tasks.first().and_then(|t| t.outcome.clone()) {
            Some(TaskOutcome::Done { burn_in, .. } | TaskOutcome::Failed { burn_in, .. }) => {
                Some(*burn_in.expect("its figures"))
            }
            Some(TaskOutcome::Running { percent, .. }) => {
                seen.push(percent);
                None
            }
            _ => None,
        })
    });
    let result = result.await.unwrap();
    (result, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burn_in_is_requested_watched_stored_and_compared_with_its_siblings() {
    let mut rig = Rig::start(IMAGE, |config| config.policy = Policy::default())
        .await
        .unwrap();
    let api = rig.api().unwrap();
    let profile = json!([{ "name": "sim", "memory": { "modules": 1 } }]);
    let taken = api
        .import_json(routes::IMPORT_HARDWARE_PROFILES, &profile)
        .await
        .unwrap();
    assert_eq!(taken.added, 1);
    let machines: Vec<Machine> = (1..=3)
        .map(|n| Machine::make(rig.directory(), n, DISK).unwrap())
        .collect();
    let place = |(n, m): (usize, &Machine)| json!({ "room": "R1", "rack": "A1", "unit": n + 1, "serial": m.serial, "profile": "sim" });
    let plan: Vec<Value> = machines.iter().enumerate().map(place).collect();
    api.import_json(routes::IMPORT_RACKS, &plan).await.unwrap();
    machines.iter().for_each(awake);
    let lives: Vec<_> = machines
        .iter()
        .cloned()
        .map(|machine| {
            let service = rig.service();
            tokio::spawn(async move { machine.live(service).await })
        })
        .collect();
    let mut results = Vec::new();
    let mut progress = Vec::new();
    for machine in &machines {
        let ready = api.wait_state(&machine.serial, "ready", ONE).await.unwrap();
        assert_eq!(
            ready.expected_from.and_then(|f| f.profile).as_deref(),
            Some("sim")
        );
        let request = BurnInRequest {
            cpu_seconds: 1,
            memory_seconds: 1,
            disk_seconds: 1,
            ..BurnInRequest::default()
        };
        let asked = api
            .send(routes::BURN_IN, [&machine.serial], &request)
            .await
            .unwrap();
        assert_eq!(asked.outcome, None);
        // One after the other, so that each has the processors for itself, as a machine has.
        let (result, seen) = ended(&rig, &machine.serial).await;
        assert!(result.passed, "{result:#?}");
        let mut parts: Vec<&str> = result.parts.iter().map(|p| p.name.as_str()).collect();
        parts.sort_unstable();
        assert!(parts.contains(&"cpu") && parts.contains(&"memory"), "{parts:?}");
        assert!(
            parts.iter().any(|p| p.contains(&machine.disk_serial)),
            "{parts:?}"
        );
        assert!(
            result.parts.iter().all(|p| p.score.is_some_and(|s| s > 0.0)),
            "{result:#?}"
        );
        results.push((ready.machine.id.to_string(), result));
        progress.extend(seen);
    }
    assert!(
        progress.iter().any(|p| (1..100).contains(p)),
        "nobody saw it run: {progress:?}"
    );

    // Results survive a restart; their figures decide which machine stands out.
    lives.iter().for_each(tokio::task::JoinHandle::abort);
    rig.kill();
    rig.power_on().await.unwrap();
    let api = rig.api().unwrap();
    for (id, result) in &results {
        let detail: MachineDetail = api.machine(id).await.unwrap();
        let Some(TaskOutcome::Done {
            burn_in: Some(kept), ..
        }) = &detail.tasks[0].outcome
        else {
            panic!("{:?}", detail.tasks)
        };
        assert_eq!(**kept, *result);
        let page = api.page(&format!("/machines/{id}")).await.unwrap();
        assert!(page.contains("Burn-in") && page.contains("<b>cpu</b>"), "{page}");
    }
    let shown = api.ask(routes::PROFILE_MACHINES, ["sim"]).await.unwrap();
    let compared: Vec<_> = results.iter().map(|(id, r)| (id.clone(), r)).collect();
    let mut burned = shown.outliers;
    burned.retain(|o| {
        let (Outlier::Odd { fact, .. } | Outlier::Groups { fact, .. }) = o;
        fact.starts_with("burn-in")
    });
    assert_eq!(burned, lifecycle::burn_in::compare(&compared));
}

/// A deployed machine is re-checked on request: a newer report and its verdict, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_check_never_changes_the_state_of_a_deployed_machine() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let api = rig.api().unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let (service, living) = (rig.service(), machine.clone());
    let life = tokio::spawn(async move { living.live(service).await });
    let before = api.wait_state(&machine.serial, "deployed", ONE).await.unwrap();
    let history = api.history(&machine.serial).await.unwrap();
    // The expectation changes to something the machine does not meet: the finding is shown, and the machine
    // keeps running.
    let profile = json!([{ "name": "sim", "memory": { "modules": 8 } }]);
    api.import_json(routes::IMPORT_HARDWARE_PROFILES, &profile)
        .await
        .unwrap();
    let plan = json!([{ "room": "R1", "rack": "A1", "unit": 1, "serial": machine.serial, "profile": "sim" }]);
    api.import_json(routes::IMPORT_RACKS, &plan).await.unwrap();
    let asked = api.ask(routes::RECHECK, [&machine.serial]).await.unwrap();
    assert!(asked.is_some(), "the resident agent runs: it is asked");
    let after = wait::until("the re-check to end", Duration::from_secs(60), async || {
        let detail = api.machine(&machine.serial).await?;
        let done = matches!(detail.tasks[0].outcome, Some(TaskOutcome::Done { .. }));
        Ok(done.then_some(detail))
    });
    let after = after.await.unwrap();
    assert!(after.reported_at > before.reported_at);
    assert_eq!(after.check.map(|c| c.verdict), Some(Verdict::Fail));
    assert_eq!(after.machine.status, before.machine.status);
    assert_eq!(api.history(&machine.serial).await.unwrap(), history);
    // It gets no burn-in either.
    let burn_in = BurnInRequest::default();
    let refused = api
        .send(routes::BURN_IN, [&machine.serial], &burn_in)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("409"), "{refused}");
    assert!(!life.is_finished());
    life.abort();
}
