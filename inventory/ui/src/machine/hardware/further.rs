//! The rest of a report: disks that only their controller sees, modules in network ports, inventory and event
//! log of the BMC, firmware images, batteries.

use inventory_api::report::AssetReport;

use super::table::{TableView, either, measure, text, word};
use crate::page::or_dash;
use words::text::{disk_size, timestamp};

fn disks_behind(r: &AssetReport) -> TableView {
    let controllers = r.controllers.iter();
    TableView::new(
        "behind",
        "Disks behind controllers",
        controllers.flat_map(|controller| controller.disks.iter().map(move |disk| (controller, disk))),
        &[
            ("Controller", |(controller, _)| {
                controller.model.clone().unwrap_or_else(|| controller.pci.clone())
            }),
            ("Place", |(_, disk)| disk.name.clone()),
            ("Size", |(_, disk)| or_dash(disk.size_bytes.map(disk_size))),
            ("Model", |(_, disk)| text(&disk.model)),
            ("Serial", |(_, disk)| text(&disk.serial)),
            ("Firmware", |(_, disk)| text(&disk.firmware)),
            ("Health", |(_, disk)| {
                let health = disk.health.as_ref();
                word(health.and_then(|health| health.passed), "OK", "FAILING")
            }),
        ],
    )
}

fn optics(r: &AssetReport) -> TableView {
    TableView::new(
        "optics",
        "Modules and cables in network ports",
        r.nics.iter().filter_map(|nic| Some((nic, nic.optic.as_ref()?))),
        &[
            ("NIC", |(nic, _)| nic.name.clone()),
            ("Kind", |(_, optic)| text(&optic.kind)),
            ("Maker", |(_, optic)| text(&optic.manufacturer)),
            ("Part", |(_, optic)| text(&optic.part)),
            ("Serial", |(_, optic)| text(&optic.serial)),
        ],
    )
}

fn units(r: &AssetReport) -> TableView {
    TableView::new(
        "units",
        "Inventory of the BMC",
        r.bmc.iter().flat_map(|bmc| &bmc.fru),
        &[
            ("Unit", |unit| unit.name.clone()),
            ("Product", |unit| text(&unit.product)),
            ("Maker", |unit| text(&unit.manufacturer)),
            ("Part", |unit| text(&unit.part)),
            ("Serial", |unit| text(&unit.serial)),
            ("Asset tag", |unit| text(&unit.asset_tag)),
        ],
    )
}

fn events(r: &AssetReport) -> TableView {
    let mut table = TableView::new(
        "events",
        "Event log of the BMC",
        r.bmc.iter().flat_map(|bmc| &bmc.events),
        &[
            ("When (BMC clock)", |event| or_dash(event.at.map(timestamp))),
            ("Sensor", |event| event.sensor.clone()),
            ("Event", |event| event.event.clone()),
            ("", |event| word(event.asserted, "asserted", "deasserted")),
        ],
    );
    let shown = table.rows.len();
    let all = r.bmc.as_ref().and_then(|bmc| bmc.event_count);
    if let Some(count) = all.filter(|count| *count as usize > shown) {
        table.note = format!("the newest {shown} of {count}");
    }
    table
}

fn firmware(r: &AssetReport) -> TableView {
    TableView::new(
        "firmware",
        "Firmware images",
        &r.firmware_components,
        &[
            ("Image", |image| either(&image.name, &image.id)),
            ("Version", |image| text(&image.version)),
            ("Date", |image| text(&image.date)),
            ("Maker", |image| text(&image.manufacturer)),
            ("State", |image| text(&image.state)),
        ],
    )
}

fn batteries(r: &AssetReport) -> TableView {
    TableView::new(
        "batteries",
        "Batteries",
        &r.batteries,
        &[
            ("Place", |battery| text(&battery.location)),
            ("Model", |battery| text(&battery.model)),
            ("Maker", |battery| text(&battery.manufacturer)),
            ("Serial", |battery| text(&battery.serial)),
            ("Charge", |battery| measure(battery.capacity_percent, "%")),
            ("Status", |battery| text(&battery.status)),
        ],
    )
}

/// The tables that have rows.
pub(super) fn tables(r: &AssetReport) -> impl Iterator<Item = TableView> {
    let all = [
        disks_behind(r),
        optics(r),
        units(r),
        events(r),
        firmware(r),
        batteries(r),
    ];
    all.into_iter().filter(|table| !table.rows.is_empty())
}

#[cfg(test)]
mod tests {
    use inventory_api::UnixMs;
    use inventory_api::report::*;

    use super::*;

    #[test]
    fn each_table_only_where_there_is_something_in_it() {
        assert_eq!(tables(&AssetReport::default()).count(), 0);
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
        let tables: Vec<TableView> = tables(&report).collect();
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
