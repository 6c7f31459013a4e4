//! Captured machines of util-linux, hwloc and ghw, compared with those tools' output.

use std::path::{Path, PathBuf};

use super::*;

/// The files used; archives of the largest machines have a hundred thousand.
const COUNTED: &[&str] = &[
    "*proc/cpuinfo",
    "*sys/devices/system/cpu/cpu*/topology/physical_package_id",
    "*sys/devices/system/cpu/cpu*/topology/core_id",
    "*sys/devices/system/cpu/cpu*/topology/*_siblings*",
    "*sys/devices/system/cpu/cpu*/topology/*_cpus*",
    "*sys/devices/system/node/node*/cpumap",
];

/// Unpacks a machine from an archive (all of it, or some patterns); returns the folder with its sys and proc.
fn unpack(archive: &Path, only: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let tar = std::process::Command::new("tar")
        .arg("xf")
        .arg(archive)
        .arg("-C")
        .arg(dir.path())
        .arg("--wildcards")
        .args(only)
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    // 2: a pattern was not found. A broken archive is noticed below because no machine is found.
    assert!(matches!(tar.code(), Some(0 | 2)), "{}", archive.display());
    let holds = |folder: &Path| folder.join("sys").is_dir() || folder.join("proc").is_dir();
    let mut root = dir.path().to_owned();
    if !holds(&root) {
        let inside = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path());
        root = inside.into_iter().find(|folder| holds(folder)).unwrap();
    }
    (dir, root)
}

fn archives(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    all.sort();
    all
}

fn name(archive: &Path, end: &str) -> String {
    let name = archive.file_name().unwrap().to_str().unwrap();
    name.trim_end_matches(end).to_owned()
}

fn facts_of(archive: &Path, only: &[&str]) -> Option<CpuFacts> {
    let (_dir, root) = unpack(archive, only);
    let mut problems = Problems::new("cpu");
    let facts = collect(&Roots::under(root), &mut problems);
    assert!(problems.found.is_empty(), "{}: {problems:?}", archive.display());
    facts
}

/// lscpu's words: "Mitigation; PTI" under "Vulnerability Meltdown".
fn vulnerabilities_of_lscpu(said: &str) -> BTreeMap<String, String> {
    said.lines()
        .filter_map(|line| line.strip_prefix("Vulnerability ")?.split_once(':'))
        .map(|(name, said)| (name.to_lowercase().replace(' ', "_"), said.trim().to_owned()))
        .collect()
}

/// lscpu writes "Mitigation; PTI" and leaves the other colons out.
fn as_lscpu_writes(said: &str) -> String {
    match said.strip_prefix("Mitigation:") {
        Some(rest) => format!("Mitigation;{}", rest.replace(':', "")),
        None => said.to_owned(),
    }
}

/// "64 KiB (2 instances)" of "L1d cache", in lscpu's rounding to one decimal: "3.5 MiB".
fn cache_of_lscpu(said: &str) -> (f64, u32) {
    let (size, instances) = said.split_once(" (").unwrap();
    let (number, unit) = size.split_once(' ').unwrap();
    let scale = match unit {
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        other => panic!("{other}"),
    };
    let instances = instances.split(' ').next().unwrap();
    (number.parse::<f64>().unwrap() * scale, instances.parse().unwrap())
}

#[test]
fn facts_are_those_of_lscpu() {
    let Some(lscpu) = fixtures::find("cpu/lscpu") else {
        return;
    };
    let all = archives(&lscpu.join("dumps"), ".tar.gz");
    for archive in &all {
        let name = name(archive, ".tar.gz");
        let said = std::fs::read_to_string(lscpu.join(format!("expected/lscpu-{name}"))).unwrap();
        let values = |key: &str| -> Vec<String> {
            said.lines()
                .filter_map(|l| Some(l.strip_prefix(key)?.strip_prefix(':')?.trim().to_owned()))
                .collect()
        };
        let number = |key: &str| values(key).first().and_then(|v| v.parse::<u32>().ok());
        let facts = facts_of(archive, &[]).unwrap();
        // One block per kind of core; they share the socket.
        let sockets = number("Socket(s)").unwrap();
        let cores: u32 = values("Core(s) per socket")
            .iter()
            .map(|v| v.parse::<u32>().unwrap() * sockets)
            .sum();
        assert!(
            facts.sockets == Some(sockets) || (name.starts_with("arm") && facts.sockets.is_none()),
            "{name}: {:?}",
            facts.sockets
        );
        assert_eq!(facts.cores, Some(cores), "{name}");
        assert_eq!(facts.threads, number("CPU(s)"), "{name}");
        assert_eq!(facts.threads_per_core, number("Thread(s) per core"), "{name}");
        assert_eq!(facts.numa_nodes, number("NUMA node(s)"), "{name}");
        assert_eq!(facts.vendor, values("Vendor ID").first().cloned(), "{name}");
        let arm = name.starts_with("arm");
        match &facts.model {
            // With the maker before lscpu's name; one block per kind of core.
            Some(core) if arm => assert!(
                values("Model name").iter().any(|model| core.ends_with(model)),
                "{name}: {core}"
            ),
            model if arm => assert!(!name.contains("A510"), "{name}: {model:?}"),
            model => assert_eq!(*model, values("Model name").first().cloned(), "{name}"),
        }
        let x86 = !arm && !name.starts_with("rv");
        assert_eq!(facts.family, number("CPU family").filter(|_| x86), "{name}");
        assert_eq!(facts.model_number, number("Model").filter(|_| x86), "{name}");
        assert_eq!(facts.stepping, number("Stepping").filter(|_| x86), "{name}");
        let mhz = |key| {
            values(key)
                .iter()
                .map(|v| v.parse::<f64>().unwrap())
                .collect::<Vec<_>>()
        };
        let most = mhz("CPU max MHz").into_iter().reduce(f64::max);
        let least = mhz("CPU min MHz").into_iter().reduce(f64::min);
        assert_eq!((facts.min_mhz, facts.max_mhz), (least, most), "{name}");
        let got: BTreeMap<String, String> = facts
            .vulnerabilities
            .iter()
            .map(|(name, said)| (name.clone(), as_lscpu_writes(said)))
            .collect();
        assert_eq!(got, vulnerabilities_of_lscpu(&said), "{name}");
        for (level, kind, key) in [
            (1, "data", "L1d cache"),
            (1, "instruction", "L1i cache"),
            (2, "unified", "L2 cache"),
            (3, "unified", "L3 cache"),
        ] {
            let said = values(key).first().map(|said| cache_of_lscpu(said));
            let got = facts.caches.iter().find(|c| c.level == level && c.kind == kind);
            assert_eq!(got.map(|c| c.instances), said.map(|s| s.1), "{name} {key}");
            if let (Some(got), Some((bytes, _))) = (got, said) {
                let off = (got.total_bytes as f64 - bytes).abs() / bytes;
                assert!(off < 0.05, "{name} {key}: {got:?}");
            }
        }
    }
    assert!(all.len() >= 6, "only {} machines", all.len());
}

/// hwloc's counts: lines "Package L#0", or objects of its XML.
fn counted_by_hwloc(said: &str, kind: &str) -> Option<u32> {
    let (text, xml) = (format!("{kind} L#"), format!("<object type=\"{kind}\""));
    count(
        said.lines()
            .filter(|line| line.trim_start().starts_with(&text) || line.contains(&xml))
            .count(),
    )
}

/// Outputs that do not show the whole machine: a cgroup hides part of it, or lstopo's options omit levels.
const PARTLY_SHOWN: &[&str] = &[
    "16amd64-4n4c-cgroup-distance-merge",
    "16amd64-8n2c-cpusets",
    "16em64t-4s2ca2c-cpusetreorder",
    "32amd64-4s2n4c-cgroup2",
    "4em64t-2c2t-ignore-reorder",
    "4fake-4gr1nu1pu",
];

/// Where hwloc and the kernel disagree.
const ANOTHER_OPINION: &[&str] = &[
    // That test moves PCI devices and a package by an environment variable.
    "40intel64-4n10c+pci-conflicts Package",
    // Two threads of a Bulldozer module are two cores to hwloc.
    "64amd64-4s2n4ca2co Core",
    // Memory used as cache, GPU memory, heterogeneous memory, or a table that hwloc knows to be wrong.
    "64intel64-fakeKNL-SNC4-hybrid NUMANode",
    "8em64t-2s2ca2c-buggynuma NUMANode",
    "fakeheteromemtiers NUMANode",
    "fakememinitiators-1np2c+1npp+gi NUMANode",
    "nvidiagpunumanodes NUMANode",
];

#[test]
fn counts_are_those_of_hwloc() {
    let Some(hwloc) = fixtures::find("cpu/hwloc/linux") else {
        return;
    };
    let mut compared = 0;
    let mut wrong = vec![];
    for archive in archives(&hwloc, ".tar.bz2") {
        let name = name(&archive, ".tar.bz2");
        let output = hwloc.join(format!("{name}.output"));
        let Ok(said) = std::fs::read_to_string(&output) else {
            continue;
        };
        if PARTLY_SHOWN.contains(&name.as_str()) {
            continue;
        }
        let Some(facts) = facts_of(&archive, COUNTED) else {
            continue;
        };
        for (kind, got) in [
            ("Package", facts.sockets),
            ("Core", facts.cores),
            ("PU", facts.threads),
            ("NUMANode", facts.numa_nodes),
        ] {
            let said = counted_by_hwloc(&said, kind);
            compared += usize::from(got == said);
            let at = format!("{name} {kind}");
            if got.is_some() && got != said && !ANOTHER_OPINION.contains(&at.as_str()) {
                wrong.push(format!("{at}: got {got:?}, hwloc says {said:?}"));
            }
        }
    }
    println!("{compared} counts equal");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 100, "only {compared} counts compared");
}

/// ghw's snapshots have no expected text: compare /proc/cpuinfo and sysfs, two views of the same machine.
#[test]
fn cpuinfo_and_sysfs_of_the_snapshots_agree() {
    let Some(ghw) = fixtures::find("cpu/ghw/snapshots") else {
        return;
    };
    let mut compared = 0;
    for archive in archives(&ghw, ".tar.gz") {
        // Some are only pointers to files that were not fetched.
        if std::fs::metadata(&archive).unwrap().len() < 1000 {
            continue;
        }
        let name = name(&archive, ".tar.gz");
        let (_dir, root) = unpack(&archive, COUNTED);
        let text = std::fs::read_to_string(root.join("proc/cpuinfo")).unwrap();
        let of = |key: &str| -> Vec<u32> {
            let values = text.lines().filter_map(|line| line.split_once(':'));
            let values = values.filter(|(found, _)| found.trim() == key);
            values
                .filter_map(|(_, value)| value.trim().parse().ok())
                .collect()
        };
        let mut problems = Problems::new("cpu");
        let facts = collect(&Roots::under(&root), &mut problems).unwrap();
        assert!(problems.found.is_empty(), "{name}: {problems:?}");
        if !name.contains("s390x") {
            assert_eq!(facts.threads, count(of("processor").len()), "{name}");
        }
        let packages: std::collections::HashSet<u32> = of("physical id").into_iter().collect();
        if let Some(cores) = of("cpu cores").first() {
            assert_eq!(facts.sockets, count(packages.len()), "{name}");
            assert_eq!(facts.cores, Some(cores * packages.len() as u32), "{name}");
            compared += 1;
        }
        println!(
            "{name}: {:?} {:?} {:?} {:?} {:?}",
            facts.sockets, facts.cores, facts.threads, facts.vendor, facts.model
        );
    }
    assert!(compared >= 4, "only {compared} machines");
}
