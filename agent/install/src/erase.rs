//! Erasing a disk for an install, and wiping a released one. Both clear partition tables and the signatures
//! at both ends of the disk and of every partition, old and new. A leftover signature inside a new partition
//! would make libblkid find two file systems and report none.

use std::io;
use std::ops::Range;

use inventory_api::agent::{ByteRange, WIPE_ENDS, WipedDisk};
use inventory_api::plan::DiskTarget;

use super::area::Area;
use super::disk::open_disk;
use super::error::{StepError, Tried, fail};
use super::ioctl;
use super::link::Failure;
use super::old_table;
use super::site::Site;
use super::verify::locate;

const MIB: u64 = 1 << 20;
/// Bytes at the start of a partition: the superblocks of file systems, RAID, LVM, LUKS, ZFS labels 0 and 1
/// (512 KiB).
const HEAD: u64 = MIB;
/// The same for a wipe: also covers all LUKS2 key slots (16 MiB by default), without which the data cannot be
/// decrypted.
const WIPE_HEAD: u64 = 16 * MIB;
/// Bytes at the end: ZFS labels 2 and 3 (512 KiB), MD 0.90 and 1.0, DDF, IMSM, nilfs2, the backup GPT.
/// Promise's RAID signature is the furthest, 3087 sectors before the end.
const TAIL: u64 = 2 * MIB;
/// Further superblocks, from the start: VMFS at 1 and 2 MiB, the last secondary LUKS2 header at 4 MiB, btrfs
/// mirrors at 64 MiB, 256 GiB and 1 PiB (cryptsetup lib/luks2/luks2.h, btrfs fs/btrfs/disk-io.h, libblkid
/// superblocks/vmfs.c).
const SPOTS: [u64; 6] = [MIB, 2 * MIB, 4 * MIB, 64 * MIB, 256 << 30, 1 << 50];
const SPOT: u64 = 4096;

/// What was cleared on a disk.
struct Cleared {
    /// Partitions in the old tables.
    partitions: usize,
    /// Whether the disk discarded all its blocks.
    discarded: bool,
    /// The ranges overwritten with zeros, sorted, without overlaps.
    zeroed: Vec<Range<u64>>,
}

/// Discards the whole disk if it can, and always zeroes both ends of the disk, of its existing partitions and
/// of the `new` ones (byte ranges).
pub(super) fn erase(disk: &Area, block: u64, new: &[Range<u64>]) -> Result<(), StepError> {
    clear(disk, block, new, HEAD).map(drop)
}

fn clear(disk: &Area, block: u64, new: &[Range<u64>], head: u64) -> Result<Cleared, StepError> {
    let old = old_table::partitions(disk, block);
    let whole = 0..disk.len;
    let old_ends = merged(old.iter().flat_map(|p| ends(p, head, TAIL)).collect());
    let mut rest = ends(&whole, WIPE_ENDS.min(disk.len), WIPE_ENDS);
    rest.extend(new.iter().flat_map(|p| ends(p, HEAD, TAIL)));
    // Partitions first, then the table: if this is interrupted, the next run still finds the partitions.
    zero(disk, &old_ends)?;
    disk.file
        .sync_all()
        .tried("disk-write", "flush the erased disk")?;
    let discarded = discard(disk)?;
    // Reading a discarded block is undefined: old bytes may come back.
    if discarded {
        zero(disk, &old_ends)?;
    }
    zero(disk, &rest)?;
    disk.flush_to_medium()
        .tried("disk-write", "flush the erased disk")?;
    Ok(Cleared {
        partitions: old.len(),
        discarded,
        zeroed: merged(old_ends.into_iter().chain(rest).collect()),
    })
}

/// Where signatures can be in a disk or partition.
fn ends(region: &Range<u64>, head: u64, tail: u64) -> Vec<Range<u64>> {
    let Range { start, end } = *region;
    let spots = SPOTS
        .iter()
        .map(|at| start.saturating_add(*at)..start.saturating_add(at + SPOT));
    [
        start..start.saturating_add(head),
        end.saturating_sub(tail).max(start)..end,
    ]
    .into_iter()
    .chain(spots)
    .filter(|r| r.start < end)
    .map(|r| r.start..r.end.min(end))
    .collect()
}

/// Sorts ranges and joins those that touch or overlap.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|r| r.start);
    let mut kept: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match kept.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => kept.push(range),
        }
    }
    kept
}

fn zero(disk: &Area, ranges: &[Range<u64>]) -> Result<(), StepError> {
    ranges.iter().try_for_each(|r| {
        disk.zero(r.start, r.end - r.start).tried(
            "disk-write",
            format!("zero bytes {} to {} of the disk", r.start, r.end),
        )
    })
}

/// A disk without discard is fine; a failing discard is an error.
fn discard(disk: &Area) -> Result<bool, StepError> {
    let result = if disk.device {
        match ioctl::discard(&disk.file, 0, disk.len) {
            Ok(()) => Ok(true),
            Err(e) if unsupported(&e) => Ok(false),
            Err(e) => Err(e),
        }
    } else {
        ioctl::zero_without_writing(&disk.file, disk.start, disk.len)
    };
    result.tried("disk-write", "discard the disk")
}

fn unsupported(e: &io::Error) -> bool {
    matches!(
        e.raw_os_error(),
        Some(nix::libc::EOPNOTSUPP | nix::libc::ENOTTY | nix::libc::EINVAL)
    )
}

/// Wipes `disks`: signatures, partition tables, discard. Each is located by the rules of an install and read
/// back afterwards. All must be found before the first is written. The result is the proof for the server.
pub async fn wipe(disks: &[DiskTarget], site: &Site) -> Result<Vec<WipedDisk>, Failure> {
    let (disks, site) = (disks.to_vec(), site.clone());
    let turn = site.turn.clone().lock_owned().await;
    let work = move || {
        let _turn = turn;
        wipe_all(&disks, &site)
    };
    let (error, wrote) = match tokio::task::spawn_blocking(work).await {
        Ok(Ok(wiped)) => return Ok(wiped),
        Ok(Err(failed)) => failed,
        Err(e) => (
            StepError::new("internal", format!("the wiping thread ended: {e}")),
            true,
        ),
    };
    Err(Failure {
        index: 0,
        step: "wipe".into(),
        code: error.code.into(),
        detail: error.detail,
        wrote,
    })
}

fn wipe_all(disks: &[DiskTarget], site: &Site) -> Result<Vec<WipedDisk>, (StepError, bool)> {
    let before = |e| (e, false);
    super::mounts::unmount_leftovers(site).map_err(before)?;
    let live = site.live_disks();
    for target in disks {
        locate(target, &live).map_err(|r| (r.into(), false))?;
    }
    let mut wiped = Vec::new();
    for target in disks {
        let wrote = !wiped.is_empty();
        let located = locate(target, &site.live_disks()).map_err(|r| (r.into(), wrote))?;
        let disk = open_disk(site, &located, true).map_err(|e| (e, wrote))?;
        let cleared = wipe_disk(&disk, u64::from(located.block_bytes)).map_err(|e| (e, true))?;
        let zeroed = cleared.zeroed.iter().map(|r| ByteRange {
            from: r.start,
            to: r.end,
        });
        wiped.push(WipedDisk {
            serial: target.serial.clone(),
            wwn: target.wwn.clone(),
            size_bytes: disk.len,
            partitions: cleared.partitions as u32,
            discarded: cleared.discarded,
            zeroed: zeroed.collect(),
        });
    }
    Ok(wiped)
}

fn wipe_disk(disk: &Area, block: u64) -> Result<Cleared, StepError> {
    let cleared = clear(disk, block, &[], WIPE_HEAD)?;
    super::disk::reread(disk)?;
    cleared.zeroed.iter().try_for_each(|r| expect_zeros(disk, r))?;
    Ok(cleared)
}

fn expect_zeros(disk: &Area, range: &Range<u64>) -> Result<(), StepError> {
    let mut buffer = vec![0; MIB as usize];
    let mut at = range.start;
    while at < range.end {
        let n = (range.end - at).min(MIB) as usize;
        disk.read_at(&mut buffer[..n], at)
            .tried("disk-read", format!("read back byte {at}"))?;
        if let Some(i) = buffer[..n].iter().position(|b| *b != 0) {
            return fail(
                "wipe-check",
                format!("byte {} is not zero after the wipe", at + i as u64),
            );
        }
        at += n as u64;
    }
    Ok(())
}
