//! What makes a machine unhealthy, whatever it has: what its disks, memory, devices and power supplies say of themselves.

use inventory_api::check::{HealthProfile, code};
use inventory_api::report::{AssetReport, DiskFacts, DiskHealth, MemoryFacts};

use super::alarms;
use super::disk::{needs_naming, place_of, serial_of};
use super::disks::{all, format_sentence, odd_sectors};
use super::findings::Findings;
use super::nics::Explained;
use super::parts::PART_LIMIT;
use super::text::{counted, label, memory_size};

/// Less than this is kept by firmware and kernel on any machine.
const LOST_FLOOR: u64 = 2 << 30;

pub(super) fn check(
    findings: &mut Findings,
    health: &HealthProfile,
    report: &AssetReport,
    explained: &Explained,
) {
    for disk in all(report).take(PART_LIMIT) {
        if health.disks {
            disk_format(findings, disk);
            disk_errors(findings, health, disk);
        }
        if health.disks && disk_fails(disk) {
            disk_failed(findings, disk);
        } else if let Some(used) = used(disk).filter(|used| *used > health.max_used_percent) {
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

fn disk_fails(disk: &DiskFacts) -> bool {
    disk.health.as_ref().is_some_and(|h| {
        h.passed == Some(false)
            || h.critical_warning.is_some_and(|bits| bits != 0)
            || self_test_failed(h)
            || little_spare(h).is_some()
    })
}

fn self_test_failed(health: &DiskHealth) -> bool {
    health
        .self_test
        .as_deref()
        .is_some_and(|test| test.starts_with("failed"))
}

/// The spare blocks that are left, where the maker warns of so few.
fn little_spare(health: &DiskHealth) -> Option<u32> {
    let (left, least) = (health.spare_percent?, health.spare_threshold_percent?);
    (left < least).then_some(left)
}

fn used(disk: &DiskFacts) -> Option<u32> {
    disk.health.as_ref().and_then(|h| h.used_percent)
}

/// Sectors of a size that no system here can use. Readers without a medium have no size either.
fn disk_format(findings: &mut Findings, disk: &DiskFacts) {
    let no_size =
        disk.size_bytes == Some(0) || disk.size_bytes.is_none() && disk.logical_block_bytes.is_some();
    let place = place_of(disk);
    if (odd_sectors(disk).is_some() || no_size)
        && !needs_naming(disk.transport)
        && disk.removable != Some(true)
        && !findings.has(code::DISK_FORMAT, &place)
    {
        let found =
            odd_sectors(disk).map_or("no size".to_owned(), |bytes| format!("sectors of {bytes} bytes"));
        findings.add(
            code::DISK_FORMAT,
            &place,
            "sectors of 512 or 4096 bytes",
            &found,
            &format_sentence(disk),
        );
    }
}

/// What the disk counted: its medium in one finding, its cable in another.
fn disk_errors(findings: &mut Findings, limits: &HealthProfile, disk: &DiskFacts) {
    let Some(health) = &disk.health else { return };
    let place = place_of(disk);
    let name = format!("{}{}", label("Disk", &place), serial_of(disk));
    let over: Vec<(u64, u64, &str)> = [
        (
            health.reallocated_sectors,
            limits.max_reallocated_sectors,
            "reallocated sector",
        ),
        (
            health.pending_sectors,
            limits.max_pending_sectors,
            "pending sector",
        ),
        (
            health.uncorrectable_errors,
            limits.max_uncorrectable_errors,
            "uncorrectable error",
        ),
    ]
    .into_iter()
    .filter_map(|(is, most, what)| Some((is.filter(|is| *is > most)?, most, what)))
    .collect();
    let list =
        |shown: &dyn Fn(&(u64, u64, &str)) -> String| over.iter().map(shown).collect::<Vec<_>>().join(", ");
    if !over.is_empty() {
        let found = list(&|(is, _, what)| counted(*is, what));
        let expected = format!("at most {}", list(&|(_, most, what)| counted(*most, what)));
        let sentence = format!("{name} has {found}; accepted: {expected}. Its medium fails: replace it.");
        findings.add(code::DISK_ERRORS, &place, &expected, &found, &sentence);
    }
    if let Some(errors) = health.link_errors.filter(|is| *is > limits.max_link_errors) {
        let (found, expected) = (
            counted(errors, "link error"),
            format!("at most {}", counted(limits.max_link_errors, "link error")),
        );
        let sentence = format!(
            "{name} counted {found} on its cable over its life, {expected} accepted. Reseat the disk, check cable and backplane, \
             and see whether the number grows."
        );
        findings.add(code::DISK_LINK_ERRORS, &place, &expected, &found, &sentence);
    }
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
    if self_test_failed(&health) {
        said.push(format!(
            "self-test {}",
            health.self_test.as_deref().unwrap_or_default()
        ));
    }
    if let Some(left) = little_spare(&health) {
        said.push(format!("{left} % of its spare blocks left"));
    }
    let said = said.join(", ");
    let sentence = format!(
        "{}{} says that it fails: {said}. Replace it.",
        label("Disk", &place),
        serial_of(disk)
    );
    findings.add(code::DISK_FAILED, &place, "healthy", &said, &sentence);
}

pub(super) fn disk_is_worn(findings: &mut Findings, disk: &DiskFacts, used: u32, most: u32) {
    let place = place_of(disk);
    let sentence = format!(
        "{}{}: {used} % of its life is used, at most {most} % is accepted. It is not new, or will end soon: replace it.",
        label("Disk", &place),
        serial_of(disk)
    );
    findings.add(
        code::DISK_WORN,
        &place,
        &format!("at most {most} % used"),
        &format!("{used} % used"),
        &sentence,
    );
}

/// The kernel counts per rank or channel, and then per controller again: one finding for each place that counts.
fn memory_errors(findings: &mut Findings, health: &HealthProfile, memory: &MemoryFacts) {
    for counter in memory.edac.iter().take(PART_LIMIT) {
        let place = counter.label.as_deref().unwrap_or(&counter.controller);
        if let Some(errors) = counter.uncorrected.filter(|n| health.memory_errors && *n > 0) {
            let found = counted(errors, "uncorrected error");
            let sentence = format!(
                "Memory at {place} had {} that could not be corrected since the start. Replace the module there.",
                counted(errors, "error")
            );
            findings.add(
                code::MEMORY_ERRORS,
                place,
                "0 uncorrected errors",
                &found,
                &sentence,
            );
        }
        if let Some(errors) = counter.corrected.filter(|n| *n > health.max_corrected_errors) {
            let (found, most) = (
                counted(errors, "corrected error"),
                format!(
                    "at most {}",
                    counted(health.max_corrected_errors, "corrected error")
                ),
            );
            let sentence = format!(
                "Memory at {place} had {found} since the start, {most} accepted. Reseat the module there; replace it if they go on."
            );
            findings.add(code::MEMORY_CORRECTED, place, &most, &found, &sentence);
        }
    }
}

/// How many percent of what is installed the kernel lacks, if that is more than so many.
fn memory_lost(memory: &MemoryFacts, most_percent: u32) -> Option<u32> {
    let (installed, usable) = (memory.installed_bytes?, memory.usable_bytes?);
    let lost = installed.checked_sub(usable).filter(|lost| *lost > LOST_FLOOR)?;
    let percent = u32::try_from(u128::from(lost) * 100 / u128::from(installed)).ok()?;
    (percent > most_percent).then_some(percent)
}

/// Classes that are of no use without a driver: storage, network, and the hosts of SD cards and eMMC. Others (management, crypto,
/// display) are often left alone in the mini-os.
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
        if psu.present == Some(false) || findings.has(code::PSU_UNPLUGGED, &place) {
            continue;
        }
        if psu.plugged == Some(false) {
            let sentence = format!(
                "Power supply {place} has no mains power. {}",
                super::psus::UNPLUGGED
            );
            findings.add(
                code::PSU_UNPLUGGED,
                &place,
                "mains power",
                "no mains power",
                &sentence,
            );
        } else if super::psus::fails(psu) {
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
