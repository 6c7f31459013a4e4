//! Rules that apply whatever a machine has, and profiles that are not about parts: health, tolerance,
//! severity, TPM, boot, links.

use serde::{Deserialize, Serialize};

use super::{Severity, is_default};
use crate::report::FirmwareMode;

profiles! {
    /// TPM.
    pub struct TpmProfile {
        /// There must be one; false checks nothing.
        pub present: bool,
        /// Version of its specification, "2.0".
        pub version: Option<String>,
    }

    /// How the firmware boots. Checked against reports of the mini-os only.
    pub struct BootProfile {
        /// BIOS or UEFI.
        pub mode: Option<FirmwareMode>,
        /// Secure Boot is on.
        pub secure_boot: Option<bool>,
    }

    /// Minimum PCIe link of every device of one id. It overrides [`HealthProfile::links`] for that id.
    pub struct LinkProfile {
        /// PCI vendor and device id, "10de:2330".
        pub id: String,
        /// Minimum lanes.
        pub min_width: Option<u32>,
        /// Minimum speed, GT/s.
        pub min_speed_gts: Option<f64>,
    }
}

/// What makes a machine unhealthy. Every rule applies unless it is switched off here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthProfile {
    /// Disks must not report failure, and must have sectors of a supported size.
    pub disks: bool,
    /// Maximum life used of any disk, percent.
    pub max_used_percent: u32,
    /// Maximum reallocated sectors of a disk.
    pub max_reallocated_sectors: u64,
    /// Maximum pending sectors of a disk.
    pub max_pending_sectors: u64,
    /// Maximum uncorrectable errors of a disk.
    pub max_uncorrectable_errors: u64,
    /// Maximum errors on a disk's cable over its life.
    pub max_link_errors: u64,
    /// Memory must have no uncorrectable errors.
    pub memory_errors: bool,
    /// Maximum corrected errors of a memory module since the system started.
    pub max_corrected_errors: u64,
    /// How much of the installed memory the kernel may not see, percent; the firmware reserves some.
    pub memory_lost_percent: u32,
    /// Processors must not be switched off.
    pub processors: bool,
    /// Storage and network devices must have a driver.
    pub drivers: bool,
    /// GPUs and network cards must run at the lanes and speed that card and slot support.
    pub links: bool,
    /// Power supplies must not report failure, and must have mains power.
    pub power: bool,
    /// Fans must run and no sensor may be in alarm.
    pub sensors: bool,
    /// Batteries must not report failure.
    pub batteries: bool,
    /// The BMC's event log must have no failure that persists.
    pub bmc_events: bool,
}

impl Default for HealthProfile {
    fn default() -> HealthProfile {
        HealthProfile {
            disks: true,
            max_used_percent: 90,
            max_reallocated_sectors: 10,
            max_pending_sectors: 0,
            max_uncorrectable_errors: 0,
            max_link_errors: 100,
            memory_errors: true,
            max_corrected_errors: 100,
            memory_lost_percent: 10,
            processors: true,
            drivers: true,
            links: true,
            power: true,
            sensors: true,
            batteries: true,
            bmc_events: true,
        }
    }
}

profiles! {
    /// How far a number may be below the expected one, percent; for sizes and watts also above. 0 by default.
    pub struct Tolerance {
        /// Total memory.
        pub memory_total: u32,
        /// Speed of memory.
        pub memory_speed: u32,
        /// Size of a disk; makers differ by some blocks.
        pub disk_size: u32,
        /// Speed of a link.
        pub link_speed: u32,
        /// Power of a power supply.
        pub psu_watts: u32,
    }
}

/// Severity that a profile gives to a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeverityRule {
    /// No finding.
    Ignore,
    /// As [`Severity::Info`].
    Info,
    /// As [`Severity::Warning`].
    Warning,
    /// As [`Severity::Error`].
    Error,
}

impl SeverityRule {
    /// The severity; `None`: no finding.
    pub fn severity(self) -> Option<Severity> {
        match self {
            SeverityRule::Ignore => None,
            SeverityRule::Info => Some(Severity::Info),
            SeverityRule::Warning => Some(Severity::Warning),
            SeverityRule::Error => Some(Severity::Error),
        }
    }
}
