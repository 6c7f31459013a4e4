//! The machines of one hardware profile, compared.

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::id::MachineId;

/// `GET /v1/hardware-profiles/{name}/machines`: the machines of a hardware profile and how they differ.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProfileMachines {
    /// The machines with their verdicts.
    pub machines: Vec<ProfileMachine>,
    /// Facts in which some differ from the rest.
    pub outliers: Vec<Outlier>,
}

/// One machine of a profile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProfileMachine {
    /// Machine id.
    pub machine: MachineId,
    /// Serial number, if reported.
    pub serial: Option<String>,
    /// Verdict of the newest check, if any.
    pub verdict: Option<Verdict>,
}

/// A fact that differs between machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outlier {
    /// One machine differs from nearly all others.
    Odd {
        /// The machine.
        machine: String,
        /// The fact, e.g. "firmware version", "memory module".
        fact: String,
        /// Slot, bay or port, several separated by commas; empty if the fact has none.
        place: String,
        /// What this machine has.
        found: String,
        /// What the others have.
        usual: String,
        /// How many of the others have it.
        others: usize,
    },
    /// The machines form groups, and none is an outlier.
    Groups {
        /// The fact.
        fact: String,
        /// Slot, bay or port.
        place: String,
        /// Each value with its machines, most frequent first.
        groups: Vec<(String, Vec<String>)>,
    },
}
