//! The uniquely identifiable parts of a report, and what changed since the previous one.

use std::collections::{BTreeMap, HashSet};

use inventory_api::UnixMs;
use inventory_api::parts::PartKind;
use inventory_api::report::{AssetReport, Transport, distinct};

use crate::check::nic_place;
use crate::identity::counts_as_serial;

/// Number of tracked parts per machine. The largest real machines have a few hundred.
pub const MAX_PARTS: usize = 2048;

/// One part in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its unique key: kind, part number and serial, in lower case. Makers number their parts independently,
    /// so the serial number alone is not enough.
    pub key: String,
    /// What it is.
    pub kind: PartKind,
    /// Serial number as reported.
    pub serial: String,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Part number or model.
    pub model: Option<String>,
    /// Slot, bay or port.
    pub place: String,
}

/// A part in the machine's previous report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// [`Part::key`].
    pub key: String,
    /// What it is.
    pub kind: PartKind,
    /// Where it was.
    pub place: String,
}

/// A change of a part since the previous report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// It is new in the machine.
    Arrived(&'a Part),
    /// It moved within the machine.
    Moved {
        /// The part.
        part: &'a Part,
        /// Where it was.
        from: &'a str,
    },
    /// It was removed from the machine.
    Removed(&'a Held),
}

/// The parts of a report with a real serial number, bounded by [`MAX_PARTS`]. A serial number shown by
/// several slots of one machine is not real; a disk with several paths is one disk.
pub fn parts(report: &AssetReport) -> Vec<Part> {
    let report = distinct(report.clone());
    let mut found = Found::default();
    if let Some(c) = &report.chassis {
        found.add(PartKind::Chassis, &c.serial, &c.manufacturer, &c.kind, "chassis");
    }
    if let Some(b) = &report.board {
        found.add(PartKind::Board, &b.serial, &b.manufacturer, &b.product, "board");
    }
    for p in report.cpu.iter().flat_map(|c| &c.processors).take(MAX_PARTS) {
        let place = p.socket.as_deref().unwrap_or("socket");
        let model = p.part.clone().or_else(|| p.model.clone());
        found.add(PartKind::Cpu, &p.serial, &p.manufacturer, &model, place);
    }
    let slots = report.memory.slots.iter().take(MAX_PARTS);
    for s in slots.filter(|slot| slot.populated != Some(false)) {
        let place = match (&s.slot, &s.bank) {
            (Some(slot), Some(bank)) => format!("{slot} ({bank})"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => "memory".to_owned(),
        };
        found.add(PartKind::Dimm, &s.serial, &s.manufacturer, &s.part, &place);
    }
    for d in report.disks.iter().take(MAX_PARTS) {
        // A USB stick, a card or virtual medium is not a part, and a volume of an array belongs to another
        // machine. RAID volumes and namespaces of persistent memory consist of parts.
        let is_none = d.transport.is_some_and(|transport| {
            transport.is_remote() || matches!(transport, Transport::Usb | Transport::Sd | Transport::Pmem)
        });
        if is_none || d.removable == Some(true) || d.raid_volume == Some(true) {
            continue;
        }
        let place = d.bay.as_ref().or(d.path.as_ref()).unwrap_or(&d.name);
        found.add(PartKind::Disk, &d.serial, &None, &d.model, place);
    }
    for n in report.nics.iter().take(MAX_PARTS) {
        // Only with a card's own MAC: USB and BMC-internal interfaces share theirs.
        let Some(mac) = n.permanent_mac.filter(|m| !m.is_junk() && n.pci.is_some()) else {
            continue;
        };
        let place = nic_place(n);
        // A MAC is unique by itself, and the PCI id may be missing in some reports.
        found.put(PartKind::Nic, &mac.to_string(), &None, &n.pci_id, "", &place);
    }
    for g in report.gpus.iter().take(MAX_PARTS) {
        let model = g.name.clone().or_else(|| g.pci_id.clone());
        found.add(PartKind::Gpu, &g.serial, &None, &model, &g.pci);
    }
    for p in report
        .power_supplies
        .iter()
        .take(MAX_PARTS)
        .filter(|p| p.is_there())
    {
        let place = p
            .location
            .as_ref()
            .or(p.name.as_ref())
            .map_or("power supply", String::as_str);
        found.add(PartKind::Psu, &p.serial, &p.manufacturer, &p.part, place);
    }
    found.parts()
}

#[derive(Default)]
struct Found {
    parts: Vec<Part>,
    keys: HashSet<String>,
    shared: HashSet<String>,
}

impl Found {
    fn add(
        &mut self,
        kind: PartKind,
        serial: &Option<String>,
        manufacturer: &Option<String>,
        model: &Option<String>,
        place: &str,
    ) {
        if let Some(serial) = serial.as_deref().filter(|s| counts_as_serial(s)) {
            let told = model.as_deref().unwrap_or_default();
            self.put(kind, serial, manufacturer, model, told, place);
        }
    }

    fn put(
        &mut self,
        kind: PartKind,
        serial: &str,
        manufacturer: &Option<String>,
        model: &Option<String>,
        told: &str,
        place: &str,
    ) {
        let short = |text: &str| text.trim().chars().take(128).collect::<String>();
        let key = format!(
            "{}/{}/{}",
            kind,
            short(told).to_lowercase(),
            short(serial).to_lowercase()
        );
        if self.keys.insert(key.clone()) {
            self.parts.push(Part {
                key,
                kind,
                serial: short(serial),
                manufacturer: manufacturer.as_deref().map(short),
                model: model.as_deref().map(short),
                place: short(place),
            });
        } else if kind != PartKind::Disk {
            // Two paths lead to one disk; two slots that show one serial number show none.
            self.shared.insert(key);
        }
    }

    fn parts(mut self) -> Vec<Part> {
        self.parts.retain(|part| !self.shared.contains(&part.key));
        self.parts.truncate(MAX_PARTS);
        self.parts
    }
}

/// The kinds of parts whose collector failed: if such a part is missing in the report, it was not necessarily
/// removed.
pub fn not_looked_at(report: &AssetReport) -> Vec<PartKind> {
    use PartKind::{Board, Chassis, Cpu, Dimm, Disk, Gpu, Nic, Psu};
    let failed = |name: &str| report.problems.iter().any(|p| p.collector == name);
    let no_table = report.system.is_none() && report.board.is_none() && report.memory.slots.is_empty();
    let mut kinds = Vec::new();
    if no_table || failed("smbios") {
        kinds.extend([Chassis, Board, Cpu, Dimm, Psu]);
    }
    if failed("disks") {
        kinds.push(Disk);
    }
    if failed("nics") {
        kinds.push(Nic);
    }
    if failed("gpu") || failed("gpus") || failed("pci") {
        kinds.push(Gpu);
    }
    kinds
}

/// Changes of a machine's parts: removals first, then moves and new parts in the report's order. `blind`: see
/// [`not_looked_at`].
pub fn diff<'a>(before: &'a [Held], now: &'a [Part], blind: &[PartKind]) -> Vec<Change<'a>> {
    let had: BTreeMap<&str, &Held> = before.iter().map(|h| (h.key.as_str(), h)).collect();
    let have: HashSet<&str> = now.iter().map(|p| p.key.as_str()).collect();
    let removed = before
        .iter()
        .filter(|h| !have.contains(h.key.as_str()) && !blind.contains(&h.kind))
        .map(Change::Removed);
    let others = now.iter().filter_map(|part| match had.get(part.key.as_str()) {
        None => Some(Change::Arrived(part)),
        Some(held) if held.place != part.place => Some(Change::Moved {
            part,
            from: &held.place,
        }),
        Some(_) => None,
    });
    removed.chain(others).collect()
}

/// A period in which a machine showed a part without interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first report with it.
    pub since: UnixMs,
    /// The newest report with it, or the latest time at which it cannot have been removed yet.
    pub until: UnixMs,
}

/// Whether two machines showed a part at the same time. Otherwise the part moved.
pub fn at_once(a: Stretch, b: Stretch) -> bool {
    a.since.max(b.since) <= a.until.min(b.until)
}

#[cfg(test)]
mod tests;
