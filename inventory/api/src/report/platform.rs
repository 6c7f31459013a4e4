//! The platform: boot, BMC, TPM, sensors.

use serde::{Deserialize, Serialize};

use crate::id::Mac;

/// How the running system was booted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootFacts {
    /// BIOS or UEFI, from /sys/firmware/efi.
    pub mode: Option<FirmwareMode>,
    /// Secure Boot state, on UEFI.
    pub secure_boot: Option<bool>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// The NIC that the firmware booted from.
    pub boot_mac: Option<Mac>,
    /// Secure Boot is in setup mode (keys not enrolled), on UEFI.
    pub setup_mode: Option<bool>,
    /// Boot entries of UEFI.
    pub entries: Vec<BootEntry>,
    /// Numbers of the entries in the firmware's order.
    pub order: Vec<u16>,
    /// Number of the entry that was booted.
    pub current: Option<u16>,
}

/// Firmware interface in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirmwareMode {
    /// Legacy BIOS.
    Bios,
    /// UEFI.
    Uefi,
    /// Sent by a newer agent.
    #[serde(other)]
    Unknown,
}

impl FirmwareMode {
    /// As people write it.
    pub fn words(self) -> &'static str {
        match self {
            FirmwareMode::Bios => "BIOS",
            FirmwareMode::Uefi => "UEFI",
            FirmwareMode::Unknown => "unknown",
        }
    }
}

/// One boot entry of UEFI (`Boot####`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootEntry {
    /// Its number.
    pub number: u16,
    /// Description.
    pub label: String,
    /// Active.
    pub active: bool,
}

/// The BMC, as seen from inside the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BmcFacts {
    /// Interface in words, e.g. "KCS" (SMBIOS type 38).
    pub interface: Option<String>,
    /// IPMI version, e.g. "2.0".
    pub ipmi_version: Option<String>,
    /// Firmware version, e.g. "2.86".
    pub firmware: Option<String>,
    /// IANA enterprise number of the maker.
    pub manufacturer_id: Option<u32>,
    /// Maker, if the number is known.
    pub vendor: Option<String>,
    /// Address on its LAN channel.
    pub ip: Option<std::net::Ipv4Addr>,
    /// Source of the address: "static", "dhcp", "bios", "other".
    pub ip_source: Option<String>,
    /// MAC on its LAN channel.
    pub mac: Option<Mac>,
    /// Redfish host interface present (SMBIOS type 42).
    pub redfish_host_interface: Option<bool>,
    /// Field replaceable units of the BMC's inventory (IPMI FRU): board, chassis, power supplies, risers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fru: Vec<FruFacts>,
    /// The newest entries of the system event log (IPMI SEL), newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<BmcEvent>,
    /// Number of entries in the system event log.
    pub event_count: Option<u32>,
}

/// One field replaceable unit (IPMI Platform Management FRU Information Storage Definition 1.0).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FruFacts {
    /// Name from the sensor data repository, e.g. "PSU1 FRU"; else "FRU 3".
    pub name: String,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Product or board name.
    pub product: Option<String>,
    /// Part or model number.
    pub part: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Asset tag.
    pub asset_tag: Option<String>,
}

/// One entry of the system event log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BmcEvent {
    /// Time by the BMC's clock; absent if the clock was not set.
    pub at: Option<crate::id::UnixMs>,
    /// What reported it, e.g. "Power Supply PS1 Status".
    pub sensor: String,
    /// What happened, e.g. "failure detected".
    pub event: String,
    /// Whether the condition began (true) or ended (false).
    pub asserted: Option<bool>,
}

/// One firmware image listed by the machine (SMBIOS type 45).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirmwareComponent {
    /// Name, e.g. "BMC Firmware".
    pub name: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Identifier in its maker's format.
    pub id: Option<String>,
    /// Release date.
    pub date: Option<String>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// State in words, e.g. "Enabled".
    pub state: Option<String>,
}

/// A battery: portable (SMBIOS type 22), of a RAID controller's cache, or of an NVDIMM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatteryFacts {
    /// Where, e.g. "PERC H730P cache".
    pub location: Option<String>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Charge or wear left, percent.
    pub capacity_percent: Option<u32>,
    /// State in words, e.g. "OK", "Failed".
    pub status: Option<String>,
}

/// The TPM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TpmFacts {
    /// "1.2" or "2.0".
    pub version: Option<String>,
    /// Maker's four letters, e.g. "IFX".
    pub manufacturer: Option<String>,
    /// Firmware version.
    pub firmware: Option<String>,
    /// SHA-256 over the public endorsement key as DER SubjectPublicKeyInfo, hex: the machine's strongest
    /// identity.
    pub endorsement_key_sha256: Option<String>,
}

/// One sensor (hwmon).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SensorFacts {
    /// Chip, e.g. "coretemp".
    pub chip: String,
    /// Label, e.g. "Package id 0", else the kernel's name of the input.
    pub label: String,
    /// Unit: "C", "V", "A", "W", "rpm".
    pub unit: String,
    /// Value in that unit.
    pub value: f64,
    /// Critical limit set by the maker.
    pub critical: Option<f64>,
    /// Whether the chip raises an alarm.
    pub alarm: Option<bool>,
}
