//! Disks: bay by bay or in groups. Removable media do not count.

use inventory_api::check::{DiskProfile, HardwareProfile, Tolerance, code};
use inventory_api::report::{AssetReport, DiskFacts};

use super::findings::Findings;
use super::memory::near;
use super::parts::{Difference, Kind, Outcome, PART_LIMIT, Place, pair};
use super::text::{disk_size, label, same, words};
use super::transport_name;
use super::version::{compare, off};

pub(super) fn check(findings: &mut Findings, profile: &HardwareProfile, report: &AssetReport) {
    let wants = &profile.disks;
    if wants.is_empty() {
        return;
    }
    let haves: Vec<&DiskFacts> = report
        .disks
        .iter()
        .filter(|d| d.removable != Some(true))
        .collect();
    let kind = Disks {
        tolerance: &profile.tolerance,
    };
    for outcome in pair(&kind, wants, &haves) {
        match outcome {
            Outcome::Fits { want, have } => worn(findings, &wants[want], haves[have], &profile.health),
            Outcome::Missing { want, lacking } => missing(findings, &wants[want], lacking, &haves),
            Outcome::Extra { have } => {
                let disk = haves[have];
                let (place, found) = (place_of(disk), describe(disk));
                let sentence = format!(
                    "{}: {found} is there although none was ordered.",
                    label("Disk", place)
                );
                findings.add(code::DISK_EXTRA, place, "no disk", &found, &sentence);
            }
            Outcome::Moved { want, have } => {
                let (from, to, what) = (
                    wanted_place(&wants[want]),
                    place_of(haves[have]),
                    describe(haves[have]),
                );
                let sentence = format!("{what} sits in {to} instead of {from}. Move it from {to} to {from}.");
                findings.add(
                    code::DISK_MOVED,
                    from,
                    &format!("{what} in {from}"),
                    &format!("in {to}"),
                    &sentence,
                );
            }
            Outcome::Swapped { want, have, other } => {
                let (from, to, what) = (
                    wanted_place(&wants[want]),
                    wanted_place(&wants[other]),
                    describe(haves[have]),
                );
                let sentence = format!(
                    "The disks of {from} and {to} are swapped: {what} belongs in {from}. Exchange them."
                );
                findings.add(
                    code::DISK_SWAPPED,
                    from,
                    &format!("{what} in {from}"),
                    &format!("in {to}"),
                    &sentence,
                );
            }
            Outcome::Differs { want, have } => differs(findings, &kind, &wants[want], haves[have]),
        }
    }
    if haves.len() > PART_LIMIT {
        let more = format!("{} more disks", haves.len() - PART_LIMIT);
        let sentence = format!("The machine lists {more} than are looked at one by one.");
        findings.add(code::DISK_EXTRA, "disks", "", &more, &sentence);
    }
}

struct Disks<'a> {
    tolerance: &'a Tolerance,
}

impl<'a> Kind for Disks<'a> {
    type Want = DiskProfile;
    type Have = &'a DiskFacts;

    fn place(&self, want: &DiskProfile) -> Option<Place> {
        Place::new("bay", want.bay.as_deref(), None)
            .or_else(|| Place::new("path", want.path.as_deref(), None))
    }

    fn places(&self, have: &&DiskFacts) -> Vec<Place> {
        let bay = Place::new("bay", have.bay.as_deref(), None);
        bay.into_iter()
            .chain(Place::new("path", have.path.as_deref(), None))
            .collect()
    }

    fn count(&self, want: &DiskProfile) -> u32 {
        want.count.unwrap_or(1)
    }

    fn differences(&self, want: &DiskProfile, have: &&DiskFacts) -> Vec<Difference> {
        let mut list = Vec::new();
        let unknown = |what: &str| format!("{what} not reported");
        let size = have.size_bytes.map_or_else(|| unknown("size"), shown_size);
        let percent = self.tolerance.disk_size;
        let exact = want
            .size
            .filter(|wanted| !have.size_bytes.is_some_and(|is| near(is, *wanted, percent)));
        let least = want.min_size.filter(|wanted| {
            !have
                .size_bytes
                .is_some_and(|is| is >= *wanted || near(is, *wanted, percent))
        });
        let larger = exact.is_some_and(|wanted| have.size_bytes.is_some_and(|is| is > wanted));
        match (exact, least) {
            (Some(wanted), _) if !larger => list.push(Difference {
                code: code::DISK_SMALLER,
                expected: shown_size(wanted),
                found: size.clone(),
            }),
            (_, Some(wanted)) => list.push(Difference {
                code: code::DISK_SMALLER,
                expected: format!("at least {}", shown_size(wanted)),
                found: size.clone(),
            }),
            _ => {}
        }
        if let Some(model) = &want.model
            && !have.model.as_deref().is_some_and(|is| same(model, is))
        {
            list.push(Difference {
                code: code::DISK_OTHER_MODEL,
                expected: model.clone(),
                found: have.model.clone().unwrap_or_else(|| unknown("model")),
            });
        }
        if let Some(transport) = want.transport.filter(|t| have.transport != Some(*t)) {
            list.push(Difference {
                code: code::DISK_OTHER_MODEL,
                expected: transport_name(transport).to_owned(),
                found: have
                    .transport
                    .map_or_else(|| unknown("attachment"), |t| transport_name(t).to_owned()),
            });
        }
        if let Some(rotational) = want.rotational.filter(|r| have.rotational != Some(*r)) {
            let word = |spins| if spins { "spins" } else { "solid state" }.to_owned();
            list.push(Difference {
                code: code::DISK_OTHER_MODEL,
                expected: word(rotational),
                found: have.rotational.map_or_else(|| unknown("kind"), word),
            });
        }
        if let Some(wanted) = exact.filter(|_| larger) {
            list.push(Difference {
                code: code::DISK_LARGER,
                expected: shown_size(wanted),
                found: size,
            });
        }
        if let Some(off) = off(
            want.firmware.as_deref(),
            want.min_firmware.as_deref(),
            have.firmware.as_deref(),
            compare,
        ) {
            list.push(Difference {
                code: if off.older {
                    code::DISK_FIRMWARE_OLDER
                } else {
                    code::DISK_FIRMWARE_OTHER
                },
                expected: off.expected,
                found: off.found,
            });
        }
        list
    }
}

/// The size on the label, and the exact bytes: two disks of "960.2 GB" can differ by some blocks.
fn shown_size(n: u64) -> String {
    format!("{} ({n} bytes)", disk_size(n))
}

/// Bay, path or, where neither is known, the kernel's name.
pub(super) fn place_of(disk: &DiskFacts) -> &str {
    disk.bay.as_deref().or(disk.path.as_deref()).unwrap_or(&disk.name)
}

fn wanted_place(want: &DiskProfile) -> &str {
    want.bay.as_deref().or(want.path.as_deref()).unwrap_or("disks")
}

/// "960.2 GB sata SAMSUNG MZ7LH960 (serial S123)".
fn describe(disk: &DiskFacts) -> String {
    let size = disk.size_bytes.map(disk_size);
    let text = words([
        size.as_deref(),
        disk.transport.map(transport_name),
        disk.model.as_deref(),
    ]);
    let text = if text.is_empty() {
        "a disk".to_owned()
    } else {
        text
    };
    match &disk.serial {
        Some(serial) => format!("{text} (serial {serial})"),
        None => text,
    }
}

fn describe_wanted(want: &DiskProfile) -> String {
    let size = match (want.size, want.min_size) {
        (Some(size), _) => Some(disk_size(size)),
        (None, Some(least)) => Some(format!("at least {}", disk_size(least))),
        (None, None) => None,
    };
    let text = words([
        size.as_deref(),
        want.transport.map(transport_name),
        want.model.as_deref(),
    ]);
    if text.is_empty() {
        "a disk".to_owned()
    } else {
        text
    }
}

fn missing(findings: &mut Findings, want: &DiskProfile, lacking: u32, haves: &[&DiskFacts]) {
    let (place, what) = (wanted_place(want), describe_wanted(want));
    if want.bay.is_some() || want.path.is_some() {
        let sentence = format!(
            "{}: ordered {what}, no disk is seen there. Check that it is there and seated.",
            label("Disk", place)
        );
        findings.add(code::DISK_MISSING, place, &what, "no disk", &sentence);
        return;
    }
    let of = want.count.unwrap_or(1);
    let there = if haves.is_empty() {
        "no disk at all".to_owned()
    } else {
        let list: Vec<String> = haves
            .iter()
            .take(8)
            .map(|d| format!("{} {}", place_of(d), describe(d)))
            .collect();
        let more = if haves.len() > 8 { ", ..." } else { "" };
        format!("{}{more}", list.join(", "))
    };
    let sentence = format!("{lacking} of {of} disks {what} are missing. The machine has: {there}.");
    findings.add(
        code::DISK_MISSING,
        place,
        &format!("{of} x {what}"),
        &format!("{} of them", of.saturating_sub(lacking)),
        &sentence,
    );
}

fn differs(findings: &mut Findings, kind: &Disks, want: &DiskProfile, disk: &DiskFacts) {
    let list = kind.differences(want, &disk);
    let Some(first) = list.first() else { return };
    let join = |of: fn(&Difference) -> &str| list.iter().map(of).collect::<Vec<_>>().join(", ");
    let (expected, found) = (join(|d| &d.expected), join(|d| &d.found));
    let place = place_of(disk);
    let (word, act) = match first.code {
        code::DISK_FIRMWARE_OLDER => ("firmware ", "Update its firmware."),
        code::DISK_FIRMWARE_OTHER => (
            "firmware ",
            "Install the expected firmware, or change the profile.",
        ),
        code::DISK_LARGER => ("", "It is larger than ordered."),
        _ => ("", "Replace it by the disk that was ordered."),
    };
    let serial = disk
        .serial
        .as_deref()
        .map_or(String::new(), |s| format!(" (serial {s})"));
    let sentence = format!(
        "{}{serial}: ordered {word}{expected}, found {found}. {act}",
        label("Disk", place)
    );
    findings.add(first.code, place, &expected, &found, &sentence);
}

/// Wear beyond what the entry allows; what no disk may have is the health's.
fn worn(
    findings: &mut Findings,
    want: &DiskProfile,
    disk: &DiskFacts,
    health: &inventory_api::check::HealthProfile,
) {
    let used = disk.health.as_ref().and_then(|h| h.used_percent);
    let (Some(most), Some(used)) = (want.max_used_percent, used) else {
        return;
    };
    if used > most && used <= health.max_used_percent {
        super::health::disk_is_worn(findings, disk, used, most);
    }
}
