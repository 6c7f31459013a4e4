//! Memory.

use serde::{Deserialize, Serialize};

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryFacts {
    /// Bytes the kernel can use (MemTotal).
    pub usable_bytes: Option<u64>,
    /// SMBIOS type 17 of every array used as system memory: one entry per slot, including empty ones.
    pub slots: Vec<MemorySlot>,
    /// Bytes of memory that the modules provide in total; absent if no slot tells. Persistent memory counts
    /// only with its volatile part, and the DRAM that caches it does not count.
    pub installed_bytes: Option<u64>,
    /// Bytes that the modules keep without power in total; absent if there is no persistent memory.
    pub persistent_bytes: Option<u64>,
    /// The arrays that the slots belong to.
    pub arrays: Vec<MemoryArray>,
    /// Error counters of the memory controllers.
    pub edac: Vec<EdacCounter>,
}

/// SMBIOS type 17: one memory slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemorySlot {
    /// Device locator, e.g. "DIMM A1".
    pub slot: Option<String>,
    /// Bank locator.
    pub bank: Option<String>,
    /// Size in bytes; absent if the slot is empty or the size is unknown, see `populated`.
    pub size_bytes: Option<u64>,
    /// Whether it holds a module; absent if the table does not say.
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
    /// Type detail in words, e.g. "Synchronous Registered (Buffered)".
    pub detail: Option<String>,
    /// Ranks.
    pub rank: Option<u32>,
    /// Bits of data.
    pub data_width: Option<u32>,
    /// Bits including those for error correction.
    pub total_width: Option<u32>,
    /// Configured voltage, volts.
    pub voltage: Option<f64>,
    /// Technology in words, e.g. "DRAM", "Intel Optane persistent memory".
    pub technology: Option<String>,
    /// Firmware version (persistent memory).
    pub firmware: Option<String>,
    /// Kind of module.
    pub class: Option<MemoryClass>,
    /// Bytes of volatile memory (SMBIOS 3.2, offset 0x3c).
    pub volatile_bytes: Option<u64>,
    /// Bytes of non-volatile memory (SMBIOS 3.2, offset 0x34).
    pub non_volatile_bytes: Option<u64>,
    /// Bytes that cache other modules, i.e. DRAM in Memory Mode (SMBIOS 3.2, offset 0x44).
    pub cache_bytes: Option<u64>,
}

/// Kind of module in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryClass {
    /// DRAM of any generation.
    Dram,
    /// Persistent memory: Optane, NVDIMM-N, -F, -P.
    Persistent,
    /// High-bandwidth memory in the processor's package.
    Hbm,
    /// Flash or ROM chips, which are not memory.
    Flash,
    /// Sent by a newer agent.
    #[serde(other)]
    Unknown,
}

/// SMBIOS type 16 whose use is system memory: a group of slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryArray {
    /// Location in words, e.g. "System Board Or Motherboard".
    pub location: Option<String>,
    /// Error correction in words, e.g. "Multi-bit ECC".
    pub error_correction: Option<String>,
    /// Maximum capacity in bytes.
    pub max_bytes: Option<u64>,
    /// Slots it has.
    pub slots: Option<u32>,
}

/// Errors that the memory controller counted since the system started. It may count ranks or channels instead
/// of modules, so it does not tell which modules there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdacCounter {
    /// Controller, e.g. "mc0".
    pub controller: String,
    /// The kernel's label of the DIMM or rank, e.g. "CPU_SrcID#0_MC#0_Chan#0_DIMM#0".
    pub label: Option<String>,
    /// Errors that were corrected.
    pub corrected: Option<u64>,
    /// Errors that were not.
    pub uncorrected: Option<u64>,
}
