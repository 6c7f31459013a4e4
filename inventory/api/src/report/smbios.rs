//! SMBIOS facts about the machine as a whole, and about parts that no other source describes.

use serde::{Deserialize, Serialize};

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
    /// UUID in the notation of the SMBIOS specification (first three fields little-endian since 2.6), lower
    /// case.
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
    /// Location in the chassis.
    pub location: Option<String>,
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
    /// Height in rack units.
    pub height_u: Option<u32>,
    /// SKU number.
    pub sku: Option<String>,
    /// State of the power supplies at boot, in words.
    pub power_supply_state: Option<String>,
    /// Thermal state at boot, in words.
    pub thermal_state: Option<String>,
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
    /// Release, "2.17" (major and minor), if the table has one.
    pub revision: Option<String>,
    /// Release of the embedded controller or BMC firmware, if the table has one.
    pub controller_revision: Option<String>,
    /// Size of the ROM in bytes.
    pub rom_bytes: Option<u64>,
}

/// SMBIOS type 9: one expansion slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpansionSlot {
    /// Designation, e.g. "PCIe Slot 1".
    pub slot: Option<String>,
    /// Type in words, e.g. "PCI Express 3 x16".
    pub kind: Option<String>,
    /// Width of its data bus, e.g. "x16".
    pub width: Option<String>,
    /// Whether it is occupied; absent if the table does not say.
    pub in_use: Option<bool>,
    /// PCI address of the slot, "0000:3b:00.0".
    pub pci: Option<String>,
}

/// SMBIOS type 41, or 10 if there is no 41: a device on the board.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnboardDevice {
    /// Designation, e.g. "Integrated NIC 1".
    pub name: Option<String>,
    /// Type in words, e.g. "Ethernet".
    pub kind: Option<String>,
    /// Switched on in the firmware's setup.
    pub enabled: Option<bool>,
    /// PCI address.
    pub pci: Option<String>,
}

/// SMBIOS type 39: one power supply or its bay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PowerSupply {
    /// Location, else device name, e.g. "PSU1".
    pub location: Option<String>,
    /// Device name.
    pub name: Option<String>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Model part number.
    pub part: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Asset tag.
    pub asset_tag: Option<String>,
    /// Revision.
    pub revision: Option<String>,
    /// Maximum power, watts.
    pub max_watts: Option<u32>,
    /// Whether it is there.
    pub present: Option<bool>,
    /// Whether it has mains power.
    pub plugged: Option<bool>,
    /// Status in words: "OK", "Non-critical", "Critical".
    pub status: Option<String>,
    /// Whether it can be replaced while the machine runs.
    pub hot_replaceable: Option<bool>,
}

impl PowerSupply {
    /// Whether there is a power supply, as far as the table tells, and not an empty bay.
    pub fn is_there(&self) -> bool {
        self.present != Some(false)
    }
}
