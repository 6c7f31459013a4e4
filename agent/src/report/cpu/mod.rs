//! Processors as the kernel sees them: /proc/cpuinfo and sysfs. What an architecture does not tell stays absent.

mod arm;
mod caches;
mod info;
#[cfg(test)]
mod tests;
mod topology;

pub(super) use self::arm::is_core_name;
#[cfg(any(test, fuzzing))]
pub(super) use self::info::fuzz;
use std::collections::BTreeMap;

use inventory_api::report::CpuFacts;

use self::info::CpuInfo;
use self::topology::Topology;
use super::roots::{Roots, attribute, names, number, read_bounded};
use super::{Problems, clean};

/// A thread takes 1.5 KiB of /proc/cpuinfo; this is enough for four thousand.
const CPUINFO_LIMIT: u64 = 8 * 1024 * 1024;

/// Vulnerabilities kept; Linux 6.12 knows 18.
const VULNERABILITY_LIMIT: usize = 128;

/// None: neither cpuinfo nor topology is there, as in a capture of the SMBIOS tables alone.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> Option<CpuFacts> {
    let path = roots.proc("cpuinfo");
    let info = match read_bounded(&path, CPUINFO_LIMIT) {
        Ok((bytes, cut)) => {
            if cut {
                problems.note(format_args!(
                    "{}: longer than {CPUINFO_LIMIT} bytes, the rest is not read",
                    path.display()
                ));
            }
            Some(CpuInfo::parse(&String::from_utf8_lossy(&bytes)))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => {
            problems.note(format_args!("{}: {e}", path.display()));
            None
        }
    };
    let threads = threads(roots, problems);
    let topology = Topology::read(roots, &threads);
    if info.is_none() && topology.is_none() {
        return None;
    }
    let info = info.unwrap_or_default();
    let counts = topology
        .map(|topology| topology.counts(info.kind))
        .unwrap_or_default();
    let (min_mhz, max_mhz) = frequencies(roots, &threads);
    Some(CpuFacts {
        // Where the kernel's packages are none, cpuinfo has no "physical id" either.
        sockets: counts.sockets.or(info.sockets()),
        cores: counts.cores.or(info.physical_cores()),
        threads: counts.threads.or(info.threads()),
        threads_per_core: counts.threads_per_core,
        vendor: info.vendor,
        model: info.model,
        flags: info.flags,
        family: info.family,
        model_number: info.model_number,
        stepping: info.stepping,
        microcode: info.microcode,
        numa_nodes: numa_nodes(roots, problems),
        min_mhz,
        max_mhz,
        caches: caches::caches(roots, &threads),
        vulnerabilities: vulnerabilities(roots, problems),
        processors: Vec::new(),
        smbios_caches: Vec::new(),
    })
}

fn count(n: usize) -> Option<u32> {
    u32::try_from(n).ok().filter(|n| *n > 0)
}

/// "cpu12" for "cpu": the word and a number.
fn is_numbered(name: &str, word: &str) -> bool {
    name.strip_prefix(word)
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The folders of the threads: "cpu0", "cpu1", ...
fn threads(roots: &Roots, problems: &mut Problems) -> Vec<String> {
    let folder = roots.sys("devices/system/cpu");
    let mut names = names(&folder).unwrap_or_else(|e| {
        problems.note(format_args!("{}: {e}", folder.display()));
        Vec::new()
    });
    names.retain(|name| is_numbered(name, "cpu"));
    names
}

/// As lscpu counts: every node, with or without processors. None: a kernel without NUMA.
fn numa_nodes(roots: &Roots, problems: &mut Problems) -> Option<u32> {
    let folder = roots.sys("devices/system/node");
    let names = names(&folder).unwrap_or_else(|e| {
        problems.note(format_args!("{}: {e}", folder.display()));
        Vec::new()
    });
    count(names.iter().filter(|name| is_numbered(name, "node")).count())
}

/// The least and the most over all threads, MHz: cores of one processor may differ.
fn frequencies(roots: &Roots, threads: &[String]) -> (Option<f64>, Option<f64>) {
    let khz = |file: &'static str| {
        threads.iter().filter_map(move |thread| {
            let path = format!("devices/system/cpu/{thread}/cpufreq/{file}");
            number(&roots.sys(path)).filter(|khz| *khz > 0)
        })
    };
    let mhz = |khz: i64| khz as f64 / 1000.0;
    (
        khz("cpuinfo_min_freq").min().map(mhz),
        khz("cpuinfo_max_freq").max().map(mhz),
    )
}

/// The kernel's own words, by its own names.
fn vulnerabilities(roots: &Roots, problems: &mut Problems) -> BTreeMap<String, String> {
    let folder = roots.sys("devices/system/cpu/vulnerabilities");
    let names = names(&folder).unwrap_or_else(|e| {
        problems.note(format_args!("{}: {e}", folder.display()));
        Vec::new()
    });
    names
        .into_iter()
        .take(VULNERABILITY_LIMIT)
        .filter_map(|name| {
            let said = clean::text(&attribute(&folder.join(&name))?)?;
            Some((clean::text(&name)?, said))
        })
        .collect()
}
