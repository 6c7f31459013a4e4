//! Reads files of purchase orders, hardware profiles and racks into entries, or lists their faults. Stores
//! nothing.

mod fault;
mod json;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;

pub use fault::Fault;
use fault::Faults;
use inventory_api::Problem;
use inventory_api::check::HardwareProfile;
use inventory_api::delivery::{Order, OrderItem, Placement, PlannedPort};
use inventory_api::problem::problem;
use serde::de::DeserializeOwned;
use table::Row;
use values::FieldFault;

/// Largest file, bytes.
pub const MAX_BYTES: usize = 16 << 20;
/// Most rows of a CSV file or entries of a JSON file.
const MAX_ROWS: usize = 200_000;
/// Most cables of one machine.
const MAX_PORTS: usize = 64;
/// Most machines of one item.
const MAX_COUNT: u32 = 1_000_000;
/// Highest unit of a rack.
const MAX_UNIT: u32 = 200;
/// Highest VLAN id.
const MAX_VLAN: u32 = 4094;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Purchase orders with their items.
    Orders,
    /// Hardware profiles.
    Profiles,
    /// The rack plan with serial numbers or asset tags and cabling.
    Racks,
}

impl Kind {
    /// All kinds, in the best order to import them: each refers to those before it.
    pub const ALL: [Kind; 3] = [Kind::Profiles, Kind::Orders, Kind::Racks];

    /// "orders", "profiles", "racks": also the last segment of the URL.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Orders => "orders",
            Kind::Profiles => "profiles",
            Kind::Racks => "racks",
        }
    }

    /// The kind with this name; `None`: there is none.
    pub fn of_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A heading line and rows, separated by commas, semicolons or tabs.
    Csv,
    /// A list of entries, or one entry.
    Json,
}

impl Format {
    /// The format with this media type; `None`: neither.
    pub fn of_media_type(text: &str) -> Option<Format> {
        let kind = text.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "text/csv" => Some(Format::Csv),
            "application/json" => Some(Format::Json),
            _ => None,
        }
    }

    /// Guesses the format of a text without a name: JSON if it begins with `[` or `{`, else CSV.
    pub fn of_text(text: &str) -> Format {
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        match text.starts_with(['[', '{']) {
            true => Format::Json,
            false => Format::Csv,
        }
    }
}

/// An entry and its place in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<T> {
    /// Its content.
    pub value: T,
    /// The line it begins in, from 1.
    pub line: u64,
}

/// The problem that lists the faults of a file.
pub fn refused(faults: &[Fault]) -> Problem {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    problem(
        422,
        "import-refused",
        "Nothing was imported",
        format!("the file has errors:\n{}", lines.join("\n")),
    )
}

/// Names that must be unique in a file: the field and its text.
type Unique<T> = (&'static str, fn(&T) -> Option<String>);

fn read<T: DeserializeOwned>(
    bytes: &[u8],
    format: Format,
    csv: impl FnOnce(&[u8], &mut Faults) -> Vec<Entry<T>>,
    check: impl Fn(&Entry<T>, &mut Faults),
    unique_names: &[Unique<T>],
) -> Result<Vec<Entry<T>>, Vec<Fault>> {
    let mut faults = Faults::default();
    let entries = match format {
        Format::Json => json::entries(bytes).map_err(|fault| vec![fault])?,
        Format::Csv => csv(bytes, &mut faults),
    };
    if faults.is_empty() {
        for entry in &entries {
            check(entry, &mut faults);
        }
        for (field, name) in unique_names {
            unique(&entries, &mut faults, field, name);
        }
    }
    faults.or(entries)
}

/// Reads purchase orders. CSV: one row per item; docs/orders.md lists the columns.
pub fn orders(bytes: &[u8], format: Format) -> Result<Vec<Entry<Order>>, Vec<Fault>> {
    let unique: [Unique<Order>; 1] = [("order", |o| Some(o.number.clone()))];
    read(bytes, format, orders_of_csv, values::order, &unique)
}

fn orders_of_csv(bytes: &[u8], faults: &mut Faults) -> Vec<Entry<Order>> {
    let needed = ["order", "item", "count", "profile"];
    let known = |c: &str| needed.contains(&c) || c == "description";
    let mut by_number: BTreeMap<String, Entry<Order>> = BTreeMap::new();
    for row in table::rows(bytes, &needed, known, faults) {
        let number = faults.take(row.required("order"));
        let item = OrderItem {
            item: faults.take(row.required("item")),
            count: faults.take(row.number("count", 1, MAX_COUNT)),
            profile: faults.take(row.required("profile")),
            description: faults.take(row.optional("description")),
        };
        let entry = by_number.entry(number.clone()).or_insert_with(|| {
            let items = Vec::new();
            Entry {
                value: Order { number, items },
                line: row.line,
            }
        });
        let Order { number, items } = &mut entry.value;
        if items.iter().any(|i| i.item == item.item) && !item.item.is_empty() {
            let detail = format!(
                "duplicate item {:?} of order {number:?}: an item is one row",
                item.item
            );
            faults.add(row.fault("item", detail));
        }
        items.push(item);
    }
    in_order(by_number.into_values())
}

fn in_order<T>(entries: impl Iterator<Item = Entry<T>>) -> Vec<Entry<T>> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|e| e.line);
    entries
}

/// Reads a rack plan. CSV: one row per place; cables in the columns nic1, switch1, port1, vlan1, nic2, ...
pub fn racks(bytes: &[u8], format: Format) -> Result<Vec<Entry<Placement>>, Vec<Fault>> {
    let unique: [Unique<Placement>; 3] = [
        ("unit", |p| Some(p.name())),
        ("serial", |p| p.serial.clone()),
        ("asset_tag", |p| p.asset_tag.clone()),
    ];
    read(bytes, format, racks_of_csv, values::placement, &unique)
}

fn racks_of_csv(bytes: &[u8], faults: &mut Faults) -> Vec<Entry<Placement>> {
    let needed = ["room", "rack", "unit"];
    let others = ["node", "slot", "serial", "asset_tag", "order", "item", "profile"];
    let known = |c: &str| needed.contains(&c) || others.contains(&c) || port_column(c).is_some();
    let rows = table::rows(bytes, &needed, known, faults);
    let entry = |row: &Row| Entry {
        value: placement(row, faults),
        line: row.line,
    };
    rows.iter().map(entry).collect()
}

/// "switch12" -> ("switch", 12).
fn port_column(name: &str) -> Option<(&str, usize)> {
    ["nic", "switch", "port", "vlan"].into_iter().find_map(|stem| {
        let number: usize = name.strip_prefix(stem)?.parse().ok()?;
        (1..=MAX_PORTS).contains(&number).then_some((stem, number))
    })
}

fn placement(row: &Row, faults: &mut Faults) -> Placement {
    let mut ports = Vec::new();
    for n in 1..=MAX_PORTS {
        let name = |stem: &str| format!("{stem}{n}");
        let nic = faults.take(row.nic(&name("nic")));
        let switch = faults.take(row.optional(&name("switch")));
        let port = faults.take(row.optional(&name("port")));
        let vlan = faults.take(row.optional_number(&name("vlan"), 1, MAX_VLAN));
        match (switch, port) {
            (Some(switch), Some(port)) => ports.push(PlannedPort {
                nic,
                switch,
                port,
                vlan: vlan.and_then(|v| u16::try_from(v).ok()),
            }),
            (None, None) if nic.is_none() && vlan.is_none() => {}
            (switch, _) => {
                let missing = if switch.is_none() { "switch" } else { "port" };
                let detail = "a cable needs both its switch and its switch port, as LLDP names them";
                faults.add(row.fault(&name(missing), detail));
            }
        }
    }
    Placement {
        room: faults.take(row.required("room")),
        rack: faults.take(row.required("rack")),
        unit: faults.take(row.number("unit", 1, MAX_UNIT)),
        node: faults.take(row.one_of("node", "slot")),
        serial: faults.take(row.key("serial")),
        asset_tag: faults.take(row.key("asset_tag")),
        order: faults.take(row.optional("order")),
        item: faults.take(row.optional("item")),
        profile: faults.take(row.optional("profile")),
        ports,
    }
}

/// Reads hardware profiles. CSV: one row per field, `profile,field,value`. Fields are named as in JSON, with
/// a dot between levels and list indexes from 0: `memory.dimms[0].slot`.
pub fn profiles(bytes: &[u8], format: Format) -> Result<Vec<Entry<HardwareProfile>>, Vec<Fault>> {
    let unique: [Unique<HardwareProfile>; 1] = [("profile", |p| Some(p.name.clone()))];
    read(bytes, format, profiles_of_csv, values::profile, &unique)
}

/// A profile as far as it was read.
struct Draft {
    line: u64,
    value: serde_json::Value,
    fields: Vec<String>,
}

fn profiles_of_csv(bytes: &[u8], faults: &mut Faults) -> Vec<Entry<HardwareProfile>> {
    let columns = ["profile", "field", "value"];
    let mut by_name: BTreeMap<String, Draft> = BTreeMap::new();
    for row in table::rows(bytes, &columns, |c| columns.contains(&c), faults) {
        let name = faults.take(row.required("profile"));
        let field = faults.take(row.required("field"));
        let value = faults.take(row.required("value"));
        if name.is_empty() || field.is_empty() || value.is_empty() {
            continue;
        }
        let draft = by_name.entry(name.clone()).or_insert_with(|| Draft {
            line: row.line,
            value: serde_json::json!({ "name": name }),
            fields: Vec::new(),
        });
        if draft.fields.contains(&field) {
            let detail = format!("{field:?} is a duplicate: this profile has it already");
            faults.add(row.fault("field", detail));
            continue;
        }
        let set = values::profile_field(&field, &value)
            .and_then(|(path, value)| values::put(&mut draft.value, &path, value).map_err(FieldFault::Field));
        match set {
            Ok(()) => {}
            Err(FieldFault::Field(detail)) => faults.add(row.fault("field", detail)),
            Err(FieldFault::Value(detail)) => faults.add(row.fault("value", detail)),
        }
        draft.fields.push(field);
    }
    let made = |Draft { line, value, .. }| match serde_json::from_value(value) {
        Ok(value) => Some(Entry { value, line }),
        Err(e) => {
            let detail = format!("its fields do not make a hardware profile: {e}");
            faults.add(Fault::new(line, 0, "profile", detail));
            None
        }
    };
    in_order(by_name.into_values().filter_map(made))
}

/// Adds a fault for each entry with the name of an earlier one, ignoring case and surrounding spaces.
fn unique<T>(entries: &[Entry<T>], faults: &mut Faults, field: &str, name: impl Fn(&T) -> Option<String>) {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for entry in entries {
        let Some(name) = name(&entry.value) else { continue };
        let key = lifecycle::expectation::name_key(&name);
        if let Some(first) = lines.get(&key) {
            let hint = match field {
                "unit" => "; where a chassis holds several machines, a column \"node\" tells them apart",
                _ => "",
            };
            let detail = format!("{name:?} is a duplicate of line {first}{hint}");
            faults.add(Fault::new(entry.line, 0, field, detail));
        } else {
            lines.insert(key, entry.line);
        }
    }
}
