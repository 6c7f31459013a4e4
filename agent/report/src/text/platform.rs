use inventory_api::report::{AssetReport, SensorFacts};

use super::{Page, named, when};

/// Number of newest BMC events shown.
const EVENTS: usize = 8;

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
                when(bmc.redfish_host_interface == Some(true), "Redfish host interface"),
            ];
            self.line("BMC", facts);
            for unit in &bmc.fru {
                let facts = [
                    Some(unit.name.clone()),
                    unit.manufacturer.clone(),
                    unit.product.clone(),
                    named("part", &unit.part),
                    named("serial", &unit.serial),
                    named("asset tag", &unit.asset_tag),
                ];
                self.line("  unit", facts);
            }
            let entries = |n: u32| format!("{n} {}", if n == 1 { "entry" } else { "entries" });
            self.line("  event log", [bmc.event_count.filter(|n| *n > 0).map(entries)]);
            for event in bmc.events.iter().take(EVENTS) {
                let ended = when(event.asserted == Some(false), "ended");
                self.line(
                    "  event",
                    [Some(event.sensor.clone()), Some(event.event.clone()), ended],
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
            self.line("TPM", facts);
        }
        for image in &report.firmware_components {
            let facts = [
                image.name.clone().or_else(|| image.id.clone()),
                image.version.clone(),
                image.date.clone(),
                image.manufacturer.clone(),
                image.state.clone(),
            ];
            self.line("Firmware", facts);
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
            self.line("Battery", facts);
        }
        for sensor in &report.sensors {
            let facts = [
                Some(sensor.chip.clone()),
                Some(sensor.label.clone()),
                Some(value(sensor, sensor.value)),
                sensor
                    .critical
                    .map(|limit| format!("critical at {}", value(sensor, limit))),
                when(sensor.alarm == Some(true), "ALARM"),
            ];
            self.line("Sensor", facts);
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
