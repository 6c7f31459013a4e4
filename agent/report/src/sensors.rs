//! Sensors of the hardware monitors (hwmon): temperatures, fans, voltages, currents, power.

use std::path::Path;

use inventory_api::report::SensorFacts;

use super::Problems;
use super::roots::{Roots, flag, is_numbered, names, number, text};

/// Maximum number of sensors; a dual-socket machine with fifty disks has about four hundred.
const SENSOR_LIMIT: usize = 1024;

/// Documentation/hwmon/sysfs-interface.rst: prefix, our unit, kernel units per unit.
const KINDS: [(&str, &str, f64); 5] = [
    ("temp", "C", 1e3),
    ("fan", "rpm", 1.0),
    ("in", "V", 1e3),
    ("curr", "A", 1e3),
    ("power", "W", 1e6),
];

/// Every input of every monitor. An unreadable input (a missing fan, a sleeping disk) is skipped.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> Vec<SensorFacts> {
    let folder = roots.sys("class/hwmon");
    let mut sensors = Vec::new();
    for monitor in problems.names(&folder) {
        // Before Linux 3.13 the files were in the device folder.
        let own = folder.join(&monitor);
        let has_inputs = names(&own).iter().any(|file| file.ends_with("_input"));
        let place = if has_inputs || own.join("name").exists() {
            own
        } else {
            own.join("device")
        };
        let chip = text(&place.join("name")).unwrap_or(monitor);
        for file in names(&place) {
            let Some(input) = file
                .strip_suffix("_input")
                .or_else(|| file.strip_suffix("_average"))
            else {
                continue;
            };
            if file.ends_with("_average") && place.join(format!("{input}_input")).exists() {
                continue;
            }
            if sensors.len() == SENSOR_LIMIT {
                problems.note(format_args!(
                    "{}: the first {SENSOR_LIMIT} sensors are kept",
                    folder.display()
                ));
                return sensors;
            }
            sensors.extend(sensor(&place, &chip, &file, input));
        }
    }
    sensors
}

fn sensor(place: &Path, chip: &str, file: &str, input: &str) -> Option<SensorFacts> {
    // "temp12" is of kind "temp"; "intrusion0" is not of kind "in".
    let (kind, unit, scale) = KINDS.into_iter().find(|(kind, ..)| is_numbered(input, kind))?;
    let read = |name: &str| {
        let value = number(&place.join(name)).filter(|value: &f64| value.is_finite())?;
        Some(value / scale)
    };
    // A limit of zero, or above what any machine survives, means "not set".
    let critical =
        read(&format!("{input}_crit")).filter(|limit| kind != "temp" || (*limit > 0.0 && *limit < 250.0));
    let alarm = ["_crit_alarm", "_alarm"]
        .iter()
        .filter_map(|end| flag(&place.join(format!("{input}{end}"))))
        .reduce(|a, b| a || b);
    Some(SensorFacts {
        chip: chip.to_owned(),
        label: text(&place.join(format!("{input}_label"))).unwrap_or_else(|| input.to_owned()),
        unit: unit.to_owned(),
        value: read(file)?,
        critical,
        alarm,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_labels_limits_and_alarms() {
        let dir = tempfile::tempdir().unwrap();
        let chip = dir.path().join("sys/class/hwmon/hwmon0");
        let old = dir.path().join("sys/class/hwmon/hwmon1/device");
        std::fs::create_dir_all(&chip).unwrap();
        std::fs::create_dir_all(&old).unwrap();
        for (file, text) in [
            ("name", "coretemp\n"),
            ("temp1_input", "55000\n"),
            ("temp1_label", "Package id 0\n"),
            ("temp1_crit", "100000\n"),
            ("temp1_crit_alarm", "0\n"),
            ("fan1_input", "1200\n"),
            ("in0_input", "12100\n"),
            ("intrusion0_alarm", "1\n"),
            ("power1_average", "35500000\n"),
            ("temp2_input", "not a number\n"),
        ] {
            std::fs::write(chip.join(file), text).unwrap();
        }
        std::fs::write(old.join("name"), "w83627hf\n").unwrap();
        std::fs::write(old.join("temp1_input"), "-1000\n").unwrap();
        let mut problems = Problems::new("sensors");
        let found = collect(&Roots::under(dir.path()), &mut problems);
        let short: Vec<_> = found
            .iter()
            .map(|s| {
                (
                    s.chip.as_str(),
                    s.label.as_str(),
                    s.unit.as_str(),
                    s.value,
                    s.critical,
                    s.alarm,
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("coretemp", "fan1", "rpm", 1200.0, None, None),
                ("coretemp", "in0", "V", 12.1, None, None),
                ("coretemp", "power1", "W", 35.5, None, None),
                ("coretemp", "Package id 0", "C", 55.0, Some(100.0), Some(false)),
                ("w83627hf", "temp1", "C", -1.0, None, None),
            ]
        );
        assert!(problems.found.is_empty());
    }
}
