//! A server with realistic hardware is checked against its purchase order: once as ordered, with a dead
//! battery behind its clock, and once with a module missing. Runs the full mini-os.

use std::time::Duration;

use e2e::hardware::{MODULE_MIB, Rack, SLOTS};
use e2e::{Api, Firmware, Lab, Level, Server, ServerSpec, Vm, VmSpec, artefacts, run};
use inventory_api::check::Verdict;
use inventory_api::machine::{MachineDetail, Verb};
use inventory_api::report::{AssetReport, CollectorProblem, Transport};
use inventory_api::routes;
use serde_json::{Value, json};

/// Network boot with the full mini-os, in software emulation on two slow cores.
const CHECKED_WITHIN: Duration = Duration::from_secs(480);
const NAME: &str = "rack";

#[test]
fn vm_rack_server_is_checked_against_its_order_and_its_clock_is_set() {
    if Level::Qemu.runs() {
        run(checked());
    }
}

/// The purchase order.
fn ordered() -> Value {
    let dimms: Vec<Value> = (0..SLOTS)
        .map(|index| {
            let slot = format!("DIMM_{}1", char::from(b'A' + index as u8));
            match Rack::ordered().empty.contains(&index) {
                true => json!({"slot": slot, "empty": true}),
                false => json!({"slot": slot, "size": u64::from(MODULE_MIB) << 20, "maker": "Samsung", "part": "M393A2K43DB3-CWE"}),
            }
        })
        .collect();
    json!([{
        "name": "lab-rack-1",
        "system": {"maker": "Slipway", "model": "Virtual Server"},
        "firmware": {"version": "1.0"},
        "cpu": {"sockets": 2},
        "memory": {"dimms": dimms},
        "disks": [
            {"count": 1, "transport": "nvme", "min_size": 1u64 << 30},
            {"count": 1, "transport": "sata", "size": 2u64 << 30, "model": "SLIPWAY SATA"},
            {"count": 1, "transport": "virtio", "size": 6u64 << 30},
        ],
        "nics": [{"count": 1, "driver": "virtio_net"}, {"count": 1, "driver": "e1000e"}],
    }])
}

async fn checked() {
    let lab = Lab::enter().unwrap();
    let directory = artefacts::run_directory(NAME).unwrap();
    let server = Server::start(ServerSpec {
        directory: directory.path().to_owned(),
        mini_os: artefacts::built("mini-os/full", "mini-os").unwrap(),
        images: artefacts::built("images", "image").unwrap(),
        profile: None,
        network: ServerSpec::SERVER_MODE.to_owned(),
        more: String::new(),
    })
    .await
    .unwrap();
    let api = server.api().unwrap();
    let dead_battery = Rack {
        clock: Some("2010-01-01T00:00:00"),
        ..Rack::ordered()
    };
    let mut vm = Vm::new(
        VmSpec::rack(NAME, Firmware::Bios, dead_battery),
        lab.tap().unwrap(),
    )
    .unwrap();
    let serial = vm.spec().system_serial();

    let taken = api
        .import_json(routes::IMPORT_HARDWARE_PROFILES, &ordered())
        .await
        .unwrap();
    assert_eq!(taken.entries.len(), 1, "{taken:?}");
    let orders = json!([{"number": "PO-1", "items": [{"item": "10", "count": 1, "profile": "lab-rack-1"}]}]);
    api.import_json(routes::IMPORT_ORDERS, &orders).await.unwrap();
    let racks = json!([{
        "room": "R1", "rack": "A3", "unit": 12, "serial": serial, "order": "PO-1", "item": "10",
    }]);
    api.import_json(routes::IMPORT_RACKS, &racks).await.unwrap();

    // As ordered.
    vm.power_on().unwrap();
    vm.wait_console("verdict: PASS", CHECKED_WITHIN)
        .await
        .unwrap_or_else(|e| panic!("{e:?}\nserver:\n{}", server.log()));
    let detail = api.machine(&serial).await.unwrap();
    let check = detail.check.as_ref().unwrap();
    assert_eq!(
        (check.verdict, check.findings.len()),
        (Verdict::Pass, 0),
        "{check:#?}"
    );
    whole(&vm, detail.report.as_ref().unwrap());
    has_the_right_time(&vm);
    screen_shows(&vm, &["as expected", &serial, "A3", "https://"]).await;
    vm.power_off();

    // The same server comes back from repair without a module that it should have.
    let short = Rack {
        empty: vec![3, SLOTS - 1],
        ..Rack::ordered()
    };
    let mut vm = Vm::new(VmSpec::rack(NAME, Firmware::Bios, short), lab.tap().unwrap()).unwrap();
    api.verb(&serial, Verb::Commission).await.unwrap();
    vm.power_on().unwrap();
    vm.wait_console("verdict: FAIL", CHECKED_WITHIN)
        .await
        .unwrap_or_else(|e| panic!("{e:?}\nserver:\n{}", server.log()));
    let detail = api.machine(&serial).await.unwrap();
    missing_module(&detail);
    screen_shows(&vm, &["NOT as expected", &serial, "DIMM_D1", "https://"]).await;
    assert!(vm.console().contains("DIMM_D1"), "{}", vm.tail(30));
    on_the_pages(&api, &detail, &serial).await;
}

/// The report lists every part.
fn whole(vm: &Vm, report: &AssetReport) {
    let cpu = report.cpu.as_ref().unwrap();
    assert_eq!((cpu.sockets, cpu.threads), (Some(2), Some(2)));
    let slots = &report.memory.slots;
    assert_eq!(slots.len() as u32, SLOTS, "{slots:?}");
    assert_eq!(slots.iter().filter(|s| s.populated == Some(false)).count(), 1);
    let disk = |transport| {
        let mut found = report.disks.iter().filter(|d| d.transport == Some(transport));
        let disk = found
            .next()
            .unwrap_or_else(|| panic!("no {transport:?} disk: {:#?}", report.disks));
        assert!(found.next().is_none());
        disk
    };
    assert_eq!(disk(Transport::Nvme).serial, Some(Rack::nvme_serial(NAME)));
    assert!(
        disk(Transport::Nvme).health.is_some(),
        "NVMe's health log: {:#?}",
        disk(Transport::Nvme)
    );
    assert_eq!(disk(Transport::Sata).serial, Some(Rack::sata_serial(NAME)));
    assert_eq!(
        disk(Transport::Virtio).serial.as_ref(),
        Some(&vm.spec().disk_serial)
    );
    let card = report.disks.iter().find(|disk| disk.name.starts_with("mmcblk"));
    let card = card.unwrap_or_else(|| panic!("no SD card: {:#?}\n{:#?}", report.disks, report.problems));
    assert!(
        matches!(card.transport, Some(Transport::Sd | Transport::Mmc)),
        "{card:#?}"
    );
    assert!(card.serial.is_some(), "{card:#?}");
    assert_eq!(report.nics.len(), 2, "{:#?}", report.nics);
    let bmc = report
        .bmc
        .as_ref()
        .unwrap_or_else(|| panic!("no BMC: {:#?}", report.problems));
    assert_eq!(bmc.ipmi_version.as_deref(), Some("2.0"), "{bmc:?}");
    assert!(bmc.event_count.is_some(), "{bmc:#?} {:#?}", report.problems);
    let quiet = |problem: &CollectorProblem| !["bmc", "mmc"].contains(&problem.collector.as_str());
    assert!(report.problems.iter().all(quiet), "{:#?}", report.problems);
    let tpm = report
        .tpm
        .as_ref()
        .unwrap_or_else(|| panic!("no TPM: {:#?}", report.problems));
    assert_eq!(tpm.version.as_deref(), Some("2.0"));
    let key = tpm.endorsement_key_sha256.as_deref().unwrap_or_default();
    assert_eq!(key.len(), 64, "{tpm:?} {:#?}", report.problems);
}

/// The mini-os sets the machine's own clock. 2010 is further away than any time zone.
fn has_the_right_time(vm: &Vm) {
    let time = vm
        .qmp()
        .unwrap()
        .execute("qom-get", json!({"path": "/machine", "property": "rtc-time"}))
        .unwrap();
    let years = time["tm_year"].as_i64().unwrap() + 1900;
    assert!(years >= 2024, "the machine's own clock: {time}\n{}", vm.tail(40));
}

fn missing_module(detail: &MachineDetail) {
    let check = detail.check.as_ref().unwrap();
    assert_eq!(check.verdict, Verdict::Fail);
    let [finding] = &check.findings[..] else {
        panic!("exactly one finding: {check:#?}");
    };
    assert_eq!(finding.place, "DIMM_D1");
    assert_eq!(finding.code, "dimm-missing");
}

/// The verdict is on the machine's own screen. It is being drawn while we look, so wait until it is complete.
async fn screen_shows(vm: &Vm, words: &[&str]) {
    let mut last = String::new();
    let shown = e2e::wait::until("the verdict on the screen", Duration::from_secs(30), async || {
        last = vm.screen_text()?;
        Ok(words.iter().all(|w| last.contains(w)).then_some(()))
    });
    if let Err(e) = shown.await {
        panic!("{e}: {words:?} on\n{last}");
    }
    assert!(
        last.contains("\u{2588}\u{2588}\u{2588}"),
        "large letters and the code:\n{last}"
    );
}

async fn on_the_pages(api: &Api, detail: &MachineDetail, serial: &str) {
    let sentence = &detail.check.as_ref().unwrap().findings[0].sentence;
    for path in [format!("/machines/{}", detail.machine.id), format!("/p/{serial}")] {
        let page = api.page(&path).await.unwrap();
        let plain = sentence.split('"').next().unwrap();
        assert!(page.contains(plain), "{path} does not say {plain:?}:\n{page}");
    }
    let order = api.ask(routes::ORDER, ["PO-1"]).await.unwrap();
    assert_eq!(order.items[0].tally.failing, 1, "{order:#?}");
}
