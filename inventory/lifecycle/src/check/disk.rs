//! Compares a disk with an entry of the profile.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::check::{DiskProfile, Tolerance, code};
use inventory_api::report::{DiskFacts, Transport};
use inventory_api::text::{disk_size, exact_disk_size};

use super::difference::Differences;
use super::parts::{Kind, Place};
use super::text::{label, near, same, words_or};
use super::version::Fact;

/// Transports of disks that are not built in or do not belong to the machine: such a disk matches only an
/// entry that names its transport.
pub(super) fn needs_naming(transport: Option<Transport>) -> bool {
    use Transport::{FibreChannel, Iscsi, Mmc, NvmeOf, Pmem, Sas, Sata, Scsi, Sd, Unknown, Usb, Virtio};
    match transport {
        Some(Usb | Mmc | Sd | FibreChannel | Iscsi | NvmeOf | Pmem) => true,
        Some(Sata | Sas | Scsi | Transport::Nvme | Virtio | Unknown) | None => false,
    }
}

/// Whether an entry can match this disk at all.
pub(super) fn counts(disk: &DiskFacts, wants: &[DiskProfile]) -> bool {
    if needs_naming(disk.transport) {
        return wants.iter().any(|want| want.transport == disk.transport);
    }
    disk.removable != Some(true)
}

/// Splits a path into its leading PCI addresses and the rest: "pci-0000:5e:00.0-sas-phy3-lun-0". Addresses
/// shift when a card is added.
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

/// The part of a path behind the controller.
fn on_controller(path: &Option<String>) -> Option<&str> {
    path.as_deref().map(|path| split_path(path).1)
}

fn path_place(path: Option<&str>) -> Option<Place> {
    let (pci, rest) = split_path(path?);
    Place::new("path", Some(rest), pci)
}

pub(super) struct Disks<'a> {
    tolerance: &'a Tolerance,
    /// The machine's name for each shelf of the profile.
    shelves: BTreeMap<&'a str, &'a str>,
    /// Whether controllers have other PCI addresses than in the profile.
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

    /// Bay, shelf or path of an entry, in the machine's terms.
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

    /// Whether a disk is in another place in a way that can be corrected by moving it.
    pub(super) fn is_misplaced(&self, want: &DiskProfile, have: &DiskFacts) -> bool {
        want.bay.is_some() || (!self.shifts(want) && on_controller(&want.path) != on_controller(&have.path))
    }
}

/// Shelves with the same name are the same; the others correspond in order, because every shelf has its own
/// identifier.
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

    /// An NVMe disk without a bay is identified only by its PCI address.
    fn shifts(&self, want: &DiskProfile) -> bool {
        want.bay.is_none()
            && on_controller(&want.path).is_some_and(|rest| self.shifted || rest.starts_with("nvme"))
    }

    /// By path: only the part behind the controller.
    fn may_be(&self, want: &DiskProfile, have: &&DiskFacts) -> bool {
        let on_path = || on_controller(&want.path) == on_controller(&have.path);
        (want.transport == have.transport || !needs_naming(have.transport))
            && (want.bay.is_some() || want.path.is_none() || on_path())
    }

    fn differences(&self, want: &DiskProfile, have: &&DiskFacts) -> Differences {
        let mut list = Differences::default();
        let (is, percent) = (have.size_bytes, self.tolerance.disk_size);
        let exact = want
            .size
            .filter(|wanted| !is.is_some_and(|is| near(is, *wanted, percent) || is_labelled(is, *wanted)));
        let least = want
            .min_size
            .filter(|wanted| !is.is_some_and(|is| is >= *wanted || near(is, *wanted, percent)));
        let expected = match (exact, least) {
            (Some(wanted), _) if is <= exact => Some(exact_disk_size(wanted)),
            (_, Some(wanted)) => Some(format!("at least {}", exact_disk_size(wanted))),
            _ => None,
        };
        let size = is.filter(|size| *size > 0);
        match (expected, size) {
            (Some(expected), Some(size)) => list.add(code::DISK_SMALLER, expected, exact_disk_size(size)),
            (Some(expected), None) => list.add(code::DISK_FORMAT, expected, "no size"),
            (None, _) => {}
        }
        let code = code::DISK_OTHER_MODEL;
        list.text(code, "model", &want.model, &have.model, same);
        let attachment = |transport: Transport| transport.to_string();
        list.exact(code, "attachment", want.transport, have.transport, attachment);
        if want.transport.is_none() && needs_naming(have.transport) {
            let found = have.transport.map(attachment);
            list.other(code, "attachment", "a disk that is built in", found);
        }
        let word = |spins: bool| if spins { "spins" } else { "solid state" }.to_owned();
        list.exact(code, "kind", want.rotational, have.rotational, word);
        if let (Some(wanted), Some(size)) = (exact, size)
            && size > wanted
        {
            list.add(code::DISK_LARGER, exact_disk_size(wanted), exact_disk_size(size));
        }
        let firmware = Fact::firmware(&want.firmware, &want.min_firmware, &have.firmware);
        list.firmware(code::DISK_FIRMWARE_OLDER, code::DISK_FIRMWARE_OTHER, firmware);
        list
    }
}

/// Whether a disk of `is` bytes is sold as `wanted`, if that is a size on labels: "1.2 TB" has 1 200 243 695
/// 616 bytes (IDEMA LBA 1-03: up to 0.1 % more than the label).
fn is_labelled(is: u64, wanted: u64) -> bool {
    wanted > 0 && wanted.is_multiple_of(1_000_000_000) && is >= wanted && is - wanted <= wanted / 1000
}

/// "Slot 02 of shelf 5000ccab05000000".
pub(super) fn in_shelf(bay: &str, shelf: &str) -> String {
    format!("{bay} of shelf {shelf}")
}

/// Bay with its shelf, else path, else kernel name.
pub(super) fn place_of(disk: &DiskFacts) -> String {
    match (&disk.bay, &disk.shelf) {
        (Some(bay), Some(shelf)) => in_shelf(bay, shelf),
        (Some(bay), None) => bay.clone(),
        (None, _) => disk.path.as_ref().unwrap_or(&disk.name).clone(),
    }
}

/// Number of paths to the disk.
pub(super) fn ways(disk: &DiskFacts) -> u32 {
    u32::try_from(disk.paths.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// "Disk Slot 02 (serial S123)".
pub(super) fn name_of(disk: &DiskFacts) -> String {
    format!("{}{}", label("Disk", &place_of(disk)), serial_of(disk))
}

fn serial_of(disk: &DiskFacts) -> String {
    let serial = disk.serial.as_deref();
    serial.map_or(String::new(), |serial| format!(" (serial {serial})"))
}

/// "960 GB sata SAMSUNG MZ7LH960 (serial S123)".
pub(super) fn describe(disk: &DiskFacts) -> String {
    let text = in_words(disk.size_bytes.map(disk_size), disk.transport, &disk.model);
    format!("{text}{}", serial_of(disk))
}

pub(super) fn describe_wanted(want: &DiskProfile) -> String {
    let least = || Some(format!("at least {}", disk_size(want.min_size?)));
    in_words(
        want.size.map(disk_size).or_else(least),
        want.transport,
        &want.model,
    )
}

fn in_words(size: Option<String>, transport: Option<Transport>, model: &Option<String>) -> String {
    let transport = transport.map(|transport| transport.to_string());
    words_or(
        "a disk",
        [size.as_deref(), transport.as_deref(), model.as_deref()],
    )
}
