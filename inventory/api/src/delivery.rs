//! Orders and the rack plan: what was bought, and where each machine belongs.

use serde::{Deserialize, Serialize};

/// One order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Order {
    /// Order number, unique.
    pub number: String,
    /// What is bought.
    pub items: Vec<OrderItem>,
}

/// One line of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderItem {
    /// Line or item number, unique in its order.
    pub item: String,
    /// Machines.
    pub count: u32,
    /// Name of the hardware profile each of them must have.
    pub profile: String,
    /// In words.
    pub description: Option<String>,
}

/// One place of the rack plan and the machine that belongs there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// Room.
    pub room: String,
    /// Rack.
    pub rack: String,
    /// Lowest height unit it takes, from 1.
    pub unit: u32,
    /// System or chassis serial number that belongs there.
    pub serial: Option<String>,
    /// Asset tag that belongs there.
    pub asset_tag: Option<String>,
    /// Order number.
    pub order: Option<String>,
    /// Item of that order.
    pub item: Option<String>,
    /// Hardware profile, where it is not the order item's.
    pub profile: Option<String>,
    /// Cabling.
    pub ports: Vec<PlannedPort>,
}

/// One cable of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlannedPort {
    /// The NIC: its MAC, SMBIOS slot and port, or the kernel's name; absent: any.
    pub nic: Option<String>,
    /// Switch, as LLDP names it (system name).
    pub switch: String,
    /// Switch port, as LLDP names it (port id or description).
    pub port: String,
    /// Native VLAN.
    pub vlan: Option<u16>,
}
