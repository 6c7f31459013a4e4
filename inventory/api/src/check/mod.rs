//! The asset check: what was expected, and what the comparison found.

use serde::{Deserialize, Serialize};

use crate::delivery::Placement;
use crate::words::wire_word;

/// Structs whose fields are all optional: an absent field has its default, and a default is not written.
macro_rules! profiles {
    ($($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* #[serde(skip_serializing_if = "is_default")] pub $field: $type,)*
        }
    )*};
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub mod code;
mod outlier;
mod profile;
mod rules;
mod size;

pub use outlier::{Outlier, ProfileMachine, ProfileMachines};
pub use profile::{
    BmcProfile, BoardProfile, CpuProfile, DimmProfile, DiskProfile, FirmwareProfile, GpuProfile,
    HardwareProfile, MemoryProfile, NicProfile, PciProfile, ProcessorProfile, ProfileProblem, PsuProfile,
    SystemProfile,
};
pub use rules::{BootProfile, HealthProfile, LinkProfile, SeverityRule, Tolerance, TpmProfile};

/// What one machine must be: hardware of its kind, and its own place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expectation {
    /// What a machine of this kind must have.
    pub profile: HardwareProfile,
    /// Where this one belongs, with serial, asset tag and cabling.
    pub placement: Option<Placement>,
}

impl From<HardwareProfile> for Expectation {
    fn from(profile: HardwareProfile) -> Expectation {
        Expectation {
            profile,
            placement: None,
        }
    }
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected.
    Pass,
    /// As expected, with warnings.
    Warn,
    /// Not as expected: no disk is touched.
    Fail,
}

wire_word!(Verdict);

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Information; does not change the verdict.
    Info,
    /// Should be looked at.
    Warning,
    /// The machine is not as ordered.
    Error,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable short code, one of [`code::ALL`], e.g. "dimm-missing".
    pub code: String,
    /// Slot, bay or port exactly as the report names it; else "system", "memory", ... For a part that moved
    /// or was swapped, the place where it belongs.
    pub place: String,
    /// What was expected, in words.
    pub expected: String,
    /// What was found, in words.
    pub found: String,
    /// Severity.
    pub severity: Severity,
    /// A sentence that a technician can act on.
    pub sentence: String,
}

/// Verdict and findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The verdict: fail if any finding is an error, warn if any is a warning, else pass.
    pub verdict: Verdict,
    /// The findings, most severe first.
    pub findings: Vec<Finding>,
}
