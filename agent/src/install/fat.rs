//! The ESP's file system.

use fatfs::{FatType, FormatVolumeOptions};

use super::disk::Area;
use super::error::{StepError, Tried};
use super::layout::parse_volume_id;

/// FAT32 needs this many clusters (Microsoft's FAT specification); a smaller volume is FAT16 whatever it says.
const FAT32_LEAST_CLUSTERS: u64 = 65525;

/// Makes a FAT32, or FAT16 where 4096-byte blocks leave too few clusters. Only this is done with the fatfs crate: the
/// directories it makes are reported broken by fsck.fat, so files go through the kernel's mount.
pub(super) fn format(area: &mut Area, block: u32, volume_id: &str, label: &str) -> Result<(), StepError> {
    const CODE: &str = "make-fat";
    let id = parse_volume_id(volume_id)
        .ok_or_else(|| StepError::new(CODE, format!("{volume_id:?} is not a volume id")))?;
    let mut name = [b' '; 11];
    let label = label.get(..label.len().min(11)).unwrap_or_default().as_bytes();
    name[..label.len()].copy_from_slice(label);
    // One sector a cluster gives the most clusters; larger ones only when they are not needed for FAT32.
    let mut cluster = block;
    while cluster < 32 * 1024 && area.len / u64::from(cluster * 2) > 4 * FAT32_LEAST_CLUSTERS {
        cluster *= 2;
    }
    // Reserved sectors and two tables of four bytes a cluster come off.
    let overhead = 64 * u64::from(block) + area.len / u64::from(cluster) * 8;
    let clusters = area.len.saturating_sub(overhead) / u64::from(cluster);
    let kind = if clusters >= FAT32_LEAST_CLUSTERS {
        FatType::Fat32
    } else {
        FatType::Fat16
    };
    if kind == FatType::Fat16 {
        cluster = (area.len / 32768)
            .next_power_of_two()
            .clamp(u64::from(block), 32 * 1024) as u32;
    }
    let options = FormatVolumeOptions::new()
        .fat_type(kind)
        .bytes_per_sector(block as u16)
        .bytes_per_cluster(cluster)
        .volume_id(id)
        .volume_label(name);
    std::io::Seek::rewind(area).tried(CODE, "seek")?;
    fatfs::format_volume(&mut *area, options).tried(CODE, "make the file system")?;
    area.flush_to_medium().tried(CODE, "flush the file system")
}
