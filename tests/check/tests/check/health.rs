//! Rules independent of the expectation: each alarm gives exactly its finding.

use inventory_api::agent::RunsOn;
use inventory_api::check::{HardwareProfile, Severity, code};
use inventory_api::report::*;
use lifecycle::check::{golden, unhealthy};

use crate::server::server;
use check_tests::{against, told};

type Plant = fn(&mut AssetReport);

fn sensor(r: &mut AssetReport, unit: &str, value: f64, critical: Option<f64>, alarm: bool) {
    r.sensors.push(SensorFacts {
        chip: "ipmi".into(),
        label: "S1".into(),
        unit: unit.into(),
        value,
        critical,
        alarm: Some(alarm),
    });
}

fn event(r: &mut AssetReport, event: &str, asserted: bool) {
    let events = &mut r.bmc.as_mut().unwrap().events;
    events.push(BmcEvent {
        at: None,
        sensor: "PS1 Status".into(),
        event: event.into(),
        asserted: Some(asserted),
    });
}

fn battery(r: &mut AssetReport, status: &str) {
    r.batteries.push(BatteryFacts {
        location: Some("PERC H730P cache".into()),
        status: Some(status.into()),
        ..Default::default()
    });
}

fn disk(r: &mut AssetReport) -> &mut DiskHealth {
    r.disks[1].health.as_mut().unwrap()
}

fn link(r: &mut AssetReport, width: u32, speed: &str) {
    for device in &mut r.pci {
        if device.device.as_deref() == Some("2330") {
            device.link_width_max = Some(16);
            device.link_speed_max = Some("32.0 GT/s PCIe".into());
            device.link_width = Some(width);
            device.link_speed = Some(speed.into());
        }
    }
}

/// Nothing, or code and place; and the planted fault.
const TABLE: &[(Option<(&str, &str)>, Plant)] = &[
    (Some(("fan-stopped", "S1")), |r| sensor(r, "rpm", 0.0, None, true)),
    (None, |r| sensor(r, "rpm", 0.0, None, false)),
    (Some(("sensor-alarm", "S1")), |r| {
        sensor(r, "rpm", 300.0, None, true)
    }),
    (Some(("sensor-alarm", "S1")), |r| {
        sensor(r, "C", 101.0, Some(100.0), false)
    }),
    (None, |r| sensor(r, "C", 80.0, Some(100.0), false)),
    (None, |r| sensor(r, "V", 1.8, Some(0.0), false)),
    (Some(("battery-failed", "PERC H730P cache")), |r| {
        battery(r, "Failed")
    }),
    (Some(("battery-failed", "PERC H730P cache")), |r| {
        battery(r, "Replacement required")
    }),
    (None, |r| battery(r, "OK")),
    (Some(("bmc-events", "BMC")), |r| {
        event(r, "Power Supply failure detected", true)
    }),
    (None, |r| {
        // Newest first: the event has ended.
        event(r, "Power Supply failure detected", false);
        event(r, "Power Supply failure detected", true);
    }),
    (None, |r| event(r, "Presence detected", true)),
    (Some(("disk-errors", "Bay 1")), |r| {
        disk(r).reallocated_sectors = Some(11)
    }),
    (None, |r| disk(r).reallocated_sectors = Some(10)),
    (Some(("disk-errors", "Bay 1")), |r| {
        disk(r).pending_sectors = Some(1)
    }),
    (Some(("disk-errors", "Bay 1")), |r| {
        disk(r).uncorrectable_errors = Some(1)
    }),
    (Some(("disk-link-errors", "Bay 1")), |r| {
        disk(r).link_errors = Some(101)
    }),
    (Some(("disk-failed", "Bay 1")), |r| {
        disk(r).self_test = Some("failed at 30 %".into())
    }),
    (Some(("disk-failed", "Bay 1")), |r| {
        disk(r).spare_percent = Some(4);
        disk(r).spare_threshold_percent = Some(10);
    }),
    (Some(("disk-format", "Bay 1")), |r| {
        r.disks[1].logical_block_bytes = Some(520)
    }),
    (None, |r| r.disks[1].logical_block_bytes = Some(4096)),
    (
        Some(("memory-corrected", "CPU_SrcID#0_MC#0_Chan#0_DIMM#0")),
        |r| r.memory.edac[0].corrected = Some(101),
    ),
    (Some(("cpu-disabled", "CPU2")), |r| {
        r.cpu.as_mut().unwrap().processors[1].enabled = Some(false)
    }),
    (Some(("psu-unplugged", "PSU2")), |r| {
        r.power_supplies[1].plugged = Some(false)
    }),
    (Some(("disk-failed", "enclosure 32 slot 4")), |r| {
        r.controllers.push(StorageController {
            disks: vec![DiskFacts {
                name: "enclosure 32 slot 4".into(),
                health: Some(DiskHealth {
                    passed: Some(false),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            ..Default::default()
        })
    }),
    (None, |r| link(r, 16, "32.0 GT/s PCIe")),
];

#[test]
fn each_alarm_is_its_finding() {
    assert_eq!(told(&against(&HardwareProfile::default(), &server())), []);
    for (n, (expected, plant)) in TABLE.iter().enumerate() {
        let mut report = server();
        plant(&mut report);
        let result = against(&HardwareProfile::default(), &report);
        let expected: Vec<_> = expected
            .iter()
            .map(|(c, p)| ((*c).to_owned(), (*p).to_owned()))
            .collect();
        assert_eq!(told(&result), expected, "row {n}: {result:#?}");
        for finding in &result.findings {
            println!("{}", finding.sentence);
            assert!(code::is_health(&finding.code), "{}", finding.code);
        }
        assert_eq!(unhealthy(&report), result.findings);
    }
}

#[test]
fn a_link_is_compared_with_the_golden_machine_or_with_what_card_and_slot_can_do() {
    let mut good = server();
    link(&mut good, 16, "16.0 GT/s PCIe");
    let profile = golden(&good);
    assert_eq!(profile.links.len(), 1);
    assert_eq!(told(&against(&profile, &good)), []);
    let severities = |profile: &HardwareProfile, width: u32, speed: &str| -> Vec<Severity> {
        let mut report = server();
        link(&mut report, width, speed);
        let found = against(profile, &report).findings.into_iter();
        found
            .filter(|f| f.code == "link-slow")
            .map(|f| f.severity)
            .collect()
    };
    let two = |severity| vec![severity; 2];
    assert_eq!(severities(&profile, 8, "16.0 GT/s PCIe"), two(Severity::Warning));
    assert_eq!(severities(&profile, 16, "8.0 GT/s PCIe"), two(Severity::Warning));
    let order = HardwareProfile::default();
    assert_eq!(severities(&order, 8, "32.0 GT/s PCIe"), two(Severity::Warning));
    assert_eq!(severities(&order, 16, "2.5 GT/s PCIe"), two(Severity::Warning));
    // A slot of the previous generation.
    assert_eq!(severities(&order, 16, "16.0 GT/s PCIe"), two(Severity::Info));
    // A golden machine with a badly seated card fixes nothing.
    link(&mut good, 4, "2.5 GT/s PCIe");
    assert_eq!(golden(&good).links, []);
    // A slot with fewer lanes.
    link(&mut good, 8, "32.0 GT/s PCIe");
    good.slots = ["0000:86:00.0", "0000:87:00.0"]
        .map(|pci| ExpansionSlot {
            width: Some("x8".into()),
            pci: Some(pci.into()),
            ..Default::default()
        })
        .to_vec();
    assert_eq!(told(&against(&order, &good)), []);
}

#[test]
fn an_installed_system_is_not_asked_for_what_its_kernel_lacks() {
    let mut profile = golden(&server());
    profile.tpm.present = true;
    profile.boot.mode = Some(FirmwareMode::Uefi);
    let mut report = server();
    report.boot.mode = Some(FirmwareMode::Bios);
    // No driver for controller, network card, BMC and TPM: parts behind them are invisible.
    report.pci.iter_mut().for_each(|d| d.driver = None);
    report.nics.clear();
    report.disks.clear();
    report.bmc = None;
    let check = |runs_on| {
        let result = lifecycle::check(&profile.clone().into(), &report, runs_on);
        result
            .findings
            .into_iter()
            .filter(|f| f.severity > Severity::Info)
            .count()
    };
    assert!(check(RunsOn::MiniOs) > 8);
    assert_eq!(check(RunsOn::Installed), 0);
}
