//! The first line: whether the machine reports anything wrong. The purchase order is unknown here.

use inventory_api::report::{AssetReport, DiskFacts};

use super::{Page, counted};

/// Number of problems listed; the rest is counted.
const NAMED: usize = 6;

impl Page {
    /// "Health      disk sda failing; PSU2: no mains power", or that nothing is wrong.
    pub(super) fn state(&mut self, report: &AssetReport) {
        let troubles = troubles(report);
        let mut parts: Vec<String> = troubles.iter().take(NAMED).cloned().collect();
        if troubles.len() > NAMED {
            parts.push(format!("{} more", troubles.len() - NAMED));
        }
        if parts.is_empty() {
            parts.push("nothing wrong was reported".to_owned());
        }
        let unread = u32::try_from(report.problems.len()).ok().filter(|n| *n > 0);
        parts.extend(counted(unread, "fact").map(|facts| format!("{facts} could not be read")));
        self.line("Health", [Some(parts.join("; "))]);
    }
}

/// The problems, worst kind first.
fn troubles(report: &AssetReport) -> Vec<String> {
    let mut all: Vec<String> = report.disks.iter().filter_map(disk).collect();
    for counter in &report.memory.edac {
        if let Some(errors) = counted(counter.uncorrected.filter(|n| *n > 0), "uncorrected error") {
            let place = counter.label.as_ref().unwrap_or(&counter.controller);
            all.push(format!("memory {place}: {errors}"));
        }
    }
    for psu in &report.power_supplies {
        let named = psu.location.as_deref().or(psu.name.as_deref());
        let place = named.unwrap_or("a power supply");
        match psu.status.as_deref() {
            _ if psu.present == Some(false) => {}
            _ if psu.plugged == Some(false) => all.push(format!("{place}: no mains power")),
            Some("Critical") => all.push(format!("{place}: critical")),
            Some("Non-critical") => all.push(format!("{place}: non-critical")),
            _ => {}
        }
    }
    let alarms = report.sensors.iter().filter(|sensor| sensor.alarm == Some(true));
    all.extend(alarms.map(|sensor| format!("sensor {} {}: alarm", sensor.chip, sensor.label)));
    all
}

fn disk(disk: &DiskFacts) -> Option<String> {
    let health = disk.health.as_ref()?;
    let what = if health.passed == Some(false) || health.critical_warning.is_some_and(|bits| bits != 0) {
        "failing".to_owned()
    } else if let Some(used) = health.used_percent.filter(|used| *used >= 100) {
        format!("{used} % of its life used")
    } else {
        let count = |count: Option<u64>, what| counted(count.filter(|n| *n > 0), what);
        count(health.pending_sectors, "pending sector")
            .or_else(|| count(health.uncorrectable_errors, "uncorrectable error"))?
    };
    Some(format!("disk {} {what}", disk.name))
}

#[cfg(test)]
mod tests {
    use inventory_api::report::{DiskHealth, EdacCounter, PowerSupply};

    use super::super::render_text;
    use super::*;

    #[test]
    fn the_first_line_says_what_is_wrong() {
        let disk = |name: &str, health: DiskHealth| DiskFacts {
            name: name.to_owned(),
            health: Some(health),
            ..DiskFacts::default()
        };
        let failing = DiskHealth {
            passed: Some(false),
            ..DiskHealth::default()
        };
        let worn = DiskHealth {
            used_percent: Some(103),
            ..DiskHealth::default()
        };
        let pending = DiskHealth {
            pending_sectors: Some(1),
            ..DiskHealth::default()
        };
        let report = AssetReport {
            disks: vec![
                disk("sda", failing),
                disk("sdb", worn),
                disk("sdc", pending),
                disk("sdd", DiskHealth::default()),
            ],
            memory: inventory_api::report::MemoryFacts {
                edac: vec![EdacCounter {
                    controller: "mc0".into(),
                    uncorrected: Some(2),
                    ..EdacCounter::default()
                }],
                ..Default::default()
            },
            power_supplies: vec![
                PowerSupply {
                    location: Some("PSU1".into()),
                    status: Some("OK".into()),
                    ..PowerSupply::default()
                },
                PowerSupply {
                    location: Some("PSU2".into()),
                    plugged: Some(false),
                    ..PowerSupply::default()
                },
            ],
            ..AssetReport::default()
        };
        let text = render_text(&report);
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "Health      disk sda failing; disk sdb 103 % of its life used; disk sdc 1 pending sector; \
             memory mc0: 2 uncorrected errors; PSU2: no mains power"
        );
        assert!(render_text(&AssetReport::default()).starts_with("Health      nothing wrong was reported\n"));
    }
}
