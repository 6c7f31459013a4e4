//! A located disk, opened: a block device, or a file that simulates one, and its partitions.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use inventory_api::plan::Partition;

use super::area::Area;
use super::error::{StepError, Tried, fail};
use super::ioctl;
use super::site::{Place, Site};
use super::target::Located;

/// The kernel makes partition nodes within milliseconds; udev probing the disk can hold it busy for a while.
const NODE_PATIENCE: Duration = Duration::from_secs(20);

/// Opens the whole located disk for writing and checks again that it is the one that was located. With
/// `exclusive` the kernel refuses if anything else has claimed the disk or a partition (open(2), O_EXCL).
pub(super) fn open_disk(site: &Site, located: &Located, exclusive: bool) -> Result<Area, StepError> {
    let name = &located.name;
    match &site.place {
        Place::Simulated { disks, .. } => {
            let path = disks
                .get(name)
                .ok_or_else(|| StepError::new("disk-missing", format!("no file for disk {name}")))?;
            let area = open_path(path)?;
            let len = area.len;
            if len != located.size_bytes {
                let text = format!(
                    "{} has {len} bytes, the plan says {}",
                    path.display(),
                    located.size_bytes
                );
                return fail("disk-size", text);
            }
            Ok(area)
        }
        Place::Machine { root, .. } => {
            let sys = root.join("sys/block").join(name);
            let path = node(root, &sys)?;
            let area = open_node(&path, &sys, exclusive)?;
            let (size, block, read_only) = ioctl::geometry(&area.file)
                .tried("disk-open", format!("get the size of {}", path.display()))?;
            if (size, block) != (located.size_bytes, located.block_bytes) {
                let (planned, planned_block) = (located.size_bytes, located.block_bytes);
                let text = format!(
                    "{} now has {size} bytes in blocks of {block}, the plan says {planned} in blocks of {planned_block}",
                    path.display()
                );
                return fail("disk-size", text);
            }
            if read_only {
                return fail("disk-readonly", format!("{} is read-only", path.display()));
            }
            Ok(area)
        }
    }
}

/// The byte range of a partition.
pub(super) fn bytes_of(partition: &Partition, block: u64) -> Range<u64> {
    partition.first_lba * block..(partition.last_lba + 1) * block
}

/// Opens a partition made by the partition step. It is found by start and size in sysfs; its device name is
/// never constructed (seen in the field).
pub(super) fn open_partition(
    site: &Site,
    located: &Located,
    partition: &Partition,
) -> Result<Area, StepError> {
    match &site.place {
        Place::Simulated { .. } => {
            let Range { start, end } = bytes_of(partition, u64::from(located.block_bytes));
            let disk = open_disk(site, located, false)?;
            if end > disk.len {
                return fail(
                    "disk-size",
                    format!("partition {} is not inside the disk", partition.number),
                );
            }
            Ok(disk.part(start..end))
        }
        Place::Machine { root, .. } => {
            let (sys, path) = partition_node(root, located, partition)?;
            open_node(&path, &sys, true)
        }
    }
}

/// Opens a file that simulates a disk, or a block device for measuring.
pub(super) fn open_path(path: &Path) -> Result<Area, StepError> {
    let what = format!("open {}", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .tried("disk-open", &what)?;
    let device = file
        .metadata()
        .tried("disk-open", &what)?
        .file_type()
        .is_block_device();
    let len = file.seek(SeekFrom::End(0)).tried("disk-open", &what)?;
    Ok(Area::whole(file, path, len, device))
}

/// A partition's directory in sysfs and its node.
pub(super) fn partition_node(
    root: &Path,
    located: &Located,
    partition: &Partition,
) -> Result<(PathBuf, PathBuf), StepError> {
    let bytes = bytes_of(partition, u64::from(located.block_bytes));
    wait_for_node(root, &located.name, partition.number, bytes)
}

fn wait_for_node(
    root: &Path,
    disk: &str,
    number: u32,
    bytes: Range<u64>,
) -> Result<(PathBuf, PathBuf), StepError> {
    let folder = root.join("sys/block").join(disk);
    let deadline = Instant::now() + NODE_PATIENCE;
    loop {
        if let Some(sys) = find_partition(&folder, number, &bytes) {
            let path = node(root, &sys)?;
            if path.exists() {
                return Ok((sys, path));
            }
        }
        if Instant::now() >= deadline {
            let (start, len) = (bytes.start, bytes.end - bytes.start);
            let text = format!(
                "the kernel shows no partition {number} of {disk} at byte {start} with {len} bytes after {} s",
                NODE_PATIENCE.as_secs()
            );
            return fail("partition-missing", text);
        }
        sleep(Duration::from_millis(20));
    }
}

/// Makes the kernel see a new partition table.
pub(super) fn reread(disk: &Area) -> Result<(), StepError> {
    if !disk.device {
        return Ok(());
    }
    let deadline = Instant::now() + NODE_PATIENCE;
    loop {
        match ioctl::reread_partitions(&disk.file) {
            Ok(()) => return Ok(()),
            // Something still has an old partition open, for a moment.
            Err(nix::Error::EBUSY) if Instant::now() < deadline => sleep(Duration::from_millis(100)),
            Err(e) => {
                let text = format!(
                    "the kernel does not accept the new partition table of {}: {e}",
                    disk.path.display()
                );
                return fail("partition-reread", text);
            }
        }
    }
}

/// The sysfs directory of the partition with this number and position. sysfs counts 512-byte sectors for
/// every disk.
fn find_partition(disk: &Path, number: u32, bytes: &Range<u64>) -> Option<PathBuf> {
    let value = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    fs::read_dir(disk).ok()?.flatten().map(|e| e.path()).find(|p| {
        value(p.join("partition")) == Some(number.into())
            && value(p.join("start")) == Some(bytes.start / 512)
            && value(p.join("size")) == Some((bytes.end - bytes.start) / 512)
    })
}

/// The device node by the kernel's own name: DEVNAME in `uevent` (it can differ from the sysfs name, e.g.
/// cciss!c0d0).
fn node(root: &Path, sys: &Path) -> Result<PathBuf, StepError> {
    let path = sys.join("uevent");
    let text = fs::read_to_string(&path).tried("disk-missing", format!("read {}", path.display()))?;
    let name = text.lines().find_map(|l| l.strip_prefix("DEVNAME="));
    let name =
        name.ok_or_else(|| StepError::new("disk-missing", format!("{} has no DEVNAME", path.display())))?;
    Ok(root.join("dev").join(name))
}

fn open_node(path: &Path, sys: &Path, exclusive: bool) -> Result<Area, StepError> {
    let what = format!("open {}", path.display());
    let flags = nix::libc::O_NOFOLLOW | if exclusive { nix::libc::O_EXCL } else { 0 };
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)
    };
    let deadline = Instant::now() + NODE_PATIENCE;
    let mut file = loop {
        match open() {
            // Something still has it open (udev, a mount being closed).
            Err(e) if e.raw_os_error() == Some(nix::libc::EBUSY) && Instant::now() < deadline => {
                sleep(Duration::from_millis(100));
            }
            Err(e) if e.raw_os_error() == Some(nix::libc::EBUSY) => {
                return fail(
                    "disk-busy",
                    format!("{} is in use by something else", path.display()),
                );
            }
            other => break other.tried("disk-open", &what)?,
        }
    };
    let found = file.metadata().tried("disk-open", &what)?;
    let number =
        fs::read_to_string(sys.join("dev")).tried("disk-open", format!("read {}/dev", sys.display()))?;
    let rdev = found.rdev();
    let here = format!("{}:{}", nix::libc::major(rdev), nix::libc::minor(rdev));
    if !found.file_type().is_block_device() || here != number.trim() {
        let text = format!("{} is not the block device {}", path.display(), number.trim());
        return fail("disk-open", text);
    }
    let len = file
        .seek(SeekFrom::End(0))
        .tried("disk-open", format!("get the size of {}", path.display()))?;
    Ok(Area::whole(file, path, len, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a partition as the kernel shows it in sysfs, with its node.
    fn partition(root: &Path, disk: &str, name: &str, number: u32, start: u64, sectors: u64) {
        let sys = root.join("sys/block").join(disk).join(name);
        fs::create_dir_all(&sys).unwrap();
        // A slash in the device's name is an exclamation mark in sysfs.
        let devname = name.replace('!', "/");
        for (file, text) in [
            ("partition", number.to_string()),
            ("start", start.to_string()),
            ("size", sectors.to_string()),
            (
                "uevent",
                format!("MAJOR=8\nMINOR=3\nDEVNAME={devname}\nDEVTYPE=partition\n"),
            ),
        ] {
            fs::write(sys.join(file), text + "\n").unwrap();
        }
        let node = root.join("dev").join(devname);
        fs::create_dir_all(node.parent().unwrap()).unwrap();
        fs::write(node, "").unwrap();
    }

    /// Field report 25 (dell-recovery#67): `p1` or `1` after the device's name. The partition's name comes
    /// from the kernel and is never constructed.
    #[test]
    fn field_report_25_a_partition_has_the_name_that_the_kernel_gives_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let sectors = |first: u64, count: u64| first * 512..(first + count) * 512;
        for (disk, name, node) in [
            ("sda", "sda3", "sda3"),
            ("nvme0n1", "nvme0n1p3", "nvme0n1p3"),
            ("mmcblk0", "mmcblk0p3", "mmcblk0p3"),
            ("cciss!c0d0", "cciss!c0d0p3", "cciss/c0d0p3"),
            // A multipath NVMe partition has a name below the disk that follows no rule.
            ("nvme1n1", "nvme1c0n1p3", "nvme1c0n1p3"),
        ] {
            partition(root, disk, name, 3, 1_050_624, 2048);
            let (_, found) = wait_for_node(root, disk, 3, sectors(1_050_624, 2048)).unwrap();
            assert_eq!(found, root.join("dev").join(node));
        }
        // Other directories of the disk, and partition 3 of an old table at another position, are not
        // accepted.
        fs::create_dir_all(root.join("sys/block/sdb/queue")).unwrap();
        partition(root, "sdb", "sdb3", 3, 2048, 4096);
        let sdb = root.join("sys/block/sdb");
        assert_eq!(find_partition(&sdb, 3, &sectors(1_050_624, 2048)), None);
        assert_eq!(find_partition(&sdb, 2, &sectors(2048, 4096)), None);
        assert_eq!(
            find_partition(&sdb, 3, &sectors(2048, 4096)),
            Some(sdb.join("sdb3"))
        );
    }
}
