//! Reads all disks at once, bypassing the page cache: sequentially to measure speed, with jumps to exercise
//! seeks. Devices are opened read-only.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::time::Instant;

use inventory_api::burn_in::BurnInPart;

use super::{Disk, Shared, begun};

const READ: usize = 1 << 20;
/// O_DIRECT needs buffers aligned to the block size.
const ALIGN: usize = 4096;
/// Seek every N reads.
const JUMP: u64 = 16;

/// Reads each disk in its own thread, up to `until`.
pub(super) fn burn(shared: &Shared, until: Instant, disks: &[Disk]) -> Vec<BurnInPart> {
    std::thread::scope(|scope| {
        let working: Vec<_> = disks
            .iter()
            .map(|disk| (disk, scope.spawn(move || one(shared, until, disk))))
            .collect();
        let panicked = |disk| part_of(disk, 1, "reading it panicked".into());
        let parts = working.into_iter();
        parts
            .map(|(disk, part)| part.join().unwrap_or_else(|_| panicked(disk)))
            .collect()
    })
}

fn one(shared: &Shared, until: Instant, disk: &Disk) -> BurnInPart {
    let opened = open(disk).and_then(|mut file| Ok((file.seek(SeekFrom::End(0))?, file)));
    let (size, file) = match opened {
        Ok((size, file)) if size >= READ as u64 => (size, file),
        Ok((size, _)) => return part_of(disk, 0, format!("{size} bytes: too small for a speed test")),
        Err(e) => {
            shared.error();
            return part_of(disk, 1, format!("opening {}: {e}", disk.device.display()));
        }
    };
    let mut buffer = vec![0u8; READ + ALIGN];
    let skew = buffer.as_ptr().align_offset(ALIGN);
    let buffer = &mut buffer[skew..skew + READ];
    let blocks = size / READ as u64;
    let (mut at, mut count, mut errors, mut first_error) = (0u64, 0u64, 0u64, None);
    let (mut bytes, mut sequential) = (0u64, 0.0f64);
    while (Instant::now() < until || count == 0) && !shared.stopped() {
        count += 1;
        let jump = count.is_multiple_of(JUMP);
        // Jumps follow a fixed sequence, so that identical machines do the same work.
        let block = if jump {
            count.wrapping_mul(0x9e37_79b9_7f4a_7c15) % blocks
        } else {
            at
        };
        let began = Instant::now();
        match file.read_exact_at(buffer, block * READ as u64) {
            Ok(()) if !jump => {
                bytes += READ as u64;
                sequential += began.elapsed().as_secs_f64();
            }
            Ok(()) => {}
            Err(e) => {
                errors += 1;
                shared.error();
                first_error.get_or_insert(format!("reading at byte {}: {e}", block * READ as u64));
                // A dying disk takes seconds per error: give up after a few.
                if errors >= 16 {
                    break;
                }
            }
        }
        if !jump {
            at = (at + 1) % blocks;
        }
    }
    let detail = first_error.unwrap_or_else(|| format!("{count} reads of 1 MiB"));
    BurnInPart {
        score: (bytes > 0).then(|| bytes as f64 / 1e6 / sequential.max(1e-6)),
        ..part_of(disk, errors, detail)
    }
}

/// Bypasses the page cache where the file system supports it.
fn open(disk: &Disk) -> std::io::Result<File> {
    let direct = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_DIRECT)
        .open(&disk.device);
    direct.or_else(|_| File::open(&disk.device))
}

fn part_of(disk: &Disk, errors: u64, detail: String) -> BurnInPart {
    begun(format!("disk {}", disk.name), "MB/s", errors, detail)
}
