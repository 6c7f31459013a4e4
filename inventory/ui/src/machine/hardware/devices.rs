//! What a report has besides processors, memory, disks and NICs: health, devices, power, slots, sensors.

use inventory_api::report::{AssetReport, DiskHealth, PciDevice, PowerSupply};
use pci_ids::FromId as _;

use super::table::{TableView, either, list, measure, text, word};
use crate::page::or_dash;
use words::text::memory_size;

/// Vendor and device name from the PCI id database (crate `pci-ids`). `None`: the vendor is not in it.
pub(super) fn pci_name(vendor: Option<&str>, device: Option<&str>) -> Option<String> {
    let id = |text: &str| u16::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let vendor_id = id(vendor?)?;
    let known = pci_ids::Vendor::from_id(vendor_id)?;
    let device = device
        .and_then(id)
        .and_then(|d| pci_ids::Device::from_vid_pid(vendor_id, d));
    Some(match device {
        Some(device) => format!("{} {}", known.name(), device.name()),
        None => format!("{} (device not in the database)", known.name()),
    })
}

/// The same for "8086:1572".
pub(super) fn pci_name_of(pair: Option<&str>) -> Option<String> {
    let (vendor, device) = pair?.split_once(':')?;
    pci_name(Some(vendor), Some(device))
}

fn health(r: &AssetReport) -> TableView {
    TableView::new(
        "health",
        "Disk health",
        r.disks.iter().filter_map(|d| Some((d, d.health.as_ref()?))),
        &[
            ("Disk", |(d, _)| match d.bay.as_ref().or(d.path.as_ref()) {
                Some(place) => format!("{} ({place})", d.name),
                None => d.name.clone(),
            }),
            ("Serial", |(d, _)| text(&d.serial)),
            ("Health", |(_, h)| word(h.passed, "OK", "FAILING")),
            ("Wear", |(_, h)| measure(h.used_percent, "% used")),
            ("Temperature", |(_, h)| measure(h.temperature_c, "°C")),
            ("Powered on", |(_, h)| measure(h.power_on_hours, "h")),
            ("Errors", |(_, h)| disk_errors(h)),
            ("Self-test", |(_, h)| text(&h.self_test)),
        ],
    )
}

/// "3 reallocated, 1 pending".
fn disk_errors(h: &DiskHealth) -> String {
    let bad = [
        ("reallocated", h.reallocated_sectors),
        ("pending", h.pending_sectors),
        ("uncorrectable", h.uncorrectable_errors),
        ("link errors", h.link_errors),
    ];
    list(bad.map(|(word, n)| n.filter(|n| *n > 0).map(|n| format!("{n} {word}"))))
}

/// The name that was reported, else that of the PCI id, else the id.
pub(super) fn name_or_id(name: &Option<String>, pci_id: &Option<String>) -> String {
    let name = name.clone().or_else(|| pci_name_of(pci_id.as_deref()));
    or_dash(name.or_else(|| pci_id.clone()))
}

fn gpus(r: &AssetReport) -> TableView {
    TableView::new(
        "gpus",
        "Accelerators",
        &r.gpus,
        &[
            ("PCI", |g| g.pci.clone()),
            ("Name", |g| name_or_id(&g.name, &g.pci_id)),
            ("Memory", |g| or_dash(g.memory_bytes.map(memory_size))),
            ("Driver", |g| text(&g.driver)),
            ("Serial", |g| text(&g.serial)),
        ],
    )
}

fn controllers(r: &AssetReport) -> TableView {
    TableView::new(
        "controllers",
        "Storage controllers",
        &r.controllers,
        &[
            ("PCI", |c| c.pci.clone()),
            ("Name", |c| name_or_id(&c.model, &c.pci_id)),
            ("Kind", |c| text(&c.kind)),
            ("Shows", |c| match c.raid {
                Some(true) if c.disks.is_empty() => "volumes; member disks may be hidden".into(),
                Some(true) => format!("volumes on {} disks", c.disks.len()),
                Some(false) => "physical disks".into(),
                None => "–".into(),
            }),
            ("Driver", |c| text(&c.driver)),
            ("Firmware", |c| text(&c.firmware)),
        ],
    )
}

fn psus(r: &AssetReport) -> TableView {
    let absent = |p: &PowerSupply| p.present == Some(false);
    TableView::new(
        "power",
        "Power supplies",
        &r.power_supplies,
        &[
            ("Bay", |p| either(&p.location, &p.name)),
            ("Part", |p| match p.present {
                Some(false) => "empty bay".into(),
                Some(true) | None => text(&p.part),
            }),
            ("Maker", |p| text(&p.manufacturer)),
            ("Power", |p| measure(p.max_watts, "W")),
            ("Mains", |p| word(p.plugged, "connected", "NO INPUT")),
            ("Status", |p| text(&p.status)),
            ("Serial", |p| text(&p.serial)),
        ],
    )
    .dim(r.power_supplies.iter().map(absent))
}

fn neighbours(r: &AssetReport) -> TableView {
    TableView::new(
        "cabling",
        "Cabling",
        r.nics.iter().filter_map(|n| Some((n, n.lldp.as_ref()?))),
        &[
            ("NIC", |(n, _)| n.name.clone()),
            ("Slot", |(n, _)| text(&n.slot)),
            ("Switch", |(_, l)| either(&l.system, &l.chassis)),
            ("Switch port", |(_, l)| either(&l.port, &l.port_description)),
            ("VLAN", |(_, l)| or_dash(l.vlan)),
            ("Management", |(_, l)| or_dash(l.management)),
        ],
    )
}

fn pci_ids_of(d: &PciDevice) -> String {
    match (&d.vendor, &d.device) {
        (Some(v), Some(p)) => format!("{v}:{p}"),
        _ => "–".to_owned(),
    }
}

fn pci(r: &AssetReport) -> TableView {
    TableView::new(
        "pci",
        "PCI devices",
        &r.pci,
        &[
            ("Address", |d| d.address.clone()),
            ("Name", |d| {
                let name = d.name.clone();
                name.or_else(|| pci_name(d.vendor.as_deref(), d.device.as_deref()))
                    .unwrap_or_else(|| pci_ids_of(d))
            }),
            ("Id", |d| pci_ids_of(d)),
            ("Slot", |d| text(&d.slot)),
            ("Driver", |d| d.driver.clone().unwrap_or("no driver".to_owned())),
            ("Link", |d| match (&d.link_speed, d.link_width) {
                (Some(speed), Some(width)) => format!("{speed} x{width}"),
                (speed, _) => text(speed),
            }),
        ],
    )
    .dim(r.pci.iter().map(|d| d.driver.is_none()))
}

fn slots(r: &AssetReport) -> TableView {
    TableView::new(
        "slots",
        "Expansion slots",
        &r.slots,
        &[
            ("Slot", |s| text(&s.slot)),
            ("Kind", |s| text(&s.kind)),
            ("Use", |s| word(s.in_use, "in use", "free")),
            ("PCI", |s| text(&s.pci)),
        ],
    )
    .dim(r.slots.iter().map(|s| s.in_use == Some(false)))
}

fn errors(r: &AssetReport) -> TableView {
    let counts = r.memory.edac.iter();
    TableView::new(
        "memory-errors",
        "Memory errors since boot",
        counts.filter(|e| e.corrected.unwrap_or(0) > 0 || e.uncorrected.unwrap_or(0) > 0),
        &[
            ("Controller", |e| e.controller.clone()),
            ("Module", |e| text(&e.label)),
            ("Corrected", |e| or_dash(e.corrected)),
            ("Uncorrected", |e| or_dash(e.uncorrected)),
        ],
    )
}

fn sensors(r: &AssetReport) -> TableView {
    TableView::new(
        "sensors",
        "Sensors",
        &r.sensors,
        &[
            ("Chip", |s| s.chip.clone()),
            ("Sensor", |s| s.label.clone()),
            ("Value", |s| {
                format!("{:.1} {}", s.value, if s.unit == "C" { "°C" } else { &s.unit })
            }),
            ("Critical", |s| or_dash(s.critical.map(|c| format!("{c:.0}")))),
            ("Status", |s| word(s.alarm, "ALARM", "OK")),
        ],
    )
}

/// The tables that have rows.
pub(super) fn tables(r: &AssetReport) -> impl Iterator<Item = TableView> {
    let all = [
        errors(r),
        health(r),
        controllers(r),
        neighbours(r),
        gpus(r),
        psus(r),
        slots(r),
        pci(r),
        sensors(r),
    ];
    all.into_iter().filter(|table| !table.rows.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_devices_have_names() {
        assert_eq!(
            pci_name(Some("8086"), Some("1572")).as_deref(),
            Some("Intel Corporation Ethernet Controller X710 for 10GbE SFP+")
        );
        assert_eq!(
            pci_name_of(Some("1000:005d")).map(|n| n.contains("MegaRAID")),
            Some(true)
        );
        assert!(pci_name(Some("8086"), Some("ffff")).is_some_and(|n| n.contains("not in the database")));
        assert_eq!(pci_name(Some("zzzz"), None), None);
        assert_eq!(pci_name(None, None), None);
    }
}
