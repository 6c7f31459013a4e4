//! The hardware profile: what every machine of a kind must have. An absent field is not checked and never
//! causes a finding.
//!
//! Texts are compared ignoring case and repeated spaces; `*` matches anything ("MTA36ASF8G72PZ*"). CPU models
//! are compared without "(R)", "CPU", "@ 2.10GHz" and the like.
//!
//! Lists of parts: an entry with a place (slot, bay, PCI address, ...) says what must be there; an entry
//! without one demands `count` such parts anywhere. A list is complete: a part beyond it is a warning with
//! its place. An empty list checks nothing.

use std::collections::BTreeMap;

use super::{BootProfile, HealthProfile, LinkProfile, SeverityRule, Tolerance, TpmProfile, is_default, size};
use crate::report::{LinkLayer, MemoryClass, Transport};

profiles! {
    /// What every machine of a kind must have.
    pub struct HardwareProfile {
        /// Its name, which purchase orders and rack plans refer to. Empty if it is part of something with a
        /// name.
        pub name: String,
        /// Maker and model.
        pub system: SystemProfile,
        /// Base board.
        pub board: BoardProfile,
        /// BIOS or UEFI.
        pub firmware: FirmwareProfile,
        /// BMC.
        pub bmc: BmcProfile,
        /// TPM.
        pub tpm: TpmProfile,
        /// How the firmware boots.
        pub boot: BootProfile,
        /// Processors.
        pub cpu: CpuProfile,
        /// Memory.
        pub memory: MemoryProfile,
        /// Disks. Removable ones and those on USB, SD, eMMC, Fibre Channel, iSCSI, NVMe over fabrics and
        /// persistent memory match only an entry that names their transport.
        pub disks: Vec<DiskProfile>,
        /// Network ports.
        pub nics: Vec<NicProfile>,
        /// GPUs and other accelerators.
        pub gpus: Vec<GpuProfile>,
        /// Power supplies.
        pub psus: Vec<PsuProfile>,
        /// Other PCI devices.
        pub pci: Vec<PciProfile>,
        /// Minimum PCIe link of devices, by id.
        pub links: Vec<LinkProfile>,
        /// What makes a machine unhealthy, whatever it has. Absent: the defaults apply.
        pub health: HealthProfile,
        /// How much a number may deviate.
        pub tolerance: Tolerance,
        /// Severity overrides by code of the finding; see [`super::code`].
        pub severity: BTreeMap<String, SeverityRule>,
    }

    /// System.
    pub struct SystemProfile {
        /// Maker.
        pub maker: Option<String>,
        /// Model (SMBIOS product name).
        pub model: Option<String>,
        /// Stock keeping unit.
        pub sku: Option<String>,
    }

    /// Base board.
    pub struct BoardProfile {
        /// Maker.
        pub maker: Option<String>,
        /// Model (SMBIOS product name).
        pub model: Option<String>,
        /// Version.
        pub version: Option<String>,
    }

    /// BIOS or UEFI firmware.
    pub struct FirmwareProfile {
        /// Exactly this version.
        pub version: Option<String>,
        /// This version or newer.
        pub min_version: Option<String>,
        /// Exactly this release date, as written in the table ("01/31/2022"); some makers keep one version
        /// for all releases.
        pub date: Option<String>,
        /// This release date or newer.
        pub min_date: Option<String>,
        /// Exactly this release number ("2.17").
        pub revision: Option<String>,
        /// This release number or newer. If several minima are given, the version decides, then the date,
        /// then the release number.
        pub min_revision: Option<String>,
    }

    /// BMC.
    pub struct BmcProfile {
        /// Exactly this firmware version.
        pub firmware: Option<String>,
        /// This firmware version or newer.
        pub min_firmware: Option<String>,
    }

    /// Processors.
    pub struct CpuProfile {
        /// Populated sockets.
        pub sockets: Option<u32>,
        /// Model of each.
        pub model: Option<String>,
        /// Cores in use, over all sockets.
        pub cores: Option<u32>,
        /// Threads, over all sockets.
        pub threads: Option<u32>,
        /// Stepping: the revision of the silicon.
        pub stepping: Option<u32>,
        /// Exactly this microcode, "0xd0003e7".
        pub microcode: Option<String>,
        /// This microcode or newer.
        pub min_microcode: Option<String>,
        /// Report the vulnerabilities that the kernel calls open, as information.
        pub show_vulnerabilities: bool,
        /// Socket by socket.
        pub processors: Vec<ProcessorProfile>,
    }

    /// One socket.
    pub struct ProcessorProfile {
        /// Socket designation, "CPU2".
        pub socket: Option<String>,
        /// The socket is empty.
        pub empty: bool,
        /// Switched on in the firmware's setup.
        pub enabled: Option<bool>,
        /// Model.
        pub model: Option<String>,
        /// Cores it has.
        pub cores: Option<u32>,
        /// Cores that are switched on.
        pub cores_enabled: Option<u32>,
        /// Threads.
        pub threads: Option<u32>,
        /// Part number.
        pub part: Option<String>,
        /// Maximum speed, MHz; not compared if the model is as expected.
        pub max_mhz: Option<u32>,
    }

    /// Memory.
    pub struct MemoryProfile {
        /// Total memory, bytes or "512 GB": persistent memory counts with its volatile part, DRAM that caches
        /// it does not count. If the machine lists no module, the memory that the kernel sees is compared,
        /// which may be up to 10 % less.
        #[serde(with = "size::memory")]
        pub total: Option<u64>,
        /// Total persistent memory, bytes or "1512 GB".
        #[serde(with = "size::memory")]
        pub persistent: Option<u64>,
        /// Number of modules, without persistent memory.
        pub modules: Option<u32>,
        /// Whether memory has error correction.
        pub ecc: Option<bool>,
        /// Minimum rated speed of every module, MT/s.
        pub min_speed_mts: Option<u32>,
        /// Minimum configured speed of every module, MT/s.
        pub min_configured_mts: Option<u32>,
        /// By slot, or in groups of equal modules.
        pub dimms: Vec<DimmProfile>,
    }

    /// A memory slot and its module, or a group of equal modules.
    pub struct DimmProfile {
        /// Slot (device locator), "P1-DIMMA1".
        pub slot: Option<String>,
        /// Bank locator, which distinguishes slots of one name. Slots of one name and bank are in the
        /// report's order.
        pub bank: Option<String>,
        /// The slot is empty.
        pub empty: bool,
        /// Number in the group; absent: 1.
        pub count: Option<u32>,
        /// Size, bytes or "64 GB".
        #[serde(with = "size::memory")]
        pub size: Option<u64>,
        /// Maker; not compared if the part number is as expected.
        pub maker: Option<String>,
        /// Part number, compared without its revision.
        pub part: Option<String>,
        /// Kind of module; without place and kind, an entry means volatile memory.
        pub class: Option<MemoryClass>,
        /// Type, "DDR4".
        pub kind: Option<String>,
        /// Ranks.
        pub rank: Option<u32>,
        /// Bits including those for error correction: 72 is ECC.
        pub total_width: Option<u32>,
        /// Minimum rated speed, MT/s; not compared if the part number is as expected.
        pub speed_mts: Option<u32>,
        /// Minimum configured speed, MT/s.
        pub configured_mts: Option<u32>,
    }

    /// One disk, or a group of equal disks.
    pub struct DiskProfile {
        /// Bay.
        pub bay: Option<String>,
        /// Shelf of the bay; absent: any. Shelves with other names are in the report's order.
        pub shelf: Option<String>,
        /// Path from the controller, if there is no bay. Its PCI address does not count, because addresses
        /// shift.
        pub path: Option<String>,
        /// Minimum number of paths (multipath).
        pub paths: Option<u32>,
        /// Number in the group; absent: 1.
        pub count: Option<u32>,
        /// Model.
        pub model: Option<String>,
        /// Exact size in bytes, or as on the label: "1.2 TB" matches every disk sold as 1.2 TB.
        #[serde(deserialize_with = "size::disk")]
        pub size: Option<u64>,
        /// Minimum size, bytes or "960 GB".
        #[serde(deserialize_with = "size::disk")]
        pub min_size: Option<u64>,
        /// Attachment.
        pub transport: Option<Transport>,
        /// Whether it spins.
        pub rotational: Option<bool>,
        /// Exactly this firmware.
        pub firmware: Option<String>,
        /// This firmware or newer.
        pub min_firmware: Option<String>,
        /// Maximum life used, percent; overrides [`HealthProfile::max_used_percent`].
        pub max_used_percent: Option<u32>,
    }

    /// One network port, or a group of equal ports.
    pub struct NicProfile {
        /// Expansion slot or board designation.
        pub slot: Option<String>,
        /// Port of the card.
        pub port: Option<String>,
        /// PCI address: finds the port if no slot is known. Another address is not a finding by itself,
        /// because addresses shift when a card is added.
        pub pci: Option<String>,
        /// Number in the group; absent: 1.
        pub count: Option<u32>,
        /// PCI vendor and device id, "8086:1572".
        pub pci_id: Option<String>,
        /// Kernel driver.
        pub driver: Option<String>,
        /// Link layer; absent: Ethernet.
        pub link_layer: Option<LinkLayer>,
        /// Minimum link speed, Mbit/s; a port without a link is then a finding.
        pub min_speed_mbps: Option<u32>,
        /// Exactly this firmware.
        pub firmware: Option<String>,
        /// This firmware or newer.
        pub min_firmware: Option<String>,
    }

    /// One accelerator, or a group of equal ones.
    pub struct GpuProfile {
        /// PCI address, as for NICs.
        pub pci: Option<String>,
        /// Number in the group; absent: 1.
        pub count: Option<u32>,
        /// PCI vendor and device id.
        pub pci_id: Option<String>,
        /// Name.
        pub name: Option<String>,
        /// Device memory, bytes or "80 GB".
        #[serde(with = "size::memory")]
        pub memory: Option<u64>,
    }

    /// One power supply, or a group of equal ones.
    pub struct PsuProfile {
        /// Bay, "PSU1".
        pub bay: Option<String>,
        /// Number in the group; absent: 1.
        pub count: Option<u32>,
        /// Maker.
        pub maker: Option<String>,
        /// Part number.
        pub part: Option<String>,
        /// Most power, watts.
        pub watts: Option<u32>,
        /// Whether it has mains power.
        pub plugged: Option<bool>,
    }

    /// PCI devices of one id.
    pub struct PciProfile {
        /// PCI vendor and device id, "1000:005d".
        pub id: String,
        /// Number; absent: 1.
        pub count: Option<u32>,
        /// Name, for people; not compared.
        pub name: Option<String>,
    }
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
