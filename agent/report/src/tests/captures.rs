//! Replayed captures of real machines: every expected value is in the capture itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use inventory_api::report::{AssetReport, DiskFacts, Transport};

use super::super::{Roots, collect};

/// Unpacks a ttar archive (github.com/ideaship/ttar) below `to`; returns its files' texts by path.
fn unpack_ttar(archive: &Path, to: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(archive).unwrap();
    let mut files = BTreeMap::new();
    let mut lines = text.lines();
    let mut path: Option<String> = None;
    while let Some(line) = lines.next() {
        if let Some(folder) = line.strip_prefix("Directory: ") {
            fs::create_dir_all(to.join(folder)).unwrap();
        } else if let Some(file) = line.strip_prefix("Path: ") {
            fs::create_dir_all(to.join(file).parent().unwrap()).unwrap();
            path = Some(file.to_owned());
        } else if let Some(target) = line.strip_prefix("SymlinkTo: ") {
            symlink(target, to.join(path.take().unwrap())).unwrap();
        } else if let Some(count) = line.strip_prefix("Lines: ") {
            let path = path.take().unwrap();
            let mut content: String = (0..count.parse().unwrap())
                .map(|_| format!("{}\n", lines.next().unwrap()))
                .collect();
            if let Some(cut) = content.strip_suffix("EOF\n") {
                content = cut.to_owned();
            }
            let content = content.replace("NULLBYTE", "\0");
            fs::write(to.join(&path), &content).unwrap();
            files.insert(path, content.trim().to_owned());
        }
    }
    files
}

fn no_panics(report: &AssetReport) {
    assert!(
        report.problems.iter().all(|p| !p.detail.contains("panicked")),
        "{:?}",
        report.problems
    );
}

/// Each sensor input of the capture, in thousandths or unscaled, is in the report or of an unsupported kind.
fn sensors_match(report: &AssetReport, files: &BTreeMap<String, String>, chip: &str, input: &str) {
    let folder = files
        .iter()
        .find(|(path, text)| path.ends_with("/name") && path.contains("hwmon") && *text == chip)
        .unwrap()
        .0;
    let folder = folder.strip_suffix("/name").unwrap();
    let thousandths: f64 = files[&format!("{folder}/{input}_input")].parse().unwrap();
    let label = files
        .get(&format!("{folder}/{input}_label"))
        .map_or(input, String::as_str);
    let found = report.sensors.iter().find(|s| s.chip == chip && s.label == label);
    let found = found.unwrap_or_else(|| panic!("{chip} {label} in {:?}", report.sensors));
    assert_eq!(found.value, thousandths / 1e3, "{chip} {label}");
    let critical = files
        .get(&format!("{folder}/{input}_crit"))
        .map(|text| text.parse::<f64>().unwrap() / 1e3);
    assert_eq!(found.critical, critical, "{chip} {label}");
}

fn pci_matches(report: &AssetReport, files: &BTreeMap<String, String>, path: &str) {
    let address = path.rsplit('/').next().unwrap();
    let found = report.pci.iter().find(|d| d.address == address).unwrap();
    let hex = |name: &str| {
        files
            .get(&format!("{path}/{name}"))
            .map(|text| text.trim_start_matches("0x").to_owned())
    };
    let number = |name: &str| {
        files
            .get(&format!("{path}/{name}"))
            .and_then(|text| text.parse::<u32>().ok())
    };
    assert_eq!(found.class, hex("class"), "{address}");
    assert_eq!(
        (&found.vendor, &found.device),
        (&hex("vendor"), &hex("device")),
        "{address}"
    );
    assert_eq!(
        (&found.subsystem_vendor, &found.subsystem_device),
        (&hex("subsystem_vendor"), &hex("subsystem_device"))
    );
    assert_eq!(found.revision, hex("revision"));
    assert_eq!(
        (found.link_width, found.link_width_max),
        (number("current_link_width"), number("max_link_width"))
    );
    assert_eq!(
        found.link_speed.as_ref(),
        files.get(&format!("{path}/current_link_speed"))
    );
    assert_eq!(found.numa_node, number("numa_node"));
}

#[test]
fn the_capture_of_node_exporter_is_read() {
    let Some(archive) = fixtures::find("disk/node_exporter/sys.ttar") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let files = unpack_ttar(&archive, dir.path());
    let report = collect(&Roots::under(dir.path()));
    no_panics(&report);
    let sda = report.disks.iter().find(|d| d.name == "sda").unwrap();
    let number = |name: &str| {
        files[&format!("sys/block/sda/queue/{name}")]
            .parse::<u32>()
            .unwrap()
    };
    assert_eq!(sda.logical_block_bytes, Some(number("logical_block_size")));
    assert_eq!(sda.physical_block_bytes, Some(number("physical_block_size")));
    assert!(
        report
            .disks
            .iter()
            .all(|d| !d.name.starts_with("md") && !d.name.starts_with("dm-")),
        "{:?}",
        report.disks
    );
    pci_matches(
        &report,
        &files,
        "sys/devices/pci0000:00/0000:00:02.1/0000:01:00.0",
    );
    pci_matches(
        &report,
        &files,
        "sys/devices/pci0000:40/0000:40:01.3/0000:45:00.0",
    );
    assert_eq!(report.pci.len(), 2, "the bridge is none: {:?}", report.pci);
    let nvme = &report.controllers[0];
    assert_eq!((nvme.kind.as_deref(), nvme.raid), (Some("nvme"), Some(false)));
    assert_eq!(
        nvme.model.as_ref(),
        files.get("sys/devices/pci0000:00/0000:00:02.1/0000:01:00.0/nvme/nvme0/model")
    );
    sensors_match(&report, &files, "coretemp", "temp1");
    sensors_match(&report, &files, "nct6779", "in1");
    // This monitor is unnamed in the capture.
    let input: f64 = files["sys/class/hwmon/hwmon4/temp1_input"].parse().unwrap();
    let label = &files["sys/class/hwmon/hwmon4/temp1_label"];
    let found = report
        .sensors
        .iter()
        .find(|s| s.chip == "hwmon4" && s.label == *label)
        .unwrap();
    assert_eq!(found.value, input / 1e3);
    // Virtual interfaces such as bonds are excluded.
    let nics: Vec<&str> = report.nics.iter().map(|n| n.name.as_str()).collect();
    assert!(
        nics.iter()
            .all(|name| !["bond0", "dmz", "int", "lo"].contains(name)),
        "{nics:?}"
    );
}

#[test]
fn the_capture_of_procfs_is_read() {
    let Some(archive) = fixtures::find("disk/procfs/fixtures.ttar") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let files = unpack_ttar(&archive, dir.path());
    let report = collect(&Roots::under(dir.path().join("fixtures")));
    no_panics(&report);
    let sda = report.disks.iter().find(|d| d.name == "sda").unwrap();
    assert_eq!(
        sda.size_bytes,
        Some(files["fixtures/sys/block/sda/size"].parse::<u64>().unwrap() * 512)
    );
    let eth0 = report.nics.iter().find(|n| n.name == "eth0").unwrap();
    let device = "fixtures/sys/devices/pci0000:00/0000:00:1f.6";
    let id = |name: &str| {
        files[&format!("{device}/{name}")]
            .trim_start_matches("0x")
            .to_owned()
    };
    assert_eq!(eth0.pci.as_deref(), Some("0000:00:1f.6"));
    assert_eq!(eth0.pci_id, Some(format!("{}:{}", id("vendor"), id("device"))));
    let speed = files["fixtures/sys/class/net/eth0/speed"].parse().unwrap();
    assert_eq!((eth0.link, eth0.speed_mbps), (Some(true), Some(speed)));
    // 01:01:01:01:01:01 is a group address, not an interface's own.
    assert_eq!(eth0.mac, None);
    pci_matches(
        &report,
        &files,
        "fixtures/sys/devices/pci0000:00/0000:00:02.1/0000:01:00.0",
    );
}

/// The report of a tar archive of the fixtures.
fn unpacked_report(archive: &str) -> Option<AssetReport> {
    let archive = fixtures::find(archive)?;
    let dir = tempfile::tempdir().unwrap();
    let unpacked = std::process::Command::new("tar")
        .arg("-xJf")
        .arg(&archive)
        .arg("-C")
        .arg(dir.path())
        .status();
    if !unpacked.is_ok_and(|status| status.success()) {
        println!("skipped: tar cannot unpack {}", archive.display());
        return None;
    }
    let report = collect(&Roots::under(dir.path()));
    no_panics(&report);
    Some(report)
}

#[test]
fn nvme_disks_are_found_without_sys_block() {
    let Some(report) = unpacked_report("disk/nvme-sysfs/data/hostnqn-order.tar.xz") else {
        return;
    };
    assert_eq!(report.disks.len(), 1, "{:?}", report.disks);
    let disk = &report.disks[0];
    assert_eq!(disk.model.as_deref(), Some("SAMSUNG MZVL4512HBLU-00BL7"));
    assert_eq!(disk.serial.as_deref(), Some("S67VNF0W218998"));
    assert_eq!(disk.size_bytes, Some(1_000_215_216 * 512));
    assert_eq!(
        disk.wwn.as_deref(),
        Some(
            "nvme.144d-533637564e463057323138393938-53414d53554e47204d5a564c3435313248424c552d3030424c37-00000001"
        )
    );
    assert_eq!(
        (disk.transport, disk.pci.as_deref()),
        (Some(Transport::Nvme), Some("0000:02:00.0"))
    );
    assert_eq!(disk.path.as_deref(), Some("pci-0000:02:00.0-nvme-1"));
}

#[test]
fn nvme_multipath_disks_are_found_without_sys_block() {
    let Some(report) = unpacked_report("disk/nvme-sysfs/data/config-pcie.tar.xz") else {
        return;
    };
    let disk = |name: &str, serial: &str, pci: &str, hex: &str, bay: Option<&str>| DiskFacts {
        name: name.to_owned(),
        model: Some("QEMU NVMe Ctrl".to_owned()),
        serial: Some(serial.to_owned()),
        firmware: Some("8.1.3".to_owned()),
        wwn: Some(format!("nvme.1b36-{hex}-51454d55204e564d65204374726c-00000001")),
        size_bytes: Some(1 << 30),
        transport: Some(Transport::Nvme),
        pci: Some(pci.to_owned()),
        path: Some(format!("pci-{pci}-nvme-1")),
        partitions: Some(0),
        bay: bay.map(str::to_owned),
        ..DiskFacts::default()
    };
    let mut found = report.disks.clone();
    for disk in &mut found {
        // The capture also has the queues.
        assert_eq!(
            (
                disk.logical_block_bytes,
                disk.physical_block_bytes,
                disk.rotational
            ),
            (Some(512), Some(512), Some(false))
        );
        (
            disk.logical_block_bytes,
            disk.physical_block_bytes,
            disk.rotational,
        ) = (None, None, None);
        (disk.removable, disk.read_only) = (None, None);
    }
    assert_eq!(
        found,
        [
            disk("nvme0n1", "nvme-1", "0000:0f:00.0", "6e766d652d31", Some("0-15")),
            disk("nvme1n1", "nvme-0", "0000:00:05.0", "6e766d652d30", None),
        ]
    );
}
