//! Checks that a plan's steps fit together: order, references, partitions inside the disk, image sizes.

use std::collections::BTreeSet;
use std::ops::Range;

use inventory_api::plan::{ImageSource, InstallPlan, Partition, PartitionRole, Step};
use inventory_api::valid;
use uuid::Uuid;

use super::disk::bytes_of;
use super::settings::fstab;
use super::target::Refused;

/// Partitions start at multiples of this: no disk is slow with it, and all tools agree on it.
const ALIGNMENT: u64 = 1 << 20;
/// Size of a GPT's entries: 128 of 128 bytes.
const ENTRIES_BYTES: u64 = 128 * 128;

/// Checks everything in the plan that does not depend on the live machine.
pub(super) fn check(plan: &InstallPlan) -> Result<(), Refused> {
    let block = u64::from(plan.disk.block_bytes);
    if ![512, 4096].contains(&block) {
        return wrong(format!(
            "blocks of {block} bytes; only 512 and 4096 are supported"
        ));
    }
    if !plan.disk.size_bytes.is_multiple_of(block) || plan.disk.size_bytes < 8 * ALIGNMENT {
        return wrong(format!(
            "a disk of {} bytes: too small, or not whole blocks",
            plan.disk.size_bytes
        ));
    }
    order(&plan.steps)?;
    let (disk_guid, partitions) = partition_step(plan)?;
    guid(disk_guid)?;
    check_partitions(partitions, plan.disk.size_bytes / block, block)?;
    for step in &plan.steps {
        references(step, &plan.steps, partitions, block)?;
    }
    Ok(())
}

/// The disk's GUID and the partitions to make.
pub(super) fn partition_step(plan: &InstallPlan) -> Result<(&str, &[Partition]), Refused> {
    let found = plan.steps.iter().find_map(|step| match step {
        Step::Partition {
            disk_guid,
            partitions,
        } => Some((disk_guid.as_str(), &partitions[..])),
        _ => None,
    });
    found.ok_or_else(|| Refused::Layout("there is no partition step".into()))
}

/// Each step at most once; first the disk, then the image, then the steps that need it; finish is last.
fn order(steps: &[Step]) -> Result<(), Refused> {
    let rank = |s: &Step| match s {
        Step::EraseDisk {} => 0,
        Step::Partition { .. } => 1,
        Step::MakeFat { .. } | Step::WriteImage { .. } => 2,
        Step::Finish {} => 4,
        Step::Bootloader { .. }
        | Step::Fstab { .. }
        | Step::Hostname { .. }
        | Step::Network { .. }
        | Step::Accounts { .. }
        | Step::Cron { .. }
        | Step::Scripts { .. }
        | Step::Agent {}
        | Step::BootOrder { .. } => 3,
    };
    if !steps.is_sorted_by_key(rank) {
        return wrong(
            "its steps are not in the order disk, partitions, file systems, settings, finish".into(),
        );
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = steps.iter().find(|s| !seen.insert(s.name())) {
        return wrong(format!("step {} is listed twice", twice.name()));
    }
    match ["erase-disk", "partition", "write-image", "finish"]
        .into_iter()
        .find(|s| !seen.contains(s))
    {
        Some(missing) => wrong(format!("step {missing} is missing")),
        None => Ok(()),
    }
}

fn check_partitions(partitions: &[Partition], blocks: u64, block: u64) -> Result<(), Refused> {
    let reserved = ENTRIES_BYTES / block + 1;
    let (first_usable, last_usable) = (reserved + 1, blocks.saturating_sub(reserved + 1));
    let mut guids = BTreeSet::new();
    for p in partitions {
        let at = format!("partition {}", p.number);
        guid(&p.guid)?;
        if !(1..=128).contains(&p.number) {
            return wrong(format!("{at}: its number is not in 1 to 128"));
        }
        if !guids.insert(&p.guid) {
            return wrong(format!("{at}: another partition has the GUID {}", p.guid));
        }
        if p.name.encode_utf16().count() > 36 || p.name.chars().any(char::is_control) {
            return wrong(format!(
                "{at}: its name is longer than 36 characters or has control characters"
            ));
        }
        if p.first_lba < first_usable || p.last_lba > last_usable || p.first_lba > p.last_lba {
            let (first, last) = (p.first_lba, p.last_lba);
            return wrong(format!(
                "{at}: blocks {first} to {last} are not in {first_usable} to {last_usable}"
            ));
        }
        if !(p.first_lba * block).is_multiple_of(ALIGNMENT) {
            return wrong(format!(
                "{at}: block {} is not at a multiple of 1 MiB",
                p.first_lba
            ));
        }
    }
    if let Some(w) = partitions.windows(2).find(|w| w[0].number >= w[1].number) {
        let (a, b) = (w[0].number, w[1].number);
        return wrong(format!("partitions {a} and {b} are not in order of number"));
    }
    let mut by_place: Vec<&Partition> = partitions.iter().collect();
    by_place.sort_by_key(|p| p.first_lba);
    match by_place.windows(2).find(|w| w[1].first_lba <= w[0].last_lba) {
        Some(w) => wrong(format!("partitions {} and {} overlap", w[0].number, w[1].number)),
        None => Ok(()),
    }
}

fn references(step: &Step, steps: &[Step], partitions: &[Partition], block: u64) -> Result<(), Refused> {
    match step {
        Step::MakeFat {
            partition,
            volume_id,
            label,
        } => {
            with_role(partitions, *partition, PartitionRole::Esp)?;
            if parse_volume_id(volume_id).is_none() {
                return wrong(format!("{volume_id:?} is not a FAT volume id such as 1A2B-3C4D"));
            }
            let ok = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "_- ".contains(c);
            if label.is_empty() || label.len() > 11 || !label.chars().all(ok) {
                return wrong(format!(
                    "{label:?} is not a FAT label: 1 to 11 of A-Z, 0-9, '-', '_', ' '"
                ));
            }
        }
        Step::WriteImage {
            partition,
            source,
            uuid,
        } => {
            let root = with_role(partitions, *partition, PartitionRole::Root)?;
            guid(uuid)?;
            let Range { start, end } = bytes_of(root, block);
            image_fits(source, end - start)?;
        }
        Step::BootOrder { esp_partition } => {
            with_role(partitions, *esp_partition, PartitionRole::Esp)?;
        }
        Step::Bootloader {
            bios_partition,
            esp_partition,
            root_partition,
            root_uuid,
            ..
        } => {
            let bios = with_role(partitions, *bios_partition, PartitionRole::BiosBoot)?;
            with_role(partitions, *esp_partition, PartitionRole::Esp)?;
            with_role(partitions, *root_partition, PartitionRole::Root)?;
            if *root_partition != 3 {
                return wrong(format!(
                    "the root is partition {root_partition}; GRUB's BIOS image looks at 3"
                ));
            }
            let Range { start, end } = bytes_of(bios, block);
            if end - start > 32 << 20 {
                return wrong("the BIOS boot partition is larger than 32 MiB".into());
            }
            if !steps.iter().any(|s| matches!(s, Step::WriteImage { partition, uuid, .. } if uuid == root_uuid && partition == root_partition)) {
                return wrong("the boot loader's root is not the file system that is written".into());
            }
            let makes_esp =
                |s: &Step| matches!(s, Step::MakeFat { partition, .. } if partition == esp_partition);
            if !steps.iter().any(makes_esp) {
                return wrong("no step makes the boot loader's ESP".into());
            }
        }
        Step::EraseDisk {}
        | Step::Partition { .. }
        | Step::Fstab { .. }
        | Step::Hostname { .. }
        | Step::Network { .. }
        | Step::Accounts { .. }
        | Step::Cron { .. }
        | Step::Scripts { .. }
        | Step::Agent {}
        | Step::Finish {} => {}
    }
    content(step).map_err(|detail| Refused::Content {
        step: step.name(),
        detail,
    })
}

/// Checks what the step would write into files of the installed system.
fn content(step: &Step) -> Result<(), String> {
    match step {
        Step::Bootloader { kernel_args, .. } => invalid(valid::kernel_args(kernel_args)),
        Step::Fstab { mounts } => fstab::check(mounts),
        Step::Hostname { hostname } => invalid(valid::hostname(hostname)),
        Step::Network { nics } => match nics.iter().find(|n| n.mac.is_none()) {
            Some(_) => Err("a NIC without its MAC".into()),
            None => invalid(valid::nics(nics)),
        },
        Step::Accounts { accounts } => invalid(valid::accounts(accounts)),
        Step::Cron { jobs } => invalid(valid::cron(jobs)),
        Step::Scripts { scripts } => invalid(valid::scripts(scripts)),
        Step::EraseDisk {}
        | Step::Partition { .. }
        | Step::MakeFat { .. }
        | Step::WriteImage { .. }
        | Step::Agent {}
        | Step::BootOrder { .. }
        | Step::Finish {} => Ok(()),
    }
}

fn invalid(checked: Result<(), valid::Invalid>) -> Result<(), String> {
    checked.map_err(|e| e.to_string())
}

fn image_fits(source: &ImageSource, room: u64) -> Result<(), Refused> {
    if source.content_bytes == 0 || source.compressed_bytes == 0 {
        return Err(Refused::ImageSize("the image is empty".into()));
    }
    match source.content_bytes {
        size if size > room => Err(Refused::ImageSize(format!(
            "an image of {size} bytes does not fit into the partition's {room}"
        ))),
        _ => Ok(()),
    }
}

fn with_role(partitions: &[Partition], number: u32, role: PartitionRole) -> Result<&Partition, Refused> {
    match partitions.iter().find(|p| p.number == number) {
        Some(p) if p.role == role => Ok(p),
        Some(p) => wrong(format!("partition {number} is {:?}, {role:?} is needed", p.role)),
        None => wrong(format!("a step uses partition {number}, which no step makes")),
    }
}

fn guid(text: &str) -> Result<Uuid, Refused> {
    parse_uuid(text).ok_or_else(|| Refused::Layout(format!("{text:?} is not a lower-case GUID")))
}

fn wrong<T>(detail: String) -> Result<T, Refused> {
    Err(Refused::Layout(detail))
}

/// A UUID from its canonical text. Only lower case; never all zero.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok().filter(|uuid| !uuid.is_nil())?;
    (uuid.hyphenated().to_string() == text).then_some(uuid)
}

/// A FAT volume id as written in fstab.
pub(super) fn parse_volume_id(text: &str) -> Option<u32> {
    let (high, low) = text.split_once('-')?;
    let is_word =
        |word: &str| word.len() == 4 && word.bytes().all(|c| matches!(c, b'0'..=b'9' | b'A'..=b'F'));
    let number = u32::from_str_radix(&format!("{high}{low}"), 16).ok()?;
    (is_word(high) && is_word(low)).then_some(number)
}
