//! Erasing a disk, and wiping one that is released.

use std::io;

use inventory_api::plan::DiskTarget;

use super::disk::{Area, open_disk};
use super::error::{StepError, Tried};
use super::ioctl;
use super::link::Failure;
use super::site::Site;
use super::verify::locate;

const MIB: u64 = 1 << 20;
/// Enough for partition tables, boot loaders, RAID and LVM labels at both ends.
const WIPE_ENDS: u64 = 16 * MIB;
/// Enough for any file system's superblock at the start of a partition (btrfs has its at 64 KiB).
const WIPE_START: u64 = MIB;

/// Discards the whole disk where it can, and zeroes its first and last MiB in any case.
pub(super) fn erase(disk: &Area) -> Result<(), StepError> {
    discard(disk)?;
    zero_ends(disk, MIB)?;
    disk.flush_to_medium()
        .tried("disk-write", "flush the erased disk")
}

/// A disk that cannot discard is no error; one that fails to is.
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

fn zero_ends(disk: &Area, len: u64) -> Result<(), StepError> {
    disk.zero(0, len)
        .tried("disk-write", "zero the start of the disk")?;
    disk.zero(disk.len.saturating_sub(len), len)
        .tried("disk-write", "zero the end of the disk")
}

/// Erases `disks`: signatures, partition tables, discard; each is located by the rules of an install and looked at
/// again afterwards. All of them must be found before the first is written.
pub async fn wipe(disks: &[DiskTarget], site: &Site) -> Result<(), Failure> {
    let (disks, site) = (disks.to_vec(), site.clone());
    let turn = site.turn.clone().lock_owned().await;
    let work = move || {
        let _turn = turn;
        wipe_all(&disks, &site)
    };
    let (error, wrote) = match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => return Ok(()),
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

fn wipe_all(disks: &[DiskTarget], site: &Site) -> Result<(), (StepError, bool)> {
    let before = |e| (e, false);
    super::mounts::unmount_leftovers(site).map_err(before)?;
    let live = site.live_disks();
    for target in disks {
        locate(target, &live).map_err(|r| (StepError::new(r.code(), r.to_string()), false))?;
    }
    let mut wrote = false;
    for target in disks {
        let located = locate(target, &site.live_disks());
        let located = located.map_err(|r| (StepError::new(r.code(), r.to_string()), wrote))?;
        let disk = open_disk(site, &located, true).map_err(|e| (e, wrote))?;
        wrote = true;
        wipe_disk(&disk, u64::from(located.block_bytes)).map_err(|e| (e, true))?;
    }
    Ok(())
}

fn wipe_disk(disk: &Area, block: u64) -> Result<(), StepError> {
    let starts = super::gpt::partition_starts(disk, block);
    discard(disk)?;
    // Before the table goes: cut off in the middle, the next run still finds the partitions.
    for start in &starts {
        disk.zero(*start, WIPE_START)
            .tried("disk-write", format!("zero the partition at byte {start}"))?;
    }
    disk.file.sync_all().tried("disk-write", "flush the wiped disk")?;
    zero_ends(disk, WIPE_ENDS)?;
    disk.flush_to_medium()
        .tried("disk-write", "flush the wiped disk")?;
    super::disk::reread(disk)?;
    let mut check: Vec<(u64, u64)> = starts.iter().map(|s| (*s, WIPE_START)).collect();
    check.extend([(0, WIPE_ENDS), (disk.len.saturating_sub(WIPE_ENDS), WIPE_ENDS)]);
    for (from, len) in check {
        expect_zeros(disk, from, len)?;
    }
    Ok(())
}

fn expect_zeros(disk: &Area, from: u64, len: u64) -> Result<(), StepError> {
    let end = from.saturating_add(len).min(disk.len);
    let mut buffer = vec![0; MIB as usize];
    let mut at = from;
    while at < end {
        let n = (end - at).min(MIB) as usize;
        disk.read_at(&mut buffer[..n], at)
            .tried("disk-read", format!("read back byte {at}"))?;
        if let Some(i) = buffer[..n].iter().position(|b| *b != 0) {
            return Err(StepError::new(
                "wipe-check",
                format!("byte {} is not zero after the wipe", at + i as u64),
            ));
        }
        at += n as u64;
    }
    Ok(())
}
