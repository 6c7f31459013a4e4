//! The asset check: what was expected, and what the comparison found.

use serde::{Deserialize, Serialize};

use crate::report::Transport;

/// What one machine must have. Absent fields are not checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExpectedAssets {
    /// System maker, compared without case.
    pub manufacturer: Option<String>,
    /// Product name, compared without case.
    pub product: Option<String>,
    /// System serial number.
    pub serial: Option<String>,
    /// Populated sockets.
    pub cpu_sockets: Option<u32>,
    /// Text that the CPU model must contain, without case.
    pub cpu_model: Option<String>,
    /// Physical cores in total.
    pub cpu_cores: Option<u32>,
    /// Sum of the modules in bytes; where SMBIOS lists none, the usable memory, which may be up to 10 % below.
    pub memory_bytes: Option<u64>,
    /// Populated memory slots.
    pub dimms: Option<u32>,
    /// Disks that must be there.
    pub disks: Vec<ExpectedDisks>,
    /// Physical NICs, at least.
    pub nics: Option<u32>,
}

/// A group of like disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedDisks {
    /// How many.
    pub count: u32,
    /// Least size in bytes.
    #[serde(default)]
    pub min_bytes: Option<u64>,
    /// Attachment.
    #[serde(default)]
    pub transport: Option<Transport>,
    /// Text that the model must contain, without case.
    #[serde(default)]
    pub model: Option<String>,
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected.
    Pass,
    /// As expected, with something to look at.
    Warn,
    /// Not as expected: no disk is touched.
    Fail,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Look at it when there is time.
    Warning,
    /// The machine is not as ordered.
    Error,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable short code, e.g. "memory-total".
    pub code: String,
    /// Where: a slot, a bay, "system".
    pub place: String,
    /// What was expected, in words.
    pub expected: String,
    /// What was found, in words.
    pub found: String,
    /// How grave.
    pub severity: Severity,
    /// A sentence that a technician can act on.
    pub sentence: String,
}

/// Verdict and findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The verdict: fail if any finding is an error, warn if there is any, else pass.
    pub verdict: Verdict,
    /// The findings, most grave first.
    pub findings: Vec<Finding>,
}
