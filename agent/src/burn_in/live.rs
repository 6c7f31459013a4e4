//! This machine's gauges: hwmon, EDAC, /proc/meminfo. As in the report, the roots are passed in.

use std::fs;
use std::path::PathBuf;

use super::Gauges;
use crate::report::Roots;

/// Sensors read each time; the hottest one counts.
const SENSORS: usize = 256;

/// Gauges below roots.
pub struct Live {
    temperatures: Vec<PathBuf>,
    counters: Vec<PathBuf>,
    meminfo: PathBuf,
}

impl Live {
    /// Finds the files once; each look reads them.
    pub fn new(roots: &Roots) -> Live {
        Live {
            temperatures: files(roots.sys("class/hwmon"), |name| {
                name.starts_with("temp") && name.ends_with("_input")
            }),
            counters: files(roots.sys("devices/system/edac/mc"), |name| name == "ce_count"),
            meminfo: roots.proc("meminfo"),
        }
    }
}

fn files(folder: PathBuf, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let list = |dir: &PathBuf| {
        fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
    };
    let mut found: Vec<PathBuf> = list(&folder)
        .flat_map(|device| list(&device).collect::<Vec<_>>())
        .filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(&wanted))
        .take(SENSORS)
        .collect();
    found.sort();
    found
}

fn number(path: &PathBuf) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

impl Gauges for Live {
    fn temperature(&self) -> Option<f64> {
        // hwmon reports millidegrees. A disconnected sensor reads below zero or near the end of its range.
        let all = self.temperatures.iter().filter_map(number);
        let hottest = all.filter(|t| (1_000..=150_000).contains(t)).max()?;
        Some(hottest as f64 / 1000.0)
    }

    fn corrected_errors(&self) -> Option<u64> {
        let counts: Vec<u64> = self
            .counters
            .iter()
            .filter_map(number)
            .filter_map(|n| u64::try_from(n).ok())
            .collect();
        (!counts.is_empty()).then(|| counts.iter().sum())
    }

    fn available_bytes(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.meminfo).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_hottest_sensor_the_sum_of_counters_and_available_memory() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
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
