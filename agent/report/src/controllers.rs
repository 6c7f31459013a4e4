//! Storage controllers: what disks are attached to, and what may hide them.

use std::collections::BTreeMap;

use inventory_api::report::{PciDevice, StorageController};

use super::roots::{Roots, attribute, names};
use super::{clean, pci};

const HOST_LIMIT: usize = 1024;

/// Drivers of controllers that present volumes and hide the disks behind them.
pub(super) const RAID_DRIVERS: [&str; 20] = [
    "megaraid_sas",
    "megaraid_mbox",
    "megaraid",
    "hpsa",
    "cciss",
    "smartpqi",
    "aacraid",
    "arcmsr",
    "3w-9xxx",
    "3w-sas",
    "3w-xxxx",
    "ips",
    "gdth",
    "dpt_i2o",
    "hptiop",
    "stex",
    "ipr",
    "pmcraid",
    "myrb",
    "myrs",
];

/// The mass storage devices (PCI class 01) of `devices`.
pub(super) fn of_devices(roots: &Roots, devices: &[PciDevice]) -> Vec<StorageController> {
    let storage: Vec<&PciDevice> = devices
        .iter()
        .filter(|d| d.class.as_deref().is_some_and(|class| class.starts_with("01")))
        .collect();
    if storage.is_empty() {
        return Vec::new();
    }
    let hosts = hosts(roots);
    storage
        .into_iter()
        .map(|device| controller(roots, device, &hosts))
        .collect()
}

/// What a SCSI host's driver reports about its card.
#[derive(Debug, Default)]
struct Host {
    model: Option<String>,
    firmware: Option<String>,
    has_volumes: bool,
}

/// SCSI hosts by the PCI address of their card.
fn hosts(roots: &Roots) -> BTreeMap<String, Host> {
    let folder = roots.sys("class/scsi_host");
    let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
    for name in names(&folder).unwrap_or_default().into_iter().take(HOST_LIMIT) {
        let folder = folder.join(name);
        let Some(address) = roots.device(&folder).as_deref().and_then(pci::address) else {
            continue;
        };
        // Attribute names differ by driver: mpt3sas, megaraid and smartpqi, aacraid, arcmsr, hpsa, Fibre Channel.
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| clean::fact(&attribute(&folder.join(name))?))
        };
        let host = hosts.entry(address).or_default();
        host.model = host.model.take().or_else(|| {
            first(&[
                "board_name",
                "hba_model",
                "host_fw_model",
                "model",
                "model_name",
                "modelname",
            ])
        });
        host.firmware = host.firmware.take().or_else(|| {
            first(&[
                "version_fw",
                "fw_version",
                "firmware_version",
                "hba_kernel_version",
                "host_fw_version",
                "firmware_revision",
                "fwrev",
            ])
        });
    }
    // mpt3sas and mptsas list their volumes.
    let volumes = roots.sys("class/raid_devices");
    for name in names(&volumes).unwrap_or_default().into_iter().take(HOST_LIMIT) {
        if let Some(address) = roots
            .device(&volumes.join(name))
            .as_deref()
            .and_then(pci::address)
        {
            hosts.entry(address).or_default().has_volumes = true;
        }
    }
    hosts
}

fn controller(roots: &Roots, device: &PciDevice, hosts: &BTreeMap<String, Host>) -> StorageController {
    let class = device.class.as_deref().unwrap_or_default();
    let driver = device.driver.as_deref();
    let host = hosts.get(&device.address);
    let raid = is_raid(class, driver) || host.is_some_and(|host| host.has_volumes);
    let kind = match class.get(..4) {
        _ if raid => "raid",
        Some("0104") if driver == Some("ahci") => "sata",
        Some("0104") => "raid",
        Some("0100") => "scsi",
        Some("0101" | "0105") => "ide",
        Some("0106") => "sata",
        Some("0107") => "sas",
        Some("0108") => "nvme",
        _ => class,
    };
    let (nvme_model, nvme_firmware) = nvme(roots, &device.address).unwrap_or_default();
    StorageController {
        pci: device.address.clone(),
        pci_id: pci::id_of(device),
        driver: device.driver.clone(),
        kind: (!kind.is_empty()).then(|| kind.to_owned()),
        raid: Some(raid),
        model: host.and_then(|host| host.model.clone()).or(nvme_model),
        firmware: host.and_then(|host| host.firmware.clone()).or(nvme_firmware),
        disks: Vec::new(),
    }
}

/// By PCI class, else by driver. In Intel's SATA "RAID" mode the ahci driver is used and the disks are
/// visible one by one.
fn is_raid(class: &str, driver: Option<&str>) -> bool {
    match driver {
        Some("ahci" | "nvme" | "ata_piix") => false,
        Some(driver) if RAID_DRIVERS.contains(&driver) => true,
        _ => class.starts_with("0104"),
    }
}

/// Model and firmware of the NVMe controller at this address.
fn nvme(roots: &Roots, address: &str) -> Option<(Option<String>, Option<String>)> {
    let folder = roots.sys("bus/pci/devices").join(address).join("nvme");
    let name = names(&folder).ok()?.into_iter().next()?;
    let fact = |file: &str| clean::serial(&attribute(&folder.join(&name).join(file))?);
    Some((fact("model"), fact("firmware_rev")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(class: &str, driver: Option<&str>) -> PciDevice {
        PciDevice {
            address: "0000:18:00.0".to_owned(),
            class: Some(class.to_owned()),
            vendor: Some("1000".to_owned()),
            device: Some("005d".to_owned()),
            driver: driver.map(str::to_owned),
            ..PciDevice::default()
        }
    }

    #[test]
    fn what_hides_disks_is_raid() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::under(dir.path());
        for (class, driver, kind, raid) in [
            ("010400", Some("megaraid_sas"), "raid", true),
            ("010400", Some("vmd"), "raid", true),
            ("010400", None, "raid", true),
            ("010400", Some("ahci"), "sata", false),
            ("010700", Some("mpt3sas"), "sas", false),
            ("010700", Some("smartpqi"), "raid", true),
            ("010601", Some("ahci"), "sata", false),
            ("010802", Some("nvme"), "nvme", false),
            ("010000", Some("virtio-pci"), "scsi", false),
            ("018000", None, "018000", false),
        ] {
            let found = of_devices(&roots, &[device(class, driver)]);
            assert_eq!(
                (found[0].kind.as_deref(), found[0].raid),
                (Some(kind), Some(raid)),
                "{class} {driver:?}"
            );
        }
        assert!(of_devices(&roots, &[device("020000", Some("ixgbe"))]).is_empty());
    }

    #[test]
    fn model_and_firmware_as_the_driver_tells() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path().join("sys");
        let host = sys.join("devices/pci0000:17/0000:17:00.0/0000:18:00.0/host0/scsi_host/host0");
        std::fs::create_dir_all(&host).unwrap();
        std::fs::create_dir_all(sys.join("class/scsi_host")).unwrap();
        std::os::unix::fs::symlink(&host, sys.join("class/scsi_host/host0")).unwrap();
        std::fs::write(host.join("board_name"), "SAS9300-8i\n").unwrap();
        std::fs::write(host.join("version_fw"), "16.00.10.00\n").unwrap();
        let found = of_devices(&Roots::under(dir.path()), &[device("010700", Some("mpt3sas"))]);
        assert_eq!(
            (
                found[0].model.as_deref(),
                found[0].firmware.as_deref(),
                found[0].pci_id.as_deref()
            ),
            (Some("SAS9300-8i"), Some("16.00.10.00"), Some("1000:005d"))
        );
    }
}
