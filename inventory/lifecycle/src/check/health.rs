//! What makes a machine unhealthy, whatever it has: what its disks, memory, devices and power supplies say of themselves.

use inventory_api::check::{HealthProfile, code};
use inventory_api::report::{AssetReport, DiskFacts, MemoryFacts};

use super::dimm::is_populated;
use super::disks::place_of;
use super::findings::Findings;
use super::nics::Explained;
use super::parts::PART_LIMIT;
use super::text::{label, memory_size};

/// Less than this is kept by firmware and kernel on any machine.
const LOST_FLOOR: u64 = 2 << 30;

pub(super) fn check(
    findings: &mut Findings,
    health: &HealthProfile,
    report: &AssetReport,
    explained: &Explained,
) {
    for disk in report.disks.iter().take(PART_LIMIT) {
        if health.disks && disk_fails(disk) {
            disk_failed(findings, disk);
        } else if let Some(used) = used(disk).filter(|used| *used > health.max_used_percent) {
            disk_is_worn(findings, disk, used, health.max_used_percent);
        }
    }
    if health.memory_errors {
        memory_errors(findings, &report.memory);
    }
    if let Some(lost) = memory_lost(&report.memory, health.memory_lost_percent) {
        let installed = memory_size(installed(&report.memory).unwrap_or_default());
        let usable = memory_size(report.memory.usable_bytes.unwrap_or_default());
        let sentence = format!(
            "{installed} of memory are installed, but the kernel can use {usable}: {lost} % are lost. A module may be \
             switched off by the firmware: look at its log, reseat or replace the module."
        );
        findings.add(code::MEMORY_LOST, "memory", &installed, &usable, &sentence);
    }
    if health.drivers {
        drivers(findings, report, explained);
    }
    if health.power {
        power(findings, report);
    }
}

pub(super) fn disk_fails(disk: &DiskFacts) -> bool {
    disk.health
        .as_ref()
        .is_some_and(|h| h.passed == Some(false) || h.critical_warning.is_some_and(|bits| bits != 0))
}

pub(super) fn used(disk: &DiskFacts) -> Option<u32> {
    disk.health.as_ref().and_then(|h| h.used_percent)
}

fn disk_failed(findings: &mut Findings, disk: &DiskFacts) {
    let place = place_of(disk);
    let health = disk.health.clone().unwrap_or_default();
    let mut said = Vec::new();
    if health.passed == Some(false) {
        said.push("self-assessment failed".to_owned());
    }
    if let Some(bits) = health.critical_warning.filter(|bits| *bits != 0) {
        said.push(format!("critical warning 0x{bits:02x}"));
    }
    let said = said.join(", ");
    let serial = disk
        .serial
        .as_deref()
        .map_or(String::new(), |s| format!(" (serial {s})"));
    let sentence = format!(
        "{}{serial} says that it fails: {said}. Replace it.",
        label("Disk", place)
    );
    findings.add(code::DISK_FAILED, place, "healthy", &said, &sentence);
}

pub(super) fn disk_is_worn(findings: &mut Findings, disk: &DiskFacts, used: u32, most: u32) {
    let place = place_of(disk);
    let serial = disk
        .serial
        .as_deref()
        .map_or(String::new(), |s| format!(" (serial {s})"));
    let sentence = format!(
        "{}{serial}: {used} % of its life is used, at most {most} % is accepted. It is not new, or will end soon: replace it.",
        label("Disk", place)
    );
    findings.add(
        code::DISK_WORN,
        place,
        &format!("at most {most} % used"),
        &format!("{used} % used"),
        &sentence,
    );
}

/// The kernel counts per rank or channel, and then per controller again: one finding for each place that counts.
fn memory_errors(findings: &mut Findings, memory: &MemoryFacts) {
    let bad = memory
        .edac
        .iter()
        .filter_map(|e| e.uncorrected.filter(|n| *n > 0).map(|n| (e, n)));
    for (counter, errors) in bad.take(PART_LIMIT) {
        let place = counter.label.as_deref().unwrap_or(&counter.controller);
        let sentence = format!(
            "Memory at {place} had {errors} errors that could not be corrected since the start. Replace the module there."
        );
        findings.add(
            code::MEMORY_ERRORS,
            place,
            "0 uncorrected errors",
            &format!("{errors} uncorrected errors"),
            &sentence,
        );
    }
}

fn installed(memory: &MemoryFacts) -> Option<u64> {
    let sum = memory
        .slots
        .iter()
        .filter(|s| is_populated(s))
        .filter_map(|s| s.size_bytes)
        .fold(0, u64::saturating_add);
    if sum > 0 {
        Some(sum)
    } else {
        memory.installed_bytes
    }
}

/// How many percent of what is installed the kernel lacks, if that is more than so many.
pub(super) fn memory_lost(memory: &MemoryFacts, most_percent: u32) -> Option<u32> {
    let (installed, usable) = (installed(memory)?, memory.usable_bytes?);
    let lost = installed.checked_sub(usable).filter(|lost| *lost > LOST_FLOOR)?;
    let percent = u32::try_from(u128::from(lost) * 100 / u128::from(installed)).ok()?;
    (percent > most_percent).then_some(percent)
}

/// Classes that are of no use without a driver: storage and network. Others (management, crypto, display) are often left
/// alone in the mini-os.
pub(super) fn needs_driver(class: &str) -> bool {
    class.starts_with("01") || class.starts_with("02")
}

fn drivers(findings: &mut Findings, report: &AssetReport, explained: &Explained) {
    let orphans = report.pci.iter().take(PART_LIMIT).filter(|d| {
        d.driver.is_none()
            && d.class.as_deref().is_some_and(needs_driver)
            && !explained.addresses.contains(&d.address)
    });
    for device in orphans {
        no_driver(findings, device);
    }
}

pub(super) fn no_driver(findings: &mut Findings, device: &inventory_api::report::PciDevice) {
    let place = device.slot.as_deref().unwrap_or(&device.address);
    let id = match (&device.vendor, &device.device) {
        (Some(vendor), Some(device)) => format!("{vendor}:{device}"),
        _ => "unknown id".to_owned(),
    };
    let name = device
        .name
        .as_deref()
        .map_or_else(|| id.clone(), |name| format!("{name} ({id})"));
    let sentence = format!(
        "{name} at {} has no driver: the mini-os lacks one, or the device is broken.",
        device.address
    );
    findings.add(code::NO_DRIVER, place, "a driver", "no driver", &sentence);
}

fn power(findings: &mut Findings, report: &AssetReport) {
    for (at, psu) in report.power_supplies.iter().take(PART_LIMIT).enumerate() {
        let place = super::psus::place_of(psu, at);
        if super::psus::fails(psu) && !findings.has(code::PSU_UNPLUGGED, &place) {
            let status = psu.status.as_deref().unwrap_or_default();
            let sentence = format!("Power supply {place} says: {status}. Replace it, or look at its mains.");
            findings.add(code::PSU_FAILED, &place, "OK", status, &sentence);
        }
    }
}
