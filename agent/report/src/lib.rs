//! The asset report: this machine's hardware. Collectors, one file each, below [`Roots`].

pub mod bmc;
mod boot;
mod clean;
mod controllers;
mod cpu;
mod device_tree;
mod disks;
mod edac;
mod ethtool;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gpu;
#[cfg(any(test, fuzzing))]
mod harmless;
mod infiniband;
mod lldp;
mod memory;
mod merge;
mod mmc;
mod nics;
mod optics;
mod parse;
mod pci;
mod places;
mod raid;
mod roots;
mod sensors;
mod smbios;
#[cfg(test)]
mod tests;
mod text;
mod tpm;

use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use inventory_api::report::{AssetReport, CollectorProblem, DiskFacts, REPORT_SCHEMA, distinct};

pub use disks::{SelfTest, SelfTestError, disk_self_test};
pub use ethtool::lldp_to_host;
pub use lldp::listen as listen_lldp;
pub use memory::available_bytes;
pub use roots::{Roots, attribute, names, number, read_bounded};
pub use text::render_text;

/// Time limit of a collector, which is then abandoned: a dying disk can block `open` for minutes.
const COLLECTOR_TIME: Duration = Duration::from_secs(20);

/// Maximum number of problems; a broken machine must not flood the report.
const PROBLEM_LIMIT: usize = 64;

/// A collector: fills its part of an empty report.
type Collector = fn(&Roots, &mut Problems, &mut AssetReport);

const COLLECTORS: [(&str, Collector); 13] = [
    ("boot", |roots, problems, part| {
        part.boot = boot::collect(roots, problems)
    }),
    ("cpu", |roots, problems, part| {
        part.cpu = cpu::collect(roots, problems)
    }),
    ("smbios", smbios::collect),
    ("device-tree", device_tree::collect),
    ("memory", |roots, problems, part| {
        part.memory.usable_bytes = memory::usable_bytes(roots, problems);
        part.memory.edac = edac::collect(roots, problems);
    }),
    ("disks", |roots, problems, part| {
        part.disks = disks::collect(roots, disks::Depth::Health, problems)
    }),
    ("pci", |roots, problems, part| {
        part.pci = pci::collect(roots, problems);
        part.gpus = gpu::of_devices(roots, &part.pci);
        part.controllers = controllers::of_devices(roots, &part.pci);
    }),
    ("mmc", |roots, problems, _| mmc::collect(roots, problems)),
    ("raid", raid::collect),
    ("bmc", bmc::collect),
    ("tpm", |roots, problems, part| {
        part.tpm = tpm::collect(roots, problems)
    }),
    ("sensors", |roots, problems, part| {
        part.sensors = sensors::collect(roots, problems)
    }),
    ("nics", |roots, problems, part| {
        part.nics = nics::collect(roots, problems)
    }),
];

/// What one collector could not read.
#[derive(Debug)]
struct Problems {
    collector: &'static str,
    found: Vec<CollectorProblem>,
}

impl Problems {
    fn new(collector: &'static str) -> Problems {
        Problems {
            collector,
            found: Vec::new(),
        }
    }

    /// Notes one problem: what was tried, on what, and the error.
    fn note(&mut self, detail: impl Display) {
        self.note_as(self.collector, detail);
    }

    /// As [`Problems::note`], for a problem with one part, which does not cast doubt on the collector's other
    /// facts.
    fn note_as(&mut self, collector: &str, detail: impl Display) {
        if self.found.len() < PROBLEM_LIMIT {
            let detail = clean::text(&detail.to_string()).unwrap_or_default();
            self.found.push(CollectorProblem {
                collector: collector.to_owned(),
                detail,
            });
        }
    }

    /// The names in a folder. An unreadable folder is a problem, an absent one is empty.
    fn names(&mut self, folder: &Path) -> Vec<String> {
        roots::read_names(folder).unwrap_or_else(|e| {
            self.note(format_args!("{}: {e}", folder.display()));
            Vec::new()
        })
    }

    /// The bytes of a file. An unreadable or truncated file is a problem, an absent one is normal.
    fn read(&mut self, path: &Path, limit: u64) -> Option<Vec<u8>> {
        match read_bounded(path, limit) {
            Ok((bytes, cut)) => {
                if cut {
                    self.note(format_args!(
                        "{}: longer than {limit} bytes, truncated",
                        path.display()
                    ));
                }
                Some(bytes)
            }
            Err(e) => {
                if e.kind() != io::ErrorKind::NotFound {
                    self.note(format_args!("{}: {e}", path.display()));
                }
                None
            }
        }
    }

    /// Keeps the first `most` and notes a problem if there are more: `place` says where, `things` what they
    /// are (plural).
    fn keep<T>(&mut self, all: &mut Vec<T>, most: usize, place: impl Display, things: &str) {
        if all.len() > most {
            self.note(format_args!(
                "{place}: {} {things}, only the first {most} are kept",
                all.len()
            ));
            all.truncate(most);
        }
    }
}

/// As [`collect_with`], waiting at most 2 s for LLDP.
pub fn collect(roots: &Roots) -> AssetReport {
    collect_with(roots, Duration::from_secs(2))
}

/// Only the disks and their identity, not their health: what is needed before writing to one. Every block
/// device is listed, including each path and namespace.
pub fn disks(roots: &Roots) -> Vec<DiskFacts> {
    let part = start(roots, "disks", |roots, problems, part| {
        part.disks = disks::collect(roots, disks::Depth::Identity, problems)
    });
    part.recv_timeout(COLLECTOR_TIME).unwrap_or_default().disks
}

/// Runs every collector. Blocks as long as the slowest collector; never panics. A collector that fails,
/// panics or hangs leaves a problem, and the rest of the report is kept.
///
/// `lldp_wait`: how much longer to wait for LLDP frames not yet received. By the standard a switch sends one
/// every 30 s; call [`listen_lldp`] early to receive them before.
pub fn collect_with(roots: &Roots, lldp_wait: Duration) -> AssetReport {
    let started = Instant::now();
    if roots.is_live() {
        // Missing root rights are not a problem of the machine.
        let _ = listen_lldp();
    }
    let running = COLLECTORS.map(|(name, collect)| (name, start(roots, name, collect)));
    let mut report = AssetReport {
        schema: REPORT_SCHEMA,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..AssetReport::default()
    };
    let deadline = started + COLLECTOR_TIME;
    for (collector, part) in running {
        match part.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(part) => merge::merge(&mut report, part),
            Err(e) => report.problems.push(CollectorProblem {
                collector: collector.to_owned(),
                detail: match e {
                    mpsc::RecvTimeoutError::Timeout => {
                        format!("not finished after {} s, abandoned", COLLECTOR_TIME.as_secs())
                    }
                    mpsc::RecvTimeoutError::Disconnected => "could not start a thread".to_owned(),
                },
            }),
        }
    }
    raid::without_shown(&mut report);
    places::join(roots, &mut report);
    nics::add_neighbours(roots, &mut report.nics, Instant::now() + lldp_wait);
    let mut report = distinct(report);
    report.problems.truncate(PROBLEM_LIMIT);
    report.collected_at = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().into();
    report.collect_ms = started.elapsed().as_millis() as u64;
    report
}

/// Starts a collector in its own thread.
fn start(roots: &Roots, name: &'static str, collect: Collector) -> mpsc::Receiver<AssetReport> {
    let (sender, receiver) = mpsc::channel();
    let roots = roots.clone();
    let work = move || {
        let mut problems = Problems::new(name);
        let mut part = AssetReport::default();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| collect(&roots, &mut problems, &mut part))) {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or(panic.downcast_ref::<&str>().copied());
            problems.note(format_args!(
                "the collector panicked: {}",
                said.unwrap_or("no message")
            ));
        }
        part.problems = problems.found;
        // The receiver is gone if the collector was abandoned.
        let _ = sender.send(part);
    };
    // If there is no thread, the sender is dropped and the receiver reports it.
    let _ = std::thread::Builder::new()
        .name(format!("report-{name}"))
        .spawn(work);
    receiver
}
