//! Combines what two systems report about a machine: the mini-os before its deployment, the installed system
//! after it.

use inventory_api::report::{AssetReport, DiskFacts, PciDevice};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The installed system's newer report, completed with what only the mini-os can see: how the firmware
/// booted, which drivers exist, and parts and facts for which the installed kernel has no driver. The
/// installed system wins for what it sees, and a part that it no longer sees although it has the driver is
/// gone.
pub fn known(mini_os: &AssetReport, installed: AssetReport) -> AssetReport {
    let mut report = installed;
    // Cards with a driver only in the mini-os: what is attached to them is not gone.
    let blind: Vec<String> = report
        .pci
        .iter()
        .filter(|d| d.driver.is_none())
        .filter(|d| device(mini_os, d).is_some_and(|m| m.driver.is_some()))
        .map(|d| d.address.clone())
        .collect();
    let is_blind = |pci: &Option<String>| pci.as_ref().is_some_and(|pci| blind.contains(pci));
    for d in &mut report.pci {
        d.driver = device(mini_os, d).map_or(d.driver.take(), |m| m.driver.clone());
    }
    for c in &mut report.controllers {
        if let Some(before) = mini_os
            .controllers
            .iter()
            .find(|m| m.pci == c.pci && m.pci_id == c.pci_id)
        {
            *c = completed(c, before);
            c.driver.clone_from(&before.driver);
        }
    }
    report.boot = mini_os.boot.clone();
    for disk in &mut report.disks {
        if let Some(before) = mini_os.disks.iter().find(|m| same_disk(m, disk)) {
            *disk = completed(disk, before);
        }
    }
    let unseen = mini_os
        .disks
        .iter()
        .filter(|m| is_blind(&m.pci) && !report.disks.iter().any(|d| same_disk(d, m)));
    report.disks.extend(unseen.cloned().collect::<Vec<_>>());
    let unseen = mini_os
        .nics
        .iter()
        .filter(|m| is_blind(&m.pci) && !report.nics.iter().any(|n| n.pci == m.pci));
    report.nics.extend(unseen.cloned().collect::<Vec<_>>());
    for gpu in &mut report.gpus {
        if let Some(before) = mini_os.gpus.iter().find(|m| m.pci == gpu.pci) {
            gpu.driver.clone_from(&before.driver);
        }
    }
    report.bmc = sections(report.bmc, &mini_os.bmc);
    report.tpm = sections(report.tpm, &mini_os.tpm);
    if report.sensors.is_empty() {
        report.sensors.clone_from(&mini_os.sensors);
    }
    if report.memory.edac.is_empty() {
        report.memory.edac.clone_from(&mini_os.memory.edac);
    }
    report
}

fn device<'a>(report: &'a AssetReport, like: &PciDevice) -> Option<&'a PciDevice> {
    report
        .pci
        .iter()
        .find(|d| d.address == like.address && (&d.vendor, &d.device) == (&like.vendor, &like.device))
}

fn same_disk(a: &DiskFacts, b: &DiskFacts) -> bool {
    (a.serial.is_some() || a.wwn.is_some()) && (&a.serial, &a.wwn) == (&b.serial, &b.wwn)
}

fn sections<T: Serialize + DeserializeOwned + Clone>(newer: Option<T>, older: &Option<T>) -> Option<T> {
    match (newer, older) {
        (Some(newer), Some(older)) => Some(completed(&newer, older)),
        (newer, older) => newer.or_else(|| older.clone()),
    }
}

/// `newer`, with missing facts taken from `older`.
fn completed<T: Serialize + DeserializeOwned + Clone>(newer: &T, older: &T) -> T {
    let both = serde_json::to_value(newer).and_then(|n| Ok((n, serde_json::to_value(older)?)));
    let Ok((mut merged, older)) = both else {
        return newer.clone();
    };
    fill(&mut merged, older);
    serde_json::from_value(merged).unwrap_or_else(|_| newer.clone())
}

fn fill(newer: &mut Value, older: Value) {
    match (newer, older) {
        (Value::Object(newer), Value::Object(older)) => {
            for (key, value) in older {
                fill(newer.entry(key).or_insert(Value::Null), value);
            }
        }
        (newer @ Value::Null, older) => *newer = older,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::agent::RunsOn;
    use inventory_api::check::{Expectation, Verdict};
    use inventory_api::report::{BmcFacts, BootFacts, FirmwareMode, NicFacts, StorageController, TpmFacts};

    fn pci(address: &str, driver: Option<&str>) -> PciDevice {
        PciDevice {
            address: address.into(),
            vendor: Some("8086".into()),
            device: Some("1521".into()),
            driver: driver.map(str::to_owned),
            ..PciDevice::default()
        }
    }

    fn mini_os() -> AssetReport {
        let disk = |name: &str, serial: &str, pci: &str| DiskFacts {
            name: name.into(),
            serial: Some(serial.into()),
            pci: Some(pci.into()),
            bay: Some("Slot 01".into()),
            size_bytes: Some(1 << 40),
            ..DiskFacts::default()
        };
        AssetReport {
            boot: BootFacts {
                mode: Some(FirmwareMode::Uefi),
                boot_mac: Some("52:54:00:12:34:56".parse().unwrap()),
                ..BootFacts::default()
            },
            pci: vec![
                pci("0000:01:00.0", Some("igb")),
                pci("0000:02:00.0", Some("mpt3sas")),
                pci("0000:03:00.0", Some("i2c_i801")),
            ],
            disks: vec![
                disk("sda", "S1", "0000:00:1f.2"),
                disk("sdb", "S2", "0000:02:00.0"),
                disk("sdc", "S3", "0000:00:1f.2"),
            ],
            nics: vec![NicFacts {
                name: "eth0".into(),
                pci: Some("0000:01:00.0".into()),
                driver: Some("igb".into()),
                ..NicFacts::default()
            }],
            controllers: vec![StorageController {
                pci: "0000:02:00.0".into(),
                driver: Some("mpt3sas".into()),
                ..StorageController::default()
            }],
            bmc: Some(BmcFacts {
                firmware: Some("2.86".into()),
                ..BmcFacts::default()
            }),
            tpm: Some(TpmFacts::default()),
            ..AssetReport::default()
        }
    }

    /// Debian's cloud kernel: no driver for the RAID card, the NIC, the SMBus; no IPMI, no TPM, no
    /// enclosures.
    fn installed() -> AssetReport {
        let mut report = mini_os();
        report.boot = BootFacts::default();
        report.pci.iter_mut().for_each(|d| d.driver = None);
        report.disks.remove(1);
        report.disks[0].bay = None;
        report.nics.clear();
        report.controllers[0].driver = None;
        report.bmc = Some(BmcFacts::default());
        report.tpm = None;
        report
    }

    #[test]
    fn a_kernel_without_drivers_changes_no_verdict() {
        let before = mini_os();
        let profile = crate::check::golden(&before);
        let expectation = Expectation {
            profile,
            ..Expectation::default()
        };
        let verdict = |report: &AssetReport| crate::check(&expectation, report, RunsOn::MiniOs).verdict;
        assert_eq!(verdict(&before), Verdict::Pass);
        assert_ne!(
            verdict(&installed()),
            Verdict::Pass,
            "else this test shows nothing"
        );
        let known = known(&before, installed());
        let result = crate::check(&expectation, &known, RunsOn::MiniOs);
        assert_eq!(result.verdict, Verdict::Pass, "{result:?}");
        assert_eq!(known.boot, before.boot);
        assert_eq!(known.bmc, before.bmc);
    }

    #[test]
    fn what_is_gone_although_its_driver_is_there_is_gone() {
        let mut newer = installed();
        newer.disks.retain(|d| d.serial.as_deref() != Some("S3"));
        let known = known(&mini_os(), newer);
        let serials: Vec<_> = known.disks.iter().filter_map(|d| d.serial.as_deref()).collect();
        assert_eq!(
            serials,
            ["S1", "S2"],
            "the pulled one is not kept, the one that is only unseen is"
        );
        assert_eq!(known.disks[0].bay.as_deref(), Some("Slot 01"));
    }
}
