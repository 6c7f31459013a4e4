//! Health of a machine, whatever it has: its disks, memory, devices and power supplies.

use inventory_api::check::{HealthProfile, code};
use inventory_api::report::{AssetReport, DiskFacts, DiskHealth, MemoryFacts};
use inventory_api::text::{counted, memory_size};

use super::alarms;
use super::disk::{name_of, needs_naming, place_of};
use super::disks::{all, format_sentence, odd_sectors};
use super::findings::Findings;
use super::parts::PART_LIMIT;
use super::pci::{self, Explained};
use super::psus::{self, UNPLUGGED};

/// Firmware and kernel may reserve this much on any machine.
const LOST_FLOOR: u64 = 2 << 30;

pub(super) fn check(
    findings: &mut Findings,
    health: &HealthProfile,
    report: &AssetReport,
    explained: &Explained,
) {
    let unknown = DiskHealth::default();
    for disk in all(report).take(PART_LIMIT) {
        let own = disk.health.as_ref().unwrap_or(&unknown);
        let mut failed = false;
        if health.disks {
            disk_format(findings, disk);
            disk_errors(findings, health, disk, own);
            failed = disk_failed(findings, disk, own);
        }
        if let Some(used) = own
            .used_percent
            .filter(|used| !failed && *used > health.max_used_percent)
        {
            disk_is_worn(findings, disk, used, health.max_used_percent);
        }
    }
    memory_errors(findings, health, &report.memory);
    if let Some(lost) = memory_lost(&report.memory, health.memory_lost_percent) {
        let installed = memory_size(report.memory.installed_bytes.unwrap_or_default());
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
    alarms::check(findings, health, report);
}

/// Sectors of an unsupported size. Card readers without a medium have no size either.
fn disk_format(findings: &mut Findings, disk: &DiskFacts) {
    let no_size =
        disk.size_bytes == Some(0) || disk.size_bytes.is_none() && disk.logical_block_bytes.is_some();
    let place = place_of(disk);
    let odd = odd_sectors(disk);
    if (odd.is_some() || no_size)
        && !needs_naming(disk.transport)
        && disk.removable != Some(true)
        && !findings.has(code::DISK_FORMAT, &place)
    {
        let found = odd.map_or("no size".to_owned(), |bytes| format!("sectors of {bytes} bytes"));
        let (expected, sentence) = ("sectors of 512 or 4096 bytes", format_sentence(disk));
        findings.add(code::DISK_FORMAT, &place, expected, &found, &sentence);
    }
}

/// Error counters of the disk: one finding for the medium, one for the cable.
fn disk_errors(findings: &mut Findings, limits: &HealthProfile, disk: &DiskFacts, own: &DiskHealth) {
    let (place, name) = (place_of(disk), name_of(disk));
    let (mut found, mut accepted) = (Vec::new(), Vec::new());
    let (reallocated, pending) = (own.reallocated_sectors, own.pending_sectors);
    for (is, most, what) in [
        (reallocated, limits.max_reallocated_sectors, "reallocated sector"),
        (pending, limits.max_pending_sectors, "pending sector"),
        (
            own.uncorrectable_errors,
            limits.max_uncorrectable_errors,
            "uncorrectable error",
        ),
    ] {
        if let Some(is) = is.filter(|is| *is > most) {
            found.push(counted(is, what));
            accepted.push(counted(most, what));
        }
    }
    if !found.is_empty() {
        let (found, expected) = (found.join(", "), format!("at most {}", accepted.join(", ")));
        let sentence = format!("{name} has {found}; accepted: {expected}. Its medium fails: replace it.");
        findings.add(code::DISK_ERRORS, &place, &expected, &found, &sentence);
    }
    if let Some(errors) = own.link_errors.filter(|is| *is > limits.max_link_errors) {
        let found = counted(errors, "link error");
        let expected = format!("at most {}", counted(limits.max_link_errors, "link error"));
        let sentence = format!(
            "{name} counted {found} on its cable over its life, {expected} accepted. Reseat the disk, check cable and backplane, \
             and see whether the number grows."
        );
        findings.add(code::DISK_LINK_ERRORS, &place, &expected, &found, &sentence);
    }
}

/// Failure reported by the disk itself. Returns whether there is one.
fn disk_failed(findings: &mut Findings, disk: &DiskFacts, own: &DiskHealth) -> bool {
    let critical = own.critical_warning.filter(|bits| *bits != 0);
    let test = own.self_test.as_deref().filter(|test| test.starts_with("failed"));
    // Below the maker's warning threshold.
    let spare = own.spare_percent.zip(own.spare_threshold_percent);
    let said: Vec<String> = [
        (own.passed == Some(false)).then(|| "self-assessment failed".to_owned()),
        critical.map(|bits| format!("critical warning 0x{bits:02x}")),
        test.map(|test| format!("self-test {test}")),
        spare
            .filter(|(left, least)| left < least)
            .map(|(left, _)| format!("{left} % of its spare blocks left")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if said.is_empty() {
        return false;
    }
    let said = said.join(", ");
    let sentence = format!(
        "{} reports that it is failing: {said}. Replace it.",
        name_of(disk)
    );
    findings.add(code::DISK_FAILED, &place_of(disk), "healthy", &said, &sentence);
    true
}

pub(super) fn disk_is_worn(findings: &mut Findings, disk: &DiskFacts, used: u32, most: u32) {
    let sentence = format!(
        "{}: {used} % of its life is used, at most {most} % is accepted. It is not new, or will end soon: replace it.",
        name_of(disk)
    );
    let (expected, found) = (format!("at most {most} % used"), format!("{used} % used"));
    findings.add(code::DISK_WORN, &place_of(disk), &expected, &found, &sentence);
}

/// The kernel counts per rank or channel, and again per controller: one finding for each place that counts.
fn memory_errors(findings: &mut Findings, health: &HealthProfile, memory: &MemoryFacts) {
    for counter in memory.edac.iter().take(PART_LIMIT) {
        let place = counter.label.as_deref().unwrap_or(&counter.controller);
        if let Some(errors) = counter.uncorrected.filter(|n| health.memory_errors && *n > 0) {
            let (found, expected) = (counted(errors, "uncorrected error"), "0 uncorrected errors");
            let sentence = format!(
                "Memory at {place} had {} that could not be corrected since the start. Replace the module there.",
                counted(errors, "error")
            );
            findings.add(code::MEMORY_ERRORS, place, expected, &found, &sentence);
        }
        if let Some(errors) = counter.corrected.filter(|n| *n > health.max_corrected_errors) {
            let found = counted(errors, "corrected error");
            let most = format!(
                "at most {}",
                counted(health.max_corrected_errors, "corrected error")
            );
            let sentence = format!(
                "Memory at {place} had {found} since the start, {most} accepted. Reseat the module there; replace it if they go on."
            );
            findings.add(code::MEMORY_CORRECTED, place, &most, &found, &sentence);
        }
    }
}

/// Share of installed memory that the kernel does not see, in percent, if above the limit.
fn memory_lost(memory: &MemoryFacts, most_percent: u32) -> Option<u32> {
    let (installed, usable) = (memory.installed_bytes?, memory.usable_bytes?);
    let lost = installed.checked_sub(usable).filter(|lost| *lost > LOST_FLOOR)?;
    let percent = u32::try_from(u128::from(lost) * 100 / u128::from(installed)).ok()?;
    (percent > most_percent).then_some(percent)
}

/// Classes that need a driver: storage, network, and hosts of SD cards and eMMC. Others (management, crypto,
/// display) often have none in the mini-os.
fn needs_driver(class: &str) -> bool {
    class.starts_with("01") || class.starts_with("02") || class.starts_with("0805")
}

fn drivers(findings: &mut Findings, report: &AssetReport, explained: &Explained) {
    let orphans = report.pci.iter().take(PART_LIMIT).filter(|d| {
        d.driver.is_none()
            && d.class.as_deref().is_some_and(needs_driver)
            && !explained.addresses.contains(&d.address)
    });
    for device in orphans {
        let (place, name) = (pci::place_of(device), pci::name_of(device));
        let sentence = format!(
            "{name} at {} has no driver: the mini-os lacks one, or the device is broken.",
            device.address
        );
        findings.add(code::NO_DRIVER, place, "a driver", "no driver", &sentence);
    }
}

fn power(findings: &mut Findings, report: &AssetReport) {
    for (at, psu) in report.power_supplies.iter().take(PART_LIMIT).enumerate() {
        let place = psus::place_of(psu, at);
        if !psu.is_there() || findings.has(code::PSU_UNPLUGGED, &place) {
            continue;
        }
        if psu.plugged == Some(false) {
            let sentence = format!("Power supply {place} has no mains power. {UNPLUGGED}");
            let (expected, found) = ("mains power", "no mains power");
            findings.add(code::PSU_UNPLUGGED, &place, expected, found, &sentence);
        } else if psus::fails(psu) {
            let status = psu.status.as_deref().unwrap_or_default();
            let sentence = format!("Power supply {place} says: {status}. Replace it, or look at its mains.");
            findings.add(code::PSU_FAILED, &place, "OK", status, &sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_network_and_sd_hosts_need_a_driver() {
        for (class, needs) in [
            ("010802", true),
            ("020000", true),
            ("080501", true),
            ("088000", false),
            ("030000", false),
            ("", false),
        ] {
            assert_eq!(needs_driver(class), needs, "{class}");
        }
    }
}
