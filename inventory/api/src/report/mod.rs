//! The asset report: the hardware as the machine sees it. Every fact is optional; a failing collector leaves
//! a [`CollectorProblem`], and the report is sent all the same.

use serde::{Deserialize, Serialize};

use crate::id::UnixMs;

mod cpu;
mod disk;
mod distinct;
pub mod makers;
mod memory;
mod memory_sums;
mod nic;
mod pci;
mod platform;
mod smbios;

pub use cpu::{CpuCache, CpuFacts, ProcessorFacts, SmbiosCache};
pub use disk::{DiskFacts, DiskHealth, DiskNamespace, DiskPath, StorageController, Transport};
pub use distinct::{distinct, is_emmc_area};
pub use memory::{EdacCounter, MemoryArray, MemoryClass, MemoryFacts, MemorySlot};
pub use nic::{LinkLayer, LldpNeighbour, NicFacts, OpticFacts};
pub use pci::{GpuFacts, PciDevice};
pub use platform::{
    BatteryFacts, BmcEvent, BmcFacts, BootEntry, BootFacts, FirmwareComponent, FirmwareMode, FruFacts,
    SensorFacts, TpmFacts,
};
pub use smbios::{
    BoardFacts, ChassisFacts, ExpansionSlot, FirmwareFacts, OnboardDevice, PowerSupply, SystemFacts,
};

/// The schema number that this build writes to [`AssetReport::schema`].
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
    /// Whole disks, in the kernel's order of names, without partitions, loop, RAM or optical devices.
    pub disks: Vec<DiskFacts>,
    /// Physical network interfaces.
    pub nics: Vec<NicFacts>,
    /// Storage controllers.
    pub controllers: Vec<StorageController>,
    /// PCI devices without bridges.
    pub pci: Vec<PciDevice>,
    /// GPUs and other accelerators.
    pub gpus: Vec<GpuFacts>,
    /// Power supplies (SMBIOS type 39), including empty bays.
    pub power_supplies: Vec<PowerSupply>,
    /// Expansion slots (SMBIOS type 9).
    pub slots: Vec<ExpansionSlot>,
    /// Devices on the board (SMBIOS type 41, else 10).
    pub onboard: Vec<OnboardDevice>,
    /// OEM strings (SMBIOS type 11).
    pub oem_strings: Vec<String>,
    /// The BMC.
    pub bmc: Option<BmcFacts>,
    /// The TPM.
    pub tpm: Option<TpmFacts>,
    /// Sensors.
    pub sensors: Vec<SensorFacts>,
    /// Firmware images listed by the machine (SMBIOS type 45).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub firmware_components: Vec<FirmwareComponent>,
    /// Batteries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batteries: Vec<BatteryFacts>,
    /// What could not be read, and why.
    pub problems: Vec<CollectorProblem>,
}

impl AssetReport {
    /// The serial numbers by which people know the machine, the system's first.
    pub fn serials(&self) -> [Option<&String>; 2] {
        let chassis = self.chassis.as_ref().and_then(|c| c.serial.as_ref());
        [self.system.as_ref().and_then(|s| s.serial.as_ref()), chassis]
    }

    /// Its asset tags, the chassis' first.
    pub fn asset_tags(&self) -> [Option<&String>; 2] {
        let board = self.board.as_ref().and_then(|b| b.asset_tag.as_ref());
        [self.chassis.as_ref().and_then(|c| c.asset_tag.as_ref()), board]
    }
}

/// A fact that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorProblem {
    /// The collector, e.g. "smbios", "disks".
    pub collector: String,
    /// What was tried, on what, and what came back.
    pub detail: String,
}
