//! The golden profile: a machine passes its own, and so does an identical one with other serial numbers.

use inventory_api::Mac;
use inventory_api::check::{HardwareProfile, HealthProfile, Verdict};
use inventory_api::report::AssetReport;
use lifecycle::check::{golden, unhealthy, validate};

use crate::server::server;
use check_tests::{against, machines};

#[test]
fn every_machine_passes_its_own_golden_profile() {
    let mut fixed = 0;
    for (name, report) in machines() {
        let profile = golden(report);
        let result = against(&profile, report);
        // A machine's health problems are not part of its profile: the rules stay on.
        let sick = unhealthy(report);
        if !sick.is_empty() {
            println!("{name}: {sick:#?}");
        }
        assert_eq!(result.findings, sick, "{name}");
        assert_eq!(validate(&profile), [], "{name}");
        fixed += profile.memory.dimms.len() + profile.cpu.processors.len();
        as_files(name, &profile);
    }
    println!("{} machines, {fixed} slots and sockets fixed", machines().len());
}

/// A profile survives being written to a file and read back.
fn as_files(name: &str, profile: &HardwareProfile) {
    let toml = toml::to_string_pretty(profile).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(
        &toml::from_str::<HardwareProfile>(&toml).unwrap(),
        profile,
        "{name}: {toml}"
    );
    let json = serde_json::to_string(profile).unwrap();
    assert_eq!(
        &serde_json::from_str::<HardwareProfile>(&json).unwrap(),
        profile,
        "{name}"
    );
    assert!(!json.contains("null"), "{name}: {json}");
}

/// Another machine of the same kind: everything specific to one machine differs.
fn sibling(report: &AssetReport) -> AssetReport {
    let mut other = report.clone();
    let mut count = 0;
    // Each part has its own, because parts with the same serial number count as one.
    let mut serial = |s: &mut Option<String>| {
        count += 1;
        *s = Some(format!("OTHER-SERIAL-77{count}"));
    };
    if let Some(s) = &mut other.system {
        serial(&mut s.serial);
        s.uuid = Some("11111111-2222-3333-4444-555555555555".into());
    }
    if let Some(b) = &mut other.board {
        serial(&mut b.serial);
        serial(&mut b.asset_tag);
    }
    if let Some(c) = &mut other.chassis {
        serial(&mut c.serial);
        serial(&mut c.asset_tag);
    }
    for slot in other.memory.slots.iter_mut().filter(|s| s.serial.is_some()) {
        serial(&mut slot.serial);
        slot.asset_tag = Some("TAG".into());
    }
    if let Some(cpu) = &mut other.cpu {
        cpu.processors.iter_mut().for_each(|p| serial(&mut p.serial));
        cpu.min_mhz = Some(800.0);
        for p in &mut cpu.processors {
            p.current_mhz = p.current_mhz.map(|mhz| mhz + 100);
        }
    }
    for (n, disk) in other.disks.iter_mut().enumerate() {
        disk.serial = Some(format!("OTHER-SERIAL-7{n}7"));
        disk.wwn = Some(format!("naa.5000c500a1b2c{n:03x}"));
        disk.name = format!("sdx{n}");
        if let Some(health) = &mut disk.health {
            health.temperature_c = Some(41);
            health.power_on_hours = Some(12_345);
            health.written_bytes = Some(1 << 50);
            health.reallocated_sectors = Some(0);
        }
    }
    for (n, nic) in other.nics.iter_mut().enumerate() {
        nic.mac = Some(Mac([2, 0, 0, 0, 1, n as u8]));
        nic.permanent_mac = nic.mac;
        nic.name = format!("eth{n}");
        nic.link = Some(n == 0);
        nic.speed_mbps = (n == 0).then_some(1000);
        nic.lldp = None;
    }
    other
        .power_supplies
        .iter_mut()
        .for_each(|p| serial(&mut p.serial));
    other.gpus.iter_mut().for_each(|g| serial(&mut g.serial));
    other.boot.entries.clear();
    other.boot.secure_boot = Some(true);
    other.sensors.clear();
    if let Some(tpm) = &mut other.tpm {
        tpm.endorsement_key_sha256 = Some("1".repeat(64));
    }
    if let Some(bmc) = &mut other.bmc {
        bmc.mac = None;
        bmc.ip = None;
    }
    other
}

#[test]
fn a_sibling_with_other_serials_and_wires_passes_too() {
    let whole = server();
    let all = machines().iter().map(|(name, report)| (name.as_str(), report));
    for (name, report) in all.chain([("server", &whole)]) {
        let profile = golden(report);
        assert_eq!(
            against(&profile, &sibling(report)).findings,
            unhealthy(report),
            "{name}"
        );
        // Nothing specific to one machine is in the profile.
        let text = serde_json::to_string(&profile).unwrap();
        let serials = report
            .memory
            .slots
            .iter()
            .filter_map(|s| s.serial.as_deref())
            .chain(report.disks.iter().filter_map(|d| d.serial.as_deref()))
            .chain(report.system.as_ref().and_then(|s| s.serial.as_deref()));
        for serial in serials.filter(|s| s.len() >= 6) {
            // Some boards use the same text as serial number and elsewhere.
            let elsewhere = report
                .system
                .as_ref()
                .is_some_and(|s| s.sku.as_deref() == Some(serial))
                || report
                    .memory
                    .slots
                    .iter()
                    .any(|s| s.part.as_deref() == Some(serial));
            assert!(
                !text.contains(&format!("{serial:?}")) || elsewhere,
                "{name}: {serial}"
            );
        }
    }
}

#[test]
fn the_whole_server_passes_its_own_golden_profile() {
    let report = server();
    let profile = golden(&report);
    assert_eq!(against(&profile, &report).findings, []);
    as_files("server", &profile);
    assert_eq!(
        profile.disks.len(),
        report.disks.len() - 1,
        "the USB stick is not fixed"
    );
}

#[test]
fn health_problems_of_a_golden_machine_are_not_part_of_its_profile() {
    let mut report = server();
    report.disks[0].health.as_mut().unwrap().passed = Some(false);
    report.disks[1].health.as_mut().unwrap().used_percent = Some(130);
    report.memory.edac[0].uncorrected = Some(3);
    report.memory.usable_bytes = Some(100 << 30);
    report.pci[0].driver = None;
    report.power_supplies[0].status = Some("Critical".into());
    report.power_supplies[1].plugged = Some(false);
    report.cpu.as_mut().unwrap().processors[1].enabled = Some(false);
    let profile = golden(&report);
    assert_eq!(profile.health, HealthProfile::default());
    let sick = unhealthy(&report);
    assert_eq!(sick.len(), 8, "{sick:#?}");
    assert_eq!(against(&profile, &report).findings, sick);
    assert_eq!(against(&golden(&server()), &report).findings.len(), 8);
    assert_eq!(against(&profile, &server()).findings, []);
}

#[test]
fn an_empty_profile_finds_only_health_problems() {
    for (name, report) in machines() {
        assert_eq!(
            against(&HardwareProfile::default(), report).findings,
            unhealthy(report),
            "{name}"
        );
    }
    let empty = AssetReport::default();
    assert_eq!(against(&golden(&empty), &empty).verdict, Verdict::Pass);
    assert_eq!(golden(&empty), HardwareProfile::default());
}

/// A report is hostile text: what cannot be part of a profile is left out of the golden one.
#[test]
fn ids_that_are_no_pci_ids_are_not_part_of_a_golden_profile() {
    for bad in ["wsd1abcd", "808600001", "8086:15g2", "é086:1572", ":"] {
        let mut report = server();
        for nic in &mut report.nics {
            nic.pci_id = Some(bad.into());
        }
        for gpu in &mut report.gpus {
            gpu.pci_id = Some(bad.into());
        }
        for device in &mut report.pci {
            device.vendor = Some(bad.into());
        }
        let profile = golden(&report);
        assert_eq!(validate(&profile), [], "{bad}");
        assert_eq!(against(&profile, &report).verdict, Verdict::Pass, "{bad}");
    }
}
