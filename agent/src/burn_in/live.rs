//! This machine's gauges: hwmon, EDAC, /proc/meminfo. As in the report, the roots are passed in.

use std::path::PathBuf;

use super::Gauges;
use crate::report::{self, Roots, names, number};

/// Sensors read each time; the hottest one counts.
const SENSORS: usize = 256;

pub struct Live {
    temperatures: Vec<PathBuf>,
    counters: Vec<PathBuf>,
    roots: Roots,
}

impl Live {
    /// Finds the files once; each look reads them.
    pub fn new(roots: &Roots) -> Live {
        Live {
            temperatures: files(roots.sys("class/hwmon"), |name| {
                name.starts_with("temp") && name.ends_with("_input")
            }),
            counters: files(roots.sys("devices/system/edac/mc"), |name| name == "ce_count"),
            roots: roots.clone(),
        }
    }
}

fn files(folder: PathBuf, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let devices = names(&folder).into_iter().map(|device| folder.join(device));
    let inside = |device: PathBuf| {
        let files = names(&device).into_iter().filter(|name| wanted(name));
        files.map(|name| device.join(name)).collect::<Vec<_>>()
    };
    devices.flat_map(inside).take(SENSORS).collect()
}

impl Gauges for Live {
    fn temperature(&self) -> Option<f64> {
        // hwmon reports millidegrees. A disconnected sensor reads below zero or near the end of its range.
        let all = self.temperatures.iter().filter_map(|path| number::<u32>(path));
        let hottest = all.filter(|t| (1_000..=150_000).contains(t)).max()?;
        Some(f64::from(hottest) / 1000.0)
    }

    fn corrected_errors(&self) -> Option<u64> {
        let counts = self.counters.iter().filter_map(|path| number::<u64>(path));
        counts.reduce(u64::saturating_add)
    }

    fn available_bytes(&self) -> Option<u64> {
        report::available_bytes(&self.roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_hottest_sensor_the_sum_of_counters_and_available_memory() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sys/class/hwmon/hwmon0/temp1_input", "45000\n");
        write("sys/class/hwmon/hwmon1/temp2_input", "61500\n");
        write("sys/class/hwmon/hwmon1/temp3_input", "255000\n");
        write("sys/class/hwmon/hwmon1/fan1_input", "99000\n");
        write("sys/devices/system/edac/mc/mc0/ce_count", "2\n");
        write("sys/devices/system/edac/mc/mc1/ce_count", "3\n");
        write("proc/meminfo", "MemTotal: 10 kB\nMemAvailable:    2048 kB\n");
        let live = Live::new(&Roots::under(dir.path()));
        assert_eq!(live.temperature(), Some(61.5));
        assert_eq!(live.corrected_errors(), Some(5));
        assert_eq!(live.available_bytes(), Some(2048 * 1024));
        let none = Live::new(&Roots::under(dir.path().join("nothing")));
        assert_eq!(
            (
                none.temperature(),
                none.corrected_errors(),
                none.available_bytes()
            ),
            (None, None, None)
        );
    }
}
