//! Power loss: the machine's and the server's, at every stage.

use inventory_api::machine::{MachineState, Verb};
use std::time::Duration;

use e2e::sim::{Machine, Rig};

use crate::fleet::{DISK, IMAGE, check_deployed, to_deployed};

/// A console line for each stage, in order.
const STAGES: &[&str] = &[
    "firmware: address",
    "firmware: loaded",
    "ipxe: script",
    "/boot/kernel",
    "/boot/site",
    "mini-os: ",
    "who this machine is",
    "server: this is machine",
    "report: 1 disks",
    "install: sim 1",
    "step 1/13 erase-disk",
    "step 2/13 partition",
    "step 3/13 make-fat",
    "step 4/13 write-image",
    "step 5/13 bootloader",
    "step 9/13 accounts",
    "step 12/13 agent",
    "step 13/13 finish: done",
    "disk: the installed system starts",
    "resident agent of machine",
    "first boot: script first-setup",
];

/// The machine loses power at each stage: the next power-on starts cleanly and ends Deployed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_loses_power_at_any_stage_ends_deployed() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    for (number, stage) in (1..).zip(STAGES) {
        let machine = Machine::make(rig.directory(), number, DISK).unwrap();
        machine.live_until(rig.service(), stage).await.unwrap();
        let detail = to_deployed(&rig, &machine).await;
        check_deployed(&machine, &detail);
    }
}

/// In the middle of writing: half of the image is on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_loses_power_while_it_writes_ends_deployed() {
    let rig = Rig::start(64 << 20, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    machine
        .live_until(rig.service(), "step 4/13 write-image")
        .await
        .unwrap();
    // The console would be too late. The file's blocks show what has really been written.
    let from = blocks(&machine);
    {
        let life = machine.live(rig.service());
        tokio::pin!(life);
        let half = e2e::wait::until(
            "half of the image on the disk",
            Duration::from_secs(60),
            async || Ok((blocks(&machine) > from + (20 << 20) / 512).then_some(())),
        );
        tokio::select! {
            ended = &mut life => panic!("{ended:?}"),
            half = half => half.unwrap(),
        }
    }
    let status = rig
        .api()
        .unwrap()
        .machine(&machine.serial)
        .await
        .unwrap()
        .machine
        .status;
    assert_eq!(status.state, MachineState::Deploying, "{status:?}");
    let detail = to_deployed(&rig, &machine).await;
    assert!(detail.verification.unwrap().holds());
    let history = rig.api().unwrap().history(&machine.serial).await.unwrap();
    assert!(
        history
            .iter()
            .filter(|h| h.sentence.contains("write-image"))
            .count()
            >= 2,
        "{history:#?}"
    );
}

/// Allocated blocks of its disk file.
fn blocks(machine: &Machine) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(machine.disk()).unwrap().blocks()
}

/// A machine that loses power every time gives up after the configured number of attempts, says why, and can
/// be retried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_never_gets_through_ends_failed_and_can_be_retried() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let api = rig.api().unwrap();
    for _ in 0..rig.config().limits.attempts {
        machine
            .live_until(rig.service(), "step 4/13 write-image")
            .await
            .unwrap();
    }
    let failed = tokio::select! {
        ended = machine.live(rig.service()) => panic!("{ended:?}"),
        failed = api.wait_rest(&machine.serial, Duration::from_secs(60)) => failed.unwrap(),
    };
    let status = &failed.machine.status;
    assert_eq!(
        status.state,
        MachineState::Failed,
        "{}",
        api.story(&machine.serial).await
    );
    assert!(
        status.reason.is_some() && !status.sentence.is_empty(),
        "{status:#?}"
    );
    api.verb(&machine.serial, Verb::Retry).await.unwrap();
    let detail = to_deployed(&rig, &machine).await;
    check_deployed(&machine, &detail);
}

/// The server is killed at each stage and restarted: the machine continues and ends Deployed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_at_any_stage_goes_on() {
    let mut rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    for (number, stage) in (1..).zip(STAGES) {
        let machine = Machine::make(rig.directory(), number, DISK).unwrap();
        let (service, running) = (rig.service(), machine.clone());
        let life = tokio::spawn(async move { running.live(service).await });
        let shown = tokio::time::timeout(Duration::from_secs(60), machine.console.wait(stage, 0)).await;
        assert!(
            shown.is_ok(),
            "{stage:?} was not shown:\n{}",
            machine.console.lines().join("\n")
        );
        rig.kill();
        rig.power_on().await.unwrap();
        let api = rig.api().unwrap();
        let detail = api
            .wait_state(&machine.serial, "deployed", Duration::from_secs(90))
            .await
            .unwrap_or_else(|e| {
                panic!(
                    "killed at {stage:?}: {e:?}\n{}",
                    machine.console.lines().join("\n")
                )
            });
        check_deployed(&machine, &detail);
        assert!(!life.is_finished(), "killed at {stage:?}: the machine stopped");
        life.abort();
    }
}
