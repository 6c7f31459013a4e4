use inventory_api::report::{AssetReport, SensorFacts};

use super::{Page, named};

/// Newest events of the BMC's log that are written out.
const EVENTS: usize = 8;

fn counted(count: Option<u32>, one: &str, many: &str) -> Option<String> {
    count.map(|n| format!("{n} {}", if n == 1 { one } else { many }))
}

impl Page {
    pub(super) fn platform(&mut self, report: &AssetReport) {
        if let Some(bmc) = &report.bmc {
            let facts = [
                bmc.vendor.clone(),
                bmc.interface.clone(),
                named("IPMI", &bmc.ipmi_version),
                named("firmware", &bmc.firmware),
                bmc.ip.map(|ip| match &bmc.ip_source {
                    Some(source) => format!("{ip} ({source})"),
                    None => ip.to_string(),
                }),
                bmc.mac.map(|mac| mac.to_string()),
                bmc.redfish_host_interface
                    .filter(|there| *there)
                    .map(|_| "Redfish host interface".to_owned()),
            ];
            self.line("BMC", &facts.each_ref());
            for unit in &bmc.fru {
                let facts = [
                    Some(unit.name.clone()),
                    unit.manufacturer.clone(),
                    unit.product.clone(),
                    named("part", &unit.part),
                    named("serial", &unit.serial),
                    named("asset tag", &unit.asset_tag),
                ];
                self.line("  unit", &facts.each_ref());
            }
            self.line(
                "  event log",
                &[&counted(
                    bmc.event_count.filter(|count| *count > 0),
                    "entry",
                    "entries",
                )],
            );
            for event in bmc.events.iter().take(EVENTS) {
                let ended = (event.asserted == Some(false)).then(|| "ended".to_owned());
                self.line(
                    "  event",
                    &[&Some(event.sensor.clone()), &Some(event.event.clone()), &ended],
                );
            }
        }
        if let Some(tpm) = &report.tpm {
            let facts = [
                tpm.version.clone(),
                tpm.manufacturer.clone(),
                named("firmware", &tpm.firmware),
                named("endorsement key sha256", &tpm.endorsement_key_sha256),
            ];
            self.line("TPM", &facts.each_ref());
        }
        for image in &report.firmware_components {
            let facts = [
                image.name.clone().or_else(|| image.id.clone()),
                image.version.clone(),
                image.date.clone(),
                image.manufacturer.clone(),
                image.state.clone(),
            ];
            self.line("Firmware", &facts.each_ref());
        }
        for battery in &report.batteries {
            let facts = [
                battery.location.clone(),
                battery.manufacturer.clone(),
                battery.model.clone(),
                named("serial", &battery.serial),
                battery.capacity_percent.map(|percent| format!("{percent} %")),
                battery.status.clone(),
            ];
            self.line("Battery", &facts.each_ref());
        }
        for sensor in &report.sensors {
            let facts = [
                Some(sensor.chip.clone()),
                Some(sensor.label.clone()),
                Some(value(sensor, sensor.value)),
                sensor
                    .critical
                    .map(|limit| format!("critical at {}", value(sensor, limit))),
                sensor.alarm.filter(|alarm| *alarm).map(|_| "ALARM".to_owned()),
            ];
            self.line("Sensor", &facts.each_ref());
        }
    }
}

fn value(sensor: &SensorFacts, value: f64) -> String {
    match sensor.unit.as_str() {
        "rpm" => format!("{value:.0} rpm"),
        "C" => format!("{value:.0} °C"),
        unit => format!("{value:.2} {unit}"),
    }
}
