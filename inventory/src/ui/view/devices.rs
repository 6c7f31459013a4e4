//! What a complete report tells besides processors, memory, disks and NICs: health, devices, power, platform, sensors.

use inventory_api::report::{AssetReport, DiskHealth, PciDevice};
use pci_ids::FromId as _;

use super::hardware::{Group, TableRow, TableView, group};
use super::or_dash;
use crate::text::memory_size;

fn text(value: &Option<String>) -> String {
    or_dash(value.as_ref())
}

fn yes_no(value: Option<bool>) -> Option<String> {
    value.map(|v| if v { "yes" } else { "no" }.to_owned())
}

/// The name of a PCI device: the machine's own, else by the PCI id database (crate `pci-ids`).
pub fn pci_name(vendor: Option<&str>, device: Option<&str>) -> Option<String> {
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

/// "8086:1572" as a name.
pub fn pci_name_of(pair: Option<&str>) -> Option<String> {
    let (vendor, device) = pair?.split_once(':')?;
    pci_name(Some(vendor), Some(device))
}

/// BMC, TPM and firmware's boot entries as groups of facts.
pub fn groups(r: &AssetReport) -> Vec<Group> {
    let b = r.bmc.clone().unwrap_or_default();
    let t = r.tpm.clone().unwrap_or_default();
    let entries: Vec<String> = r
        .boot
        .order
        .iter()
        .take(8)
        .filter_map(|n| r.boot.entries.iter().find(|e| e.number == *n))
        .map(|e| e.label.clone())
        .collect();
    [
        group(
            "BMC",
            vec![
                ("Maker", b.vendor),
                ("Firmware", b.firmware),
                ("Address", b.ip.map(|ip| ip.to_string())),
                ("By", b.ip_source),
                ("MAC", b.mac.map(|m| m.to_string())),
                ("IPMI", b.ipmi_version),
                ("Interface", b.interface),
                ("Redfish inside", yes_no(b.redfish_host_interface)),
            ],
        ),
        group(
            "TPM",
            vec![
                ("Version", t.version),
                ("Maker", t.manufacturer),
                ("Firmware", t.firmware),
                (
                    "Key",
                    t.endorsement_key_sha256.map(|k| k.chars().take(16).collect()),
                ),
            ],
        ),
        group(
            "Boot order",
            vec![("Entries", (!entries.is_empty()).then(|| entries.join(" → ")))],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A table, if it has rows.
pub(super) fn table(
    anchor: &'static str,
    title: &'static str,
    columns: &'static [&'static str],
    rows: Vec<TableRow>,
) -> Option<TableView> {
    (!rows.is_empty()).then_some(TableView {
        anchor,
        title,
        note: rows.len().to_string(),
        columns,
        rows,
        empty: "",
    })
}

fn health(r: &AssetReport) -> Option<TableView> {
    let row = |name: &str, serial: &Option<String>, bay: Option<&String>, h: &DiskHealth| {
        let bad = [
            ("reallocated", h.reallocated_sectors),
            ("pending", h.pending_sectors),
            ("uncorrectable", h.uncorrectable_errors),
            ("cable errors", h.link_errors),
        ]
        .into_iter()
        .filter_map(|(word, n)| n.filter(|n| *n > 0).map(|n| format!("{n} {word}")))
        .collect::<Vec<_>>();
        TableRow::new(
            false,
            vec![
                bay.map_or_else(|| name.to_owned(), |b| format!("{name} ({b})")),
                text(serial),
                match h.passed {
                    Some(true) => "well".into(),
                    Some(false) => "FAILS".into(),
                    None => "–".into(),
                },
                or_dash(h.used_percent.map(|p| format!("{p} % used"))),
                or_dash(h.temperature_c.map(|c| format!("{c} °C"))),
                or_dash(h.power_on_hours.map(|n| format!("{n} h"))),
                if bad.is_empty() {
                    "–".into()
                } else {
                    bad.join(", ")
                },
                text(&h.self_test),
            ],
        )
    };
    let rows = r
        .disks
        .iter()
        .filter_map(|d| {
            Some(row(
                &d.name,
                &d.serial,
                d.bay.as_ref().or(d.path.as_ref()),
                d.health.as_ref()?,
            ))
        })
        .collect();
    table(
        "health",
        "Disk health",
        &[
            "Disk",
            "Serial",
            "Says",
            "Wear",
            "Temperature",
            "On",
            "Errors",
            "Self-test",
        ],
        rows,
    )
}

fn gpus(r: &AssetReport) -> Option<TableView> {
    let rows = r
        .gpus
        .iter()
        .map(|g| {
            let name = g.name.clone().or_else(|| pci_name_of(g.pci_id.as_deref()));
            TableRow::new(
                false,
                vec![
                    g.pci.clone(),
                    or_dash(name.or_else(|| g.pci_id.clone())),
                    or_dash(g.memory_bytes.map(memory_size)),
                    text(&g.driver),
                    text(&g.serial),
                ],
            )
        })
        .collect();
    table(
        "gpus",
        "Accelerators",
        &["PCI", "Name", "Memory", "Driver", "Serial"],
        rows,
    )
}

fn controllers(r: &AssetReport) -> Option<TableView> {
    let rows = r
        .controllers
        .iter()
        .map(|c| {
            let name = c.model.clone().or_else(|| pci_name_of(c.pci_id.as_deref()));
            TableRow::new(
                false,
                vec![
                    c.pci.clone(),
                    or_dash(name.or_else(|| c.pci_id.clone())),
                    text(&c.kind),
                    match c.raid {
                        Some(true) if c.disks.is_empty() => "volumes; disks behind it may be hidden".into(),
                        Some(true) => format!("volumes; it has {} disks", c.disks.len()),
                        Some(false) => "disks as they are".into(),
                        None => "–".into(),
                    },
                    text(&c.driver),
                    text(&c.firmware),
                ],
            )
        })
        .collect();
    table(
        "controllers",
        "Storage controllers",
        &["PCI", "Name", "Kind", "Shows", "Driver", "Firmware"],
        rows,
    )
}

fn psus(r: &AssetReport) -> Option<TableView> {
    let rows = r
        .power_supplies
        .iter()
        .map(|p| {
            let absent = p.present == Some(false);
            TableRow::new(
                absent,
                vec![
                    or_dash(p.location.as_ref().or(p.name.as_ref())),
                    if absent { "empty bay".into() } else { text(&p.part) },
                    text(&p.manufacturer),
                    or_dash(p.max_watts.map(|w| format!("{w} W"))),
                    match p.plugged {
                        Some(true) => "on mains".into(),
                        Some(false) => "NO MAINS".into(),
                        None => "–".into(),
                    },
                    text(&p.status),
                    text(&p.serial),
                ],
            )
        })
        .collect();
    table(
        "power",
        "Power supplies",
        &["Bay", "Part", "Maker", "Power", "Mains", "Status", "Serial"],
        rows,
    )
}

fn neighbours(r: &AssetReport) -> Option<TableView> {
    let rows = r
        .nics
        .iter()
        .filter_map(|n| {
            let l = n.lldp.as_ref()?;
            Some(TableRow::new(
                false,
                vec![
                    n.name.clone(),
                    or_dash(n.slot.as_ref()),
                    or_dash(l.system.as_ref().or(l.chassis.as_ref())),
                    or_dash(l.port.as_ref().or(l.port_description.as_ref())),
                    or_dash(l.vlan),
                    or_dash(l.management),
                ],
            ))
        })
        .collect();
    table(
        "cabling",
        "Cabling",
        &["NIC", "Slot", "Switch", "Switch port", "VLAN", "Management"],
        rows,
    )
}

fn pci(r: &AssetReport) -> Option<TableView> {
    let row = |d: &PciDevice| {
        let name = d
            .name
            .clone()
            .or_else(|| pci_name(d.vendor.as_deref(), d.device.as_deref()));
        let ids = match (&d.vendor, &d.device) {
            (Some(v), Some(p)) => format!("{v}:{p}"),
            _ => "–".to_owned(),
        };
        let link = match (&d.link_speed, d.link_width) {
            (Some(speed), Some(width)) => format!("{speed} x{width}"),
            (Some(speed), None) => speed.clone(),
            (None, _) => "–".to_owned(),
        };
        TableRow::new(
            d.driver.is_none(),
            vec![
                d.address.clone(),
                name.unwrap_or_else(|| ids.clone()),
                ids,
                text(&d.slot),
                d.driver.clone().unwrap_or_else(|| "no driver".to_owned()),
                link,
            ],
        )
    };
    table(
        "pci",
        "PCI devices",
        &["Address", "Name", "Id", "Slot", "Driver", "Link"],
        r.pci.iter().map(row).collect(),
    )
}

fn slots(r: &AssetReport) -> Option<TableView> {
    let rows = r
        .slots
        .iter()
        .map(|s| {
            let free = s.in_use == Some(false);
            TableRow::new(
                free,
                vec![
                    text(&s.slot),
                    text(&s.kind),
                    match s.in_use {
                        Some(true) => "in use".into(),
                        Some(false) => "free".into(),
                        None => "–".into(),
                    },
                    text(&s.pci),
                ],
            )
        })
        .collect();
    table("slots", "Expansion slots", &["Slot", "Kind", "Use", "PCI"], rows)
}

fn errors(r: &AssetReport) -> Option<TableView> {
    let rows = r
        .memory
        .edac
        .iter()
        .filter(|e| e.corrected.unwrap_or(0) > 0 || e.uncorrected.unwrap_or(0) > 0)
        .map(|e| {
            TableRow::new(
                false,
                vec![
                    e.controller.clone(),
                    text(&e.label),
                    or_dash(e.corrected),
                    or_dash(e.uncorrected),
                ],
            )
        })
        .collect();
    table(
        "memory-errors",
        "Memory errors since the start",
        &["Controller", "Module", "Corrected", "Not corrected"],
        rows,
    )
}

fn sensors(r: &AssetReport) -> Option<TableView> {
    let rows = r
        .sensors
        .iter()
        .map(|s| {
            TableRow::new(
                false,
                vec![
                    s.chip.clone(),
                    s.label.clone(),
                    format!("{:.1} {}", s.value, if s.unit == "C" { "°C" } else { &s.unit }),
                    or_dash(s.critical.map(|c| format!("{c:.0}"))),
                    match s.alarm {
                        Some(true) => "ALARM".into(),
                        Some(false) => "well".into(),
                        None => "–".into(),
                    },
                ],
            )
        })
        .collect();
    table(
        "sensors",
        "Sensors",
        &["Chip", "Sensor", "Value", "Critical", "Says"],
        rows,
    )
}

/// The tables, each only where there is something in it.
pub fn tables(r: &AssetReport) -> Vec<TableView> {
    [
        errors(r),
        health(r),
        controllers(r),
        neighbours(r),
        gpus(r),
        psus(r),
        slots(r),
        pci(r),
        sensors(r),
    ]
    .into_iter()
    .flatten()
    .collect()
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
