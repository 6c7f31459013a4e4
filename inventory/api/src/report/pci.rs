//! PCI devices.

use serde::{Deserialize, Serialize};

/// One PCI function. Ids are four lower-case hex digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PciDevice {
    /// Address, "0000:3b:00.0".
    pub address: String,
    /// Class, subclass and interface, six hex digits: "020000".
    pub class: Option<String>,
    /// Vendor id.
    pub vendor: Option<String>,
    /// Device id.
    pub device: Option<String>,
    /// Vendor id of the subsystem.
    pub subsystem_vendor: Option<String>,
    /// Device id of the subsystem.
    pub subsystem_device: Option<String>,
    /// Revision, two hex digits.
    pub revision: Option<String>,
    /// Kernel driver bound to it, if any.
    pub driver: Option<String>,
    /// Expansion slot it is in, as SMBIOS or the kernel names it.
    pub slot: Option<String>,
    /// Link speed in use, GT/s as the kernel writes it: "8.0 GT/s PCIe".
    pub link_speed: Option<String>,
    /// Lanes in use.
    pub link_width: Option<u32>,
    /// Maximum lanes.
    pub link_width_max: Option<u32>,
    /// Maximum speed.
    pub link_speed_max: Option<String>,
    /// NUMA node.
    pub numa_node: Option<u32>,
    /// Name from the PCI id database, if available: "Intel Corporation Ethernet Controller X710".
    pub name: Option<String>,
}

/// A GPU or another accelerator, from the PCI devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuFacts {
    /// PCI address.
    pub pci: String,
    /// PCI vendor and device id.
    pub pci_id: Option<String>,
    /// Name, if a driver or a database has it.
    pub name: Option<String>,
    /// Device memory in bytes, if the driver reports it.
    pub memory_bytes: Option<u64>,
    /// Kernel driver.
    pub driver: Option<String>,
    /// Serial number, if the driver reports it.
    pub serial: Option<String>,
}
