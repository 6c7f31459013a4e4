//! An edge server with an SD card and a dead battery: the full mini-os finds the card and sets the machine's
//! clock.

use std::time::Duration;

use e2e::hardware::Rack;
use e2e::{Firmware, Lab, Level, Server, ServerSpec, Vm, VmSpec, artefacts};
use inventory_api::report::Transport;
use serde_json::json;

/// Network boot with the full mini-os, in software emulation on two slow cores.
const REPORTED_WITHIN: Duration = Duration::from_secs(480);
const NAME: &str = "edge";

#[test]
fn vm_an_sd_card_is_seen_and_the_right_time_outlives_the_reboot() {
    if Level::Qemu.runs() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(reported());
    }
}

async fn reported() {
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
    let rack = Rack {
        sd_card: true,
        clock: Some("2010-01-01T00:00:00"),
        ..Rack::ordered()
    };
    let mut vm = Vm::new(VmSpec::rack(NAME, Firmware::Bios, rack), lab.tap().unwrap()).unwrap();
    let serial = vm.spec().system_serial();
    vm.power_on().unwrap();
    vm.wait_console("verdict:", REPORTED_WITHIN)
        .await
        .unwrap_or_else(|e| panic!("{e:?}\nserver:\n{}", server.log()));
    let detail = server.api().unwrap().machine(&serial).await.unwrap();
    let report = detail.report.as_ref().unwrap();
    let card = report.disks.iter().find(|disk| disk.name.starts_with("mmcblk"));
    let card = card.unwrap_or_else(|| panic!("no SD card: {:#?}\n{:#?}", report.disks, report.problems));
    assert!(
        matches!(card.transport, Some(Transport::Sd | Transport::Mmc)),
        "{card:#?}"
    );
    assert!(card.serial.is_some(), "{card:#?}");
    assert!(
        report.problems.iter().all(|problem| problem.collector != "mmc"),
        "{:#?}",
        report.problems
    );
    // 2010 is further away than any time zone.
    let time = vm
        .qmp()
        .unwrap()
        .execute("qom-get", json!({"path": "/machine", "property": "rtc-time"}))
        .unwrap();
    let years = time["tm_year"].as_i64().unwrap() + 1900;
    assert!(years >= 2024, "the machine's own clock: {time}\n{}", vm.tail(40));
    // Its BMC answered every request.
    let bmc = report
        .bmc
        .as_ref()
        .unwrap_or_else(|| panic!("no BMC: {:#?}", report.problems));
    assert!(bmc.event_count.is_some(), "{bmc:#?} {:#?}", report.problems);
    assert!(
        report.problems.iter().all(|problem| problem.collector != "bmc"),
        "{:#?}",
        report.problems
    );
}
