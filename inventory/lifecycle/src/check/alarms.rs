//! Health of the machine according to sensors, batteries and the BMC's event log.

use std::collections::BTreeSet;

use inventory_api::check::{HealthProfile, code};
use inventory_api::report::{AssetReport, SensorFacts};
use inventory_api::text::counted;

use super::findings::Findings;
use super::parts::PART_LIMIT;
use super::text::label;

pub(super) fn check(findings: &mut Findings, health: &HealthProfile, report: &AssetReport) {
    if health.sensors {
        for sensor in report.sensors.iter().take(PART_LIMIT) {
            self::sensor(findings, sensor);
        }
    }
    if health.batteries {
        batteries(findings, report);
    }
    if health.bmc_events {
        events(findings, report);
    }
}

fn sensor(findings: &mut Findings, sensor: &SensorFacts) {
    let place = if sensor.label.trim().is_empty() {
        &sensor.chip
    } else {
        &sensor.label
    };
    let alarm = sensor.alarm == Some(true);
    let shown = format!("{} {}", sensor.value, sensor.unit);
    if sensor.unit == "rpm" && alarm && sensor.value <= 0.0 {
        let sentence = format!(
            "{} has stopped and is in alarm. Check its plug and whether it is blocked, or replace it.",
            label("Fan", place)
        );
        return findings.add(code::FAN_STOPPED, place, "turning", &shown, &sentence);
    }
    let name = format!("{} ({})", label("Sensor", place), sensor.chip);
    // Some chips write nothing if they know no limit.
    let critical = sensor
        .critical
        .filter(|critical| *critical > 0.0 && sensor.value >= *critical);
    if let Some(critical) = critical {
        let critical = format!("{critical} {}", sensor.unit);
        let sentence = format!(
            "{name} measures {shown}, {critical} and more are critical. Look at fans, airflow and supply."
        );
        let expected = format!("below {critical}");
        findings.add(code::SENSOR_ALARM, place, &expected, &shown, &sentence);
    } else if alarm {
        let sentence = format!("{name} is in alarm: it measures {shown}. Look at what it measures.");
        let found = format!("alarm at {shown}");
        findings.add(code::SENSOR_ALARM, place, "no alarm", &found, &sentence);
    }
}

fn batteries(findings: &mut Findings, report: &AssetReport) {
    const BAD: [&str; 7] = [
        "fail", "bad", "replace", "degraded", "critical", "missing", "dead",
    ];
    for battery in report.batteries.iter().take(PART_LIMIT) {
        let status = battery.status.as_deref().unwrap_or_default();
        let words = status.to_lowercase();
        if !BAD.iter().any(|bad| words.contains(bad)) || words.starts_with("not ") || words.starts_with("no ")
        {
            continue;
        }
        let place = battery
            .location
            .as_deref()
            .or(battery.model.as_deref())
            .unwrap_or("battery");
        let sentence = format!("{} says: {status}. Replace it.", label("Battery", place));
        findings.add(code::BATTERY_FAILED, place, "OK", status, &sentence);
    }
}

/// Words in events that mean a fault; they match "predictive failure" and "uncorrectable ECC".
const FAULTS: [&str; 13] = [
    "fail",
    "fault",
    "uncorrectable",
    "non-recoverable",
    "critical",
    "ierr",
    "thermal trip",
    "lost",
    "over temperature",
    "overtemperature",
    "limit reached",
    "bus error",
    "machine check",
];

/// Words in events that do not mean a fault although one of the above matches.
const MILD: [&str; 3] = ["non-critical", "deasserted", "no fault"];

/// Failures in the event log that did not end. One finding, because there is one log.
fn events(findings: &mut Findings, report: &AssetReport) {
    let Some(bmc) = &report.bmc else { return };
    // Newest first: the newest entry of a sensor for an event counts.
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for event in bmc.events.iter().take(PART_LIMIT) {
        let what = event.event.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| what.contains(word));
        let is_fault = says(&FAULTS) && !says(&MILD) && event.asserted != Some(false);
        if seen.insert((event.sensor.to_lowercase(), what.clone())) && is_fault {
            faults.push(format!("{}: {}", event.sensor, event.event));
        }
    }
    let n = faults.len();
    if n == 0 {
        return;
    }
    let more = if n > 5 { ", ..." } else { "" };
    let list = format!("{}{more}", faults[..n.min(5)].join(", "));
    let sentence = format!(
        "The BMC's event log reports {}: {list}. Look at what it names; clear the log when it is repaired.",
        counted(n as u64, "failure")
    );
    findings.add(code::BMC_EVENTS, "BMC", "no failure", &list, &sentence);
}
