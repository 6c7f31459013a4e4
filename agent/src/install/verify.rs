//! May this plan run here? A pure function of the plan and the live disks.

use inventory_api::id::MachineId;
use inventory_api::plan::{DiskTarget, InstallPlan, PLAN_SCHEMA};

use super::layout;
use super::site::LiveDisk;

/// The disk a plan means, found among the live ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The kernel's name now. Good until the next look only.
    pub name: String,
    /// Capacity in bytes.
    pub size_bytes: u64,
    /// Logical block size in bytes.
    pub block_bytes: u32,
}

/// Why a plan may not run here. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another schema.
    #[error("the plan has schema {0}, this agent knows only {PLAN_SCHEMA}")]
    Schema(u32),
    /// For another machine.
    #[error("the plan is for machine {plan}, this is {here}")]
    Machine {
        /// The plan's.
        plan: MachineId,
        /// Ours.
        here: MachineId,
    },
    /// The plan does not name its disk by serial or WWN.
    #[error("the plan names its disk neither by serial number nor by WWN")]
    DiskUnnamed,
    /// No such disk.
    #[error("no disk with {wanted} is here; found: {found}")]
    DiskMissing {
        /// What the plan names.
        wanted: String,
        /// What is here.
        found: String,
    },
    /// More than one disk answers to the name.
    #[error("more than one disk has {wanted}: {names}")]
    DiskAmbiguous {
        /// What the plan names.
        wanted: String,
        /// Kernel names.
        names: String,
    },
    /// Another size or block size than planned.
    #[error("disk {name} has {found}, the plan says {planned}")]
    DiskSize {
        /// Kernel name.
        name: String,
        /// What it has.
        found: String,
        /// What was planned.
        planned: String,
    },
    /// Read-only.
    #[error("disk {0} is read-only")]
    DiskReadOnly(String),
    /// Removable.
    #[error("disk {0} is a removable medium")]
    DiskRemovable(String),
    /// Mounted or held by something.
    #[error("disk {name} is in use: {by}")]
    DiskBusy {
        /// Kernel name.
        name: String,
        /// By what.
        by: String,
    },
    /// Partitions, order of steps or their references are wrong.
    #[error("the plan's layout is wrong: {0}")]
    Layout(String),
    /// An image does not fit.
    #[error("{0}")]
    ImageSize(String),
    /// Something in a step cannot be done safely.
    #[error("step {step}: {detail}")]
    Content {
        /// Name of the step.
        step: &'static str,
        /// What is wrong.
        detail: String,
    },
}

impl Refused {
    /// Stable short code.
    pub fn code(&self) -> &'static str {
        match self {
            Refused::Schema(_) => "plan-schema",
            Refused::Machine { .. } => "plan-machine",
            Refused::DiskUnnamed => "plan-disk",
            Refused::DiskMissing { .. } => "disk-missing",
            Refused::DiskAmbiguous { .. } => "disk-ambiguous",
            Refused::DiskSize { .. } => "disk-size",
            Refused::DiskReadOnly(_) => "disk-readonly",
            Refused::DiskRemovable(_) => "disk-removable",
            Refused::DiskBusy { .. } => "disk-busy",
            Refused::Layout(_) => "plan-layout",
            Refused::ImageSize(_) => "image-size",
            Refused::Content { .. } => "plan-content",
        }
    }
}

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

/// The only live disk that is `target`: by serial and WWN as far as they are given, with exactly its size and block
/// size, writable, not removable, not in use. Field reports 24: names such as sda and "the first disk" wiped wrong
/// disks, so nothing else counts, and two disks of one name are none.
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

/// Whether several block devices are paths to one disk: a WWN and a serial number, the same on all, and one size. A serial
/// number or a WWN alone is not enough, as makers give one to a whole series (field reports 24). One path is written, as
/// the disk is the same behind all of them; the kernel's name of it is found anew for each step.
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

/// The disk as the plan names it.
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
