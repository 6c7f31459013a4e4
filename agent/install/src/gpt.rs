//! Partition tables: writes the plan's and reads it back.

use gptman::{GPT, GPTPartitionEntry};
use inventory_api::plan::Partition;

use super::area::Area;
use super::disk::reread;
use super::error::{StepError, Tried, fail};
use super::layout::parse_uuid;

/// Writes protective MBR and GPT (primary and backup) and makes the kernel reread them.
pub(super) fn write(
    disk: &mut Area,
    block: u64,
    guid: &str,
    partitions: &[Partition],
) -> Result<(), StepError> {
    const CODE: &str = "partition";
    let mut gpt = GPT::new_from(disk, block, on_disk(guid)?).tried(CODE, "make a partition table")?;
    gpt.align = (1 << 20) / block;
    for p in partitions {
        gpt[p.number] = GPTPartitionEntry {
            partition_type_guid: on_disk(p.role.type_guid())?,
            unique_partition_guid: on_disk(&p.guid)?,
            starting_lba: p.first_lba,
            ending_lba: p.last_lba,
            attribute_bits: 0,
            partition_name: p.name.as_str().into(),
        };
    }
    GPT::write_protective_mbr_into(disk, block).tried(CODE, "write the protective MBR")?;
    gpt.write_into(disk).tried(CODE, "write the partition table")?;
    disk.file.sync_all().tried(CODE, "flush the partition table")?;
    reread(disk)
}

/// Compares the table on the disk with the plan: both headers, every partition.
pub(super) fn check(
    disk: &mut Area,
    block: u64,
    guid: &str,
    partitions: &[Partition],
) -> Result<(), StepError> {
    const CODE: &str = "read-back";
    let differs = |what: String| fail(CODE, format!("the partition table on the disk differs: {what}"));
    let last = disk.len / block - 1;
    for (which, lba) in [("primary", 1), ("backup", last)] {
        std::io::Seek::seek(disk, std::io::SeekFrom::Start(lba * block)).tried(CODE, "seek")?;
        let header = gptman::GPTHeader::read_from(disk).tried(CODE, format!("read the {which} header"))?;
        if header.disk_guid != on_disk(guid)?
            || (header.number_of_partition_entries, header.size_of_partition_entry) != (128, 128)
        {
            return differs(format!("the {which} header is not the plan's"));
        }
        let entries = header
            .read_partitions(disk, block)
            .tried(CODE, format!("read the {which} entries"))?;
        let used = entries.iter().filter(|e| e.is_used()).count();
        if used != partitions.len() {
            return differs(format!(
                "{used} partitions in the {which} table, {} in the plan",
                partitions.len()
            ));
        }
        for p in partitions {
            let entry = &entries[p.number as usize - 1];
            let same = entry.partition_type_guid == on_disk(p.role.type_guid())?
                && entry.unique_partition_guid == on_disk(&p.guid)?
                && (entry.starting_lba, entry.ending_lba) == (p.first_lba, p.last_lba);
            if !same {
                return differs(format!("partition {} in the {which} table", p.number));
            }
        }
    }
    Ok(())
}

/// The on-disk form of a GUID: its first three fields are little-endian (UEFI specification, appendix A).
pub(super) fn on_disk(guid: &str) -> Result<[u8; 16], StepError> {
    let guid =
        parse_uuid(guid).ok_or_else(|| StepError::new("plan-layout", format!("{guid:?} is not a GUID")))?;
    Ok(guid.to_bytes_le())
}
