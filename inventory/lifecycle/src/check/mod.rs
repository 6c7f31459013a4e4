//! The asset check: the expected hardware against the reported, and profiles and outliers from good machines.
//!
//! One difference is one finding. A total does not repeat what a part explains (an empty slot), and parts
//! that the profile does not mention give no finding. An expected fact that was not reported is a finding of
//! its own: "unknown" is neither a pass nor a fault.

mod alarms;
mod cpu;
mod difference;
mod dimm;
mod disk;
mod disks;
mod findings;
mod firmware;
mod golden;
mod gpus;
mod health;
mod links;
mod memory;
mod memory_totals;
mod nics;
mod outliers;
mod parts;
mod pci;
mod placement;
mod prepare;
mod psus;
mod system;
mod text;
mod validate;
mod version;

pub use golden::golden;
pub use inventory_api::check::Outlier;
pub(crate) use nics::place_of as nic_place;
pub use outliers::outliers;
pub(crate) use text::same;
pub use validate::validate;

use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, Expectation, Finding, Severity};
use inventory_api::report::AssetReport;

use findings::Findings;
use prepare::prepared;

/// Checks a report. Linear in the report except for misplaced parts, which are bounded, as are the findings.
///
/// `runs_on` is the reporting system. What only the mini-os can know (boot mode, drivers for every device) is
/// not checked against the report of an installed system, whose kernel may lack drivers on purpose.
pub fn check(expectation: &Expectation, report: &AssetReport, runs_on: RunsOn) -> CheckResult {
    let report = &prepared(report);
    let profile = &expectation.profile;
    let in_mini_os = runs_on == RunsOn::MiniOs;
    let mut findings = Findings::new(&profile.severity);
    if let Some(placement) = &expectation.placement {
        placement::identity(&mut findings, placement, report);
    }
    system::check(&mut findings, profile, report, runs_on);
    cpu::check(&mut findings, &profile.cpu, report, profile.health.processors);
    memory::check(&mut findings, &profile.memory, &profile.tolerance, report);
    let storage_waits = !in_mini_os
        && report
            .pci
            .iter()
            .any(|d| d.driver.is_none() && d.class.as_deref().is_some_and(|c| c.starts_with("01")));
    disks::check(&mut findings, profile, report, storage_waits);
    let mut explained = pci::Explained::default();
    nics::check(&mut findings, profile, report, !in_mini_os, &mut explained);
    gpus::check(&mut findings, &profile.gpus, report, &mut explained);
    psus::check(&mut findings, profile, report);
    pci::check(&mut findings, &profile.pci, report, &explained);
    links::check(
        &mut findings,
        &profile.links,
        report,
        profile.health.links,
        !in_mini_os,
    );
    let mut health = profile.health.clone();
    health.drivers &= in_mini_os;
    health::check(&mut findings, &health, report, &explained);
    if let Some(placement) = &expectation.placement {
        placement::cabling(&mut findings, placement, report);
    }
    findings.result()
}

/// Health findings of a machine, whatever is expected of it. A golden profile is made from a machine that has
/// none.
pub fn unhealthy(report: &AssetReport) -> Vec<Finding> {
    let mut found = check(&Expectation::default(), report, RunsOn::MiniOs).findings;
    found.retain(|finding| finding.severity > Severity::Info);
    found
}
