//! The asset report as figures, facts and tables. In a table, an absent fact is a dash; an empty slot has its
//! own row.

mod devices;
mod further;
mod table;

use inventory_api::report::{
    AssetReport, DiskFacts, MemorySlot, NicFacts, ProcessorFacts, Transport, distinct,
};

use crate::page::or_dash;
pub(crate) use table::MAX_ROWS;
use table::{TableView, list, text, word};
use words::text::{counted, disk_size, joined, memory_size};

pub(crate) struct Hardware {
    pub(crate) report: Box<AssetReport>,
    /// CPU sockets, memory slots, disks and NICs, then all other tables that have rows.
    pub(crate) tables: Vec<TableView>,
}

impl Hardware {
    pub(crate) fn new(report: &AssetReport) -> Hardware {
        // Older agents report a disk once per path.
        let report = Box::new(distinct(report.clone()));
        let r = &*report;
        let mut tables = vec![cpu(r), memory(r), disks(r), nics(r)];
        tables.extend(devices::tables(r));
        tables.extend(further::tables(r));
        tables.iter_mut().for_each(TableView::shorten);
        Hardware { report, tables }
    }

    /// Section, icon, figure and label of the figures that people look for.
    pub(crate) fn tiles(&self) -> [(&'static str, &'static str, String, String); 4] {
        let r = &self.report;
        let cpu = r.cpu.clone().unwrap_or_default();
        let cores = cpu.cores.or(cpu.threads).map(|n| counted(n, "core"));
        let memory = r.memory.installed_bytes.or(r.memory.usable_bytes);
        let usable = r
            .memory
            .usable_bytes
            .map(|b| format!(", {} usable", memory_size(b)));
        let (bytes, disks) = own_disks(r);
        let capacity = (disks > 0).then(|| disk_size(bytes));
        [
            (
                "cpu",
                "cpu",
                or_dash(cores),
                cpu.model.unwrap_or("Processors".to_owned()),
            ),
            (
                "memory",
                "stack-2",
                or_dash(memory.map(memory_size)),
                format!("Memory{}", usable.unwrap_or_default()),
            ),
            (
                "disks",
                "database",
                capacity.unwrap_or("none".to_owned()),
                counted(disks, "disk"),
            ),
            (
                "nics",
                "network",
                counted(r.nics.len() as u64, "NIC"),
                format!("{} with link", linked(r)),
            ),
        ]
    }

    /// Labels of the firmware's first boot entries, in their order.
    pub(crate) fn boot_order(&self) -> Vec<&str> {
        let boot = &self.report.boot;
        let entry = |n: &u16| boot.entries.iter().find(|e| e.number == *n);
        let entries = boot.order.iter().take(8).filter_map(entry);
        entries.map(|e| e.label.as_str()).collect()
    }
}

/// Total capacity and number of the machine's own disks, without remote volumes and persistent memory.
fn own_disks(r: &AssetReport) -> (u64, u64) {
    let other = |t: Transport| t.is_remote() || t == Transport::Pmem;
    let own = r.disks.iter().filter(|d| !d.transport.is_some_and(other));
    let sizes = own.clone().filter_map(DiskFacts::capacity_bytes);
    (sizes.fold(0, u64::saturating_add), own.count() as u64)
}

/// Number of NICs with link.
fn linked(r: &AssetReport) -> usize {
    r.nics.iter().filter(|n| n.link == Some(true)).count()
}

fn cpu(r: &AssetReport) -> TableView {
    let c = r.cpu.clone().unwrap_or_default();
    let mut note = text(&c.model);
    if !c.flags.is_empty() {
        note.push_str(&format!(" · {}", c.flags.join(", ")));
    }
    let empty = |p: &ProcessorFacts| p.populated == Some(false);
    let table = TableView::new(
        "cpu",
        "Processors",
        &c.processors,
        &[
            ("Socket", |p| text(&p.socket)),
            ("Model", |p| match p.populated {
                Some(false) => "empty socket".into(),
                Some(true) | None => text(&p.model),
            }),
            ("Maker", |p| text(&p.manufacturer)),
            ("Cores", |p| or_dash(p.cores)),
            ("Threads", |p| or_dash(p.threads)),
            ("Serial", |p| text(&p.serial)),
        ],
    );
    TableView {
        note,
        empty: "The firmware lists no sockets.",
        ..table.dim(c.processors.iter().map(empty))
    }
}

fn slot_is_empty(s: &MemorySlot) -> bool {
    s.populated == Some(false) || s.populated.is_none() && s.size_bytes.is_none()
}

fn memory(r: &AssetReport) -> TableView {
    let slots = &r.memory.slots;
    let populated = slots.iter().filter(|s| !slot_is_empty(s)).count();
    let mut note = format!("{populated} of {} slots populated", slots.len());
    if let Some(installed) = r.memory.installed_bytes {
        note.push_str(&format!(", {}", memory_size(installed)));
    }
    if let Some(persistent) = r.memory.persistent_bytes {
        note.push_str(&format!(", {} persistent", memory_size(persistent)));
    }
    let table = TableView::new(
        "memory",
        "Memory",
        slots,
        &[
            ("Slot", |s| match &s.bank {
                Some(bank) => format!("{} ({bank})", text(&s.slot)),
                None => text(&s.slot),
            }),
            ("Size", |s| match slot_is_empty(s) {
                true => "empty".into(),
                false => or_dash(s.size_bytes.map(memory_size)),
            }),
            ("Type", |s| match slot_is_empty(s) {
                true => "–".into(),
                false => or_dash(joined([&s.kind, &s.form])),
            }),
            ("Speed", |s| match (s.configured_mts, s.speed_mts) {
                (Some(now), Some(rated)) if now != rated => format!("{now} of {rated} MT/s"),
                (Some(speed), _) | (None, Some(speed)) => format!("{speed} MT/s"),
                (None, None) => "–".into(),
            }),
            ("Maker", |s| text(&s.manufacturer)),
            ("Part", |s| text(&s.part)),
            ("Serial", |s| text(&s.serial)),
        ],
    );
    TableView {
        note,
        empty: "The firmware lists no memory slots.",
        ..table.dim(slots.iter().map(slot_is_empty))
    }
}

fn nics(r: &AssetReport) -> TableView {
    let boots = |n: &NicFacts| n.mac.is_some() && n.mac == r.boot.boot_mac;
    let table = TableView::new(
        "nics",
        "Network interfaces",
        r.nics.iter().map(|n| (n, boots(n))),
        &[
            ("NIC", |(n, boots)| match boots {
                true => format!("{} (booted)", n.name),
                false => n.name.clone(),
            }),
            ("MAC", |(n, _)| match (n.mac, n.permanent_mac) {
                (Some(mac), Some(fixed)) if mac != fixed => format!("{mac} (permanent {fixed})"),
                (None, None) => text(&n.guid),
                (mac, fixed) => or_dash(mac.or(fixed)),
            }),
            ("Link", |(n, _)| match (n.link, n.speed_mbps) {
                (Some(true), Some(s)) if s >= 1000 && s % 1000 == 0 => format!("{} Gbit/s", s / 1000),
                (Some(true), Some(s)) => format!("{s} Mbit/s"),
                (link, _) => word(link, "up", "no link"),
            }),
            ("Driver", |(n, _)| text(&n.driver)),
            ("PCI", |(n, _)| text(&n.pci)),
            ("Device", |(n, _)| devices::name_or_id(&None, &n.pci_id)),
            ("Firmware", |(n, _)| text(&n.firmware)),
        ],
    );
    TableView {
        note: format!("{} of {} with link", linked(r), r.nics.len()),
        empty: "No network interface was found, although the machine booted from one.",
        ..table.dim(r.nics.iter().map(|n| n.link == Some(false)))
    }
}

/// "sdc (Slot 02 of shelf 5000ccab05000000), also sdg".
fn disk_name(d: &DiskFacts) -> String {
    let place = match (&d.bay, &d.shelf) {
        (Some(bay), Some(shelf)) => format!(" ({bay} of shelf {shelf})"),
        (Some(bay), None) => format!(" ({bay})"),
        (None, _) => String::new(),
    };
    let paths = d.paths.iter().map(|path| path.name.as_str());
    let namespaces = d.namespaces.iter().map(|namespace| namespace.name.as_str());
    let others: Vec<&str> = paths.chain(namespaces).collect();
    match others.is_empty() {
        true => format!("{}{place}", d.name),
        false => format!("{}{place}, also {}", d.name, others.join(", ")),
    }
}

/// "NVMe, SSD".
fn disk_kind(d: &DiskFacts) -> String {
    list([
        d.transport.map(Transport::words),
        d.rotational.map(|spins| if spins { "HDD" } else { "SSD" }),
        (d.removable == Some(true)).then_some("removable"),
        (d.read_only == Some(true)).then_some("read-only"),
    ])
}

fn disks(r: &AssetReport) -> TableView {
    let table = TableView::new(
        "disks",
        "Disks",
        &r.disks,
        &[
            ("Disk", |d| disk_name(d)),
            ("Size", |d| or_dash(d.capacity_bytes().map(disk_size))),
            ("Model", |d| text(&d.model)),
            ("Serial", |d| text(&d.serial)),
            ("WWN", |d| text(&d.wwn)),
            ("Kind", |d| disk_kind(d)),
            ("Firmware", |d| text(&d.firmware)),
            ("Blocks", |d| {
                match (d.logical_block_bytes, d.physical_block_bytes) {
                    (Some(l), Some(p)) => format!("{l} / {p}"),
                    (l, p) => or_dash(l.or(p)),
                }
            }),
        ],
    );
    let note = match r.disks.is_empty() {
        true => String::new(),
        false => format!("{} total", disk_size(own_disks(r).0)),
    };
    TableView {
        note,
        empty: "No disk was found. Check cabling and the storage controller's mode (RAID or HBA).",
        ..table
    }
}
