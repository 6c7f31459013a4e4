//! The asset report: what the machine says of itself. Every fact is optional; a collector that fails leaves a
//! [`CollectorProblem`] and the report still goes out.

use serde::{Deserialize, Serialize};

use crate::id::{Mac, UnixMs};

/// The schema number this build writes into [`AssetReport::schema`].
pub const REPORT_SCHEMA: u32 = 1;

/// Everything the agent found, from one run of all collectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssetReport {
    /// Version of this shape; see [`REPORT_SCHEMA`].
    pub schema: u32,
    /// Version of the agent that wrote the report.
    pub agent_version: String,
    /// The machine's own clock when the collectors ended.
    pub collected_at: UnixMs,
    /// Time the collectors took, in milliseconds.
    pub collect_ms: u64,
    /// How this system was booted.
    pub boot: BootFacts,
    /// SMBIOS type 1.
    pub system: Option<SystemFacts>,
    /// SMBIOS type 2 (the first base board).
    pub board: Option<BoardFacts>,
    /// SMBIOS type 3.
    pub chassis: Option<ChassisFacts>,
    /// SMBIOS type 0.
    pub firmware: Option<FirmwareFacts>,
    /// Processors.
    pub cpu: Option<CpuFacts>,
    /// Memory: what the kernel can use and each slot.
    pub memory: MemoryFacts,
    /// Whole disks, in the kernel's order of names. No partitions, loop, RAM or optical devices.
    pub disks: Vec<DiskFacts>,
    /// Physical network interfaces.
    pub nics: Vec<NicFacts>,
    /// What could not be read, and why.
    pub problems: Vec<CollectorProblem>,
}

/// How the running system was booted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootFacts {
    /// BIOS or UEFI, by /sys/firmware/efi.
    pub mode: Option<FirmwareMode>,
    /// Secure Boot state, on UEFI.
    pub secure_boot: Option<bool>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// The NIC that the firmware booted from.
    pub boot_mac: Option<Mac>,
}

/// Firmware interface in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirmwareMode {
    /// Legacy BIOS.
    Bios,
    /// UEFI.
    Uefi,
    /// A newer agent said something else.
    #[serde(other)]
    Unknown,
}

/// SMBIOS type 1: the system as its maker names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemFacts {
    /// Maker.
    pub manufacturer: Option<String>,
    /// Product name (the model).
    pub product: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// UUID as the SMBIOS specification prints it (first three fields little-endian since 2.6), lower case.
    pub uuid: Option<String>,
    /// SKU number.
    pub sku: Option<String>,
    /// Family.
    pub family: Option<String>,
}

/// SMBIOS type 2.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BoardFacts {
    /// Maker.
    pub manufacturer: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Asset tag.
    pub asset_tag: Option<String>,
}

/// SMBIOS type 3.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChassisFacts {
    /// Maker.
    pub manufacturer: Option<String>,
    /// Chassis type in words, e.g. "Rack Mount Chassis".
    pub kind: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Asset tag.
    pub asset_tag: Option<String>,
}

/// SMBIOS type 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirmwareFacts {
    /// Vendor.
    pub vendor: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Release date as written in the table.
    pub date: Option<String>,
}

/// Processors, as the kernel and SMBIOS see them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuFacts {
    /// Populated sockets.
    pub sockets: Option<u32>,
    /// Vendor id, e.g. "GenuineIntel".
    pub vendor: Option<String>,
    /// Model name of the first processor.
    pub model: Option<String>,
    /// Physical cores over all sockets.
    pub cores: Option<u32>,
    /// Hardware threads over all sockets.
    pub threads: Option<u32>,
    /// Flags of note (virtualisation, AES, AVX, SGX, ...), sorted.
    pub flags: Vec<String>,
    /// SMBIOS type 4, one entry a socket, empty sockets too.
    pub processors: Vec<ProcessorFacts>,
}

/// SMBIOS type 4: one socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessorFacts {
    /// Socket designation.
    pub socket: Option<String>,
    /// Whether a processor is in it.
    pub populated: Option<bool>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Version string (the model name).
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Cores.
    pub cores: Option<u32>,
    /// Cores that firmware has not switched off.
    pub cores_enabled: Option<u32>,
    /// Threads.
    pub threads: Option<u32>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryFacts {
    /// Bytes the kernel can use (MemTotal).
    pub usable_bytes: Option<u64>,
    /// SMBIOS type 17 of every array whose use is system memory: one entry a slot, empty slots too.
    pub slots: Vec<MemorySlot>,
}

/// SMBIOS type 17: one memory slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemorySlot {
    /// Device locator, e.g. "DIMM A1".
    pub slot: Option<String>,
    /// Bank locator.
    pub bank: Option<String>,
    /// Size in bytes; absent: the slot is empty or the size is unknown, see `populated`.
    pub size_bytes: Option<u64>,
    /// Whether a module is in it; absent when the table does not say.
    pub populated: Option<bool>,
    /// Form factor in words, e.g. "DIMM".
    pub form: Option<String>,
    /// Type in words, e.g. "DDR4".
    pub kind: Option<String>,
    /// Rated speed, MT/s.
    pub speed_mts: Option<u32>,
    /// Configured speed, MT/s.
    pub configured_mts: Option<u32>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Part number, trimmed.
    pub part: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Asset tag.
    pub asset_tag: Option<String>,
}

/// One whole disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskFacts {
    /// The kernel's name, e.g. "nvme0n1". Never an identity.
    pub name: String,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World wide name or EUI/NGUID as sysfs `wwid` has it, e.g. "naa.5000c500a1b2c3d4", "eui.0025385...".
    pub wwn: Option<String>,
    /// Capacity in bytes.
    pub size_bytes: Option<u64>,
    /// Logical block size in bytes.
    pub logical_block_bytes: Option<u32>,
    /// Physical block size in bytes.
    pub physical_block_bytes: Option<u32>,
    /// Whether it spins.
    pub rotational: Option<bool>,
    /// How it is attached.
    pub transport: Option<Transport>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// PCI address of the controller, e.g. "0000:00:04.0".
    pub pci: Option<String>,
    /// Removable medium (USB sticks, virtual media).
    pub removable: Option<bool>,
    /// Read-only.
    pub read_only: Option<bool>,
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// SATA or parallel ATA.
    Sata,
    /// SAS.
    Sas,
    /// Other SCSI (virtual SCSI, RAID volumes).
    Scsi,
    /// NVMe.
    Nvme,
    /// virtio-blk.
    Virtio,
    /// USB.
    Usb,
    /// SD or eMMC.
    Mmc,
    /// A newer agent said something else.
    #[serde(other)]
    Unknown,
}

/// One physical network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NicFacts {
    /// The kernel's name.
    pub name: String,
    /// Current MAC.
    pub mac: Option<Mac>,
    /// Permanent MAC, where the driver tells.
    pub permanent_mac: Option<Mac>,
    /// Kernel driver.
    pub driver: Option<String>,
    /// PCI address.
    pub pci: Option<String>,
    /// PCI vendor and device id, "8086:10d3".
    pub pci_id: Option<String>,
    /// Whether there is a carrier.
    pub link: Option<bool>,
    /// Speed in Mbit/s when there is a link.
    pub speed_mbps: Option<u32>,
    /// Firmware version, where the driver tells.
    pub firmware: Option<String>,
}

/// A fact that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorProblem {
    /// The collector, e.g. "smbios", "disks".
    pub collector: String,
    /// What was tried, on what, and what came back.
    pub detail: String,
}
