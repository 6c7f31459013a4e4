//! Machines that nothing bad happens to.

use std::time::Duration;

use e2e::sim::{Machine, Rig};
use inventory_api::machine::MachineDetail;

const DISK: u64 = 1 << 30;
const IMAGE: usize = 3 << 20;

/// One machine to Deployed, with everything that must be true then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_machine_from_discover_to_deployed() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let api = rig.api().unwrap();
    let life = machine.live(rig.service());
    let detail = tokio::select! {
        ended = life => panic!("the machine stopped: {ended:?}"),
        detail = api.wait_state(&machine.serial, "deployed", Duration::from_secs(60)) => detail,
    };
    let detail = detail.unwrap_or_else(|e| panic!("{e:?}\n{}", machine.console.lines().join("\n")));
    check_deployed(&machine, &detail);
}

fn check_deployed(machine: &Machine, detail: &MachineDetail) {
    let plan = detail.plan.as_ref().expect("a plan");
    assert_eq!(plan.disk.serial.as_deref(), Some(machine.disk_serial.as_str()));
    assert_eq!(plan.hostname, format!("web-{}", machine.serial.to_lowercase()));
    let verification = detail.verification.as_ref().expect("a verification");
    assert!(verification.holds(), "{verification:#?}");
    let passwd = std::fs::read_to_string(machine.root().join("etc/passwd")).unwrap();
    assert!(passwd.contains("alice:x:1500:"), "{passwd}");
}
