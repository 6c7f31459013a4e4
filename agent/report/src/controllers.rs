//! Storage controllers: what disks are attached to, and what may hide them.

use std::collections::BTreeMap;

use inventory_api::report::{PciDevice, StorageController};

use super::roots::{Roots, attribute, names, serial};
use super::{clean, pci};

const HOST_LIMIT: usize = 1024;

/// Files with model and firmware in a SCSI host's folder. The names differ by driver: mpt3sas, megaraid and
/// smartpqi, aacraid, arcmsr, hpsa, Fibre Channel.
const MODEL_FILES: &str = "board_name hba_model host_fw_model model model_name modelname";
const FIRMWARE_FILES: &str = "version_fw fw_version firmware_version hba_kernel_version host_fw_version \
                              firmware_revision fwrev";

/// Drivers of controllers that present volumes and hide the disks behind them.
const RAID_DRIVERS: &str = "megaraid_sas megaraid_mbox megaraid hpsa cciss smartpqi aacraid arcmsr 3w-9xxx 3w-sas \
                            3w-xxxx ips gdth dpt_i2o hptiop stex ipr pmcraid myrb myrs";

/// The mass storage devices (PCI class 01) of `devices`.
pub(super) fn of_devices(roots: &Roots, devices: &[PciDevice]) -> Vec<StorageController> {
    let storage: Vec<&PciDevice> = devices
        .iter()
        .filter(|d| d.class.as_deref().is_some_and(|class| class.starts_with("01")))
        .collect();
    let hosts = hosts(roots);
    let storage = storage.into_iter();
    storage.map(|device| controller(roots, device, &hosts)).collect()
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
    for name in names(&folder).into_iter().take(HOST_LIMIT) {
        let folder = folder.join(name);
        let Some(address) = pci::of_link(roots, &folder) else {
            continue;
        };
        let first = |names: &str| {
            let mut names = names.split(' ');
            names.find_map(|name| clean::fact(&attribute(&folder.join(name))?))
        };
        let host = hosts.entry(address).or_default();
        host.model = host.model.take().or_else(|| first(MODEL_FILES));
        host.firmware = host.firmware.take().or_else(|| first(FIRMWARE_FILES));
    }
    // mpt3sas and mptsas list their volumes.
    let volumes = roots.sys("class/raid_devices");
    for name in names(&volumes).into_iter().take(HOST_LIMIT) {
        if let Some(address) = pci::of_link(roots, &volumes.join(name)) {
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
    let nvme = |file: &str| {
        let folder = roots.sys("bus/pci/devices").join(&device.address).join("nvme");
        serial(&folder.join(names(&folder).first()?).join(file))
    };
    StorageController {
        pci: device.address.clone(),
        pci_id: pci::id_of(device),
        driver: device.driver.clone(),
        kind: (!kind.is_empty()).then(|| kind.to_owned()),
        raid: Some(raid),
        model: host.and_then(|host| host.model.clone()).or_else(|| nvme("model")),
        firmware: host
            .and_then(|host| host.firmware.clone())
            .or_else(|| nvme("firmware_rev")),
        disks: Vec::new(),
    }
}

/// By PCI class, else by driver. In Intel's SATA "RAID" mode the ahci driver is used and the disks are
/// visible one by one.
fn is_raid(class: &str, driver: Option<&str>) -> bool {
    match driver {
        Some("ahci" | "nvme" | "ata_piix") => false,
        Some(driver) if RAID_DRIVERS.split(' ').any(|known| known == driver) => true,
        _ => class.starts_with("0104"),
    }
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
    fn model_and_firmware_come_from_the_driver() {
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
