//! From power-on with an empty disk to Deployed.

use std::time::Duration;

use e2e::scenario::{FIRST_BOOT_MARK, profile};
use e2e::{Firmware, Lab, Level, Server, ServerSpec, Vm, VmSpec, artefacts, run};
use inventory_api::machine::{MachineDetail, MachineState};

use crate::installed::RootFs;

/// Network boot, report, installation, local boot and verification, in software emulation on two slow cores.
const DEPLOYED_WITHIN: Duration = Duration::from_secs(600);

struct Bench {
    // Dropped in this order: machine, server, network.
    vm: Vm,
    server: Server,
    _directory: tempfile::TempDir,
    _lab: Lab,
}

async fn bench(name: &str, firmware: Firmware) -> Bench {
    let lab = Lab::enter().unwrap();
    let directory = artefacts::run_directory(name).unwrap();
    let spec = VmSpec::new(name, firmware);
    let server = Server::start(ServerSpec {
        directory: directory.path().to_owned(),
        mini_os: artefacts::built("mini-os/small", "mini-os").unwrap(),
        images: artefacts::built("images", "image").unwrap(),
        profile: Some((spec.system_serial(), profile(artefacts::RECIPE))),
        network: ServerSpec::SERVER_MODE.to_owned(),
        more: String::new(),
    })
    .await
    .unwrap();
    let vm = Vm::new(spec, lab.tap().unwrap()).unwrap();
    Bench {
        vm,
        server,
        _directory: directory,
        _lab: lab,
    }
}

#[test]
fn vm_bios_from_an_empty_disk_to_deployed() {
    if Level::Qemu.runs() {
        run(empty_disk_to_deployed("bios", Firmware::Bios));
    }
}

#[test]
fn vm_uefi_from_an_empty_disk_to_deployed() {
    if Level::Qemu.runs() {
        run(empty_disk_to_deployed("uefi", Firmware::Uefi));
    }
}

/// One machine, several accidents: the server is killed and restarted while the image is written; then the
/// machine loses power while it writes; later the server is killed again while the machine boots its disk.
#[test]
fn vm_bios_survives_a_killed_server_and_a_power_cut() {
    if Level::Qemu.runs() {
        run(accidents());
    }
}

async fn accidents() {
    let mut bench = bench("cut", Firmware::Bios).await;
    let api = bench.server.api().unwrap();
    let serial = bench.vm.spec().system_serial();
    let minutes = |n: u64| Duration::from_secs(n * 60);
    bench.vm.power_on().unwrap();
    bench.vm.wait_console("install: 20 %", minutes(4)).await.unwrap();
    bench.server.kill();
    // The dead server was sending the image, too: the transfer is cut and resumes where it was.
    bench.server.power_on().await.unwrap();
    bench.vm.wait_console("install: 50 %", minutes(4)).await.unwrap();
    bench.vm.power_off();
    let status = api.machine(&serial).await.unwrap().machine.status;
    assert_eq!(
        status.state,
        MachineState::Deploying,
        "{}",
        api.story(&serial).await
    );

    bench.vm.power_on().unwrap();
    bench
        .vm
        .wait_console("step 13/13 finish: done", minutes(8))
        .await
        .unwrap();
    bench.server.kill();
    bench.server.power_on().await.unwrap();
    let deployed = api.wait_state(&serial, "deployed", DEPLOYED_WITHIN).await;
    let detail = deployed.unwrap_or_else(|e| panic!("{e:?}\nconsole:\n{}", bench.vm.tail(40)));
    check_report(&bench.vm, &detail);
    bench.vm.power_off();
    check_disk(&RootFs::of(&bench.vm.disk()), &detail);
}

async fn empty_disk_to_deployed(name: &str, firmware: Firmware) {
    let mut bench = bench(name, firmware).await;
    let api = bench.server.api().unwrap();
    let serial = bench.vm.spec().system_serial();
    bench.vm.power_on().unwrap();
    let deployed = api.wait_state(&serial, "deployed", DEPLOYED_WITHIN).await;
    let detail = deployed.unwrap_or_else(|e| {
        panic!(
            "{e:?}\nconsole:\n{}\nlog:\n{}",
            bench.vm.tail(40),
            bench.server.log()
        )
    });
    check_report(&bench.vm, &detail);

    // A second network boot goes to the disk, and the resident agent reports again.
    let before = detail.machine.last_seen.expect("its agent was heard");
    bench.vm.reset().unwrap();
    e2e::wait::until(
        "the resident agent after a second boot",
        Duration::from_secs(400),
        async || {
            let Ok(now) = api.machine(&serial).await else {
                return Ok(None);
            };
            assert_eq!(
                now.machine.status.state,
                MachineState::Deployed,
                "{}",
                api.story(&serial).await
            );
            let journey = api.journey(&bench.vm.spec().mac).await?;
            let local = format!("{:?}", journey.events.last());
            Ok(
                (now.machine.last_seen > Some(before) && now.reported_at > detail.reported_at)
                    .then_some(local),
            )
        },
    )
    .await
    .unwrap_or_else(|e| panic!("{e:?}\nconsole:\n{}", bench.vm.tail(40)));

    bench.vm.power_off();
    check_disk(&RootFs::of(&bench.vm.disk()), &detail);
}

fn check_report(vm: &Vm, detail: &MachineDetail) {
    let spec = vm.spec();
    let report = detail.report.as_ref().expect("a report");
    let system = report.system.as_ref().expect("SMBIOS");
    assert_eq!(system.manufacturer.as_deref(), Some("Slipway"));
    assert_eq!(system.serial.as_deref(), Some(spec.system_serial().as_str()));
    assert_eq!(report.disks.len(), 1, "{:?}", report.disks);
    assert_eq!(report.disks[0].serial.as_deref(), Some(spec.disk_serial.as_str()));
    assert_eq!(report.disks[0].size_bytes, Some(spec.disk_bytes));
    assert!(
        report
            .nics
            .iter()
            .any(|n| n.mac.map(|m| m.to_string()).as_deref() == Some(&spec.mac))
    );
    let verification = detail.verification.as_ref().expect("a verification");
    assert!(verification.holds(), "{verification:#?}");
}

/// Facts of the installed system.
fn check_disk(root: &RootFs, detail: &MachineDetail) {
    let plan = detail.plan.as_ref().expect("a plan");
    let has = |path: &str, what: &str| {
        let text = root.text(path);
        assert!(text.contains(what), "{path} has no {what:?}:\n{text}");
    };
    has("/etc/hostname", &plan.hostname);
    has("/etc/passwd", "alice:x:1500:");
    has("/etc/passwd", "deploy:");
    has("/etc/group", "operators:");
    has("/etc/shadow", "alice:$6$slipwaylab$");
    has("/home/alice/.ssh/authorized_keys", "alice@lab");
    has(
        "/etc/cron.d/slipway-heartbeat",
        "*/5 * * * * deploy /usr/local/sbin/heartbeat",
    );
    has("/usr/local/sbin/heartbeat", "touch /tmp/heartbeat");
    has("/etc/fstab", "UUID=");
    has("/etc/slipway/agent.json", detail.machine.id.as_str());
    // Run once, although the machine has booted its disk twice.
    assert_eq!(
        root.text("/etc/slipway-first-boot")
            .matches(FIRST_BOOT_MARK)
            .count(),
        1
    );
    assert!(root.stat("/usr/local/sbin/slipway-agent").contains("Mode:  0755"));
    assert!(
        root.stat("/var/lib/slipway-agent/key.pem")
            .contains("Mode:  0600")
    );
}
