//! Processors as the kernel sees them: /proc/cpuinfo and the topology in sysfs.

use std::collections::HashSet;
use std::path::Path;

use inventory_api::report::CpuFacts;

use super::roots::{Roots, attribute, names, number, read_bounded};
use super::{Problems, clean};

/// A thread takes 1.5 KiB of /proc/cpuinfo; this is enough for four thousand.
const CPUINFO_LIMIT: u64 = 8 * 1024 * 1024;

/// Flags people choose machines by, in the kernel's words.
const OF_NOTE: &[&str] = &[
    "aes",
    "amx_bf16",
    "amx_int8",
    "amx_tile",
    "asimd",
    "atomics",
    "avx",
    "avx2",
    "avx512_bf16",
    "avx512_vnni",
    "avx512bw",
    "avx512dq",
    "avx512f",
    "avx512vl",
    "avx_vnni",
    "fma",
    "hypervisor",
    "invpcid",
    "la57",
    "lm",
    "nx",
    "pclmulqdq",
    "pcid",
    "pdpe1gb",
    "rdrand",
    "rdseed",
    "sev",
    "sev_es",
    "sev_snp",
    "sgx",
    "sha_ni",
    "sha2",
    "sme",
    "smx",
    "sse4_2",
    "svm",
    "sve",
    "sve2",
    "tdx_host_platform",
    "vaes",
    "vmx",
];

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
    let topology = Topology::read(roots, problems);
    if info.is_none() && topology.is_none() {
        return None;
    }
    let info = info.unwrap_or_default();
    let counts = topology.as_ref().map(Topology::counts).unwrap_or_default();
    let (sockets, cores) = (info.sockets(), info.physical_cores());
    Some(CpuFacts {
        // On ARM without a PPTT the kernel numbers clusters as packages; SMBIOS knows the sockets there.
        sockets: if info.arm {
            None
        } else {
            counts.sockets.or(sockets)
        },
        vendor: info.vendor,
        model: info.model,
        cores: counts.cores.or(cores),
        threads: counts.threads.or(count(info.threads)),
        flags: info.flags,
        processors: Vec::new(),
        ..CpuFacts::default()
    })
}

fn count(n: usize) -> Option<u32> {
    u32::try_from(n).ok().filter(|n| *n > 0)
}

/// Where one thread is. Ids are only unique within the level above; the kernel's sibling lists are unique as they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// physical_package_id; -1 where firmware does not tell (ARM and RISC-V without a PPTT).
    package: Option<i64>,
    /// Threads of the same package.
    package_siblings: Option<String>,
    core: Option<i64>,
    /// Threads of the same core.
    core_siblings: Option<String>,
}

/// The threads that are online: an offline one has no topology.
struct Topology(Vec<Place>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    sockets: Option<u32>,
    cores: Option<u32>,
    threads: Option<u32>,
}

impl Topology {
    fn read(roots: &Roots, problems: &mut Problems) -> Option<Topology> {
        let folder = roots.sys("devices/system/cpu");
        let names = names(&folder).unwrap_or_else(|e| {
            problems.note(format_args!("{}: {e}", folder.display()));
            Vec::new()
        });
        let is_thread = |name: &String| {
            name.strip_prefix("cpu")
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        let places: Vec<Place> = names
            .iter()
            .filter(|n| is_thread(n))
            .filter_map(|n| Place::read(&folder.join(n).join("topology")))
            .collect();
        (!places.is_empty()).then_some(Topology(places))
    }

    fn counts(&self) -> Counts {
        let distinct = |key: &dyn Fn(&Place) -> Option<String>| {
            let keys: Option<HashSet<String>> = self.0.iter().map(key).collect();
            count(keys?.len())
        };
        Counts {
            sockets: distinct(&|p| {
                p.package_siblings
                    .clone()
                    .or(p.package.filter(|id| *id >= 0).map(|id| id.to_string()))
            }),
            cores: distinct(&|p| {
                p.core_siblings
                    .clone()
                    .or(Some(format!("{}/{}", p.package?, p.core?)))
            }),
            threads: count(self.0.len()),
        }
    }
}

impl Place {
    fn read(topology: &Path) -> Option<Place> {
        if !topology.is_dir() {
            return None;
        }
        // The newer names came with Linux 5.2; the older ones mean the same.
        let list = |names: [&str; 4]| {
            names
                .iter()
                .find_map(|name| attribute(&topology.join(name)))
                .map(|t| t.trim().to_owned())
                .filter(|t| !t.is_empty())
        };
        Some(Place {
            package: number(&topology.join("physical_package_id")),
            package_siblings: list([
                "package_cpus_list",
                "core_siblings_list",
                "package_cpus",
                "core_siblings",
            ]),
            core: number(&topology.join("core_id")),
            core_siblings: list([
                "core_cpus_list",
                "thread_siblings_list",
                "core_cpus",
                "thread_siblings",
            ]),
        })
    }
}

/// What /proc/cpuinfo tells.
#[derive(Debug, Default, PartialEq, Eq)]
struct CpuInfo {
    vendor: Option<String>,
    model: Option<String>,
    flags: Vec<String>,
    arm: bool,
    threads: usize,
    /// "physical id" and "core id" of each thread; only where the kernel writes both.
    places: HashSet<(u32, u32)>,
}

impl CpuInfo {
    fn parse(text: &str) -> CpuInfo {
        let mut info = CpuInfo::default();
        let (mut package, mut core) = (None, None);
        for line in text.lines().chain([""]) {
            let Some((key, value)) = line.split_once(':') else {
                if let (Some(package), Some(core)) = (package.take(), core.take()) {
                    info.places.insert((package, core));
                }
                continue;
            };
            let value = value.trim();
            match key.trim() {
                "processor" => info.threads += 1,
                // x86, RISC-V.
                "vendor_id" => info.vendor = info.vendor.take().or_else(|| clean::fact(value)),
                "model name" | "uarch" => info.model = info.model.take().or_else(|| clean::fact(value)),
                // ARM writes numbers: the implementer and the part, no names.
                "CPU implementer" => info.arm = true,
                "flags" | "Features" if info.flags.is_empty() => info.flags = flags_of_note(value),
                "physical id" => package = value.parse().ok(),
                "core id" => core = value.parse().ok(),
                _ => {}
            }
        }
        info
    }

    fn sockets(&self) -> Option<u32> {
        count(
            self.places
                .iter()
                .map(|(package, _)| package)
                .collect::<HashSet<_>>()
                .len(),
        )
    }

    fn physical_cores(&self) -> Option<u32> {
        count(self.places.len())
    }
}

fn flags_of_note(flags: &str) -> Vec<String> {
    let has: HashSet<&str> = flags.split_ascii_whitespace().collect();
    let mut found: Vec<String> = OF_NOTE
        .iter()
        .filter(|flag| has.contains(*flag))
        .map(|flag| (*flag).to_owned())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::super::smbios::tests::fixtures;
    use super::*;

    const TWO_SOCKETS: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Gold\nphysical id\t: 0\n\
        core id\t\t: 0\nflags\t\t: fpu vmx aes zzz\n\nprocessor\t: 1\nphysical id\t: 1\ncore id\t\t: 0\n\n";

    #[test]
    fn cpuinfo_alone_is_enough_on_x86() {
        let info = CpuInfo::parse(TWO_SOCKETS);
        assert_eq!(
            (info.sockets(), info.physical_cores(), info.threads),
            (Some(2), Some(2), 2)
        );
        assert_eq!(info.flags, ["aes", "vmx"]);
        assert_eq!(info.vendor.as_deref(), Some("GenuineIntel"));
        assert_eq!(CpuInfo::parse("\0\u{fffd}: : :\n::"), CpuInfo::default());
    }

    #[test]
    fn a_package_that_firmware_does_not_number_is_no_socket() {
        let place = |core| Place {
            package: Some(-1),
            package_siblings: None,
            core: Some(core),
            core_siblings: None,
        };
        let counts = Topology(vec![place(0), place(1)]).counts();
        assert_eq!(
            counts,
            Counts {
                sockets: None,
                cores: Some(2),
                threads: Some(2)
            }
        );
    }

    /// The machine in an archive of the fixtures, unpacked.
    fn unpack(archive: &Path) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let tar = std::process::Command::new("tar")
            .arg("xf")
            .arg(archive)
            .arg("-C")
            .arg(dir.path())
            .status()
            .unwrap();
        assert!(tar.success(), "{}", archive.display());
        dir
    }

    #[test]
    fn counts_are_those_of_lscpu() {
        let Some(lscpu) = fixtures("cpu/lscpu") else {
            return;
        };
        let mut compared = 0;
        for archive in std::fs::read_dir(lscpu.join("dumps"))
            .unwrap()
            .map(|e| e.unwrap().path())
        {
            let name = archive
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .trim_end_matches(".tar.gz")
                .to_owned();
            let said = std::fs::read_to_string(lscpu.join(format!("expected/lscpu-{name}"))).unwrap();
            let values = |key: &str| -> Vec<String> {
                said.lines()
                    .filter_map(|l| Some(l.strip_prefix(key)?.strip_prefix(':')?.trim().to_owned()))
                    .collect()
            };
            let dir = unpack(&archive);
            let mut problems = Problems::new("cpu");
            let facts = collect(&Roots::under(dir.path().join(&name)), &mut problems).unwrap();
            println!("{name}: {facts:?}");
            let numbers = |key| {
                values(key)
                    .iter()
                    .map(|v| v.parse::<u32>().unwrap())
                    .collect::<Vec<_>>()
            };
            // One block for each kind of core; they share the socket.
            let sockets = numbers("Socket(s)")[0];
            let cores: u32 = numbers("Core(s) per socket").iter().sum::<u32>() * sockets;
            let arm = name.starts_with("arm");
            assert_eq!(facts.sockets, Some(sockets).filter(|_| !arm), "{name}");
            assert_eq!(facts.cores, Some(cores), "{name}");
            assert_eq!(facts.threads, Some(numbers("CPU(s)")[0]), "{name}");
            if name.starts_with("x86") || name.starts_with('v') {
                assert_eq!(facts.vendor, values("Vendor ID").first().cloned(), "{name}");
                assert_eq!(facts.model, values("Model name").first().cloned(), "{name}");
            }
            assert!(problems.found.is_empty(), "{name}: {problems:?}");
            compared += 1;
        }
        assert!(compared >= 6, "only {compared} machines");
    }
}
