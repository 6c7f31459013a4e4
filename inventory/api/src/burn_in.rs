//! Burn-in: load a machine before it is trusted, and keep the figures for comparison with its siblings.

use serde::{Deserialize, Serialize};

use crate::id::UnixMs;

/// What to do. A duration of 0 skips that part. Nothing is ever written to a disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BurnInRequest {
    /// Seconds of full load on all CPUs, results compared.
    pub cpu_seconds: u32,
    /// Seconds of writing patterns to memory and reading them back; at least one pass is made.
    pub memory_seconds: u32,
    /// Share of the available memory that is tested, percent, 1 to 95.
    pub memory_percent: u8,
    /// Seconds of reading from each disk, all disks at once.
    pub disk_seconds: u32,
    /// Highest temperature that passes, degrees Celsius.
    pub max_temperature_c: Option<f64>,
    /// Lowest sequential read speed of a disk that passes, MB/s.
    pub min_disk_mb_per_s: Option<f64>,
    /// Corrected memory errors (EDAC) that still pass.
    pub max_corrected_errors: u64,
}

impl Default for BurnInRequest {
    fn default() -> BurnInRequest {
        BurnInRequest {
            cpu_seconds: 300,
            memory_seconds: 300,
            memory_percent: 80,
            disk_seconds: 120,
            max_temperature_c: None,
            min_disk_mb_per_s: None,
            max_corrected_errors: 0,
        }
    }
}

/// Longest part, seconds: a week.
const LONGEST_PART: u32 = 7 * 24 * 3600;

impl BurnInRequest {
    /// Checks the values.
    ///
    /// # Errors
    /// A sentence with the value and the bounds.
    pub fn check(&self) -> Result<(), String> {
        let parts = [
            ("cpu_seconds", self.cpu_seconds),
            ("memory_seconds", self.memory_seconds),
            ("disk_seconds", self.disk_seconds),
        ];
        if let Some((name, seconds)) = parts.iter().find(|(_, s)| *s > LONGEST_PART) {
            return Err(format!("{name} is {seconds}, at most {LONGEST_PART} (a week)"));
        }
        if parts.iter().all(|(_, s)| *s == 0) {
            return Err("all durations are 0: there is nothing to do".into());
        }
        if !(1..=95).contains(&self.memory_percent) {
            return Err(format!("memory_percent is {}, 1 to 95", self.memory_percent));
        }
        Ok(())
    }

    /// Approximate total duration, seconds.
    pub fn seconds(&self) -> u64 {
        u64::from(self.cpu_seconds) + u64::from(self.memory_seconds) + u64::from(self.disk_seconds)
    }
}

/// Progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurnInProgress {
    /// "cpu", "memory" or "disks".
    pub part: String,
    /// Percent of the total, 0 to 100.
    pub percent: u8,
    /// Errors so far.
    pub errors: u64,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BurnInResult {
    /// When it started, by the machine's clock.
    pub started_at: UnixMs,
    /// How long it took, milliseconds.
    pub elapsed_ms: u64,
    /// True when every part passed.
    pub passed: bool,
    /// One entry per part; each disk is a part.
    pub parts: Vec<BurnInPart>,
}

/// One part of a burn-in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BurnInPart {
    /// "cpu", "memory", or "disk" with its serial number or name: "disk S3Z8NB0K".
    pub name: String,
    /// Whether it stayed within the thresholds, without an error.
    pub passed: bool,
    /// How long, milliseconds.
    pub elapsed_ms: u64,
    /// Speed, comparable among machines of one kind: see `unit`.
    pub score: Option<f64>,
    /// Unit of the score: "rounds/s" (CPU), "MB/s" (memory and disk).
    pub unit: String,
    /// Wrong results, wrong bits or failed reads.
    pub errors: u64,
    /// Memory errors corrected by the hardware meanwhile.
    pub corrected_errors: Option<u64>,
    /// Highest temperature seen, degrees Celsius.
    pub max_temperature_c: Option<f64>,
    /// What was found, in a sentence.
    pub detail: String,
}
