//! Processors as the kernel sees them: /proc/cpuinfo and sysfs. Facts an architecture does not provide stay
//! absent.

mod arm;
mod caches;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod info;
#[cfg(test)]
mod tests;
mod topology;

pub(super) use self::arm::is_core_name;
use std::collections::BTreeMap;

use inventory_api::report::CpuFacts;

use self::info::CpuInfo;
use self::topology::Topology;
use super::roots::{Roots, is_numbered, number, text};
use super::{Problems, clean};

/// A thread takes 1.5 KiB of /proc/cpuinfo; enough for four thousand threads.
const CPUINFO_LIMIT: u64 = 8 * 1024 * 1024;

/// Maximum number of vulnerabilities; Linux 6.12 knows 18.
const VULNERABILITY_LIMIT: usize = 128;

/// None without cpuinfo and topology, as in a capture of only the SMBIOS tables.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> Option<CpuFacts> {
    let info = problems.read(&roots.proc("cpuinfo"), CPUINFO_LIMIT);
    let info = info.map(|bytes| CpuInfo::parse(&String::from_utf8_lossy(&bytes)));
    // The folders of the threads: "cpu0", "cpu1", ...
    let mut threads = problems.names(&roots.sys("devices/system/cpu"));
    threads.retain(|name| is_numbered(name, "cpu"));
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
        // If the kernel knows no packages, cpuinfo has no "physical id" either.
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

/// Counted as in lscpu: every node, with or without processors. None for a kernel without NUMA.
fn numa_nodes(roots: &Roots, problems: &mut Problems) -> Option<u32> {
    let names = problems.names(&roots.sys("devices/system/node"));
    count(names.iter().filter(|name| is_numbered(name, "node")).count())
}

/// Minimum and maximum over all threads, in MHz: cores of one processor may differ.
fn frequencies(roots: &Roots, threads: &[String]) -> (Option<f64>, Option<f64>) {
    let khz = |file: &'static str| {
        threads.iter().filter_map(move |thread| {
            let path = format!("devices/system/cpu/{thread}/cpufreq/{file}");
            number(&roots.sys(path)).filter(|khz: &u32| *khz > 0)
        })
    };
    let mhz = |khz: u32| f64::from(khz) / 1000.0;
    (
        khz("cpuinfo_min_freq").min().map(mhz),
        khz("cpuinfo_max_freq").max().map(mhz),
    )
}

/// The kernel's texts, by the kernel's names.
fn vulnerabilities(roots: &Roots, problems: &mut Problems) -> BTreeMap<String, String> {
    let folder = roots.sys("devices/system/cpu/vulnerabilities");
    let names = problems.names(&folder).into_iter().take(VULNERABILITY_LIMIT);
    names
        .filter_map(|name| Some((clean::text(&name)?, text(&folder.join(&name))?)))
        .collect()
}
