//! Checks of an entry, whether it comes from CSV or JSON.

use inventory_api::check::HardwareProfile;
use inventory_api::delivery::{Order, Placement};
use lifecycle::expectation::usable_name;
use serde_json::Value;

use super::{Entry, Fault, Faults, MAX_COUNT, MAX_PORTS, MAX_UNIT};

/// Longest text of a cell or field, in characters.
pub(super) const MAX_TEXT: usize = 256;
/// Longest list of a profile in CSV. Its indexes come from people, and [`put`] fills the list up to them.
const MAX_INDEX: usize = 1024;

fn fault<T>(entry: &Entry<T>, field: impl Into<String>, detail: impl Into<String>) -> Fault {
    Fault::new(entry.line, 0, field, detail)
}

/// Why a text is not a valid name; `None`: it is one.
fn bad_name(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("is empty")
    } else if text.chars().count() > MAX_TEXT {
        Some("is longer than 256 characters")
    } else if text.chars().any(char::is_control) {
        Some("has control characters")
    } else if text.chars().any(inventory_api::text::is_invisible) {
        Some("has invisible characters")
    } else if text.trim() != text {
        Some("begins or ends with a space")
    } else {
        None
    }
}

fn name<T>(entry: &Entry<T>, faults: &mut Faults, field: &str, text: &str) {
    if let Some(why) = bad_name(text) {
        faults.add(fault(entry, field, why));
    }
}

pub(super) fn order(entry: &Entry<Order>, faults: &mut Faults) {
    let order = &entry.value;
    name(entry, faults, "order number", &order.number);
    // The number is a segment of the order's URL.
    if matches!(order.number.as_str(), "." | "..") {
        faults.add(fault(entry, "order number", "is no number"));
    }
    if order.items.is_empty() {
        faults.add(fault(entry, "items", "the order has no items"));
    }
    for (i, item) in order.items.iter().enumerate() {
        name(entry, faults, &format!("items[{i}].item"), &item.item);
        name(entry, faults, &format!("items[{i}].profile"), &item.profile);
        if let Some(text) = &item.description {
            name(entry, faults, &format!("items[{i}].description"), text);
        }
        if !(1..=MAX_COUNT).contains(&item.count) {
            let detail = format!("{} is not a whole number from 1 to {MAX_COUNT}", item.count);
            faults.add(fault(entry, format!("items[{i}].count"), detail));
        }
        if order.items[..i].iter().any(|other| other.item == item.item) {
            let detail = format!("item {:?} is there twice", item.item);
            faults.add(fault(entry, format!("items[{i}].item"), detail));
        }
    }
}

pub(super) fn placement(entry: &Entry<Placement>, faults: &mut Faults) {
    let p = &entry.value;
    name(entry, faults, "room", &p.room);
    name(entry, faults, "rack", &p.rack);
    if [&p.room, &p.rack]
        .iter()
        .any(|t| matches!(t.as_str(), "." | ".."))
    {
        faults.add(fault(entry, "rack", "is no name"));
    }
    if !(1..=MAX_UNIT).contains(&p.unit) {
        faults.add(fault(
            entry,
            "unit",
            format!("{} is not a unit from 1 to {MAX_UNIT}", p.unit),
        ));
    }
    for (field, text) in [("serial", &p.serial), ("asset_tag", &p.asset_tag)] {
        let Some(text) = text else { continue };
        name(entry, faults, field, text);
        if !usable_name(text) {
            let detail = format!(
                "{text:?} is what makers leave where nothing was filled in: a machine cannot be found by it; leave it empty"
            );
            faults.add(fault(entry, field, detail));
        }
    }
    for (field, text) in [
        ("node", &p.node),
        ("order", &p.order),
        ("item", &p.item),
        ("profile", &p.profile),
    ] {
        if let Some(text) = text {
            name(entry, faults, field, text);
        }
    }
    if p.item.is_some() && p.order.is_none() {
        faults.add(fault(
            entry,
            "order",
            "is empty, and an item is named: items belong to an order",
        ));
    }
    if p.ports.len() > MAX_PORTS {
        faults.add(fault(entry, "ports", format!("more than {MAX_PORTS} cables")));
    }
    for (i, port) in p.ports.iter().take(MAX_PORTS).enumerate() {
        name(entry, faults, &format!("ports[{i}].switch"), &port.switch);
        name(entry, faults, &format!("ports[{i}].port"), &port.port);
        if let Some(nic) = &port.nic {
            name(entry, faults, &format!("ports[{i}].nic"), nic);
        }
        if port.vlan.is_some_and(|v| !(1..=4094).contains(&v)) {
            faults.add(fault(
                entry,
                format!("ports[{i}].vlan"),
                "is not a VLAN from 1 to 4094",
            ));
        }
    }
}

pub(super) fn profile(entry: &Entry<HardwareProfile>, faults: &mut Faults) {
    name(entry, faults, "name", &entry.value.name);
    if matches!(entry.value.name.as_str(), "." | "..") {
        faults.add(fault(entry, "name", "is no name"));
    }
    for problem in lifecycle::check::validate(&entry.value) {
        faults.add(fault(entry, problem.field, problem.detail));
    }
}

/// Which half of a `field,value` row is wrong, and why.
pub(super) enum FieldFault {
    /// The field does not exist or is malformed.
    Field(String),
    /// The field does not accept this value.
    Value(String),
}

/// One step of a field's path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A value and its path in a profile.
#[derive(Debug)]
pub(super) struct Set {
    path: Vec<Step>,
    value: Value,
}

/// Reads a `field,value` row. The field must be one of a hardware profile and accept the value as text,
/// number or yes/no.
pub(super) fn profile_field(field: &str, text: &str) -> Result<Set, FieldFault> {
    let path = path(field).map_err(FieldFault::Field)?;
    let mut candidates = vec![Value::String(text.to_owned())];
    if let Ok(n) = text.parse::<u64>() {
        candidates.push(n.into());
    }
    match text.to_lowercase().as_str() {
        "true" | "yes" => candidates.push(true.into()),
        "false" | "no" => candidates.push(false.into()),
        _ => {}
    }
    // Deserialise a profile with this field alone, as the first of its list: serde tells whether the field
    // exists and which values it accepts.
    let alone: Vec<Step> = path
        .iter()
        .map(|step| match step {
            Step::Index(_) => Step::Index(0),
            Step::Key(key) => Step::Key(key.clone()),
        })
        .collect();
    let mut said = String::new();
    for value in candidates {
        let mut profile = Value::Object(serde_json::Map::new());
        let set = Set {
            path: alone.clone(),
            value: value.clone(),
        };
        put(&mut profile, &set).map_err(FieldFault::Field)?;
        match serde_json::from_value::<HardwareProfile>(profile) {
            Ok(_) => return Ok(Set { path, value }),
            Err(e) => {
                let e = e.to_string();
                if e.contains("unknown field") {
                    return Err(FieldFault::Field(format!("there is no field {field:?}: {e}")));
                }
                said = e;
            }
        }
    }
    Err(FieldFault::Value(format!(
        "{text:?} is no value of {field}: {said}"
    )))
}

/// Parses a path such as "memory.dimms[3].slot".
fn path(field: &str) -> Result<Vec<Step>, String> {
    let bad = || format!("{field:?} is no field: write it as memory.dimms[0].slot");
    let mut steps = Vec::new();
    for part in field.split('.') {
        let (key, mut rest) = part.split_once('[').map_or((part, ""), |(k, r)| (k, r));
        if key.is_empty()
            || !key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        {
            return Err(bad());
        }
        steps.push(Step::Key(key.to_owned()));
        while !rest.is_empty() {
            let (number, after) = rest.split_once(']').ok_or_else(bad)?;
            let number: usize = number.parse().map_err(|_| bad())?;
            if number >= MAX_INDEX {
                return Err(format!(
                    "{field:?}: a list has at most {MAX_INDEX} entries, counted from 0"
                ));
            }
            steps.push(Step::Index(number));
            rest = match after {
                "" => "",
                more => more.strip_prefix('[').ok_or_else(bad)?,
            };
        }
        if part.contains('[') && !part.ends_with(']') {
            return Err(bad());
        }
    }
    if steps.len() > 8 { Err(bad()) } else { Ok(steps) }
}

/// Puts a value at its path. List entries that were not mentioned yet become empty objects.
pub(super) fn put(root: &mut Value, set: &Set) -> Result<(), String> {
    let mut at = root;
    for step in &set.path {
        match step {
            Step::Key(key) => {
                if at.is_null() {
                    *at = Value::Object(serde_json::Map::new());
                }
                let map = at
                    .as_object_mut()
                    .ok_or_else(|| format!("{key:?} stands below something that is a value"))?;
                at = map.entry(key.clone()).or_insert(Value::Null);
            }
            Step::Index(index) => {
                if at.is_null() {
                    *at = Value::Array(Vec::new());
                }
                let list = at
                    .as_array_mut()
                    .ok_or_else(|| "a list stands where a value stands already".to_owned())?;
                while list.len() <= *index {
                    list.push(Value::Object(serde_json::Map::new()));
                }
                at = &mut list[*index];
            }
        }
    }
    *at = set.value.clone();
    Ok(())
}
