//! The disk a plan means, and the reasons for refusing a plan.

use inventory_api::id::MachineId;
use inventory_api::plan::PLAN_SCHEMA;

/// The disk a plan means, found among the live ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The current kernel name. Valid only until the next look.
    pub name: String,
    /// Capacity in bytes.
    pub size_bytes: u64,
    /// Logical block size in bytes.
    pub block_bytes: u32,
}

/// Why a plan may not run here. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Unknown schema.
    #[error("the plan has schema {0}, this agent knows only {PLAN_SCHEMA}")]
    Schema(u32),
    /// For another machine.
    #[error("the plan is for machine {plan}, this is {here}")]
    Machine {
        /// The plan's machine.
        plan: MachineId,
        /// This machine.
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
    /// More than one disk matches.
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
    /// Mounted, or held by something.
    #[error("disk {name} is in use: {by}")]
    DiskBusy {
        /// Kernel name.
        name: String,
        /// By what.
        by: String,
    },
    /// Wrong partitions, step order or references.
    #[error("the plan's layout is wrong: {0}")]
    Layout(String),
    /// An image does not fit.
    #[error("{0}")]
    ImageSize(String),
    /// A step contains something that cannot be done safely.
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
