//! Burn-in: CPU, memory, disk reads. Blocking; runs until done or stopped.
//!
//! Each part is a file with a plain function that returns its measurements. This module orders the parts,
//! watches temperatures and error counters meanwhile, and judges the results.

mod cpu;
mod disk;
mod live;
mod memory;

pub use live::Live;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use inventory_api::burn_in::{BurnInPart, BurnInProgress, BurnInRequest, BurnInResult};

use crate::clock;

/// Interval for checking temperatures, counters and the stop flag.
const LOOK: Duration = Duration::from_millis(500);

/// One disk to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Serial number, or the kernel name if there is none.
    pub name: String,
    /// Device file (a regular file in tests).
    pub device: PathBuf,
}

/// The gauges read while the machine works.
pub trait Gauges: Send + Sync {
    /// The highest current temperature of all sensors, in degrees Celsius.
    fn temperature(&self) -> Option<f64>;
    /// Memory errors corrected since boot.
    fn corrected_errors(&self) -> Option<u64>;
    /// Bytes of memory that can be allocated safely (MemAvailable).
    fn available_bytes(&self) -> Option<u64>;
}

/// State shared by the parts while they run.
#[derive(Debug, Default)]
struct Shared {
    errors: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl Shared {
    fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs the requested parts in order. `stop` ends it early: the result then holds what was measured so far
/// and counts as not passed.
pub fn run(
    request: &BurnInRequest,
    disks: &[Disk],
    gauges: &dyn Gauges,
    stop: Arc<AtomicBool>,
    tell: &mut dyn FnMut(BurnInProgress),
) -> BurnInResult {
    let started = Instant::now();
    let started_at = clock::now();
    let mut watch = Watch {
        request,
        gauges,
        stop,
        tell,
        before: Duration::ZERO,
        whole: Duration::from_secs(request.seconds().max(1)),
        errors: 0,
    };
    let mut parts = Vec::new();
    if request.cpu_seconds > 0 {
        let time = seconds(request.cpu_seconds);
        parts.extend(watch.part("cpu", time, |shared, until| vec![cpu::burn(shared, until)]));
    }
    if request.memory_seconds > 0 {
        let time = seconds(request.memory_seconds);
        let share = u64::from(request.memory_percent);
        let bytes = gauges.available_bytes().map(|b| b / 100 * share);
        parts.extend(watch.part("memory", time, |shared, until| {
            vec![memory::burn(shared, until, bytes)]
        }));
    }
    if request.disk_seconds > 0 && !disks.is_empty() {
        let time = seconds(request.disk_seconds);
        parts.extend(watch.part("disks", time, |shared, until| disk::burn(shared, until, disks)));
    }
    let stopped = watch.stop.load(Ordering::Relaxed);
    BurnInResult {
        started_at,
        elapsed_ms: millis(started.elapsed()),
        passed: !stopped && !parts.is_empty() && parts.iter().all(|p| p.passed),
        parts,
    }
}

struct Watch<'a> {
    request: &'a BurnInRequest,
    gauges: &'a dyn Gauges,
    stop: Arc<AtomicBool>,
    tell: &'a mut dyn FnMut(BurnInProgress),
    before: Duration,
    whole: Duration,
    errors: u64,
}

impl Watch<'_> {
    /// Runs one part in its own thread and watches the gauges until it ends.
    fn part(
        &mut self,
        name: &str,
        time: Duration,
        work: impl FnOnce(&Shared, Instant) -> Vec<BurnInPart> + Send,
    ) -> Vec<BurnInPart> {
        let part_started = Instant::now();
        let shared = Shared {
            errors: AtomicU64::new(0),
            stop: self.stop.clone(),
        };
        let corrected = self.gauges.corrected_errors();
        let mut hottest = self.gauges.temperature();
        let mut parts = std::thread::scope(|scope| {
            let working = scope.spawn(|| work(&shared, part_started + time));
            while !working.is_finished() {
                let done = self.before + part_started.elapsed().min(time);
                (self.tell)(BurnInProgress {
                    part: name.to_owned(),
                    percent: (done.as_secs_f64() / self.whole.as_secs_f64() * 100.0).min(99.0) as u8,
                    errors: self.errors + shared.errors.load(Ordering::Relaxed),
                });
                if let Some(now) = self.gauges.temperature() {
                    hottest = Some(hottest.map_or(now, |h| h.max(now)));
                }
                std::thread::park_timeout(LOOK.min(time / 4));
            }
            working.join().unwrap_or_else(|_| {
                vec![begun(
                    name,
                    "",
                    1,
                    "the part panicked: a defect of the agent or of the machine",
                )]
            })
        });
        self.before += time;
        self.errors += shared.errors.load(Ordering::Relaxed);
        let counts = corrected.zip(self.gauges.corrected_errors());
        let corrected = counts.map(|(before, after)| after.saturating_sub(before));
        for part in &mut parts {
            part.elapsed_ms = millis(part_started.elapsed());
            part.max_temperature_c = hottest;
            part.corrected_errors = corrected;
            judge(part, self.request, shared.stopped());
        }
        parts
    }
}

/// Whether a part passed; if not, the reason is added to its text.
fn judge(part: &mut BurnInPart, request: &BurnInRequest, stopped: bool) {
    let mut reasons = Vec::new();
    if part.errors > 0 {
        reasons.push(format!("{} errors", part.errors));
    }
    if let (Some(most), Some(seen)) = (request.max_temperature_c, part.max_temperature_c)
        && seen > most
    {
        reasons.push(format!("{seen:.0} C, at most {most:.0} C allowed"));
    }
    if let Some(corrected) = part.corrected_errors
        && corrected > request.max_corrected_errors
    {
        reasons.push(format!(
            "{corrected} corrected memory errors, at most {} allowed",
            request.max_corrected_errors
        ));
    }
    if let (Some(least), Some(score)) = (request.min_disk_mb_per_s, part.score)
        && part.name.starts_with("disk ")
        && score < least
    {
        reasons.push(format!("{score:.0} MB/s, at least {least:.0} MB/s required"));
    }
    if stopped {
        reasons.push("stopped early".into());
    }
    part.passed = reasons.is_empty();
    if !part.passed {
        let reasons = reasons.join("; ");
        part.detail = match part.detail.is_empty() {
            true => reasons,
            false => format!("{reasons}: {}", part.detail),
        };
    }
}

/// A part whose measurements are still to come.
fn begun(name: impl Into<String>, unit: &str, errors: u64, detail: impl Into<String>) -> BurnInPart {
    BurnInPart {
        name: name.into(),
        unit: unit.into(),
        errors,
        detail: detail.into(),
        ..BurnInPart::default()
    }
}

fn seconds(n: u32) -> Duration {
    Duration::from_secs(u64::from(n))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
