//! The wrong disk, the wrong bytes: refused before a write, or stopped and named.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::Api;
use e2e::scenario::PROFILE;
use e2e::sim::{Machine, Netbooted, PowerOn, Rig};
use inventory_api::machine::{DeployResponse, Deployment, MachineDetail, MachineState, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fleet::{DISK, IMAGE, ONE, check_written};

/// Marks at the beginning and at the end of a disk before anything is installed.
const PRECIOUS: &[u8] = b"somebody's only copy";

fn put_precious(machine: &Machine) {
    use std::os::unix::fs::FileExt;
    let disk = std::fs::OpenOptions::new()
        .write(true)
        .open(machine.disk())
        .unwrap();
    let end = disk.metadata().unwrap().len() - PRECIOUS.len() as u64;
    disk.write_all_at(PRECIOUS, 0).unwrap();
    disk.write_all_at(PRECIOUS, end).unwrap();
}

/// Every byte is as [`put_precious`] left it.
fn assert_untouched(machine: &Machine) {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let disk = std::fs::File::open(machine.disk()).unwrap();
    let meta = disk.metadata().unwrap();
    let mut found = vec![0; PRECIOUS.len()];
    for at in [0, meta.len() - PRECIOUS.len() as u64] {
        disk.read_exact_at(&mut found, at).unwrap();
        assert_eq!(found, PRECIOUS, "byte {at} of the disk was written");
    }
    // Two blocks of the file system hold the two texts; a write anywhere else would have taken more.
    assert!(
        meta.blocks() * 512 <= 2 * meta.blksize(),
        "{} blocks of the disk are in use",
        meta.blocks()
    );
}

/// A server without rules: machines are checked and held.
async fn holding() -> Rig {
    Rig::start(IMAGE, |config| config.policy.rules.clear())
        .await
        .unwrap()
}

async fn deploy(api: &Api, machine: &Machine) -> DeployResponse {
    let profile = PROFILE.to_owned();
    api.deploy(&machine.serial, &Deployment::Profile { profile }, false)
        .await
        .unwrap()
}

/// The plan is made from the report; then the hardware changes.
async fn refused_after(change: impl FnOnce(&Machine), code: &str) {
    let rig = holding().await;
    let api = rig.api().unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    put_precious(&machine);
    let life = machine.live(rig.service());
    tokio::pin!(life);
    let work = async {
        api.wait_state(&machine.serial, "ready", ONE).await.unwrap();
        change(&machine);
        let planned = deploy(&api, &machine).await;
        let plan = planned.plan.expect("the machine has reported: there is a plan");
        assert_eq!(plan.disk.serial.as_deref(), Some(machine.disk_serial.as_str()));
        api.wait_rest(&machine.serial, ONE).await.unwrap()
    };
    let detail: MachineDetail = tokio::select! {
        ended = &mut life => panic!("{ended:?}"),
        detail = work => detail,
    };
    let status = &detail.machine.status;
    assert_eq!(status.state, MachineState::Failed, "{status:#?}");
    assert_eq!(status.reason.as_deref(), Some(code), "{status:#?}");
    assert!(
        status.sentence.contains("No disk was touched"),
        "{}",
        status.sentence
    );
    assert_untouched(&machine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_disk_than_planned_is_refused_before_a_write() {
    refused_after(|m| m.captured.disk("OTHER-1", DISK).unwrap(), "disk-missing").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_of_another_size_is_refused_before_a_write() {
    refused_after(
        |m| m.captured.disk(&m.disk_serial, DISK / 2).unwrap(),
        "disk-size",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_disk_is_refused_before_a_write() {
    refused_after(|m| m.captured.remove_disk().unwrap(), "disk-missing").await;
}

/// If the report already shows the problem, the plan is refused and names the missing fact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_cannot_be_made_names_the_missing_fact() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let api = rig.api().unwrap();
    let none = Machine::make(rig.directory(), 1, DISK).unwrap();
    none.captured.remove_disk().unwrap();
    let small = Machine::make(rig.directory(), 2, DISK).unwrap();
    small.captured.disk(&small.disk_serial, 1 << 20).unwrap();
    for machine in [none, small] {
        put_precious(&machine);
        let detail = tokio::select! {
            ended = machine.live(rig.service()) => panic!("{ended:?}"),
            detail = api.wait_rest(&machine.serial, ONE) => detail.unwrap(),
        };
        let status = &detail.machine.status;
        assert_eq!(status.state, MachineState::Failed, "{status:#?}");
        assert!(status.sentence.contains("disk"), "{}", status.sentence);
        assert_untouched(&machine);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_with_another_digest_stops_and_is_named() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    // One byte in the middle; the size stays the same.
    let mut bytes = std::fs::read(rig.image_file()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(rig.image_file(), bytes).unwrap();
    let api = rig.api().unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let detail = tokio::select! {
        ended = machine.live(rig.service()) => panic!("{ended:?}"),
        detail = api.wait_rest(&machine.serial, ONE) => detail.unwrap(),
    };
    let status = &detail.machine.status;
    assert_eq!(status.state, MachineState::Failed, "{status:#?}");
    assert!(status.sentence.contains("write-image"), "{}", status.sentence);
    assert!(
        status.reason.as_deref().is_some_and(|r| r.starts_with("image")),
        "{status:#?}"
    );
}

/// A TCP forwarder that cuts each connection after some bytes of answer.
struct Cutter {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Cutter {
    async fn start(to: SocketAddr, after: usize) -> Cutter {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU64::new(0));
        let counted = connections.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(to).await else {
                        return;
                    };
                    let (mut from_server, mut to_server) = server.into_split();
                    let (mut from_client, mut to_client) = client.split();
                    let forth = tokio::io::copy(&mut from_client, &mut to_server);
                    let back = async {
                        let mut left = after;
                        let mut buffer = vec![0; 16 << 10];
                        while left > 0 {
                            let most = left.min(buffer.len());
                            let Ok(n @ 1..) = from_server.read(&mut buffer[..most]).await else {
                                break;
                            };
                            if to_client.write_all(&buffer[..n]).await.is_err() {
                                break;
                            }
                            left -= n;
                        }
                    };
                    tokio::select! { _ = forth => {}, () = back => {} }
                });
            }
        });
        Cutter {
            address,
            connections,
            task,
        }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn install_through(rig: &Rig, machine: &Machine, cutter: &Cutter) {
    let Netbooted::MiniOs { args, ca_pem } = machine.netboot(rig.service()).await.unwrap() else {
        panic!("the mini-os was not booted")
    };
    let how = PowerOn {
        boot_url: Some(format!("http://{}", cutter.address)),
    };
    // It ends with the reboot; after a failure the agent stays up, and the caller stops waiting.
    machine.mini_os(*args, ca_pem, how).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_is_cut_goes_on_where_it_was() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let api = rig.api().unwrap();
    let machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    let cutter = Cutter::start(rig.service().http, 1 << 20).await;
    tokio::time::timeout(ONE, install_through(&rig, &machine, &cutter))
        .await
        .expect("installed in time");
    let lines = machine.console.lines().join("\n");
    let status = api.machine(&machine.serial).await.unwrap().machine.status;
    assert_eq!(status.phase, Some(Phase::AwaitLocalBoot), "{status:#?}\n{lines}");
    // 3 MiB in pieces of less than 1 MiB (headers count): at least four, and no more than it takes.
    let connections = cutter.connections.load(Ordering::Relaxed);
    assert!((4..=6).contains(&connections), "{connections} connections");
    check_written(&machine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_never_gets_on_ends_failed() {
    let rig = Rig::start(IMAGE, |_| {}).await.unwrap();
    let api = rig.api().unwrap();
    let mut machine = Machine::make(rig.directory(), 1, DISK).unwrap();
    // Three minutes in production.
    machine.patience.give_up = Duration::from_secs(8);
    // Not even the headers come through.
    let cutter = Cutter::start(rig.service().http, 10).await;
    let detail = tokio::select! {
        () = install_through(&rig, &machine, &cutter) => panic!("the agent stopped:\n{}", machine.console.lines().join("\n")),
        detail = api.wait_rest(&machine.serial, Duration::from_secs(90)) => detail.unwrap(),
    };
    let status = &detail.machine.status;
    assert_eq!(status.state, MachineState::Failed, "{status:#?}");
    assert!(status.sentence.contains("write-image"), "{}", status.sentence);
    assert!(
        cutter.connections.load(Ordering::Relaxed) < 100,
        "retries have a bound"
    );
}
