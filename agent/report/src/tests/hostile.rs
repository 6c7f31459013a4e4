//! A hostile machine whose every file is endless, a pipe, a folder, a cycle, a device, or control characters.
//! The work is bounded and yields no harmful fact.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::super::{Roots, collect, render_text};

/// Files read by the device collectors, below one artificial machine.
const FILES: &[&str] = &[
    "proc/version",
    "proc/sys/kernel/osrelease",
    "proc/driver/nvidia/gpus/0000:3b:00.0/information",
    "usr/share/misc/pci.ids",
    "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    "sys/firmware/efi/efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    "sys/firmware/efi/efivars/Boot0001-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    "sys/block/sda/size",
    "sys/block/sda/removable",
    "sys/block/sda/wwid",
    "sys/block/sda/queue/rotational",
    "sys/block/sda/queue/logical_block_size",
    "sys/block/sda/device/vendor",
    "sys/block/sda/device/model",
    "sys/block/sda/device/rev",
    "sys/block/sda/device/raid_level",
    "sys/block/sda/device/vpd_pg80",
    "sys/block/sda/device/vpd_pg83",
    "sys/block/sda/device/vpd_pg89",
    "sys/block/sda/device/vpd_pgb1",
    "sys/block/sda/device/enclosure_device:\u{7}Slot <b>1</b>/slot",
    "sys/block/nvme0n1/device/serial",
    "sys/block/nvme0n1/device/firmware_rev",
    "sys/block/nvme0n1/nsid",
    "sys/class/net/eth0/device/vendor",
    "sys/class/net/eth0/address",
    "sys/class/net/eth0/speed",
    "sys/class/net/eth0/carrier",
    "sys/class/net/eth0/phys_port_name",
    "sys/class/net/eth0/device/sriov_totalvfs",
    "sys/bus/pci/devices/0000:3b:00.0/class",
    "sys/bus/pci/devices/0000:3b:00.0/vendor",
    "sys/bus/pci/devices/0000:3b:00.0/device",
    "sys/bus/pci/devices/0000:3b:00.0/current_link_speed",
    "sys/bus/pci/devices/0000:3b:00.0/mem_info_vram_total",
    "sys/bus/pci/slots/1/address",
    "sys/class/scsi_host/host0/board_name",
    "sys/class/hwmon/hwmon0/name",
    "sys/class/hwmon/hwmon0/temp1_input",
    "sys/class/hwmon/hwmon0/temp1_label",
    "sys/class/tpm/tpm0/tpm_version_major",
    "sys/class/tpm/tpm0/device/caps",
    "sys/class/tpm/tpm0/device/pubek",
];

/// A valid value for files that decide whether others are read.
fn sound(file: &str) -> Option<&'static str> {
    Some(match file.rsplit('/').next()? {
        "class" => "0x030200\n",
        "vendor" if file.contains("pci") => "0x10de\n",
        "device" => "0x20b0\n",
        "temp1_input" => "42000\n",
        "size" => "1000\n",
        _ => return None,
    })
}

fn write(lie: &str, path: &Path) {
    match lie {
        "huge" => fs::write(path, "A\u{1b}[31m<script>".repeat(100_000)).unwrap(),
        "endless" => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        "pipe" => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR).unwrap(),
        "folder" => fs::create_dir(path).unwrap(),
        "circle" => symlink(path.file_name().unwrap(), path).unwrap(),
        "device" => symlink("/dev/zero", path).unwrap(),
        "signs" => fs::write(
            path,
            "\u{1b}]0;x\u{7}<img src=x>\r\n\u{202e}999999999999999999999999\0",
        )
        .unwrap(),
        "bytes" => fs::write(path, (0..=255).cycle().take(70_000).collect::<Vec<u8>>()).unwrap(),
        other => unreachable!("{other}"),
    }
}

#[test]
fn hostile_content_in_every_file_is_survived() {
    for lie in [
        "huge", "endless", "pipe", "folder", "circle", "device", "signs", "bytes",
    ] {
        // First with every file hostile, then with valid values where these lead to other files.
        for open_way in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            for file in FILES {
                let path = dir.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                match sound(file).filter(|_| open_way) {
                    Some(text) => fs::write(path, text).unwrap(),
                    None => write(lie, &path),
                }
            }
            let report = collect(&Roots::under(dir.path()));
            let problems = &report.problems;
            // "left behind" is a collector that waits for a pipe or reads without an end.
            assert!(
                problems
                    .iter()
                    .all(|p| !p.detail.contains("panicked") && !p.detail.contains("abandoned")),
                "{lie}: {problems:?}"
            );
            let json = serde_json::to_string(&report).unwrap();
            assert!(json.len() < 200_000, "{lie}: a report of {} bytes", json.len());
            // JSON writes control characters as \u00xx and the like.
            assert!(
                !json.contains("\\u00") && !json.contains('\u{202e}'),
                "{lie}: {json}"
            );
            assert!(
                render_text(&report).chars().all(|c| c == '\n' || !c.is_control()),
                "{lie}"
            );
        }
    }
}

#[test]
fn of_five_thousand_disks_a_thousand_are_kept_and_the_rest_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let block = dir.path().join("sys/block");
    fs::create_dir_all(&block).unwrap();
    for number in 0..5000 {
        fs::create_dir(block.join(format!("nvme{number}n1"))).unwrap();
    }
    let report = collect(&Roots::under(dir.path()));
    assert_eq!(report.disks.len(), 1024);
    assert!(
        report.problems.iter().any(|p| p.collector == "disks"),
        "{:?}",
        report.problems
    );
}
