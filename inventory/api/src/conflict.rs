//! Two machines that claim one identity, side by side.

use serde::{Deserialize, Serialize};

use crate::id::{MachineId, UnixMs};
use crate::machine::MachineSummary;

/// `GET /v1/machines/{id}/conflict`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflicts {
    /// The machine that was asked about.
    pub machine: MachineSummary,
    /// Open ones first, then what was resolved, the newest first.
    pub conflicts: Vec<Conflict>,
}

/// One conflict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Number.
    pub id: i64,
    /// When it was found.
    pub at: UnixMs,
    /// What happened and what it may be.
    pub sentence: String,
    /// Who sent the report that claims the identity.
    pub newcomer: MachineSummary,
    /// Whose identity it is; the same machine: a report contradicts what the machine had said before.
    pub known: MachineSummary,
    /// What both say, field by field.
    pub fields: Vec<ConflictField>,
    /// What a person decided; absent: open.
    pub resolution: Option<ConflictResolution>,
}

/// One field of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictField {
    /// Stable short name: "tpm", "system", "board", "uuid", "bmc", "nics", "chassis".
    pub field: String,
    /// In words.
    pub name: String,
    /// What the newcomer says.
    pub newcomer: Option<String>,
    /// What the known machine had said.
    pub known: Option<String>,
    /// Whether they agree; absent: one of them says nothing.
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
    /// These are different machines: keep both. What they share counts no more, so it does not alarm again.
    Different {
        /// The other machine; absent: every open conflict of this one.
        #[serde(default)]
        with: Option<MachineId>,
    },
    /// It is one machine: this enrolment is retired, its MACs and its future belong to the other one. The machine itself,
    /// when a report contradicted its past: what the report says is true now.
    Same {
        /// The enrolment that goes.
        retire: MachineId,
    },
}
