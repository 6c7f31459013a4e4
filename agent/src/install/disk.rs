//! A located disk, opened: a block device or a file that stands for one, and its partitions.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use inventory_api::plan::Partition;

use super::error::{StepError, Tried};
use super::ioctl;
use super::site::{Place, Site};
use super::verify::Located;

const MIB: u64 = 1 << 20;
/// The kernel makes partition nodes within milliseconds; udev probing the disk can hold it busy for a while.
const NODE_PATIENCE: Duration = Duration::from_secs(20);

/// A run of bytes of a disk: the whole of it or one partition. Reads, writes and seeks stay inside.
pub(super) struct Area {
    pub file: File,
    /// Path for [`Area::direct`].
    path: PathBuf,
    pub start: u64,
    pub len: u64,
    position: u64,
    /// A block device, not a file that stands for one.
    pub device: bool,
}

impl Area {
    /// The whole of an open file or device.
    fn whole(file: File, path: &Path, len: u64, device: bool) -> Area {
        Area {
            file,
            path: path.to_owned(),
            start: 0,
            len,
            position: 0,
            device,
        }
    }

    /// Another descriptor of the same bytes without the page cache, where that is possible.
    pub(super) fn direct(&self) -> Option<File> {
        let direct = nix::libc::O_DIRECT;
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(direct)
            .open(&self.path)
            .ok()
            .filter(|_| self.device)
    }

    /// Overwrites `[from, from + len)` with zeros, as far as it is inside.
    pub(super) fn zero(&self, from: u64, len: u64) -> io::Result<()> {
        let end = from.saturating_add(len).min(self.len);
        let len = end.saturating_sub(from);
        // A hole in a file reads as zeros, and takes no room.
        if !self.device && len > 0 && ioctl::zero_without_writing(&self.file, self.start + from, len)? {
            return Ok(());
        }
        let zeros = vec![0; MIB as usize];
        let mut at = from;
        while at < end {
            let n = (end - at).min(MIB);
            self.file.write_all_at(&zeros[..n as usize], self.start + at)?;
            at += n;
        }
        Ok(())
    }

    /// Reads exactly `buffer` at `offset`.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, self.start + offset)
    }

    /// Writes all of `bytes` at `offset`; refuses to leave the area.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset
            .checked_add(bytes.len() as u64)
            .is_none_or(|end| end > self.len)
        {
            return Err(io::Error::other("a write would go beyond its partition"));
        }
        self.file.write_all_at(bytes, self.start + offset)
    }

    /// On the medium, and out of the cache of a block device.
    pub(super) fn flush_to_medium(&self) -> io::Result<()> {
        self.file.sync_all()?;
        if self.device {
            ioctl::drop_cache(&self.file)
        } else {
            Ok(())
        }
    }

    fn room(&self, wanted: usize) -> usize {
        (self.len.saturating_sub(self.position)).min(wanted as u64) as usize
    }
}

impl Read for Area {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.room(buffer.len());
        let n = self.file.read_at(&mut buffer[..n], self.start + self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Write for Area {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.room(bytes.len());
        let n = self.file.write_at(&bytes[..n], self.start + self.position)?;
        self.position += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Area {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.len.checked_add_signed(n),
            SeekFrom::Current(n) => self.position.checked_add_signed(n),
        };
        self.position = position.ok_or_else(|| io::Error::other("seek before the start"))?;
        Ok(self.position)
    }
}

/// Opens the whole located disk for writing and checks once more that the open device is the one that was located.
/// `exclusive`: the kernel refuses when anything else has a claim on the disk or a partition (open(2), O_EXCL).
pub(super) fn open_disk(site: &Site, located: &Located, exclusive: bool) -> Result<Area, StepError> {
    let name = &located.name;
    match &site.place {
        Place::Simulated { disks, .. } => {
            let path = disks
                .get(name)
                .ok_or_else(|| StepError::new("disk-missing", format!("no file for disk {name}")))?;
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .tried("disk-open", format!("open {}", path.display()))?;
            let len = file
                .metadata()
                .tried("disk-open", format!("look at {}", path.display()))?
                .len();
            if len != located.size_bytes {
                let text = format!(
                    "{} has {len} bytes, the plan says {}",
                    path.display(),
                    located.size_bytes
                );
                return Err(StepError::new("disk-size", text));
            }
            Ok(Area::whole(file, path, len, false))
        }
        Place::Machine { root, .. } => {
            let sys = root.join("sys/block").join(name);
            let path = node(root, &sys)?;
            let area = open_node(&path, &sys, exclusive)?;
            let (size, block, read_only) = ioctl::geometry(&area.file)
                .tried("disk-open", format!("ask {} for its size", path.display()))?;
            if (size, block) != (located.size_bytes, located.block_bytes) {
                let (planned, planned_block) = (located.size_bytes, located.block_bytes);
                let text = format!(
                    "{} now has {size} bytes in blocks of {block}, the plan says {planned} in blocks of {planned_block}",
                    path.display()
                );
                return Err(StepError::new("disk-size", text));
            }
            if read_only {
                return Err(StepError::new(
                    "disk-readonly",
                    format!("{} is read-only", path.display()),
                ));
            }
            Ok(area)
        }
    }
}

/// Where a partition lies, in bytes.
pub(super) fn bytes_of(partition: &Partition, block: u64) -> Range<u64> {
    partition.first_lba * block..(partition.last_lba + 1) * block
}

/// Opens a partition that the partition step made. By the kernel's own names: a device name is never built (field
/// report 25), and start and size must be what the plan says.
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
                return Err(StepError::new(
                    "disk-size",
                    format!("partition {} is not inside the disk", partition.number),
                ));
            }
            Ok(Area {
                start,
                len: end - start,
                ..disk
            })
        }
        Place::Machine { root, .. } => {
            let (sys, path) = partition_node(root, located, partition)?;
            open_node(&path, &sys, true)
        }
    }
}

/// Opens a block device or a file by its path, for measuring.
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
    let Range { start, end } = bytes_of(partition, u64::from(located.block_bytes));
    wait_for_node(root, &located.name, partition.number, start, end - start)
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
            // Something still looks at an old partition; it lets go soon.
            Err(nix::Error::EBUSY) if Instant::now() < deadline => sleep(Duration::from_millis(100)),
            Err(e) => {
                let text = format!(
                    "the kernel does not take the new partition table of {}: {e}",
                    disk.path.display()
                );
                return Err(StepError::new("partition-reread", text));
            }
        }
    }
}

fn wait_for_node(
    root: &Path,
    disk: &str,
    number: u32,
    start: u64,
    len: u64,
) -> Result<(PathBuf, PathBuf), StepError> {
    let deadline = Instant::now() + NODE_PATIENCE;
    loop {
        if let Some(sys) = find_partition(&root.join("sys/block").join(disk), number, start, len) {
            let path = node(root, &sys)?;
            if path.exists() {
                return Ok((sys, path));
            }
        }
        if Instant::now() >= deadline {
            let text = format!(
                "the kernel shows no partition {number} of {disk} at byte {start} with {len} bytes after {} s",
                NODE_PATIENCE.as_secs()
            );
            return Err(StepError::new("partition-missing", text));
        }
        sleep(Duration::from_millis(20));
    }
}

/// The sysfs directory of the partition with this number and place. sysfs counts 512-byte sectors for every disk.
fn find_partition(disk: &Path, number: u32, start: u64, len: u64) -> Option<PathBuf> {
    let value = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    fs::read_dir(disk).ok()?.flatten().map(|e| e.path()).find(|p| {
        value(p.join("partition")) == Some(number.into())
            && value(p.join("start")) == Some(start / 512)
            && value(p.join("size")) == Some(len / 512)
    })
}

/// The device node as the kernel calls it: DEVNAME in `uevent` (it differs from the sysfs name for e.g. cciss!c0d0).
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
            // Something still probes it (udev, a closing mount).
            Err(e) if e.raw_os_error() == Some(nix::libc::EBUSY) && Instant::now() < deadline => {
                sleep(Duration::from_millis(100));
            }
            Err(e) if e.raw_os_error() == Some(nix::libc::EBUSY) => {
                return Err(StepError::new(
                    "disk-busy",
                    format!("{} is in use by something else", path.display()),
                ));
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
        return Err(StepError::new("disk-open", text));
    }
    let len = file
        .seek(SeekFrom::End(0))
        .tried("disk-open", format!("ask {} for its size", path.display()))?;
    Ok(Area::whole(file, path, len, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition as the kernel shows it in sysfs, with its node.
    fn partition(root: &Path, disk: &str, name: &str, number: u32, start: u64, sectors: u64) {
        let sys = root.join("sys/block").join(disk).join(name);
        fs::create_dir_all(&sys).unwrap();
        // What is a slash in the device's name is an exclamation mark in sysfs.
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

    /// Field report 25 (dell-recovery#67): `p1` or `1` after the device's name. The kernel says how it calls a partition;
    /// the name is never built.
    #[test]
    fn field_report_25_a_partition_has_the_name_that_the_kernel_gives_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (disk, name, node) in [
            ("sda", "sda3", "sda3"),
            ("nvme0n1", "nvme0n1p3", "nvme0n1p3"),
            ("mmcblk0", "mmcblk0p3", "mmcblk0p3"),
            ("cciss!c0d0", "cciss!c0d0p3", "cciss/c0d0p3"),
            // A multipath NVMe partition lies below the disk under a name that no rule gives.
            ("nvme1n1", "nvme1c0n1p3", "nvme1c0n1p3"),
        ] {
            partition(root, disk, name, 3, 1_050_624, 2048);
            let (_, found) = wait_for_node(root, disk, 3, 1_050_624 * 512, 2048 * 512).unwrap();
            assert_eq!(found, root.join("dev").join(node));
        }
        // Directories of a disk that are no partitions, and an old table's partition 3 in another place, are not taken.
        fs::create_dir_all(root.join("sys/block/sdb/queue")).unwrap();
        partition(root, "sdb", "sdb3", 3, 2048, 4096);
        let sdb = root.join("sys/block/sdb");
        assert_eq!(find_partition(&sdb, 3, 1_050_624 * 512, 2048 * 512), None);
        assert_eq!(find_partition(&sdb, 2, 2048 * 512, 4096 * 512), None);
        assert_eq!(
            find_partition(&sdb, 3, 2048 * 512, 4096 * 512),
            Some(sdb.join("sdb3"))
        );
    }
}
