//! The ESP's file system.

use fatfs::{FatType, FormatVolumeOptions};

use super::area::Area;
use super::error::{StepError, Tried};
use super::layout::parse_volume_id;

/// FAT32 needs this many clusters (Microsoft's FAT specification); a smaller volume is FAT16, whatever its
/// header says.
const FAT32_LEAST_CLUSTERS: u64 = 65525;

/// Makes a FAT32, or a FAT16 if 4096-byte blocks leave too few clusters. The fatfs crate is used only for
/// this: fsck.fat reports the directories it writes as broken, so files go through the kernel's mount.
pub(super) fn format(area: &mut Area, block: u32, volume_id: &str, label: &str) -> Result<(), StepError> {
    const CODE: &str = "make-fat";
    let id = parse_volume_id(volume_id)
        .ok_or_else(|| StepError::new(CODE, format!("{volume_id:?} is not a volume id")))?;
    let mut name = [b' '; 11];
    let label = label.get(..label.len().min(11)).unwrap_or_default().as_bytes();
    name[..label.len()].copy_from_slice(label);
    // One sector per cluster gives the most clusters; larger clusters are used only if FAT32 has enough of
    // them.
    let mut cluster = block;
    while cluster < 32 * 1024 && area.len / u64::from(cluster * 2) > 4 * FAT32_LEAST_CLUSTERS {
        cluster *= 2;
    }
    // Subtract reserved sectors and two tables of four bytes per cluster.
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
