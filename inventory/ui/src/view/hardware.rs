//! The asset report as tiles, groups of facts and tables. In a table, an absent fact is a dash; an empty slot
//! has its own row.

use inventory_api::UnixMs;
use inventory_api::report::{AssetReport, MemorySlot, NicFacts, ProcessorFacts, distinct};

use super::disks::{disks, own_disks};
use super::table::{TableView, text, word};
use super::{devices, further, or_dash};
use words::text::{ago, counted, disk_size, duration, joined, memory_size, timestamp};

/// Rows shown per table: a report may have thousands.
const MAX_ROWS: usize = 256;

/// The hardware tab.
#[derive(Default)]
pub struct HardwareView {
    /// Whether the machine has reported.
    pub present: bool,
    /// When and how fast it was collected, and by which agent version.
    pub taken: String,
    /// The four figures people look for.
    pub tiles: Vec<Tile>,
    /// Anchor and label of each section.
    pub sections: Vec<(&'static str, &'static str)>,
    /// System, board, chassis, firmware, BMC, TPM, boot entries; those that were reported.
    pub system: Vec<Group>,
    /// CPU sockets, memory slots, disks and NICs, then all other tables that have rows.
    pub tables: Vec<TableView>,
    /// Collector, and what it could not read.
    pub problems: Vec<(String, String)>,
}

/// One figure at the top of the tab.
pub struct Tile {
    /// Section it links to.
    pub anchor: &'static str,
    /// Icon.
    pub icon: &'static str,
    /// The figure with its unit.
    pub value: String,
    /// What it counts.
    pub label: String,
}

/// The facts of one thing, such as the board.
pub struct Group {
    /// Its heading.
    pub title: &'static str,
    /// Label and value.
    pub facts: Vec<(&'static str, String)>,
}

pub(super) fn group(title: &'static str, facts: Vec<(&'static str, Option<String>)>) -> Option<Group> {
    let facts: Vec<_> = facts.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
    (!facts.is_empty()).then_some(Group { title, facts })
}

fn system(r: &AssetReport) -> Vec<Group> {
    let s = r.system.clone().unwrap_or_default();
    let b = r.board.clone().unwrap_or_default();
    let c = r.chassis.clone().unwrap_or_default();
    let f = r.firmware.clone().unwrap_or_default();
    let boot = &r.boot;
    [
        group(
            "System",
            vec![
                ("Maker", s.manufacturer),
                ("Product", s.product),
                ("Version", s.version),
                ("Serial", s.serial),
                ("SKU", s.sku),
                ("Family", s.family),
                ("UUID", s.uuid),
            ],
        ),
        group(
            "Board",
            vec![
                ("Maker", b.manufacturer),
                ("Product", b.product),
                ("Version", b.version),
                ("Serial", b.serial),
                ("Asset tag", b.asset_tag),
            ],
        ),
        group(
            "Chassis",
            vec![
                ("Kind", c.kind),
                ("Maker", c.manufacturer),
                ("Version", c.version),
                ("Serial", c.serial),
                ("Asset tag", c.asset_tag),
            ],
        ),
        group(
            "Firmware and boot",
            vec![
                ("Vendor", f.vendor),
                ("Version", f.version),
                ("Date", f.date),
                ("Booted by", boot.mode.map(|mode| mode.words().to_owned())),
                (
                    "Secure Boot",
                    boot.secure_boot
                        .map(|on| if on { "on" } else { "off" }.to_owned()),
                ),
                ("Boot NIC", boot.boot_mac.map(|m| m.to_string())),
                ("Kernel", boot.kernel.clone()),
            ],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
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
            ("Slot", |s| {
                let bank = s.bank.as_ref().map(|b| format!(" ({b})")).unwrap_or_default();
                format!("{}{bank}", text(&s.slot))
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
    let up = r.nics.iter().filter(|n| n.link == Some(true)).count();
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
                (Some(mac), Some(fixed)) if mac != fixed => format!("{mac} (burnt in {fixed})"),
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
            ("Device", |(n, _)| {
                or_dash(devices::pci_name_of(n.pci_id.as_deref()).or_else(|| n.pci_id.clone()))
            }),
            ("Firmware", |(n, _)| text(&n.firmware)),
        ],
    );
    TableView {
        note: format!("{up} of {} with link", r.nics.len()),
        empty: "No network interface was found, which is odd for a machine that booted from one.",
        ..table.dim(r.nics.iter().map(|n| n.link == Some(false)))
    }
}

impl HardwareView {
    /// Describes a report; `None`: the machine has not reported.
    pub fn new(report: Option<&AssetReport>, reported_at: Option<UnixMs>, now: UnixMs) -> HardwareView {
        let Some(r) = report else {
            return HardwareView::default();
        };
        // Older agents report a disk once per path.
        let r = &distinct(r.clone());
        let cores = r.cpu.as_ref().and_then(|c| c.cores.or(c.threads));
        let (disk_sum, disk_count) = own_disks(r);
        let memory_bytes = r.memory.installed_bytes.or(r.memory.usable_bytes);
        let tile = |anchor, icon, value: String, label: String| Tile {
            anchor,
            icon,
            value,
            label,
        };
        let model = r.cpu.as_ref().and_then(|c| c.model.clone());
        let usable = r.memory.usable_bytes;
        let up = r.nics.iter().filter(|n| n.link == Some(true)).count();
        let tiles = vec![
            tile(
                "cpu",
                "cpu",
                or_dash(cores.map(|n| counted(n, "core"))),
                model.unwrap_or_else(|| "Processors".into()),
            ),
            tile(
                "memory",
                "stack-2",
                or_dash(memory_bytes.map(memory_size)),
                usable.map_or("Memory".into(), |b| format!("Memory, {} usable", memory_size(b))),
            ),
            tile(
                "disks",
                "database",
                if disk_count == 0 {
                    "none".into()
                } else {
                    disk_size(disk_sum)
                },
                counted(disk_count as u64, "disk"),
            ),
            tile(
                "nics",
                "network",
                counted(r.nics.len() as u64, "NIC"),
                format!("{up} with link"),
            ),
        ];
        let mut tables = vec![cpu(r), memory(r), disks(r), nics(r)];
        tables.extend(devices::tables(r));
        tables.extend(further::tables(r));
        let mut sections = vec![("system", "System")];
        sections.extend(tables.iter().map(|t| (t.anchor, t.title)));
        for table in &mut tables {
            if table.rows.len() > MAX_ROWS {
                table.note = format!("the first {MAX_ROWS} of {} are shown", table.rows.len());
                table.rows.truncate(MAX_ROWS);
            }
        }
        let mut groups = system(r);
        groups.extend(devices::groups(r));
        if !r.problems.is_empty() {
            sections.push(("problems", "Problems"));
        }
        let when = reported_at.map_or_else(String::new, |at| {
            format!("Reported {} ({}), ", ago(at, now), timestamp(at))
        });
        HardwareView {
            present: true,
            taken: format!(
                "{when}collected in {} by agent {}",
                duration(r.collect_ms),
                r.agent_version
            ),
            tiles,
            sections,
            system: groups,
            tables,
            problems: r
                .problems
                .iter()
                .take(MAX_ROWS)
                .map(|p| (p.collector.clone(), p.detail.clone()))
                .collect(),
        }
    }
}
