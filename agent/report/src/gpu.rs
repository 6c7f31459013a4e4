//! GPUs and other accelerators, from the PCI devices.

use inventory_api::report::{GpuFacts, PciDevice};

use super::roots::{Roots, attribute, number, serial};
use super::{clean, pci};

/// PCI classes: VGA, 3D and other display controllers, processing accelerators.
const CLASSES: [&str; 4] = ["0300", "0302", "0380", "1200"];
/// Vendors that only make displays of BMCs and virtual machines: ASPEED, Matrox (G200), XGI, Cirrus Logic,
/// Silicon Motion, Bochs, QEMU (QXL), virtio, VMware, VirtualBox, Hyper-V, HiSilicon.
const SCREENS: [&str; 12] = [
    "1a03", "102b", "18ca", "1013", "126f", "1234", "1b36", "1af4", "15ad", "80ee", "1414", "19e5",
];
/// ATI chips used in BMCs: Rage XL, RN50 and ES1000.
const OLD_SCREENS: [&str; 4] = ["1002:4752", "1002:515e", "1002:5969", "1002:4750"];

/// The accelerators among `devices`, without displays of BMCs and virtual machines.
pub(super) fn of_devices(roots: &Roots, devices: &[PciDevice]) -> Vec<GpuFacts> {
    devices
        .iter()
        .filter(|device| is_accelerator(device))
        .map(|device| facts(roots, device))
        .collect()
}

fn is_accelerator(device: &PciDevice) -> bool {
    let class = device.class.as_deref().unwrap_or_default();
    let vendor = device.vendor.as_deref().unwrap_or_default();
    let is_old = || pci::id_of(device).is_some_and(|id| OLD_SCREENS.contains(&id.as_str()));
    let is_screen = class.starts_with("03") && (SCREENS.contains(&vendor) || is_old());
    CLASSES.iter().any(|known| class.starts_with(known)) && !is_screen
}

fn facts(roots: &Roots, device: &PciDevice) -> GpuFacts {
    let folder = roots.sys("bus/pci/devices").join(&device.address);
    let text = |name: &str| serial(&folder.join(name));
    let nvidia = roots.proc(format!("driver/nvidia/gpus/{}/information", device.address));
    let nvidia = attribute(&nvidia).unwrap_or_default();
    GpuFacts {
        pci: device.address.clone(),
        pci_id: pci::id_of(device),
        name: text("product_name")
            .or_else(|| nvidia_fact(&nvidia, "Model"))
            .or_else(|| device.name.clone()),
        // amdgpu reports it; nvidia only through its own library.
        memory_bytes: number(&folder.join("mem_info_vram_total")).filter(|bytes| *bytes > 0),
        driver: device.driver.clone(),
        serial: text("serial_number"),
    }
}

/// A line `Model: \t\t NVIDIA A100-SXM4-40GB` of nvidia's proc file.
fn nvidia_fact(information: &str, name: &str) -> Option<String> {
    let line = information
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    clean::fact(line).filter(|fact| !fact.contains("??"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(class: &str, vendor: &str, id: &str) -> PciDevice {
        PciDevice {
            address: "0000:3b:00.0".to_owned(),
            class: Some(class.to_owned()),
            vendor: Some(vendor.to_owned()),
            device: Some(id.to_owned()),
            ..PciDevice::default()
        }
    }

    #[test]
    fn accelerators_are_gpus_and_bmc_displays_are_not() {
        for yes in [
            ("030200", "10de", "20b0"),
            ("038000", "1002", "740f"),
            ("120000", "1da3", "1020"),
            ("030000", "10de", "1eb8"),
        ] {
            assert!(is_accelerator(&device(yes.0, yes.1, yes.2)), "{yes:?}");
        }
        for no in [
            ("030000", "1a03", "2000"),
            ("030000", "102b", "0538"),
            ("030000", "1002", "515e"),
            ("020000", "8086", "1572"),
            ("040300", "10de", "10f0"),
        ] {
            assert!(!is_accelerator(&device(no.0, no.1, no.2)), "{no:?}");
        }
    }

    #[test]
    fn memory_serial_and_model_come_from_the_driver() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path().join("sys/bus/pci/devices/0000:3b:00.0");
        let proc = dir.path().join("proc/driver/nvidia/gpus/0000:3b:00.0");
        std::fs::create_dir_all(&sys).unwrap();
        std::fs::create_dir_all(&proc).unwrap();
        std::fs::write(sys.join("mem_info_vram_total"), "68702699520\n").unwrap();
        std::fs::write(sys.join("serial_number"), "692251003361\n").unwrap();
        std::fs::write(
            proc.join("information"),
            "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 1\n",
        )
        .unwrap();
        let found = of_devices(&Roots::under(dir.path()), &[device("030200", "10de", "20b0")]);
        assert_eq!(
            found,
            [GpuFacts {
                pci: "0000:3b:00.0".to_owned(),
                pci_id: Some("10de:20b0".to_owned()),
                name: Some("NVIDIA A100-SXM4-40GB".to_owned()),
                memory_bytes: Some(68_702_699_520),
                driver: None,
                serial: Some("692251003361".to_owned()),
            }]
        );
    }
}
