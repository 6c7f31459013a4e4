//! Whether a plan may run here: a pure function of the plan and the live disks.

use inventory_api::id::MachineId;
use inventory_api::plan::{DiskTarget, InstallPlan, PLAN_SCHEMA};

use super::layout;
use super::site::LiveDisk;
use super::target::{Located, Refused};

/// Whether `plan` may run on this machine with these disks, and on which of them.
pub fn verify(plan: &InstallPlan, here: &MachineId, disks: &[LiveDisk]) -> Result<Located, Refused> {
    if plan.schema != PLAN_SCHEMA {
        return Err(Refused::Schema(plan.schema));
    }
    if plan.machine != *here {
        return Err(Refused::Machine {
            plan: plan.machine.clone(),
            here: here.clone(),
        });
    }
    layout::check(plan)?;
    locate(&plan.disk, disks)
}

/// The only live disk that matches `target`: by serial number and WWN as far as they are given, with exactly
/// its size and block size, writable, not removable, not in use. Field reports 24: names such as sda and "the
/// first disk" wiped wrong disks, so nothing else counts, and two matching disks are refused.
pub(super) fn locate(target: &DiskTarget, disks: &[LiveDisk]) -> Result<Located, Refused> {
    let wanted = describe(target)?;
    let matching: Vec<&LiveDisk> = disks
        .iter()
        .filter(|d| target.names(d.facts.serial.as_deref(), d.facts.wwn.as_deref()))
        .collect();
    let disk = match matching[..] {
        [disk] if disk.facts.paths.is_empty() => disk,
        [first, ..] if are_paths(&matching) => first,
        [] => {
            let found: Vec<String> = disks.iter().take(32).map(|d| describe_live(&d.facts)).collect();
            let found = if found.is_empty() {
                "no disk at all".to_owned()
            } else {
                found.join(", ")
            };
            return Err(Refused::DiskMissing { wanted, found });
        }
        [..] => {
            let paths = |d: &&LiveDisk| {
                let others = d.facts.paths.iter().map(|p| p.name.clone());
                std::iter::once(d.facts.name.clone())
                    .chain(others)
                    .collect::<Vec<_>>()
            };
            let names: Vec<String> = matching.iter().flat_map(paths).collect();
            return Err(Refused::DiskAmbiguous {
                wanted,
                names: names.join(", "),
            });
        }
    };
    let facts = &disk.facts;
    let name = facts.name.clone();
    if facts.size_bytes != Some(target.size_bytes) || facts.logical_block_bytes != Some(target.block_bytes) {
        let text = |size: Option<u64>, block: Option<u32>| {
            let size = size.map_or("an unknown size".to_owned(), |s| format!("{s} bytes"));
            let block = block.map_or("unknown size".to_owned(), |b| format!("{b} bytes"));
            format!("{size} in blocks of {block}")
        };
        return Err(Refused::DiskSize {
            name,
            found: text(facts.size_bytes, facts.logical_block_bytes),
            planned: text(Some(target.size_bytes), Some(target.block_bytes)),
        });
    }
    if facts.read_only == Some(true) {
        return Err(Refused::DiskReadOnly(name));
    }
    if facts.removable == Some(true) && !target.removable {
        return Err(Refused::DiskRemovable(name));
    }
    if let Some(by) = matching.iter().find_map(|d| d.in_use.as_ref()) {
        return Err(Refused::DiskBusy { name, by: by.clone() });
    }
    Ok(Located {
        name,
        size_bytes: target.size_bytes,
        block_bytes: target.block_bytes,
    })
}

/// Whether several block devices are paths to one disk: all have the same WWN, serial number and size. A
/// serial number or WWN alone is not enough, because makers reuse them within a series (field reports 24).
/// Only one path is written, because it is the same disk; its kernel name is looked up again for each step.
fn are_paths(disks: &[&LiveDisk]) -> bool {
    let told = |text: &Option<String>| text.as_deref().is_some_and(|t| !t.trim().is_empty());
    let same = |d: &&LiveDisk| {
        let (a, b) = (&disks[0].facts, &d.facts);
        (a.size_bytes, a.logical_block_bytes) == (b.size_bytes, b.logical_block_bytes)
            && told(&b.serial)
            && told(&b.wwn)
            && (&a.serial, &a.wwn) == (&b.serial, &b.wwn)
    };
    disks.iter().all(same)
}

/// Describes the disk as the plan names it.
fn describe(target: &DiskTarget) -> Result<String, Refused> {
    let mut words = Vec::new();
    for (what, name) in [("serial", &target.serial), ("WWN", &target.wwn)] {
        match name.as_deref().map(str::trim) {
            Some("") => return Err(Refused::DiskUnnamed),
            Some(name) => words.push(format!("{what} {name}")),
            None => {}
        }
    }
    if words.is_empty() {
        return Err(Refused::DiskUnnamed);
    }
    Ok(words.join(" and "))
}

fn describe_live(facts: &inventory_api::report::DiskFacts) -> String {
    let mut text = facts.name.clone();
    if let Some(serial) = &facts.serial {
        text += &format!(" serial {serial}");
    }
    if let Some(wwn) = &facts.wwn {
        text += &format!(" WWN {wwn}");
    }
    text
}
