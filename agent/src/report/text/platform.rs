use inventory_api::report::{AssetReport, SensorFacts};

use super::{Page, named};

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
