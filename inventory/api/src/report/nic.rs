//! Network interfaces.

use serde::{Deserialize, Serialize};

use crate::id::Mac;

/// One physical network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NicFacts {
    /// The kernel's name; for an InfiniBand port without a network interface, device and port: "mlx5_2/1".
    pub name: String,
    /// Link layer; absent: Ethernet.
    pub link_layer: Option<LinkLayer>,
    /// Port GUID of InfiniBand, "b8cef6030031333e".
    pub guid: Option<String>,
    /// Current MAC.
    pub mac: Option<Mac>,
    /// Permanent MAC, if the driver reports it.
    pub permanent_mac: Option<Mac>,
    /// Kernel driver.
    pub driver: Option<String>,
    /// PCI address.
    pub pci: Option<String>,
    /// PCI vendor and device id, "8086:10d3".
    pub pci_id: Option<String>,
    /// Whether there is a carrier.
    pub link: Option<bool>,
    /// Speed in Mbit/s if there is a link.
    pub speed_mbps: Option<u32>,
    /// Firmware version, if the driver reports it.
    pub firmware: Option<String>,
    /// Expansion slot or board designation (SMBIOS), e.g. "Slot 2", "Integrated NIC 1".
    pub slot: Option<String>,
    /// Port of the card, as the driver names it, e.g. "p0".
    pub port: Option<String>,
    /// Maximum number of virtual functions (SR-IOV); absent if it has none.
    pub sriov_vfs: Option<u32>,
    /// The switch port at the other end.
    pub lldp: Option<LldpNeighbour>,
    /// The card's firmware handles LLDP itself and this could not be switched off, so the switch cannot be
    /// heard.
    pub lldp_in_firmware: Option<bool>,
    /// The pluggable module or cable in the port.
    pub optic: Option<OpticFacts>,
}

/// Link layer of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkLayer {
    /// Ethernet.
    Ethernet,
    /// InfiniBand.
    Infiniband,
    /// Sent by a newer agent.
    #[serde(other)]
    Unknown,
}

/// A pluggable module (SFP, QSFP) or direct-attach cable, from its EEPROM (SFF-8472, SFF-8636, CMIS).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpticFacts {
    /// Form in words, e.g. "SFP", "QSFP28".
    pub kind: Option<String>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Part number.
    pub part: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
}

/// The switch, from its LLDP frames (IEEE 802.1AB).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LldpNeighbour {
    /// Chassis id; a MAC in lower case with colons.
    pub chassis: Option<String>,
    /// System name.
    pub system: Option<String>,
    /// Port id, e.g. "Ethernet1/7".
    pub port: Option<String>,
    /// Port description.
    pub port_description: Option<String>,
    /// Native VLAN of the port (802.1 port VLAN id).
    pub vlan: Option<u16>,
    /// Management address.
    pub management: Option<std::net::IpAddr>,
}
