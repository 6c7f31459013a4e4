//! Chooses the install disk. Never the next best one: exactly one must remain, and it must be uniquely
//! identifiable.

use inventory_api::deploy::DiskChoice;
use inventory_api::plan::DiskTarget;
use inventory_api::report::{DiskFacts, FirmwareMode};
use inventory_api::text::exact_disk_size;

use super::PlanError;

/// Requirements for the disk.
pub(super) struct Needs<'a> {
    /// Bytes that the layout takes.
    pub bytes: u64,
    /// Image, for people.
    pub image: &'a str,
    /// How the machine boots.
    pub firmware: Option<FirmwareMode>,
}

/// Why a disk cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bar {
    NotBuiltIn(&'static str),
    ReadOnly,
    NoSize,
    Sectors(u32),
    BiosSectors(u32),
    OddSize(u64),
    TooSmall { size: u64, needed: u64 },
    Unnamed,
}

impl Bar {
    /// "has sectors of 520 bytes: ...": follows the disk's name.
    fn words(&self) -> String {
        match self {
            Bar::NotBuiltIn(how) => format!("{how}, not taken unless named by serial number or WWN"),
            Bar::ReadOnly => "is read-only: switch its write protection off, or choose another disk".into(),
            Bar::NoSize => {
                "has no size: its sectors are neither 512 nor 4096 bytes, or it has a fault".to_owned()
            }
            Bar::Sectors(n) => {
                format!("has sectors of {n} bytes: reformat it to 512 (sg_format), or choose another disk")
            }
            Bar::BiosSectors(n) => format!(
                "has sectors of {n} bytes, from which BIOS cannot boot: switch the firmware to UEFI or choose another disk"
            ),
            Bar::OddSize(n) => format!("has {n} bytes, which is not a multiple of its sector size"),
            Bar::TooSmall { size, needed } => format!("has {size} bytes, and {needed} are needed"),
            Bar::Unnamed => {
                "has neither serial number nor WWN, or shares them with another disk: it cannot be named safely"
                    .into()
            }
        }
    }
}

/// Chooses one of the report's disks, which has one entry per disk (see `inventory_api::report`).
pub(super) fn choose(
    choice: Option<&DiskChoice>,
    disks: &[DiskFacts],
    needs: &Needs<'_>,
) -> Result<DiskTarget, PlanError> {
    let disks: Vec<DiskFacts> = disks.iter().flat_map(DiskFacts::block_devices).collect();
    let named = choice.is_some_and(|c| c.serial.is_some() || c.wwn.is_some());
    let judged: Vec<(&DiskFacts, Option<Bar>)> =
        disks.iter().map(|d| (d, bar(d, &disks, needs, named))).collect();
    let fitting: Vec<_> = judged
        .iter()
        .filter(|(d, _)| choice.is_none_or(|c| fits(c, d)))
        .collect();
    if !disks.is_empty() && fitting.is_empty() {
        return Err(PlanError::DiskNotFound {
            wanted: choice.map_or(String::new(), in_words),
            found: list(judged.iter()),
        });
    }
    let mut left: Vec<&DiskFacts> = fitting
        .iter()
        .filter(|(_, bar)| bar.is_none())
        .map(|(d, _)| *d)
        .collect();
    if left.len() > 1 && choice.is_some_and(|c| c.smallest) {
        let least = left.iter().filter_map(|d| d.size_bytes).min();
        left.retain(|d| d.size_bytes == least);
    }
    match (&left[..], &fitting[..]) {
        ([disk], _) => Ok(target(disk)),
        ([], [(disk, Some(bar))]) => Err(refused(disk, bar, needs)),
        ([], _) => Err(PlanError::NoDisk {
            found: list(fitting.into_iter()),
        }),
        ([..], _) => Err(PlanError::DiskAmbiguous {
            found: left.iter().map(|d| one(d)).collect::<Vec<_>>().join("; "),
        }),
    }
}

/// What the agent would refuse, or what would not boot. One line for each refusal of `agent/install/src` that
/// a report can foresee; `tests/check/tests/refusals.rs` has the table.
fn bar(disk: &DiskFacts, all: &[DiskFacts], needs: &Needs<'_>, named: bool) -> Option<Bar> {
    let size = disk.size_bytes.unwrap_or(0);
    let block = block_bytes(disk);
    if let Some(how) = disk.not_built_in().filter(|_| !named) {
        return Some(Bar::NotBuiltIn(how));
    }
    if disk.read_only == Some(true) {
        return Some(Bar::ReadOnly);
    }
    // A disk with such sectors has no size either, and the sectors explain more.
    if block != 512 && block != 4096 {
        return Some(Bar::Sectors(block));
    }
    if size == 0 {
        return Some(Bar::NoSize);
    }
    if block != 512 && needs.firmware == Some(FirmwareMode::Bios) {
        return Some(Bar::BiosSectors(block));
    }
    if !size.is_multiple_of(u64::from(block)) {
        return Some(Bar::OddSize(size));
    }
    if size < needs.bytes {
        return Some(Bar::TooSmall {
            size,
            needed: needs.bytes,
        });
    }
    let target = target(disk);
    let answering = all
        .iter()
        .filter(|d| target.names(d.serial.as_deref(), d.wwn.as_deref()))
        .count();
    // Paths belong to one disk only if serial number and WWN agree; the agent has the same rule.
    let sure = disk.paths.is_empty() || (target.serial.is_some() && target.wwn.is_some());
    (answering != 1 || !sure).then_some(Bar::Unnamed)
}

fn block_bytes(disk: &DiskFacts) -> u32 {
    disk.logical_block_bytes.unwrap_or(512)
}

fn target(disk: &DiskFacts) -> DiskTarget {
    let given = |text: &Option<String>| text.clone().filter(|t| !t.trim().is_empty());
    DiskTarget {
        serial: given(&disk.serial),
        wwn: given(&disk.wwn),
        model: disk.model.clone(),
        size_bytes: disk.size_bytes.unwrap_or(0),
        block_bytes: block_bytes(disk),
        removable: disk.removable == Some(true),
    }
}

/// The only possible disk cannot be used.
fn refused(disk: &DiskFacts, bar: &Bar, needs: &Needs<'_>) -> PlanError {
    let name = disk.name.clone();
    match bar {
        Bar::TooSmall { size, needed } => PlanError::DiskTooSmall {
            name,
            size: *size,
            needed: *needed,
            image: needs.image.to_owned(),
        },
        Bar::Unnamed => PlanError::DiskNoIdentity { name },
        Bar::NotBuiltIn(_) => PlanError::NoDisk {
            found: format!("{}: {}", one(disk), bar.words()),
        },
        Bar::ReadOnly | Bar::NoSize | Bar::Sectors(_) | Bar::BiosSectors(_) | Bar::OddSize(_) => {
            PlanError::DiskUnusable {
                disk: one(disk),
                why: bar.words(),
            }
        }
    }
}

fn fits(choice: &DiskChoice, disk: &DiskFacts) -> bool {
    let has = |wanted: &Option<String>, found: &Option<String>, holds: fn(&str, &str) -> bool| match (
        wanted, found,
    ) {
        (Some(wanted), Some(found)) => holds(wanted, found),
        (wanted, _) => wanted.is_none(),
    };
    let same = |wanted: &str, found: &str| found.trim().eq_ignore_ascii_case(wanted.trim());
    let contains = |wanted: &str, found: &str| found.to_lowercase().contains(&wanted.to_lowercase());
    let size = disk.size_bytes;
    has(&choice.serial, &disk.serial, same)
        && has(&choice.wwn, &disk.wwn, same)
        && has(&choice.model, &disk.model, contains)
        && choice.transport.is_none_or(|t| disk.transport == Some(t))
        && choice
            .min_bytes
            .is_none_or(|min| size.is_some_and(|is| is >= min))
        && choice
            .max_bytes
            .is_none_or(|max| size.is_some_and(|is| is <= max))
}

fn in_words(choice: &DiskChoice) -> String {
    let words = [
        choice.serial.as_ref().map(|serial| format!("serial {serial}")),
        choice.wwn.as_ref().map(|wwn| format!("WWN {wwn}")),
        choice.model.as_ref().map(|model| format!("model {model}")),
        choice.transport.map(|transport| transport.to_string()),
        choice
            .min_bytes
            .map(|min| format!("at least {}", exact_disk_size(min))),
        choice
            .max_bytes
            .map(|max| format!("at most {}", exact_disk_size(max))),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// One disk in words: "sda sata SAMSUNG 960 GB (960197124096 bytes) serial S1".
fn one(disk: &DiskFacts) -> String {
    let mut words = vec![disk.name.clone()];
    words.extend(disk.transport.map(|transport| transport.to_string()));
    words.extend(disk.model.clone());
    words.extend(disk.size_bytes.map(exact_disk_size));
    words.push(format!("serial {}", disk.serial.as_deref().unwrap_or("none")));
    words.extend(disk.wwn.as_deref().map(|w| format!("WWN {w}")));
    words.join(" ")
}

/// Disks in words, each with the reason why it is not used.
fn list<'a>(disks: impl Iterator<Item = &'a (&'a DiskFacts, Option<Bar>)>) -> String {
    let words = disks.map(|(disk, bar)| match bar {
        Some(bar) => format!("{} ({})", one(disk), bar.words()),
        None => one(disk),
    });
    words.collect::<Vec<_>>().join("; ")
}
