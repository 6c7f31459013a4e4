//! What belongs to one machine: serial number, asset tag, cables.

use inventory_api::agent::RunsOn;
use inventory_api::check::{Expectation, HardwareProfile, Verdict};
use inventory_api::delivery::{Placement, PlannedPort};
use inventory_api::report::{AssetReport, ChassisFacts, LldpNeighbour};
use lifecycle::check;

use crate::server::server;
use check_tests::told;

fn wired() -> AssetReport {
    let mut report = server();
    report.chassis = Some(ChassisFacts {
        asset_tag: Some("INV-0042".into()),
        ..Default::default()
    });
    for (n, nic) in report.nics.iter_mut().enumerate() {
        nic.lldp = Some(LldpNeighbour {
            chassis: Some("00:1c:73:00:00:01".into()),
            system: Some(format!("leaf{}.dc1.example.net", n % 2 + 1)),
            port: Some(format!("Ethernet{}/1", n + 1)),
            vlan: Some(100),
            ..Default::default()
        });
    }
    report
}

fn plan() -> Placement {
    Placement {
        room: "R1".into(),
        rack: "A12".into(),
        unit: 7,
        serial: Some("abc1234".into()),
        asset_tag: Some("INV-0042".into()),
        ports: (0..4)
            .map(|n| PlannedPort {
                nic: Some(match n {
                    0 => "52:54:00:00:00:00".into(),
                    1 => "Slot 2 p1".into(),
                    2 => "eno2".into(),
                    _ => "0000:3b:00.3".into(),
                }),
                switch: format!("leaf{}", n % 2 + 1),
                port: format!("Eth{}/1", n + 1),
                vlan: Some(100),
            })
            .collect(),
        ..Default::default()
    }
}

fn expectation(placement: Placement) -> Expectation {
    Expectation {
        profile: HardwareProfile::default(),
        placement: Some(placement),
    }
}

#[test]
fn a_machine_where_it_belongs_passes() {
    assert_eq!(told(&check(&expectation(plan()), &wired(), RunsOn::MiniOs)), []);
    // Cables without a NIC name match any NIC.
    let mut any = plan();
    any.ports.iter_mut().for_each(|p| p.nic = None);
    assert_eq!(told(&check(&expectation(any), &wired(), RunsOn::MiniOs)), []);
}

#[test]
fn one_wrong_cable_is_one_finding() {
    type Plant = fn(&mut AssetReport);
    let planted: [(&str, &str, &str, Plant); 8] = [
        ("serial-other", "room R1, rack A12, unit 7", "ABC9999", |r| {
            r.system.as_mut().unwrap().serial = Some("ABC9999".into());
            r.chassis = None;
        }),
        ("asset-tag-other", "room R1, rack A12, unit 7", "INV-0043", |r| {
            r.chassis.as_mut().unwrap().asset_tag = Some("INV-0043".into())
        }),
        ("cable-other-port", "Slot 2 p2", "right switch, wrong port", |r| {
            r.nics[2].lldp.as_mut().unwrap().port = Some("Ethernet9/1".into())
        }),
        ("cable-other-switch", "Slot 2 p2", "wrong switch", |r| {
            r.nics[2].lldp.as_mut().unwrap().system = Some("spine1".into())
        }),
        ("cable-swapped", "Slot 2 p0", "are swapped", |r| {
            let (a, b) = (r.nics[0].lldp.take(), r.nics[1].lldp.take());
            (r.nics[0].lldp, r.nics[1].lldp) = (b, a);
        }),
        ("cable-silent", "Slot 2 p3", "no link", |r| {
            r.nics[3].lldp = None;
            r.nics[3].link = Some(false);
        }),
        ("cable-vlan", "Slot 2 p0", "VLAN 1", |r| {
            r.nics[0].lldp.as_mut().unwrap().vlan = Some(1)
        }),
        ("cable-silent", "cabling", "leaf1 Eth1/1", |r| {
            r.nics.iter_mut().for_each(|n| n.lldp = None)
        }),
    ];
    for (code, place, says, plant) in planted {
        let mut report = wired();
        plant(&mut report);
        let result = check(&expectation(plan()), &report, RunsOn::MiniOs);
        assert_eq!(
            told(&result),
            [(code.to_owned(), place.to_owned())],
            "{result:#?}"
        );
        println!("{code}: {}", result.findings[0].sentence);
        assert!(
            result.findings[0].sentence.contains(says),
            "{}",
            result.findings[0].sentence
        );
        let verdict = if code == "cable-silent" {
            Verdict::Warn
        } else {
            Verdict::Fail
        };
        assert_eq!(result.verdict, verdict, "{code}");
    }
}

#[test]
fn a_card_that_answers_lldp_itself_is_not_reported_as_a_cable_fault() {
    type Plant = fn(&mut AssetReport);
    let silent = |plant: Plant| {
        let mut report = wired();
        report.nics.iter_mut().for_each(|n| n.lldp = None);
        plant(&mut report);
        let result = check(&expectation(plan()), &report, RunsOn::MiniOs);
        result.findings[0].sentence.clone()
    };
    let eaten: [Plant; 3] = [
        |_| {},
        |r| r.nics[3].lldp = wired().nics[3].lldp.clone(),
        |r| {
            for nic in &mut r.nics {
                (nic.driver, nic.lldp_in_firmware) = (Some("bnxt_en".into()), Some(true));
            }
        },
    ];
    for plant in eaten {
        let sentence = silent(plant);
        assert!(sentence.contains("his card answers LLDP itself"), "{sentence}");
        assert!(!sentence.contains("Check the cable"), "{sentence}");
    }
    let heard: [Plant; 2] = [
        |r| r.nics.iter_mut().for_each(|n| n.lldp_in_firmware = Some(false)),
        |r| r.nics.iter_mut().for_each(|n| n.driver = Some("igb".into())),
    ];
    for plant in heard {
        assert!(silent(plant).contains("Check the cables"));
    }
}

#[test]
fn a_missing_port_gives_one_finding() {
    let mut report = wired();
    let profile = lifecycle::check::golden(&report);
    report.nics.pop();
    report.pci.retain(|d| d.address != "0000:3b:00.3");
    let expectation = Expectation {
        profile,
        placement: Some(plan()),
    };
    let result = check(&expectation, &report, RunsOn::MiniOs);
    assert_eq!(
        told(&result),
        [("nic-missing".to_owned(), "Slot 2 p3".to_owned())],
        "{result:#?}"
    );
}
