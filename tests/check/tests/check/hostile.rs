//! A report fabricated to do harm.

use std::time::{Duration, Instant};

use inventory_api::check::{DiskProfile, HardwareProfile, MemoryProfile, NicProfile};
use inventory_api::report::{AssetReport, DiskFacts, MemorySlot, NicFacts, PciDevice};
use lifecycle::check::{golden, outliers};

use crate::server::server;
use check_tests::against;

/// The limit is generous for a debug build on a shared machine. Quadratic work over 100,000 parts would take
/// hours.
const DEADLINE: Duration = Duration::from_secs(60);

fn hostile() -> AssetReport {
    let nasty = "\u{1b}[2J<script>alert(1)</script>\u{202e}\n".repeat(3);
    let mut report = server();
    report.disks = (0..100_000)
        .map(|n| DiskFacts {
            name: format!("sd{n}"),
            model: Some(nasty.clone()),
            bay: Some(format!("{nasty}{}", n % 7)),
            size_bytes: Some(n),
            ..Default::default()
        })
        .collect();
    report.memory.slots = (0..100_000)
        .map(|n| MemorySlot {
            slot: Some(nasty.clone()),
            bank: (n % 2 == 0).then(|| nasty.clone()),
            size_bytes: Some(u64::MAX - n),
            populated: Some(true),
            ..Default::default()
        })
        .collect();
    report.nics = (0..100_000)
        .map(|n| NicFacts {
            name: nasty.clone(),
            pci: Some(format!("{nasty}{}", n % 3)),
            ..Default::default()
        })
        .collect();
    report.pci = (0..100_000)
        .map(|n| PciDevice {
            address: n.to_string(),
            class: Some("020000".into()),
            vendor: Some(format!("{n:04x}")),
            device: Some(nasty.clone()),
            ..Default::default()
        })
        .collect();
    report.system.as_mut().unwrap().product = Some("x".repeat(10_000_000));
    report
}

#[test]
fn a_hostile_report_is_checked_in_bounds() {
    let report = hostile();
    let began = Instant::now();
    let profiles = [
        golden(&server()),
        golden(&report),
        HardwareProfile {
            disks: vec![
                DiskProfile {
                    count: Some(4000),
                    min_size: Some(u64::MAX),
                    ..Default::default()
                };
                8
            ],
            memory: MemoryProfile {
                modules: Some(u32::MAX),
                total: Some(1),
                min_speed_mts: Some(1),
                ..Default::default()
            },
            nics: vec![NicProfile {
                pci_id: Some("*a*b*c*d*".into()),
                ..Default::default()
            }],
            ..Default::default()
        },
    ];
    for profile in &profiles {
        let result = against(profile, &report);
        assert!(result.findings.len() <= 200, "{}", result.findings.len());
        for f in &result.findings {
            for text in [&f.place, &f.expected, &f.found, &f.sentence] {
                assert!(text.chars().count() <= 501, "{}", text.len());
                assert!(
                    !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
                    "{text:?}"
                );
            }
        }
        if result.findings.len() == 200 {
            let last = result.findings.last().unwrap();
            assert_eq!(last.code, "more");
            assert!(last.sentence.starts_with("And "), "{}", last.sentence);
        }
    }
    let took = began.elapsed();
    println!("golden and three checks of a hostile report: {took:?}");
    assert!(took < DEADLINE, "{took:?}");
}

#[test]
fn a_profile_may_ask_for_more_ports_than_a_number_holds() {
    let port = NicProfile {
        count: Some(u32::MAX),
        pci_id: Some("8086:1572".into()),
        ..NicProfile::default()
    };
    let profile = HardwareProfile {
        nics: vec![port.clone(), port],
        ..HardwareProfile::default()
    };
    let result = against(&profile, &AssetReport::default());
    let missing = result.findings.iter().filter(|f| f.code == "nic-missing");
    assert_eq!(missing.count(), 2);
}

#[test]
fn a_hostile_machine_does_not_stop_the_comparison_of_a_fleet() {
    let (odd, sound) = (hostile(), server());
    let fleet: Vec<(String, &AssetReport)> = (0..20)
        .map(|n| (format!("m-{n}"), if n == 7 { &odd } else { &sound }))
        .collect();
    let began = Instant::now();
    let found = outliers(&fleet);
    assert!(found.len() <= 1000);
    assert!(!found.is_empty());
    let took = began.elapsed();
    println!("outliers with a hostile machine: {took:?}");
    assert!(took < DEADLINE, "{took:?}");
}
