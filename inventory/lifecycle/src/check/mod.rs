//! The asset check: what was expected against what was reported, and what a good machine or its siblings teach.
//!
//! One difference is one finding. What a part explains (a slot that is empty) is not told again by a total; a part that
//! the profile does not fix is none. A fact that is expected but was not reported is a finding: "unknown" is never a pass.

mod cpu;
mod dimm;
mod disks;
mod duplicates;
mod findings;
mod golden;
mod gpus;
mod health;
mod memory;
mod nics;
mod outliers;
mod parts;
mod pci;
mod placement;
mod psus;
mod system;
mod text;
mod validate;
mod version;

pub use duplicates::{DuplicateSerial, FleetPart, duplicate_serials};
pub use golden::golden;
pub use outliers::{Outlier, outliers};
pub use text::memory_size;
pub use validate::validate;

use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, Expectation};
use inventory_api::report::{AssetReport, Transport};

use findings::Findings;

/// Compares. Linear in the report, but for parts that are out of place, which are bounded; so are the findings.
///
/// `runs_on` is the system that reported. What only the mini-os can know (boot mode, drivers for every device) is not
/// judged by the report of an installed system, whose kernel may lack drivers on purpose.
pub fn check(expectation: &Expectation, report: &AssetReport, runs_on: RunsOn) -> CheckResult {
    let profile = &expectation.profile;
    let mut findings = Findings::new(&profile.severity);
    if let Some(placement) = &expectation.placement {
        placement::identity(&mut findings, placement, report);
    }
    system::check(&mut findings, profile, report);
    cpu::check(&mut findings, &profile.cpu, report);
    memory::check(&mut findings, &profile.memory, &profile.tolerance, report);
    disks::check(&mut findings, profile, report);
    let mut explained = nics::check(&mut findings, profile, report);
    explained.merge(gpus::check(&mut findings, &profile.gpus, report));
    psus::check(&mut findings, profile, report);
    pci::check(&mut findings, &profile.pci, report, &explained);
    let mut health = profile.health.clone();
    health.drivers &= runs_on == RunsOn::MiniOs;
    health::check(&mut findings, &health, report, &explained);
    if let Some(placement) = &expectation.placement {
        placement::cabling(&mut findings, placement, report);
    }
    findings.result()
}

/// The word for a transport, as on the wire.
pub fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Sata => "sata",
        Transport::Sas => "sas",
        Transport::Scsi => "scsi",
        Transport::Nvme => "nvme",
        Transport::Virtio => "virtio",
        Transport::Usb => "usb",
        Transport::Mmc => "mmc",
        Transport::Sd => "sd",
        Transport::FibreChannel => "fibre-channel",
        Transport::Iscsi => "iscsi",
        Transport::NvmeOf => "nvme-of",
        Transport::Pmem => "pmem",
        Transport::Unknown => "unknown",
    }
}

/// Bytes for people: binary units where they divide evenly, else the exact number of GB with one digit.
pub fn bytes(n: u64) -> String {
    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;
    if n >= GIB && n.is_multiple_of(GIB) {
        format!("{} GiB", n / GIB)
    } else if (MIB..10 * GIB).contains(&n) && n.is_multiple_of(MIB) {
        format!("{} MiB", n / MIB)
    } else {
        format!("{:.1} GB", n as f64 / 1e9)
    }
}
