//! Purchase orders, racks and hardware profiles: how far the delivery is.

use askama::Template;
use inventory_api::check::{HardwareProfile, ProfileMachines};
use inventory_api::delivery::{
    ItemDelivery, OrderDelivery, OrderSummary, PlacedMachine, ProfileSummary, RackDelivery, RackView,
    Receipt, Tally,
};
use lifecycle::check::Outlier;

use super::{Shell, segment};
use words::text::timestamp;

/// Rows shown per table. Most pages also show how many more there are.
const MAX_ROWS: usize = 500;

/// Colour and word of a receipt.
pub fn receipt(r: Receipt) -> (&'static str, &'static str) {
    match r {
        Receipt::Missing => ("secondary", "Missing"),
        Receipt::Received => ("azure", "Received"),
        Receipt::Pass => ("green", "Pass"),
        Receipt::Warn => ("yellow", "Remark"),
        Receipt::Fail => ("red", "Fail"),
        Receipt::Unknown => ("secondary", "Unknown"),
    }
}

/// The purchase orders page.
#[derive(Template)]
#[template(path = "orders.html")]
pub struct OrdersPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// The orders that are shown.
    pub orders: &'a [OrderSummary],
    /// Number of entries not shown.
    pub more: usize,
    /// Machines still to be checked again because their expectation changed.
    pub rechecks: u32,
}

impl<'a> OrdersPage<'a> {
    /// The page.
    pub fn new(shell: Shell, orders: &'a [OrderSummary], rechecks: u32) -> OrdersPage<'a> {
        let (orders, more) = shown(orders);
        OrdersPage {
            shell,
            orders,
            more,
            rechecks,
        }
    }
}

/// The entries that fit on a page, and the number of the rest.
fn shown<T>(all: &[T]) -> (&[T], usize) {
    let shown = all.len().min(MAX_ROWS);
    (&all[..shown], all.len() - shown)
}

/// The page of one purchase order.
#[derive(Template)]
#[template(path = "order.html")]
pub struct OrderPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// Its number.
    pub number: &'a str,
    /// Totals of the whole order.
    pub tally: Tally,
    /// Each item with its description.
    pub items: Vec<(&'a ItemDelivery, &'a str)>,
    /// Its racks.
    pub racks: &'a [RackDelivery],
    /// Its machines, most urgent first.
    pub machines: Vec<&'a PlacedMachine>,
    /// Number of entries not shown.
    pub more: usize,
}

/// Height of a machine in units.
fn height(m: &PlacedMachine) -> u32 {
    m.height_u.unwrap_or(1).clamp(1, 20)
}

/// "12", "12–13", "12–13, node 2".
fn units(m: &PlacedMachine) -> String {
    let (unit, height) = (m.placement.unit, height(m));
    let units = match height {
        1 => unit.to_string(),
        h => format!("{unit}–{}", unit + h - 1),
    };
    match &m.placement.node {
        Some(node) => format!("{units}, node {node}"),
        None => units,
    }
}

/// The expected serial number, else the asset tag, else an empty text.
fn expected(m: &PlacedMachine) -> &str {
    let p = &m.placement;
    p.serial.as_deref().or(p.asset_tag.as_deref()).unwrap_or_default()
}

/// Sort key: fail, remark, missing, not checked, pass.
fn urgency(r: Receipt) -> u8 {
    match r {
        Receipt::Fail => 0,
        Receipt::Warn => 1,
        Receipt::Missing => 2,
        Receipt::Received | Receipt::Unknown => 3,
        Receipt::Pass => 4,
    }
}

impl<'a> OrderPage<'a> {
    /// Label, figure and colour of the tiles.
    pub fn tiles(&self) -> [(&'static str, u32, &'static str); 4] {
        let t = &self.tally;
        let red = if t.failing > 0 { "red" } else { "secondary" };
        [
            ("ordered", t.ordered, "body"),
            ("received", t.received, "body"),
            ("checked and as ordered", t.passing, "green"),
            ("not as ordered", t.failing, red),
        ]
    }

    /// The page.
    pub fn new(shell: Shell, d: &'a OrderDelivery) -> OrderPage<'a> {
        let mut machines: Vec<&'a PlacedMachine> = d.machines.iter().collect();
        machines.sort_by_key(|m| urgency(m.receipt));
        let words = |i: usize| d.order.items.get(i).and_then(|item| item.description.as_deref());
        let (items, _) = shown(&d.items);
        let items = items.iter().enumerate();
        OrderPage {
            shell,
            number: &d.order.number,
            tally: d.tally,
            items: items
                .map(|(i, item)| (item, words(i).unwrap_or_default()))
                .collect(),
            racks: shown(&d.racks).0,
            more: machines.len().saturating_sub(MAX_ROWS),
            machines: machines.into_iter().take(MAX_ROWS).collect(),
        }
    }
}

/// The racks page.
#[derive(Template)]
#[template(path = "racks.html")]
pub struct RacksPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// The racks that are shown.
    pub racks: &'a [RackDelivery],
    /// Number of entries not shown.
    pub more: usize,
}

impl<'a> RacksPage<'a> {
    /// The page.
    pub fn new(shell: Shell, racks: &'a [RackDelivery]) -> RacksPage<'a> {
        let (racks, more) = shown(racks);
        RacksPage { shell, racks, more }
    }
}

/// The page of one rack, unit by unit.
#[derive(Template)]
#[template(path = "rack.html")]
pub struct RackPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// Room.
    pub room: &'a str,
    /// Rack.
    pub rack: &'a str,
    /// Totals of the rack.
    pub tally: Tally,
    /// From the highest planned unit down, with the free units.
    pub units: Vec<UnitRow<'a>>,
}

/// A free unit, or a machine with all its units.
pub enum UnitRow<'a> {
    /// Nothing is planned here.
    Free(u32),
    /// A machine.
    Taken(&'a PlacedMachine),
}

impl<'a> RackPage<'a> {
    /// The page.
    pub fn new(shell: Shell, view: &'a RackView) -> RackPage<'a> {
        let mut units = Vec::new();
        let mut next = None;
        // Highest first; the units between two machines are free.
        for place in view.places.iter().take(MAX_ROWS) {
            let unit = place.placement.unit;
            let top = unit + height(place) - 1;
            if let Some(next) = next {
                units.extend((top + 1..=next).rev().map(UnitRow::Free));
            }
            next = unit.checked_sub(1);
            units.push(UnitRow::Taken(place));
        }
        if let Some(next) = next {
            units.extend((1..=next).rev().map(UnitRow::Free));
        }
        RackPage {
            shell,
            room: &view.room,
            rack: &view.rack,
            tally: view.tally,
            units,
        }
    }
}

/// The hardware profiles page.
#[derive(Template)]
#[template(path = "hardware_profiles.html")]
pub struct HardwareProfilesPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// The profiles that are shown.
    pub profiles: &'a [ProfileSummary],
}

impl<'a> HardwareProfilesPage<'a> {
    /// The page.
    pub fn new(shell: Shell, profiles: &'a [ProfileSummary]) -> HardwareProfilesPage<'a> {
        let (profiles, _) = shown(profiles);
        HardwareProfilesPage { shell, profiles }
    }
}

/// The page of one hardware profile.
#[derive(Template)]
#[template(path = "hardware_profile.html")]
pub struct HardwareProfilePage {
    /// Page frame.
    pub shell: Shell,
    /// Name.
    pub name: String,
    /// Field and value, as in a CSV file.
    pub fields: Vec<(String, String)>,
    /// Its machines: id, name, colour and word of the receipt.
    pub machines: Vec<(String, String, &'static str, &'static str)>,
    /// Outliers: machine id, name, fact, place, value, value of the others.
    pub odd: Vec<[String; 6]>,
    /// Facts in which the machines form groups: fact, place, each value with its number of machines.
    pub groups: Vec<(String, String, Vec<String>)>,
}

impl HardwareProfilePage {
    /// The page.
    pub fn new(shell: Shell, profile: &HardwareProfile, of: &ProfileMachines) -> HardwareProfilePage {
        let mut fields = Vec::new();
        if let Ok(value) = serde_json::to_value(profile) {
            flatten(&value, &mut String::new(), &mut fields);
        }
        fields.retain(|(field, _)| field != "name");
        let name = |id: &str| {
            let machine = of.machines.iter().find(|m| m.machine.as_str() == id);
            machine
                .and_then(|m| m.serial.clone())
                .unwrap_or_else(|| id.to_owned())
        };
        let mut odd = Vec::new();
        let mut groups = Vec::new();
        for outlier in of.outliers.iter().take(MAX_ROWS) {
            match outlier {
                Outlier::Odd {
                    machine,
                    fact,
                    place,
                    found,
                    usual,
                    others,
                } => odd.push([
                    machine.clone(),
                    name(machine),
                    fact.clone(),
                    place.clone(),
                    found.clone(),
                    format!("{usual} ({others} others)"),
                ]),
                Outlier::Groups {
                    fact,
                    place,
                    groups: all,
                } => {
                    let words = all
                        .iter()
                        .map(|(value, ids)| format!("{value} ({})", ids.len()))
                        .collect();
                    groups.push((fact.clone(), place.clone(), words));
                }
            }
        }
        HardwareProfilePage {
            shell,
            name: profile.name.clone(),
            fields,
            machines: of
                .machines
                .iter()
                .take(MAX_ROWS)
                .map(|m| {
                    let (color, word) = receipt(lifecycle::delivery::receipt_of(m.verdict));
                    (m.machine.to_string(), name(m.machine.as_str()), color, word)
                })
                .collect(),
            odd,
            groups,
        }
    }
}

/// Appends a profile as lines, such as ("memory.dimms[0].slot", "A1"); bounded.
fn flatten(value: &serde_json::Value, path: &mut String, out: &mut Vec<(String, String)>) {
    use serde_json::Value;
    if out.len() >= MAX_ROWS {
        return;
    }
    let length = path.len();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                flatten(value, path, out);
                path.truncate(length);
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                path.push_str(&format!("[{i}]"));
                flatten(value, path, out);
                path.truncate(length);
            }
        }
        Value::Null => {}
        Value::String(text) => out.push((path.clone(), text.clone())),
        Value::Bool(_) | Value::Number(_) => out.push((path.clone(), value.to_string())),
    }
}
