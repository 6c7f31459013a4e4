//! Processors.

use serde::{Deserialize, Serialize};

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
    /// SMBIOS type 4: one entry per socket, including empty ones.
    pub processors: Vec<ProcessorFacts>,
    /// Family number.
    pub family: Option<u32>,
    /// Model number.
    pub model_number: Option<u32>,
    /// Stepping.
    pub stepping: Option<u32>,
    /// Microcode revision as the kernel writes it, "0xd0003e7".
    pub microcode: Option<String>,
    /// NUMA nodes.
    pub numa_nodes: Option<u32>,
    /// Threads of a core.
    pub threads_per_core: Option<u32>,
    /// Least frequency, MHz.
    pub min_mhz: Option<f64>,
    /// Most frequency, MHz.
    pub max_mhz: Option<f64>,
    /// Caches as the kernel reports them, sorted by level and kind.
    pub caches: Vec<CpuCache>,
    /// Caches as SMBIOS lists them.
    pub smbios_caches: Vec<SmbiosCache>,
    /// Vulnerabilities and their mitigation, as the kernel reports them.
    pub vulnerabilities: std::collections::BTreeMap<String, String>,
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
    /// Cores that the firmware left enabled.
    pub cores_enabled: Option<u32>,
    /// Threads.
    pub threads: Option<u32>,
    /// Type in words, e.g. "Central Processor".
    pub kind: Option<String>,
    /// Family in words, e.g. "Xeon".
    pub family: Option<String>,
    /// Part number.
    pub part: Option<String>,
    /// Asset tag.
    pub asset_tag: Option<String>,
    /// Whether it is enabled; absent if the table does not say.
    pub enabled: Option<bool>,
    /// Maximum speed of the socket, MHz.
    pub max_mhz: Option<u32>,
    /// Speed at start, MHz.
    pub current_mhz: Option<u32>,
    /// Socket upgrade in words, e.g. "Socket LGA3647-1".
    pub upgrade: Option<String>,
}

impl ProcessorFacts {
    /// Whether there is a processor, as far as the table tells, and not an empty socket.
    pub fn is_there(&self) -> bool {
        self.populated != Some(false)
    }
}

/// Caches of one level and kind, as the kernel reports them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuCache {
    /// 1, 2, 3, ...
    pub level: u32,
    /// "data", "instruction" or "unified".
    pub kind: String,
    /// Bytes of all instances together.
    pub total_bytes: u64,
    /// Instances.
    pub instances: u32,
}

/// SMBIOS type 7: one cache of one socket as described by the firmware.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmbiosCache {
    /// Designation, e.g. "CPU1 L3".
    pub name: Option<String>,
    /// 1 to 8.
    pub level: Option<u32>,
    /// Installed bytes.
    pub size_bytes: Option<u64>,
    /// Switched on.
    pub enabled: Option<bool>,
    /// Kind in words, e.g. "Unified".
    pub kind: Option<String>,
    /// Associativity in words, e.g. "8-way Set-associative".
    pub associativity: Option<String>,
    /// Error correction in words, e.g. "Single-bit ECC".
    pub error_correction: Option<String>,
}
