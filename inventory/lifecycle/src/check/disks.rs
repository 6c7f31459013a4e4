//! Disks: by bay, by path, or in groups.

use std::collections::BTreeSet;

use inventory_api::check::{DiskProfile, HardwareProfile, code};
use inventory_api::report::{AssetReport, DiskFacts};
use inventory_api::text::counted;

use super::disk::{
    Disks, counts, describe, describe_wanted, in_shelf, name_of, needs_naming, place_of, ways,
};
use super::findings::Findings;
use super::parts::{Kind as _, Outcome, pair};
use super::text::{label, normal};

/// Disks that the kernel shows, then those that only their RAID controller shows.
pub(super) fn all(report: &AssetReport) -> impl Iterator<Item = &DiskFacts> {
    report.disks.iter().chain(hidden(report))
}

fn hidden(report: &AssetReport) -> impl Iterator<Item = &DiskFacts> {
    report.controllers.iter().flat_map(|c| &c.disks)
}

/// `lacks_drivers`: a storage controller has no driver because the reporting kernel lacks it, so its disks
/// are not visible.
pub(super) fn check(
    findings: &mut Findings,
    profile: &HardwareProfile,
    report: &AssetReport,
    lacks_drivers: bool,
) {
    let wants = &profile.disks;
    if wants.is_empty() {
        return;
    }
    let (haves, kind, outcomes) = seen(profile, report);
    let mut dark = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Fits { want, have } => {
                let (want, disk) = (&wants[want], haves[have]);
                worn(findings, want, disk, profile.health.max_used_percent);
                if let Some(wanted) = want.paths.filter(|wanted| *wanted > ways(disk)) {
                    dark.push((disk, wanted));
                }
            }
            Outcome::Missing { .. } if lacks_drivers => {}
            Outcome::Missing { want, lacking } => {
                missing(findings, &kind, &wants[want], lacking, &haves, report)
            }
            Outcome::Extra { have } => {
                let disk = haves[have];
                if needs_naming(disk.transport) {
                    continue;
                }
                let place = place_of(disk);
                findings.extra(
                    code::DISK_EXTRA,
                    &place,
                    &label("Disk", &place),
                    "no disk",
                    &describe(disk),
                );
            }
            Outcome::Moved { want, have } | Outcome::Swapped { want, have, .. }
                if !kind.is_misplaced(&wants[want], haves[have]) => {}
            Outcome::Moved { want, have } => {
                let (from, to) = (kind.wanted_place(&wants[want]), place_of(haves[have]));
                let what = describe(haves[have]);
                let sentence = format!("{what} sits in {to} instead of {from}. Move it from {to} to {from}.");
                findings.moved(code::DISK_MOVED, &from, &what, (&from, &to), &sentence);
            }
            Outcome::Swapped { want, have, other } => {
                let (from, to) = (kind.wanted_place(&wants[want]), kind.wanted_place(&wants[other]));
                let what = describe(haves[have]);
                let sentence = format!(
                    "The disks of {from} and {to} are swapped: {what} belongs in {from}. Exchange them."
                );
                findings.moved(code::DISK_SWAPPED, &from, &what, (&from, &to), &sentence);
            }
            Outcome::Differs { want, have } => differs(findings, &kind, &wants[want], haves[have]),
        }
    }
    paths(findings, &dark);
    findings.too_many(code::DISK_EXTRA, "disks", haves.len(), "disks");
}

/// A profile means either the disks that the kernel shows, including RAID volumes, or the physical disks
/// behind the controllers, whichever fits better. Never both, or a volume would replace a missing disk.
fn seen<'a>(
    profile: &'a HardwareProfile,
    report: &'a AssetReport,
) -> (Vec<&'a DiskFacts>, Disks<'a>, Vec<Outcome>) {
    let wants = &profile.disks;
    let counted = |disks: Vec<&'a DiskFacts>| {
        let haves: Vec<&DiskFacts> = disks.into_iter().filter(|disk| counts(disk, wants)).collect();
        let kind = Disks::new(&profile.tolerance, wants, &haves);
        let outcomes = pair(&kind, wants, &haves);
        (haves, kind, outcomes)
    };
    let wrong = |outcomes: &[Outcome]| {
        outcomes
            .iter()
            .fold((0_u32, 0), |(faults, extra), outcome| match outcome {
                Outcome::Fits { .. } => (faults, extra),
                Outcome::Extra { .. } => (faults, extra + 1),
                Outcome::Missing { lacking, .. } => (faults.saturating_add(*lacking), extra),
                Outcome::Differs { .. } | Outcome::Moved { .. } | Outcome::Swapped { .. } => {
                    (faults.saturating_add(1), extra)
                }
            })
    };
    let shown = counted(report.disks.iter().collect());
    if hidden(report).next().is_none() {
        return shown;
    }
    let physical = counted(physical(report).collect());
    if wrong(&physical.2) <= wrong(&shown.2) {
        physical
    } else {
        shown
    }
}

/// The physical disks. If a controller lists its disks, its volumes do not count.
pub(super) fn physical(report: &AssetReport) -> impl Iterator<Item = &DiskFacts> {
    let lists = hidden(report).next().is_some();
    all(report).filter(move |disk| !lists || disk.raid_volume != Some(true))
}

fn missing(
    findings: &mut Findings,
    kind: &Disks,
    want: &DiskProfile,
    lacking: u32,
    haves: &[&DiskFacts],
    report: &AssetReport,
) {
    let what = describe_wanted(want);
    if want.bay.is_some() || want.path.is_some() {
        let place = match (&want.bay, &want.shelf) {
            (Some(bay), None) => {
                lacking_shelf(bay, haves).map_or_else(|| bay.clone(), |shelf| in_shelf(bay, shelf))
            }
            _ => kind.wanted_place(want),
        };
        let sentence = format!(
            "{}: ordered {what}, no disk is seen there. Check that it is there and seated.",
            label("Disk", &place)
        );
        findings.add(code::DISK_MISSING, &place, &what, "no disk", &sentence);
        return;
    }
    let list = |disks: &mut dyn Iterator<Item = &DiskFacts>| -> Option<String> {
        let list: Vec<String> = disks
            .take(9)
            .map(|d| format!("{} {}", place_of(d), describe(d)))
            .collect();
        let more = if list.len() > 8 { ", ..." } else { "" };
        (!list.is_empty()).then(|| format!("{}{more}", list[..list.len().min(8)].join(", ")))
    };
    let there = list(&mut haves.iter().copied()).unwrap_or_else(|| "no disk at all".to_owned());
    let beside = list(
        &mut all(report).filter(|d| needs_naming(d.transport) && !counts(d, std::slice::from_ref(want))),
    );
    let beside = beside.map_or(String::new(), |beside| {
        format!(" Not counted unless the entry names their transport: {beside}.")
    });
    let of = want.count.unwrap_or(1);
    let sentence = match of {
        1 => format!("The disk {what} is missing. The machine has: {there}.{beside}"),
        _ => format!("{lacking} of {of} disks {what} are missing. The machine has: {there}.{beside}"),
    };
    let (expected, found) = (
        format!("{of} x {what}"),
        format!("{} of them", of.saturating_sub(lacking)),
    );
    findings.add(code::DISK_MISSING, "disks", &expected, &found, &sentence);
}

/// The only shelf without a disk in a bay of this name.
fn lacking_shelf<'a>(bay: &str, haves: &[&'a DiskFacts]) -> Option<&'a str> {
    let has = |disk: &&&DiskFacts| disk.bay.as_deref().is_some_and(|is| normal(is) == normal(bay));
    let shelf = |disk: &&'a DiskFacts| disk.shelf.as_deref();
    let having: BTreeSet<&str> = haves.iter().filter(has).filter_map(shelf).collect();
    let mut without = haves
        .iter()
        .filter_map(shelf)
        .filter(|shelf| !having.contains(shelf));
    let first = without.next()?;
    without.all(|other| other == first).then_some(first)
}

fn differs(findings: &mut Findings, kind: &Disks, want: &DiskProfile, disk: &DiskFacts) {
    let (list, name) = (kind.differences(want, &disk), name_of(disk));
    findings.add_list(&place_of(disk), &name, &list, |said| {
        let (word, act) = match said.code {
            code::DISK_FORMAT => return format_sentence(disk),
            code::DISK_FIRMWARE_OLDER => ("firmware ", "Update its firmware."),
            code::DISK_FIRMWARE_OTHER => (
                "firmware ",
                "Install the expected firmware, or change the profile.",
            ),
            code::DISK_LARGER => ("", "It is larger than ordered."),
            _ => ("", "Replace it by the disk that was ordered."),
        };
        format!(
            "{name}: ordered {word}{}, found {}. {act}",
            said.expected, said.found
        )
    });
}

/// What to do with a disk that has unsupported sectors.
pub(super) fn format_sentence(disk: &DiskFacts) -> String {
    let name = name_of(disk);
    match odd_sectors(disk) {
        Some(bytes) => {
            format!("{name} has sectors of {bytes} bytes: reformat it to 512 (sg_format), or replace it.")
        }
        None => format!(
            "{name}: the kernel gives it no size: sectors other than 512 or 4096 bytes, or a fault. Look at its format \
             (sg_readcap --long), or replace it."
        ),
    }
}

/// The size of the sectors, if it is not supported.
pub(super) fn odd_sectors(disk: &DiskFacts) -> Option<u32> {
    disk.logical_block_bytes
        .filter(|bytes| *bytes > 0 && !matches!(bytes, 512 | 4096))
}

/// Wear beyond the limit of the entry, or not reported. The limit for all disks belongs to health.
fn worn(findings: &mut Findings, want: &DiskProfile, disk: &DiskFacts, most_of_any: u32) {
    let Some(most) = want.max_used_percent else {
        return;
    };
    match disk.health.as_ref().and_then(|h| h.used_percent) {
        Some(used) if used > most && used <= most_of_any => {
            super::health::disk_is_worn(findings, disk, used, most);
        }
        Some(_) => {}
        None => {
            let (place, expected) = (place_of(disk), format!("at most {most} % used"));
            findings.not_reported(code::DISK_WORN, &place, &name_of(disk), &expected, "wear");
        }
    }
}

/// Disks that lost a path. One finding, because a dead controller or cable affects all its disks.
fn paths(findings: &mut Findings, dark: &[(&DiskFacts, u32)]) {
    let Some((first, wanted)) = dark.first() else {
        return;
    };
    let (expected, found) = (counted(*wanted, "path"), counted(ways(first), "path"));
    let (place, who) = match dark.len() {
        1 => (place_of(first), label("Disk", &place_of(first))),
        n => ("disks".to_owned(), counted(n as u64, "disk")),
    };
    let sentence = format!(
        "{who}: {found} to each, {expected} expected. The disks work; look at the second controller, its cable and its expander."
    );
    findings.add(code::DISK_PATHS, &place, &expected, &found, &sentence);
}
