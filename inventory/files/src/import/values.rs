//! Checks of an entry, whether it comes from CSV or JSON.

use inventory_api::check::HardwareProfile;
use inventory_api::delivery::{Order, Placement};
use lifecycle::expectation::usable_name;
use serde_json::Value;

use super::{Entry, Fault, Faults, MAX_COUNT, MAX_PORTS, MAX_UNIT, MAX_VLAN};

/// Longest text of a cell or field, in characters.
pub(super) const MAX_TEXT: usize = 256;
/// Longest list of a profile in CSV. Its indexes come from people, and [`put`] fills the list up to them.
const MAX_INDEX: usize = 1024;

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

/// Adds the faults of one entry.
struct Check<'a> {
    line: u64,
    faults: &'a mut Faults,
}

impl Check<'_> {
    fn fault(&mut self, field: &str, detail: impl Into<String>) {
        self.faults.add(Fault::new(self.line, 0, field, detail));
    }

    fn name(&mut self, field: &str, text: &str) {
        if let Some(why) = bad_name(text) {
            self.fault(field, why);
        }
    }

    fn optional_name(&mut self, field: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.name(field, text);
        }
    }

    /// A name that is a segment of a URL.
    fn segment(&mut self, field: &str, text: &str) {
        self.name(field, text);
        if matches!(text, "." | "..") {
            self.fault(field, format!("{text:?} cannot be a name"));
        }
    }

    fn number(&mut self, field: &str, number: u32, max: u32) {
        if !(1..=max).contains(&number) {
            self.fault(field, format!("{number} is not a whole number from 1 to {max}"));
        }
    }
}

pub(super) fn order(entry: &Entry<Order>, faults: &mut Faults) {
    let (order, line) = (&entry.value, entry.line);
    let mut check = Check { line, faults };
    check.segment("order number", &order.number);
    if order.items.is_empty() {
        check.fault("items", "the order has no items");
    }
    for (i, item) in order.items.iter().enumerate() {
        let field = |name: &str| format!("items[{i}].{name}");
        check.name(&field("item"), &item.item);
        check.name(&field("profile"), &item.profile);
        check.optional_name(&field("description"), item.description.as_ref());
        check.number(&field("count"), item.count, MAX_COUNT);
        if order.items[..i].iter().any(|other| other.item == item.item) {
            check.fault(&field("item"), format!("duplicate item {:?}", item.item));
        }
    }
}

pub(super) fn placement(entry: &Entry<Placement>, faults: &mut Faults) {
    let (p, line) = (&entry.value, entry.line);
    let mut check = Check { line, faults };
    check.segment("room", &p.room);
    check.segment("rack", &p.rack);
    check.number("unit", p.unit, MAX_UNIT);
    for (field, text) in [("serial", &p.serial), ("asset_tag", &p.asset_tag)] {
        check.optional_name(field, text.as_ref());
        if let Some(text) = text.as_ref().filter(|text| !usable_name(text)) {
            let detail = format!(
                "{text:?} is a placeholder that makers leave in the firmware: it identifies no machine; leave it empty"
            );
            check.fault(field, detail);
        }
    }
    check.optional_name("node", p.node.as_ref());
    check.optional_name("order", p.order.as_ref());
    check.optional_name("item", p.item.as_ref());
    check.optional_name("profile", p.profile.as_ref());
    if p.item.is_some() && p.order.is_none() {
        check.fault(
            "order",
            "is empty, but an item is named: items belong to an order",
        );
    }
    if p.ports.len() > MAX_PORTS {
        check.fault("ports", format!("more than {MAX_PORTS} cables"));
    }
    for (i, port) in p.ports.iter().take(MAX_PORTS).enumerate() {
        let field = |name: &str| format!("ports[{i}].{name}");
        check.name(&field("switch"), &port.switch);
        check.name(&field("port"), &port.port);
        check.optional_name(&field("nic"), port.nic.as_ref());
        if let Some(vlan) = port.vlan {
            check.number(&field("vlan"), vlan.into(), MAX_VLAN);
        }
    }
}

pub(super) fn profile(entry: &Entry<HardwareProfile>, faults: &mut Faults) {
    let line = entry.line;
    let mut check = Check { line, faults };
    check.segment("name", &entry.value.name);
    for problem in lifecycle::check::validate(&entry.value) {
        check.fault(&problem.field, problem.detail);
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
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Reads a `field,value` row. The field must be one of a hardware profile and accept the value as text,
/// number or yes/no.
pub(super) fn profile_field(field: &str, text: &str) -> Result<(Vec<Step>, Value), FieldFault> {
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
    let mut why = String::new();
    for value in candidates {
        let mut profile = Value::Object(serde_json::Map::new());
        put(&mut profile, &alone, value.clone()).map_err(FieldFault::Field)?;
        match serde_json::from_value::<HardwareProfile>(profile) {
            Ok(_) => return Ok((path, value)),
            Err(e) => why = e.to_string(),
        }
        if why.contains("unknown field") {
            return Err(FieldFault::Field(format!("there is no field {field:?}: {why}")));
        }
    }
    Err(FieldFault::Value(format!(
        "{text:?} is not a value of {field}: {why}"
    )))
}

/// Parses a path such as "memory.dimms[3].slot".
fn path(field: &str) -> Result<Vec<Step>, String> {
    let bad = || format!("{field:?} is not a field: write it as memory.dimms[0].slot");
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
pub(super) fn put(root: &mut Value, path: &[Step], value: Value) -> Result<(), String> {
    let mut at = root;
    for step in path {
        match step {
            Step::Key(key) => {
                if at.is_null() {
                    *at = Value::Object(serde_json::Map::new());
                }
                let map = at
                    .as_object_mut()
                    .ok_or_else(|| format!("{key:?} is below a field that has a value"))?;
                at = map.entry(key.clone()).or_insert(Value::Null);
            }
            Step::Index(index) => {
                if at.is_null() {
                    *at = Value::Array(Vec::new());
                }
                let list = at
                    .as_array_mut()
                    .ok_or_else(|| "an index follows a field that is not a list".to_owned())?;
                while list.len() <= *index {
                    list.push(Value::Object(serde_json::Map::new()));
                }
                at = &mut list[*index];
            }
        }
    }
    *at = value;
    Ok(())
}
