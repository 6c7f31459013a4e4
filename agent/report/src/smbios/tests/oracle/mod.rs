//! dmidecode 3.6 as the oracle: its output, field by field, and which of it is no fact.

mod devices;
mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use inventory_api::report::AssetReport;
use serde_json::Value;

use super::super::super::clean;
use super::placeholders::is_placeholder;

/// One structure as dmidecode prints it.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub kind: u8,
    handle: String,
    fields: BTreeMap<String, String>,
}

impl Section {
    fn said(&self, field: &str) -> Option<&str> {
        let text = self.fields.get(field)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The first field present: names changed between dmidecode versions.
    fn either(&self, fields: [&'static str; 2]) -> Option<&str> {
        fields.into_iter().find_map(|field| self.said(field))
    }
}

/// The sections of dmidecode's text.
pub(super) fn from_text(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut head: Option<(u8, String)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Handle ") {
            let (handle, rest) = rest.split_once(", DMI type ").unwrap();
            let kind = rest.split(',').next().unwrap().parse().unwrap();
            head = Some((kind, handle.to_owned()));
        } else if line.is_empty() {
            head = None;
        } else if !line.starts_with('\t') {
            // The structure's name; type 10 has one per device.
            if let Some((kind, handle)) = &head {
                sections.push(Section {
                    kind: *kind,
                    handle: handle.clone(),
                    fields: BTreeMap::new(),
                });
            }
        } else if let (Some(_), Some((key, value))) = (&head, line.trim_start().split_once(':'))
            && !line.starts_with("\t\t")
            && let Some(section) = sections.last_mut()
        {
            section.fields.insert(key.to_owned(), value.trim().to_owned());
        }
    }
    sections
}

/// The sections of an expected.json.
pub(super) fn from_json(said: &Value) -> Vec<Section> {
    let section = |kind, fields: &Value| Section {
        kind,
        handle: String::new(),
        fields: fields
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    };
    let mut sections = vec![];
    for (kind, name) in [
        (0, "bios"),
        (1, "system"),
        (2, "baseboard"),
        (3, "chassis"),
        (38, "ipmi"),
    ] {
        if said[name].is_object() {
            sections.push(section(kind, &said[name]));
        }
    }
    for (kind, name) in [(4, "processors"), (17, "memory_devices")] {
        let all = said[name].as_array().unwrap().iter();
        let system = all.filter(|part| part["not_system_memory"] != Value::Bool(true));
        sections.extend(system.map(|part| section(kind, part)));
    }
    let strings = said["oem_strings"].as_array().unwrap().iter().enumerate();
    sections.push(Section {
        kind: 11,
        handle: String::new(),
        fields: strings
            .map(|(i, text)| (format!("String {}", i + 1), text.as_str().unwrap().to_owned()))
            .collect(),
    });
    sections
}

/// The kind of text, which decides which of dmidecode's texts are no fact.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    /// A name, number, version, date: not a placeholder.
    Free,
    /// A slot, socket or bank: "0" and "0000" are the first one.
    Place,
    /// A term from the specification's lists.
    Word,
    /// As Word, but "None" is a fact: no error correction.
    WordOrNone,
}

/// dmidecode's texts for no value, and makers' placeholders.
fn fact(said: Option<&str>, text: Text) -> Option<&str> {
    let said = said?;
    let nothing = match text {
        Text::Word => matches!(said, "Other" | "Unknown" | "<OUT OF SPEC>" | "None" | "Reserved"),
        Text::WordOrNone => matches!(said, "Other" | "Unknown" | "<OUT OF SPEC>"),
        Text::Place => said.bytes().any(|b| b != b'0') && is_placeholder(said),
        Text::Free => is_placeholder(said),
    };
    (!nothing).then_some(said)
}

/// "16384 MB", "512 kB", "2 TB".
fn bytes(said: &str) -> Option<u64> {
    let (number, unit) = said.split_once(' ')?;
    let scale = match unit {
        "bytes" => 0,
        "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        "PB" => 50,
        "EB" => 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << scale)
}

/// Rounds as dmidecode prints a size: two units at most, the rest is cut off.
fn printed(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"];
    let split = |unit: usize| bytes >> (10 * unit) & 0x3ff;
    let highest = (0..7).rev().find(|unit| split(*unit) != 0).unwrap_or(0);
    match highest.checked_sub(1) {
        Some(lower) if split(lower) != 0 => {
            format!("{} {}", split(lower) + (split(highest) << 10), UNITS[lower])
        }
        _ => format!("{} {}", split(highest), UNITS[highest]),
    }
}

/// Collects differences from the oracle.
#[derive(Default)]
pub(super) struct Oracle {
    equal: usize,
    placeholders: usize,
    left_out: BTreeSet<String>,
    wrong: Vec<String>,
    /// In a damaged table a flipped bit can make an unlisted placeholder, so whatever `clean` drops counts as
    /// one.
    damaged: bool,
}

impl Oracle {
    pub fn of_damaged() -> Oracle {
        Oracle {
            damaged: true,
            ..Oracle::default()
        }
    }

    pub fn summary(&self) -> String {
        format!(
            "{} facts equal, {} placeholders left out: {:?}",
            self.equal, self.placeholders, self.left_out
        )
    }

    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    pub fn assert(&self) {
        assert!(
            self.wrong.is_empty(),
            "{} wrong:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
        assert!(self.equal > 100, "only {} facts compared", self.equal);
    }

    fn same<T: PartialEq + Debug>(&mut self, at: &str, got: Option<T>, said: Option<T>) {
        match got == said {
            true => self.equal += usize::from(got.is_some()),
            false => self
                .wrong
                .push(format!("{at}: got {got:?}, dmidecode says {said:?}")),
        }
    }

    fn text(&mut self, at: &str, got: &Option<String>, said: Option<&str>, text: Text) {
        let expected = fact(said, text);
        // Terms of specification 3.7 to 3.9, unknown to dmidecode 3.6.
        let newer = ["CAMM", "CUDIMM", "CSODIMM", "MRDIMM"];
        if said == Some("<OUT OF SPEC>") && got.as_deref().is_some_and(|got| newer.contains(&got)) {
            return;
        }
        if self.damaged
            && matches!(text, Text::Free | Text::Place)
            && got.is_none()
            && said.is_some_and(|said| clean::serial(said).is_none())
        {
            return;
        }
        let expected = expected.map(|text| text.get(..256).unwrap_or(text).trim_end());
        if let (Some(said), None) = (said, expected) {
            self.placeholders += 1;
            if text != Text::Word && text != Text::WordOrNone {
                self.left_out.insert(said.to_owned());
            }
        }
        self.same(at, got.as_deref(), expected);
    }

    /// Zero bytes mean absent or unknown.
    fn size(&mut self, at: &str, got: Option<u64>, said: Option<&str>) {
        if got.zip(said).is_some_and(|(got, said)| printed(got) == said) {
            self.equal += 1;
        } else {
            self.same(at, got, said.and_then(bytes).filter(|bytes| *bytes != 0));
        }
    }

    fn number(&mut self, at: &str, got: Option<impl Into<u64>>, said: Option<&str>, unit: &str) {
        let said = said.and_then(|s| s.strip_suffix(unit)?.trim().parse().ok());
        self.same(at, got.map(Into::into), said);
    }

    /// Every field of every section that is in the report.
    pub fn machine(&mut self, name: &str, report: &AssetReport, sections: &[Section]) {
        let of = |kind: u8| {
            sections
                .iter()
                .filter(move |s| s.kind == kind)
                .collect::<Vec<_>>()
        };
        let nothing = Section::default();
        // Fields dmidecode omits from a short structure are omitted here too.
        let first = |kind: u8| of(kind).into_iter().find(|s| !s.fields.is_empty());
        self.identity(
            name,
            report,
            [0, 1, 2, 3].map(|kind| first(kind).unwrap_or(&nothing)),
        );
        let whole = |kind: u8| {
            let mut whole = of(kind);
            whole.retain(|s| !s.fields.is_empty());
            whole
        };
        self.processors(name, report, &whole(4));
        self.memory(name, report, &whole(17), &whole(16));
        self.oem_strings(name, report, &whole(11));
        self.bmc(name, report, first(38));
        // Not in an expected.json.
        if sections.iter().any(|s| s.handle.is_empty()) {
            return;
        }
        self.caches(name, report, &whole(7));
        self.slots(name, report, &whole(9));
        self.power(name, report, &whole(39));
        self.onboard(name, report, &whole(41), &whole(10));
    }

    fn identity(&mut self, name: &str, report: &AssetReport, [bios, system, board, chassis]: [&Section; 4]) {
        let f = report.firmware.clone().unwrap_or_default();
        let s = report.system.clone().unwrap_or_default();
        let b = report.board.clone().unwrap_or_default();
        let c = report.chassis.clone().unwrap_or_default();
        for (part, said, field, got, text) in [
            ("bios", bios, "Vendor", &f.vendor, Text::Free),
            ("bios", bios, "Version", &f.version, Text::Free),
            ("bios", bios, "Release Date", &f.date, Text::Free),
            ("bios", bios, "BIOS Revision", &f.revision, Text::Word),
            (
                "bios",
                bios,
                "Firmware Revision",
                &f.controller_revision,
                Text::Word,
            ),
            ("system", system, "Manufacturer", &s.manufacturer, Text::Free),
            ("system", system, "Product Name", &s.product, Text::Free),
            ("system", system, "Version", &s.version, Text::Free),
            ("system", system, "Serial Number", &s.serial, Text::Free),
            ("system", system, "SKU Number", &s.sku, Text::Free),
            ("system", system, "Family", &s.family, Text::Free),
            ("baseboard", board, "Manufacturer", &b.manufacturer, Text::Free),
            ("baseboard", board, "Product Name", &b.product, Text::Free),
            ("baseboard", board, "Version", &b.version, Text::Free),
            ("baseboard", board, "Serial Number", &b.serial, Text::Free),
            ("baseboard", board, "Asset Tag", &b.asset_tag, Text::Free),
            ("chassis", chassis, "Manufacturer", &c.manufacturer, Text::Free),
            ("chassis", chassis, "Type", &c.kind, Text::Word),
            ("chassis", chassis, "Version", &c.version, Text::Free),
            ("chassis", chassis, "Serial Number", &c.serial, Text::Free),
            ("chassis", chassis, "Asset Tag", &c.asset_tag, Text::Free),
        ] {
            self.text(&format!("{name} {part} {field}"), got, said.said(field), text);
        }
        self.number(
            &format!("{name} chassis Height"),
            c.height_u,
            chassis.said("Height"),
            "U",
        );
        let uuid = system.said("UUID").map(str::to_lowercase);
        // "Not Settable", "Not Present", or "--" in an anonymised fixture.
        let uuid = uuid.filter(|uuid| uuid.len() == 36);
        self.same(&format!("{name} UUID"), s.uuid.clone(), uuid);
        // Only in the full text.
        if !bios.handle.is_empty() {
            self.size(&format!("{name} ROM Size"), f.rom_bytes, bios.said("ROM Size"));
            for (said, field, got, text) in [
                (board, "Location In Chassis", &b.location, Text::Free),
                (chassis, "SKU Number", &c.sku, Text::Free),
                (chassis, "Power Supply State", &c.power_supply_state, Text::Word),
                (chassis, "Thermal State", &c.thermal_state, Text::Word),
            ] {
                self.text(&format!("{name} {field}"), got, said.said(field), text);
            }
        }
    }

    /// The sums in an expected.json.
    pub fn totals(&mut self, name: &str, report: &AssetReport, said: &Value) {
        let populated = report
            .cpu
            .iter()
            .flat_map(|cpu| &cpu.processors)
            .filter(|p| p.populated == Some(true));
        self.same(
            &format!("{name}: processors"),
            Some(populated.count() as u64),
            said["processors_populated"].as_u64(),
        );
        // See `memory`: VMware's gigabyte is counted.
        let total = if name == "u-root__VMWare" {
            Some(1 << 30)
        } else {
            said["memory_total_mb"]
                .as_u64()
                .map(|mb| mb << 20)
                .filter(|b| *b != 0)
        };
        self.same(
            &format!("{name}: installed"),
            report.memory.installed_bytes,
            total,
        );
    }
}
