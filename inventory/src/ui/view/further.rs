//! What a report tells beside the parts themselves: disks that only their controller sees, modules in network ports, inventories and
//! events of the BMC, firmware images, batteries.

use inventory_api::report::AssetReport;

use super::devices::table;
use super::hardware::{TableRow, TableView};
use super::or_dash;
use crate::text::{disk_size, timestamp};

fn row(cells: Vec<String>) -> TableRow {
    TableRow::new(false, cells)
}

fn text(value: &Option<String>) -> String {
    or_dash(value.as_ref())
}

fn disks_behind(r: &AssetReport) -> Option<TableView> {
    let rows = r.controllers.iter().flat_map(|controller| {
        controller.disks.iter().map(|disk| {
            let health = disk.health.as_ref();
            row(vec![
                controller.model.clone().unwrap_or_else(|| controller.pci.clone()),
                disk.name.clone(),
                or_dash(disk.size_bytes.map(disk_size)),
                text(&disk.model),
                text(&disk.serial),
                text(&disk.firmware),
                match health.and_then(|health| health.passed) {
                    Some(true) => "well".into(),
                    Some(false) => "FAILS".into(),
                    None => "–".into(),
                },
            ])
        })
    });
    table(
        "behind",
        "Disks behind controllers",
        &[
            "Controller",
            "Place",
            "Size",
            "Model",
            "Serial",
            "Firmware",
            "Says",
        ],
        rows.collect(),
    )
}

fn optics(r: &AssetReport) -> Option<TableView> {
    let rows = r.nics.iter().filter_map(|nic| {
        let optic = nic.optic.as_ref()?;
        Some(row(vec![
            nic.name.clone(),
            text(&optic.kind),
            text(&optic.manufacturer),
            text(&optic.part),
            text(&optic.serial),
        ]))
    });
    table(
        "optics",
        "Modules and cables in network ports",
        &["NIC", "Kind", "Maker", "Part", "Serial"],
        rows.collect(),
    )
}

fn units(r: &AssetReport) -> Option<TableView> {
    let units = r.bmc.iter().flat_map(|bmc| &bmc.fru);
    let rows = units.map(|unit| {
        row(vec![
            unit.name.clone(),
            text(&unit.product),
            text(&unit.manufacturer),
            text(&unit.part),
            text(&unit.serial),
            text(&unit.asset_tag),
        ])
    });
    table(
        "units",
        "Inventory of the BMC",
        &["Unit", "Product", "Maker", "Part", "Serial", "Asset tag"],
        rows.collect(),
    )
}

fn events(r: &AssetReport) -> Option<TableView> {
    let bmc = r.bmc.as_ref()?;
    let rows = bmc.events.iter().map(|event| {
        row(vec![
            event.at.map_or_else(|| "–".to_owned(), timestamp),
            event.sensor.clone(),
            event.event.clone(),
            match event.asserted {
                Some(true) => "began".into(),
                Some(false) => "ended".into(),
                None => "–".into(),
            },
        ])
    });
    let mut table = table(
        "events",
        "Event log of the BMC",
        &["When (its clock)", "Sensor", "Event", ""],
        rows.collect(),
    )?;
    if let Some(count) = bmc.event_count.filter(|count| *count as usize > table.rows.len()) {
        table.note = format!("the newest {} of {count}", table.rows.len());
    }
    Some(table)
}

fn firmware(r: &AssetReport) -> Option<TableView> {
    let rows = r.firmware_components.iter().map(|image| {
        row(vec![
            or_dash(image.name.as_ref().or(image.id.as_ref())),
            text(&image.version),
            text(&image.date),
            text(&image.manufacturer),
            text(&image.state),
        ])
    });
    table(
        "firmware",
        "Firmware images",
        &["Image", "Version", "Date", "Maker", "State"],
        rows.collect(),
    )
}

fn batteries(r: &AssetReport) -> Option<TableView> {
    let rows = r.batteries.iter().map(|battery| {
        row(vec![
            text(&battery.location),
            text(&battery.model),
            text(&battery.manufacturer),
            text(&battery.serial),
            or_dash(battery.capacity_percent.map(|percent| format!("{percent} %"))),
            text(&battery.status),
        ])
    });
    table(
        "batteries",
        "Batteries",
        &["Place", "Model", "Maker", "Serial", "Charge", "Status"],
        rows.collect(),
    )
}

/// The tables, each only where there is something in it.
pub fn tables(r: &AssetReport) -> Vec<TableView> {
    [
        disks_behind(r),
        optics(r),
        units(r),
        events(r),
        firmware(r),
        batteries(r),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use inventory_api::UnixMs;
    use inventory_api::report::*;

    use super::*;

    #[test]
    fn each_table_only_where_there_is_something_in_it() {
        assert!(tables(&AssetReport::default()).is_empty());
        let report = AssetReport {
            controllers: vec![StorageController {
                disks: vec![DiskFacts::default()],
                ..Default::default()
            }],
            nics: vec![NicFacts {
                optic: Some(OpticFacts::default()),
                ..Default::default()
            }],
            bmc: Some(BmcFacts {
                fru: vec![FruFacts::default()],
                events: vec![BmcEvent {
                    at: Some(UnixMs(1_772_366_400_000)),
                    ..Default::default()
                }],
                event_count: Some(4000),
                ..Default::default()
            }),
            firmware_components: vec![FirmwareComponent::default()],
            batteries: vec![BatteryFacts::default()],
            ..Default::default()
        };
        let tables = tables(&report);
        let anchors: Vec<&str> = tables.iter().map(|table| table.anchor).collect();
        assert_eq!(
            anchors,
            ["behind", "optics", "units", "events", "firmware", "batteries"]
        );
        assert_eq!(tables[3].note, "the newest 1 of 4000");
        for table in &tables {
            assert_eq!(
                table.rows[0].cells(&table.columns).len(),
                table.columns.len(),
                "{}",
                table.anchor
            );
        }
    }
}
