//! Orders and the rack plan: what was bought, and where each machine belongs.

use std::fmt;

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
    /// Which of the machines in that unit it is, where a chassis holds several: "1", "left", "bay 3".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
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

/// What a machine was checked against, and why that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpectedFrom {
    /// The place of the rack plan whose serial number or asset tag is the machine's.
    pub placement: Option<Placement>,
    /// Name of the hardware profile; absent: what the deploy request itself expects.
    pub profile: Option<String>,
    /// A hardware profile that is named but not known: nothing could be compared with it.
    pub missing_profile: Option<String>,
}

/// What is known of a machine that was ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Receipt {
    /// No machine with this serial number or asset tag has reported.
    #[default]
    Missing,
    /// It has reported; nothing was compared.
    Received,
    /// Checked: as ordered.
    Pass,
    /// Checked: as ordered, with a remark.
    Warn,
    /// Checked: not as ordered.
    Fail,
    /// A newer server said something else.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Receipt {
    /// The word, as on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Machines ordered (of an item or order) or planned (of a rack).
    pub ordered: u32,
    /// Machines that have reported.
    pub received: u32,
    /// Machines of those that were checked.
    pub checked: u32,
    /// Checked and as ordered, remarks included.
    pub passing: u32,
    /// Checked and not as ordered.
    pub failing: u32,
    /// Ordered and not received.
    pub missing: u32,
}

/// One line of `GET /v1/orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSummary {
    /// Order number.
    pub number: String,
    /// Items.
    pub items: u32,
    /// All of it.
    pub tally: Tally,
}

/// `GET /v1/orders/{number}`: how far the delivery is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderDelivery {
    /// The order as imported.
    pub order: Order,
    /// All of it.
    pub tally: Tally,
    /// By item, in the order's order.
    pub items: Vec<ItemDelivery>,
    /// By rack.
    pub racks: Vec<RackDelivery>,
    /// Each machine that the rack plan has for it.
    pub machines: Vec<PlacedMachine>,
}

/// One item of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemDelivery {
    /// Item number.
    pub item: String,
    /// Hardware profile.
    pub profile: String,
    /// Whether that profile is known.
    pub profile_known: bool,
    /// How many of how many.
    pub tally: Tally,
}

/// One rack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RackDelivery {
    /// Room.
    pub room: String,
    /// Rack.
    pub rack: String,
    /// How many of how many.
    pub tally: Tally,
}

/// `GET /v1/racks/{room}/{rack}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RackView {
    /// Room.
    pub room: String,
    /// Rack.
    pub rack: String,
    /// How many of how many.
    pub tally: Tally,
    /// Its places, the highest unit first.
    pub places: Vec<PlacedMachine>,
}

/// A place of the rack plan and the machine that was found for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedMachine {
    /// The place.
    pub placement: Placement,
    /// What is known.
    pub receipt: Receipt,
    /// The machine.
    pub machine: Option<crate::id::MachineId>,
    /// Height of its chassis in units, where it told.
    pub height_u: Option<u32>,
    /// The most grave finding.
    pub finding: Option<String>,
    /// Findings in all.
    pub findings: u32,
}

/// One line of `GET /v1/hardware-profiles`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSummary {
    /// Its name.
    pub name: String,
    /// When it was imported or made.
    pub changed_at: crate::id::UnixMs,
    /// Machines that are checked against it.
    pub machines: u32,
}
