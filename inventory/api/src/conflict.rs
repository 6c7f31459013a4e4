//! Two machines that claim one identity, side by side.

use serde::{Deserialize, Serialize};

use crate::id::{MachineId, UnixMs};
use crate::machine::MachineSummary;

/// `GET /v1/machines/{id}/conflict`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflicts {
    /// The machine in question.
    pub machine: MachineSummary,
    /// Open ones first, then resolved ones, newest first.
    pub conflicts: Vec<Conflict>,
}

/// One conflict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Number.
    pub id: i64,
    /// When it was found.
    pub at: UnixMs,
    /// What happened, and likely causes.
    pub sentence: String,
    /// The machine whose report claims the identity.
    pub newcomer: MachineSummary,
    /// The machine that owns the identity. The same machine if a report contradicts an earlier one.
    pub known: MachineSummary,
    /// Both sides, field by field.
    pub fields: Vec<ConflictField>,
    /// What a person decided; absent: open.
    pub resolution: Option<ConflictResolution>,
}

/// One field of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictField {
    /// Stable short name: "tpm", "system", "board", "uuid", "bmc", "nics", "chassis".
    pub field: String,
    /// In words.
    pub name: String,
    /// Value of the newcomer.
    pub newcomer: Option<String>,
    /// Earlier value of the known machine.
    pub known: Option<String>,
    /// Whether they agree; absent if one side has no value.
    pub agrees: Option<bool>,
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictResolution {
    /// "different" or "same".
    pub resolution: String,
    /// Who: the name of a token.
    pub actor: String,
    /// When.
    pub at: UnixMs,
}

/// `POST /v1/machines/{id}/conflict`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "resolution", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ResolveConflict {
    /// They are different machines: keep both. Values that they share no longer count, so they raise no
    /// further alarm.
    Different {
        /// The other machine; absent: every open conflict of this one.
        with: Option<MachineId>,
    },
    /// They are one machine: this enrolment is retired and its MACs go to the other one. If a machine
    /// contradicted its own past, this names that machine: what the report says holds now.
    Same {
        /// The enrolment to retire.
        retire: MachineId,
    },
}
