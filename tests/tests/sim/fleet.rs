//! Machines that nothing bad happens to: one, and many at once.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use e2e::sim::{Machine, Rig};
use inventory_api::machine::{MachineDetail, MachineFilter, MachineState};
use tokio::task::JoinSet;

/// Size of a simulated disk, a sparse file.
pub const DISK: u64 = 1 << 30;
/// Size of the simulated image: incompressible bytes.
pub const IMAGE: usize = 3 << 20;
/// Time for one machine, on a busy host.
pub const ONE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_machine_from_discover_to_deployed() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let detail = to_deployed(&rig, &machine).await;
    check_deployed(&machine, &detail);
}

/// Runs the machine until the server says that it is deployed.
pub async fn to_deployed(rig: &Rig, machine: &Machine) -> MachineDetail {
    let api = rig.api().unwrap();
    let detail = tokio::select! {
        ended = machine.live(rig.service()) => panic!("the machine stopped: {ended:?}"),
        detail = api.wait_state(&machine.serial, "deployed", ONE) => detail,
    };
    detail.unwrap_or_else(|e| panic!("{e:?}\n{}", machine.console.lines().join("\n")))
}

/// What must hold for every deployed machine.
pub fn check_deployed(machine: &Machine, detail: &MachineDetail) {
    let plan = detail.plan.as_ref().expect("a plan");
    assert_eq!(plan.disk.serial.as_deref(), Some(machine.disk_serial.as_str()));
    assert_eq!(plan.hostname, format!("web-{}", machine.serial.to_lowercase()));
    let verification = detail.verification.as_ref().expect("a verification");
    assert!(verification.holds(), "{verification:#?}");
    let passwd = std::fs::read_to_string(machine.root().join("etc/passwd")).unwrap();
    assert!(passwd.contains("alice:x:1500:"), "{passwd}");
    check_written(machine);
}

/// The image is on the machine's third partition, byte for byte.
pub fn check_written(machine: &Machine) {
    use std::io::{Read, Seek, SeekFrom};
    static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| e2e::sim::rig::content(IMAGE));
    let mut disk = std::fs::File::open(machine.disk()).unwrap();
    let gpt = gptman::GPT::read_from(&mut disk, 512).expect("a partition table");
    disk.seek(SeekFrom::Start(gpt[3].starting_lba * 512)).unwrap();
    let mut found = vec![0; IMAGE];
    disk.read_exact(&mut found).unwrap();
    assert!(
        found == *CONTENT,
        "{}: the image on the disk is another",
        machine.serial
    );
}

/// Two hundred machines are powered on at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_of_200_machines_from_discover_to_deployed() {
    const MACHINES: u16 = 200;
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let service = rig.service();
    let machines: Vec<Arc<Machine>> = (1..=MACHINES)
        .map(|n| Arc::new(Machine::make(rig.directory(), n, DISK).unwrap()))
        .collect();
    let start = Instant::now();
    let mut lives = JoinSet::new();
    for machine in &machines {
        let machine = machine.clone();
        lives.spawn(async move { machine.live(service).await });
    }
    let api = rig.api().unwrap();
    let all = e2e::wait::until(
        "200 machines to be deployed",
        Duration::from_secs(400),
        async || {
            if let Some(ended) = lives.try_join_next() {
                panic!("a machine stopped: {ended:?}");
            }
            // The list of 200 machines costs the server more than a machine's boot does: ask for it rarely.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let Ok(list) = api.machines(&MachineFilter::default()).await else {
                return Ok(None);
            };
            for machine in &list {
                let status = &machine.status;
                assert!(
                    !["failed", "quarantined"].contains(&status.state.as_str()),
                    "{machine:#?}"
                );
            }
            let deployed = list
                .iter()
                .filter(|m| m.status.state == MachineState::Deployed)
                .count();
            Ok((deployed == usize::from(MACHINES)).then_some(list))
        },
    )
    .await
    .unwrap();
    eprintln!(
        "{MACHINES} machines deployed in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    // Their agents would go on asking while each is checked.
    lives.shutdown().await;
    let ids: BTreeSet<_> = all.iter().map(|m| m.id.clone()).collect();
    let addresses: BTreeSet<String> = machines.iter().map(|m| address(m)).collect();
    assert_eq!(ids.len(), usize::from(MACHINES), "two machines share an id");
    assert_eq!(
        addresses.len(),
        usize::from(MACHINES),
        "two machines share an address"
    );
    for machine in &machines {
        check_deployed(machine, &api.machine(&machine.serial).await.unwrap());
    }
}

/// The address that its firmware got, the same at each boot.
fn address(machine: &Machine) -> String {
    let lines = machine.console.lines();
    let all: BTreeSet<&str> = lines
        .iter()
        .filter_map(|l| l.strip_prefix("firmware: address "))
        .collect();
    assert_eq!(all.len(), 1, "{}: {all:?}", machine.serial);
    all.into_iter().collect()
}
