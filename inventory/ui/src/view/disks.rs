//! The disk table of the hardware tab.

use inventory_api::report::{AssetReport, DiskFacts, Transport};

use super::or_dash;
use super::table::{TableView, text};
use words::text::disk_size;

/// Total capacity and number of the machine's own disks, without remote volumes and persistent memory.
pub(super) fn own_disks(r: &AssetReport) -> (u64, usize) {
    let own = r.disks.iter().filter(|d| {
        !d.transport
            .is_some_and(|transport| transport.is_remote() || transport == Transport::Pmem)
    });
    let sizes = own.clone().filter_map(|d| d.capacity_bytes());
    (sizes.fold(0, u64::saturating_add), own.count())
}

/// "sdc (Slot 02 of shelf 5000ccab05000000), also sdg".
fn disk_name(d: &DiskFacts) -> String {
    let place = match (&d.bay, &d.shelf) {
        (Some(bay), Some(shelf)) => format!(" ({bay} of shelf {shelf})"),
        (Some(bay), None) => format!(" ({bay})"),
        (None, _) => String::new(),
    };
    let namespaces = d.namespaces.iter().map(|namespace| namespace.name.as_str());
    let others: Vec<&str> = d
        .paths
        .iter()
        .map(|path| path.name.as_str())
        .chain(namespaces)
        .collect();
    let also = if others.is_empty() {
        String::new()
    } else {
        format!(", also {}", others.join(", "))
    };
    format!("{}{place}{also}", d.name)
}

/// "NVMe, solid state".
fn kind(d: &DiskFacts) -> String {
    let medium = d
        .rotational
        .map(|spins| if spins { "spins" } else { "solid state" });
    let words = [
        d.transport.map(Transport::words),
        medium,
        (d.removable == Some(true)).then_some("removable"),
        (d.read_only == Some(true)).then_some("read-only"),
    ];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    or_dash((!words.is_empty()).then(|| words.join(", ")))
}

/// One row per disk.
pub(super) fn disks(r: &AssetReport) -> TableView {
    let (sum, _) = own_disks(r);
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
            ("Kind", |d| kind(d)),
            ("Firmware", |d| text(&d.firmware)),
            ("Blocks", |d| {
                match (d.logical_block_bytes, d.physical_block_bytes) {
                    (Some(l), Some(p)) => format!("{l} / {p}"),
                    (l, p) => or_dash(l.or(p)),
                }
            }),
        ],
    );
    TableView {
        note: if r.disks.is_empty() {
            String::new()
        } else {
            format!("{} in all", disk_size(sum))
        },
        empty: "No disk was found. Check cabling and the storage controller's mode (RAID or HBA).",
        ..table
    }
}
