//! One disk against one entry of the profile.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::check::{DiskProfile, Tolerance, code};
use inventory_api::report::{DiskFacts, Transport};

use super::difference::Difference;
use super::memory::near;
use super::parts::{Kind, Place};
use super::text::{disk_size, same, words};
use super::transport_name;
use super::version::{compare, off};

/// Attachments of what is not built in, or of no disk of the machine's own: such a disk stands only for an entry that names its
/// transport.
pub(super) fn needs_naming(transport: Option<Transport>) -> bool {
    use Transport::{FibreChannel, Iscsi, Mmc, NvmeOf, Pmem, Sas, Sata, Scsi, Sd, Unknown, Usb, Virtio};
    match transport {
        Some(Usb | Mmc | Sd | FibreChannel | Iscsi | NvmeOf | Pmem) => true,
        Some(Sata | Sas | Scsi | Transport::Nvme | Virtio | Unknown) | None => false,
    }
}

/// Whether an entry can stand for this disk at all.
pub(super) fn counts(disk: &DiskFacts, wants: &[DiskProfile]) -> bool {
    if needs_naming(disk.transport) {
        return wants.iter().any(|want| want.transport == disk.transport);
    }
    disk.removable != Some(true)
}

/// The PCI addresses that a path begins with, and the rest: "pci-0000:5e:00.0-sas-phy3-lun-0". Addresses shift when a card is
/// added.
fn split_path(path: &str) -> (Option<&str>, &str) {
    let mut rest = path;
    while let Some((address, after)) = rest.strip_prefix("pci-").and_then(|rest| rest.split_once('-')) {
        if !address.contains(':') {
            break;
        }
        rest = after;
    }
    let pci = path[..path.len() - rest.len()].trim_end_matches('-');
    (Some(pci).filter(|pci| !pci.is_empty()), rest)
}

fn path_place(path: Option<&str>) -> Option<Place> {
    let (pci, rest) = split_path(path?);
    Place::new("path", Some(rest), pci)
}

pub(super) struct Disks<'a> {
    tolerance: &'a Tolerance,
    /// The machine's name of each shelf of the profile.
    shelves: BTreeMap<&'a str, &'a str>,
    /// Controllers have other PCI addresses than in the profile.
    shifted: bool,
}

impl<'a> Disks<'a> {
    pub(super) fn new(
        tolerance: &'a Tolerance,
        wants: &'a [DiskProfile],
        haves: &[&'a DiskFacts],
    ) -> Disks<'a> {
        let controllers: BTreeSet<&str> = haves
            .iter()
            .flat_map(|disk| disk.paths.iter().map(|p| &p.path).chain([&disk.path]))
            .filter_map(|path| split_path(path.as_deref()?).0)
            .collect();
        let by_path = wants.iter().filter(|want| want.bay.is_none());
        let shifted = by_path
            .filter_map(|want| split_path(want.path.as_deref()?).0)
            .any(|pci| !controllers.contains(pci));
        Disks {
            tolerance,
            shelves: shelves(wants, haves),
            shifted,
        }
    }

    /// Bay, shelf or path that an entry means, in the machine's words.
    pub(super) fn wanted_place(&self, want: &DiskProfile) -> String {
        match (&want.bay, self.shelf(want), &want.path) {
            (Some(bay), Some(shelf), _) => in_shelf(bay, shelf),
            (Some(place), None, _) | (None, _, Some(place)) => place.clone(),
            (None, _, None) => "disks".to_owned(),
        }
    }

    fn shelf<'b>(&'b self, want: &'b DiskProfile) -> Option<&'b str> {
        let wanted = want.shelf.as_deref()?;
        Some(self.shelves.get(wanted).copied().unwrap_or(wanted))
    }

    /// Whether a disk is elsewhere in a way that somebody can put right.
    pub(super) fn is_misplaced(&self, want: &DiskProfile, have: &DiskFacts) -> bool {
        let rest = |path: &Option<String>| path.as_deref().map(|path| split_path(path).1.to_owned());
        want.bay.is_some() || (!self.shifts(want) && rest(&want.path) != rest(&have.path))
    }
}

/// Shelves of one name are the same; the others stand for each other in order, because a shelf's identifier is its own.
fn shelves<'a>(wants: &'a [DiskProfile], haves: &[&'a DiskFacts]) -> BTreeMap<&'a str, &'a str> {
    let unique = |names: &mut dyn Iterator<Item = &'a str>| {
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            if !seen.contains(&name) && seen.len() < 64 {
                seen.push(name);
            }
        }
        seen
    };
    let wanted = unique(&mut wants.iter().filter_map(|want| want.shelf.as_deref()));
    let there = unique(&mut haves.iter().filter_map(|have| have.shelf.as_deref()));
    let others = there.iter().filter(|name| !wanted.contains(name)).copied();
    let renamed = wanted.iter().filter(|name| !there.contains(name)).copied();
    renamed.zip(others).collect()
}

impl<'a> Kind for Disks<'a> {
    type Want = DiskProfile;
    type Have = &'a DiskFacts;

    fn place(&self, want: &DiskProfile) -> Option<Place> {
        Place::new("bay", want.bay.as_deref(), self.shelf(want)).or_else(|| path_place(want.path.as_deref()))
    }

    fn places(&self, have: &&DiskFacts) -> Vec<Place> {
        let bay = Place::new("bay", have.bay.as_deref(), have.shelf.as_deref());
        let paths = [&have.path].into_iter().chain(have.paths.iter().map(|p| &p.path));
        bay.into_iter()
            .chain(paths.filter_map(|path| path_place(path.as_deref())))
            .collect()
    }

    fn count(&self, want: &DiskProfile) -> u32 {
        want.count.unwrap_or(1)
    }

    /// An NVMe disk without a bay is known by its PCI address alone.
    fn shifts(&self, want: &DiskProfile) -> bool {
        let rest = want.path.as_deref().map(|path| split_path(path).1);
        want.bay.is_none() && rest.is_some_and(|rest| self.shifted || rest.starts_with("nvme"))
    }

    /// By a path, only what hangs on it.
    fn may_be(&self, want: &DiskProfile, have: &&DiskFacts) -> bool {
        let rest = |path: &Option<String>| path.as_deref().map(|path| split_path(path).1.to_owned());
        (want.transport == have.transport || !needs_naming(have.transport))
            && (want.bay.is_some() || want.path.is_none() || rest(&want.path) == rest(&have.path))
    }

    fn differences(&self, want: &DiskProfile, have: &&DiskFacts) -> Vec<Difference> {
        let mut list = Vec::new();
        let percent = self.tolerance.disk_size;
        let exact = want.size.filter(|wanted| {
            !have
                .size_bytes
                .is_some_and(|is| near(is, *wanted, percent) || is_labelled(is, *wanted))
        });
        let least = want.min_size.filter(|wanted| {
            !have
                .size_bytes
                .is_some_and(|is| is >= *wanted || near(is, *wanted, percent))
        });
        let larger = exact.is_some_and(|wanted| have.size_bytes.is_some_and(|is| is > wanted));
        let expected = match (exact, least) {
            (Some(wanted), _) if !larger => Some(shown_size(wanted)),
            (_, Some(wanted)) => Some(format!("at least {}", shown_size(wanted))),
            _ => None,
        };
        let size = have.size_bytes.filter(|size| *size > 0);
        if let Some(expected) = expected {
            list.push(match size {
                Some(size) => Difference::new(code::DISK_SMALLER, expected, shown_size(size)),
                None => Difference::new(code::DISK_FORMAT, expected, "no size"),
            });
        }
        if let Some(model) = &want.model
            && !have.model.as_deref().is_some_and(|is| same(model, is))
        {
            list.push(Difference::of(
                code::DISK_OTHER_MODEL,
                model,
                have.model.clone(),
                "model",
            ));
        }
        let found = have.transport.map(|is| transport_name(is).to_owned());
        match want.transport {
            Some(wanted) if have.transport != Some(wanted) => list.push(Difference::of(
                code::DISK_OTHER_MODEL,
                transport_name(wanted),
                found,
                "attachment",
            )),
            None if needs_naming(have.transport) => list.push(Difference::of(
                code::DISK_OTHER_MODEL,
                "a disk that is built in",
                found,
                "attachment",
            )),
            Some(_) | None => {}
        }
        if let Some(rotational) = want.rotational.filter(|r| have.rotational != Some(*r)) {
            let word = |spins| if spins { "spins" } else { "solid state" }.to_owned();
            let found = have.rotational.map(word);
            list.push(Difference::of(
                code::DISK_OTHER_MODEL,
                word(rotational),
                found,
                "kind",
            ));
        }
        if let Some((wanted, size)) = exact.filter(|_| larger).zip(size) {
            list.push(Difference::new(
                code::DISK_LARGER,
                shown_size(wanted),
                shown_size(size),
            ));
        }
        if let Some(off) = off(
            want.firmware.as_deref(),
            want.min_firmware.as_deref(),
            have.firmware.as_deref(),
            compare,
        ) {
            list.push(off.difference(code::DISK_FIRMWARE_OLDER, code::DISK_FIRMWARE_OTHER));
        }
        list
    }
}

/// Whether a disk of `is` bytes is sold as of `wanted`, where that is a label's size: "1.2 TB" has 1 200 243 695 616 bytes
/// (IDEMA LBA 1-03: up to 0.1 % more than the label).
fn is_labelled(is: u64, wanted: u64) -> bool {
    wanted > 0 && wanted.is_multiple_of(1_000_000_000) && is >= wanted && is - wanted <= wanted / 1000
}

/// The size on the label, and the exact bytes: two disks of "960.2 GB" can differ by some blocks.
fn shown_size(n: u64) -> String {
    format!("{} ({n} bytes)", disk_size(n))
}

/// "Slot 02 of shelf 5000ccab05000000".
pub(super) fn in_shelf(bay: &str, shelf: &str) -> String {
    format!("{bay} of shelf {shelf}")
}

/// Bay with its shelf, path or, where neither is known, the kernel's name.
pub(super) fn place_of(disk: &DiskFacts) -> String {
    match (&disk.bay, &disk.shelf) {
        (Some(bay), Some(shelf)) => in_shelf(bay, shelf),
        (Some(bay), None) => bay.clone(),
        (None, _) => disk.path.as_ref().unwrap_or(&disk.name).clone(),
    }
}

/// " (serial S123)".
pub(super) fn serial_of(disk: &DiskFacts) -> String {
    let serial = disk.serial.as_deref();
    serial.map_or(String::new(), |serial| format!(" (serial {serial})"))
}

/// "960.2 GB sata SAMSUNG MZ7LH960 (serial S123)".
pub(super) fn describe(disk: &DiskFacts) -> String {
    let size = disk.size_bytes.map(disk_size);
    let text = words([
        size.as_deref(),
        disk.transport.map(transport_name),
        disk.model.as_deref(),
    ]);
    let text = if text.is_empty() { "a disk" } else { &text };
    format!("{text}{}", serial_of(disk))
}

pub(super) fn describe_wanted(want: &DiskProfile) -> String {
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
