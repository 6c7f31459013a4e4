//! The hardware profile: what every machine of a kind must have. An absent field is not checked and never causes a finding.
//!
//! Texts are compared ignoring case and repeated spaces; `*` matches anything ("MTA36ASF8G72PZ*"). CPU models are compared
//! without "(R)", "CPU", "@ 2.10GHz" and the like.
//!
//! Lists of parts: an entry with a place (slot, bay, PCI address, ...) says what must be there; an entry without one demands
//! `count` such parts anywhere. A list is complete: a part beyond it is a warning with its place. An empty list checks nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BootProfile, HealthProfile, LinkProfile, SeverityRule, Tolerance, TpmProfile, size};
use crate::report::{LinkLayer, MemoryClass, Transport};

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What every machine of a kind must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HardwareProfile {
    /// Its name, which purchase orders and rack plans refer to. Empty if it is part of something with a name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Maker and model.
    #[serde(skip_serializing_if = "is_default")]
    pub system: SystemProfile,
    /// Base board.
    #[serde(skip_serializing_if = "is_default")]
    pub board: BoardProfile,
    /// BIOS or UEFI.
    #[serde(skip_serializing_if = "is_default")]
    pub firmware: FirmwareProfile,
    /// BMC.
    #[serde(skip_serializing_if = "is_default")]
    pub bmc: BmcProfile,
    /// TPM.
    #[serde(skip_serializing_if = "is_default")]
    pub tpm: TpmProfile,
    /// How the firmware boots.
    #[serde(skip_serializing_if = "is_default")]
    pub boot: BootProfile,
    /// Processors.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: CpuProfile,
    /// Memory.
    #[serde(skip_serializing_if = "is_default")]
    pub memory: MemoryProfile,
    /// Disks. Removable ones and those on USB, SD, eMMC, Fibre Channel, iSCSI, NVMe over fabrics and persistent memory match only an
    /// entry that names their transport.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskProfile>,
    /// Network ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<NicProfile>,
    /// GPUs and other accelerators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuProfile>,
    /// Power supplies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub psus: Vec<PsuProfile>,
    /// Other PCI devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pci: Vec<PciProfile>,
    /// Minimum PCIe link of devices, by id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkProfile>,
    /// What makes a machine unhealthy, whatever it has. Absent: the defaults apply.
    #[serde(skip_serializing_if = "is_default")]
    pub health: HealthProfile,
    /// How much a number may deviate.
    #[serde(skip_serializing_if = "is_default")]
    pub tolerance: Tolerance,
    /// Severity overrides by code of the finding; see [`super::code`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub severity: BTreeMap<String, SeverityRule>,
}

/// System.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemProfile {
    /// Maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// Model (SMBIOS product name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Stock keeping unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
}

/// Base board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoardProfile {
    /// Maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// Model (SMBIOS product name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// BIOS or UEFI firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirmwareProfile {
    /// Exactly this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// This version or newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<String>,
    /// Exactly this release date, as written in the table ("01/31/2022"); some makers keep one version for all releases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// This release date or newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_date: Option<String>,
    /// Exactly this release number ("2.17").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// This release number or newer. If several minima are given, the version decides, then the date, then the release number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_revision: Option<String>,
}

/// BMC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BmcProfile {
    /// Exactly this firmware version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// This firmware version or newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_firmware: Option<String>,
}

/// Processors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CpuProfile {
    /// Populated sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<u32>,
    /// Model of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Cores in use, over all sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Threads, over all sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Stepping: the revision of the silicon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stepping: Option<u32>,
    /// Exactly this microcode, "0xd0003e7".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microcode: Option<String>,
    /// This microcode or newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_microcode: Option<String>,
    /// Report the vulnerabilities that the kernel calls open, as information.
    #[serde(skip_serializing_if = "is_default")]
    pub show_vulnerabilities: bool,
    /// Socket by socket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<ProcessorProfile>,
}

/// One socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessorProfile {
    /// Socket designation, "CPU2".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// The socket is empty.
    #[serde(skip_serializing_if = "is_default")]
    pub empty: bool,
    /// Switched on in the firmware's setup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Cores it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Cores that are switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores_enabled: Option<u32>,
    /// Threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Part number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Maximum speed, MHz; not compared if the model is as expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_mhz: Option<u32>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryProfile {
    /// Total memory, bytes or "512 GB": persistent memory counts with its volatile part, DRAM that caches it does not count. If the
    /// machine lists no module, the memory that the kernel sees is compared, which may be up to 10 % less.
    #[serde(with = "size::memory", skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Total persistent memory, bytes or "1512 GB".
    #[serde(with = "size::memory", skip_serializing_if = "Option::is_none")]
    pub persistent: Option<u64>,
    /// Number of modules, without persistent memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<u32>,
    /// Whether memory has error correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecc: Option<bool>,
    /// Minimum rated speed of every module, MT/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_speed_mts: Option<u32>,
    /// Minimum configured speed of every module, MT/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_configured_mts: Option<u32>,
    /// By slot, or in groups of equal modules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dimms: Vec<DimmProfile>,
}

/// A memory slot and its module, or a group of equal modules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DimmProfile {
    /// Slot (device locator), "P1-DIMMA1".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Bank locator, which distinguishes slots of one name. Slots of one name and bank are in the report's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank: Option<String>,
    /// The slot is empty.
    #[serde(skip_serializing_if = "is_default")]
    pub empty: bool,
    /// Number in the group; absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Size, bytes or "64 GB".
    #[serde(with = "size::memory", skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Maker; not compared if the part number is as expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// Part number, compared without its revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Kind of module; without place and kind, an entry means volatile memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<MemoryClass>,
    /// Type, "DDR4".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Ranks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// Bits including those for error correction: 72 is ECC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_width: Option<u32>,
    /// Minimum rated speed, MT/s; not compared if the part number is as expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mts: Option<u32>,
    /// Minimum configured speed, MT/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured_mts: Option<u32>,
}

/// One disk, or a group of equal disks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskProfile {
    /// Bay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bay: Option<String>,
    /// Shelf of the bay; absent: any. Shelves with other names are in the report's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shelf: Option<String>,
    /// Path from the controller, if there is no bay. Its PCI address does not count, because addresses shift.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Minimum number of paths (multipath).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<u32>,
    /// Number in the group; absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Exact size in bytes, or as on the label: "1.2 TB" matches every disk sold as 1.2 TB.
    #[serde(deserialize_with = "size::disk", skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Minimum size, bytes or "960 GB".
    #[serde(deserialize_with = "size::disk", skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u64>,
    /// Attachment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Whether it spins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotational: Option<bool>,
    /// Exactly this firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// This firmware or newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_firmware: Option<String>,
    /// Maximum life used, percent; overrides [`HealthProfile::max_used_percent`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_used_percent: Option<u32>,
}

/// One network port, or a group of equal ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NicProfile {
    /// Expansion slot or board designation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Port of the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// PCI address: finds the port if no slot is known. Another address is not a finding by itself, because addresses shift when a
    /// card is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci: Option<String>,
    /// Number in the group; absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// PCI vendor and device id, "8086:1572".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci_id: Option<String>,
    /// Kernel driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Link layer; absent: Ethernet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_layer: Option<LinkLayer>,
    /// Minimum link speed, Mbit/s; a port without a link is then a finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_speed_mbps: Option<u32>,
    /// Exactly this firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// This firmware or newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_firmware: Option<String>,
}

/// One accelerator, or a group of equal ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GpuProfile {
    /// PCI address, as for NICs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci: Option<String>,
    /// Number in the group; absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// PCI vendor and device id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci_id: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Device memory, bytes or "80 GB".
    #[serde(with = "size::memory", skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// One power supply, or a group of equal ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PsuProfile {
    /// Bay, "PSU1".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bay: Option<String>,
    /// Number in the group; absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// Part number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Most power, watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watts: Option<u32>,
    /// Whether it has mains power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugged: Option<bool>,
}

/// PCI devices of one id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PciProfile {
    /// PCI vendor and device id, "1000:005d".
    pub id: String,
    /// Number; absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Name, for people; not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// An error in a profile that could be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct ProfileProblem {
    /// The field, "memory.dimms[3].count".
    pub field: String,
    /// What is wrong and what to do.
    pub detail: String,
}
