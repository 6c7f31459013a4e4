//! Purchase orders and the rack plan: what was bought, and where each machine belongs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A purchase order.
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
    /// Item number, unique within its order.
    pub item: String,
    /// Number of machines.
    pub count: u32,
    /// Name of the hardware profile of each.
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
    /// Which machine in that unit, if a chassis holds several: "1", "left", "bay 3".
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
    /// Hardware profile, if it is not the order item's.
    pub profile: Option<String>,
    /// Cabling.
    pub ports: Vec<PlannedPort>,
}

impl Placement {
    /// "R1 A07 unit 12", "R1 A07 unit 12 node 2".
    pub fn name(&self) -> String {
        let node = self
            .node
            .as_ref()
            .map_or(String::new(), |node| format!(" node {node}"));
        format!("{} {} unit {}{node}", self.room, self.rack, self.unit)
    }
}

/// One cable of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlannedPort {
    /// The NIC: its MAC, SMBIOS slot and port, or kernel name; absent: any.
    pub nic: Option<String>,
    /// Switch, as LLDP names it (system name).
    pub switch: String,
    /// Switch port, as LLDP names it (port id or description).
    pub port: String,
    /// Native VLAN.
    pub vlan: Option<u16>,
}

/// What a machine was checked against, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpectedFrom {
    /// The place of the rack plan with the machine's serial number or asset tag.
    pub placement: Option<Placement>,
    /// Name of the hardware profile; absent: what the deploy request itself expects.
    pub profile: Option<String>,
    /// A hardware profile that is named but unknown, so that nothing could be compared with it.
    pub missing_profile: Option<String>,
}

/// Progress of a machine that was ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Receipt {
    /// No machine with this serial number or asset tag has reported.
    #[default]
    Missing,
    /// It has reported, but nothing was compared.
    Received,
    /// Checked: as ordered.
    Pass,
    /// Checked: as ordered, with a warning.
    Warn,
    /// Checked: not as ordered.
    Fail,
    /// Sent by a newer server.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Receipt {
    /// The word, as on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Progress of a group of machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Machines ordered (of an item or order) or planned (of a rack).
    pub ordered: u32,
    /// Machines that have reported.
    pub received: u32,
    /// Machines that were checked.
    pub checked: u32,
    /// Checked and as ordered, also with warnings.
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

/// `GET /v1/orders/{number}`: progress of the delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderDelivery {
    /// The order as imported.
    pub order: Order,
    /// All of it.
    pub tally: Tally,
    /// By item, as in the order.
    pub items: Vec<ItemDelivery>,
    /// By rack.
    pub racks: Vec<RackDelivery>,
    /// Its machines in the rack plan.
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
    /// Progress of a group of machines.
    pub tally: Tally,
}

/// One rack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RackDelivery {
    /// Room.
    pub room: String,
    /// Rack.
    pub rack: String,
    /// Progress of a group of machines.
    pub tally: Tally,
}

/// `GET /v1/racks/{room}/{rack}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RackView {
    /// Room.
    pub room: String,
    /// Rack.
    pub rack: String,
    /// Progress of a group of machines.
    pub tally: Tally,
    /// Its places, the highest unit first.
    pub places: Vec<PlacedMachine>,
}

/// A place of the rack plan and the machine found for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedMachine {
    /// The place.
    pub placement: Placement,
    /// What is known.
    pub receipt: Receipt,
    /// The machine.
    pub machine: Option<crate::id::MachineId>,
    /// Height of its chassis in units, if reported.
    pub height_u: Option<u32>,
    /// The most severe finding.
    pub finding: Option<String>,
    /// Number of findings.
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
