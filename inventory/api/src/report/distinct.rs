//! One entry per part. Kernel and firmware show some parts several times: paths to one disk, namespaces,
//! areas of an eMMC, representors of a SmartNIC, flash chips among the memory. Here each part becomes one
//! entry, also in reports of older agents.

use std::collections::{BTreeMap, BTreeSet};

use super::{AssetReport, DiskFacts, DiskNamespace, DiskPath, NicFacts, Transport, memory_sums};
use crate::serial::counts_as_serial;

/// Rounds of joining paths of disks.
const ROUNDS: usize = 8;

/// Reduces a report to one entry per part. Idempotent.
///
/// - Disks with the same world wide name, else the same serial number, model and size, are one disk; `name`
///   is the first, the rest
///   are its `paths`. Disks that differ in serial number, model or size are never joined.
/// - Namespaces of one NVMe disk become one disk with further `namespaces`.
/// - Boot, RPMB and general purpose areas of an eMMC are dropped.
/// - `shelf` is set if two shelves number their bays alike.
/// - Representors and other functions of a card's embedded switch are not NICs.
/// - Flash and ROM chips are not memory slots; `installed_bytes` counts memory, `persistent_bytes` what
///   survives a power cut;
///   makers and part numbers in hex are decoded.
pub fn distinct(mut report: AssetReport) -> AssetReport {
    // A later path can add what an earlier one lacked, so that entries join which were separate before; no
    // real machine needs more than a few rounds.
    for _ in 0..ROUNDS {
        let before = report.disks.len();
        report.disks = namespaces_joined(paths_joined(std::mem::take(&mut report.disks)));
        if report.disks.len() == before {
            break;
        }
    }
    number_shelves(&mut report.disks);
    hide_shown(&mut report);
    report.nics = ports(std::mem::take(&mut report.nics));
    memory_sums::complete(&mut report.memory);
    report
}

/// Whether a block device's name is that of a special area of an eMMC (JESD84-B51, 6.2): "mmcblk0boot1",
/// "mmcblk0rpmb", "mmcblk0gp2".
pub fn is_emmc_area(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("mmcblk") else {
        return false;
    };
    let area = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    ["boot", "rpmb", "gp"].iter().any(|kind| area.starts_with(kind))
}

/// Keeps the first entry of each disk, with the others as its paths.
fn paths_joined(disks: Vec<DiskFacts>) -> Vec<DiskFacts> {
    let mut kept: Vec<DiskFacts> = Vec::with_capacity(disks.len());
    // Index of disks by world wide name and by serial number.
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for mut disk in disks {
        if is_emmc_area(&disk.name) {
            continue;
        }
        if disk.transport.is_none() && disk.name.starts_with("pmem") {
            disk.transport = Some(Transport::Pmem);
        }
        let keys = [world_name(&disk), own_serial(&disk)];
        let candidates = keys.iter().flatten().filter_map(|key| by_key.get(key)).flatten();
        if let Some(same) = candidates.copied().find(|known| is_same(&kept[*known], &disk)) {
            add_path(&mut kept[same], disk);
            continue;
        }
        for key in keys.into_iter().flatten() {
            by_key.entry(key).or_default().push(kept.len());
        }
        kept.push(disk);
    }
    kept
}

/// The world wide name, if it can identify one disk: some makers give all disks of a series the same, with
/// zeros after the maker's number. Names that the kernel builds from model and serial number ("t10.",
/// "nvme.") do not count.
fn world_name(disk: &DiskFacts) -> Option<String> {
    let name = disk.wwn.as_deref()?.to_ascii_lowercase();
    let (kind, id) = name.split_once('.')?;
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    // IEEE: "naa." has an NAA digit and six digits for the maker, "eui." six digits for the maker.
    let makers = match kind {
        "naa" => 7,
        "eui" => 6,
        "uuid" => 0,
        _ => return None,
    };
    let own = digits.get(makers..)?;
    let says = own.len() >= 8
        && own.bytes().all(|b| b.is_ascii_hexdigit())
        && own.bytes().any(|b| b != own.as_bytes()[0])
        && own.bytes().filter(|b| *b != b'0').count() > 1;
    says.then_some(name)
}

fn own_serial(disk: &DiskFacts) -> Option<String> {
    let serial = disk.serial.as_deref()?.trim();
    counts_as_serial(serial).then(|| format!("serial {}", serial.to_ascii_lowercase()))
}

/// Whether two entries are paths to the same disk.
fn is_same(one: &DiskFacts, other: &DiskFacts) -> bool {
    let both = || [one, other].into_iter();
    // These have one path only; USB bridges show one serial number for all their disks.
    let single = |disk: &DiskFacts| {
        matches!(
            disk.transport,
            Some(Transport::Usb | Transport::Mmc | Transport::Sd | Transport::Pmem)
        ) || disk.removable == Some(true)
    };
    if both().any(single)
        || contradict(&one.serial, &other.serial)
        || contradict(&one.model, &other.model)
        || names_contradict(one, other)
        || matches!((one.size_bytes, other.size_bytes), (Some(a), Some(b)) if a != b)
    {
        return false;
    }
    if let (Some(a), Some(b)) = (world_name(one), world_name(other)) {
        return a == b;
    }
    // By serial number. Volumes of a RAID controller, and virtual disks of one controller, can share the
    // controller's.
    let may_share = both().any(|disk| disk.raid_volume == Some(true))
        || (one.pci == other.pci && both().any(|d| matches!(d.transport, None | Some(Transport::Scsi))));
    let namespace = |disk: &DiskFacts| nvme_numbers(&disk.name).map(|(_, namespace)| namespace);
    !may_share
        && own_serial(one).is_some_and(|serial| Some(serial) == own_serial(other))
        && both().all(|disk| disk.model.is_some() && disk.size_bytes.is_some())
        && namespace(one) == namespace(other)
}

/// Whether both are known and differ, ignoring case and surrounding blanks.
fn contradict(one: &Option<String>, other: &Option<String>) -> bool {
    matches!((one, other), (Some(a), Some(b)) if !a.trim().eq_ignore_ascii_case(b.trim()))
}

/// Whether two names of one kind differ. One path may show a world wide name and the other one that the
/// kernel built.
fn names_contradict(one: &DiskFacts, other: &DiskFacts) -> bool {
    let kind = |disk: &DiskFacts| Some(disk.wwn.as_deref()?.split('.').next()?.to_ascii_lowercase());
    kind(one) == kind(other) && contradict(&one.wwn, &other.wwn)
}

fn add_path(disk: &mut DiskFacts, other: DiskFacts) {
    disk.paths.push(DiskPath {
        name: other.name,
        path: other.path,
        pci: other.pci,
    });
    disk.paths.extend(other.paths);
    disk.namespaces.extend(other.namespaces);
    // A dead path reports less.
    disk.model = disk.model.take().or(other.model);
    disk.serial = disk.serial.take().or(other.serial);
    disk.wwn = disk.wwn.take().or(other.wwn);
    disk.size_bytes = disk.size_bytes.or(other.size_bytes);
    disk.firmware = disk.firmware.take().or(other.firmware);
    disk.rotational = disk.rotational.or(other.rotational);
    disk.rpm = disk.rpm.or(other.rpm);
    disk.bay = disk.bay.take().or(other.bay);
    disk.shelf = disk.shelf.take().or(other.shelf);
    disk.health = disk.health.take().or(other.health);
}

/// Controller and namespace of "nvme3n1".
fn nvme_numbers(name: &str) -> Option<(u32, u32)> {
    let (controller, namespace) = name.strip_prefix("nvme")?.split_once('n')?;
    Some((controller.parse().ok()?, namespace.parse().ok()?))
}

/// Moves namespaces under the first one of their disk. Namespaces of another machine (NVMe over fabrics) are
/// separate volumes.
fn namespaces_joined(disks: Vec<DiskFacts>) -> Vec<DiskFacts> {
    let mut kept: Vec<DiskFacts> = Vec::with_capacity(disks.len());
    let mut by_controller: BTreeMap<u32, usize> = BTreeMap::new();
    let mut by_serial: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for disk in disks {
        let numbers = nvme_numbers(&disk.name).filter(|_| disk.transport != Some(Transport::NvmeOf));
        let Some((controller, namespace)) = numbers else {
            kept.push(disk);
            continue;
        };
        let agree = |known: &DiskFacts| {
            !contradict(&known.serial, &disk.serial) && !contradict(&known.model, &disk.model)
        };
        let key = own_serial(&disk).zip(disk.model.clone());
        let by_number = by_controller
            .get(&controller)
            .copied()
            .filter(|n| agree(&kept[*n]));
        let of_serial = || {
            let known = by_serial.get(key.as_ref()?)?;
            known.iter().copied().find(|n| {
                let other = &kept[*n];
                let mut names = other.namespaces.iter().map(|n| &n.name).chain([&other.name]);
                names.all(|name| nvme_numbers(name).is_none_or(|(_, taken)| taken != namespace))
            })
        };
        if let Some(same) = by_number.or_else(of_serial) {
            let first = &mut kept[same];
            first.namespaces.push(DiskNamespace {
                name: disk.name,
                wwn: disk.wwn,
                size_bytes: disk.size_bytes,
            });
            first.namespaces.extend(disk.namespaces);
            first.health = first.health.take().or(disk.health);
            continue;
        }
        by_controller.entry(controller).or_insert(kept.len());
        if let Some(key) = key {
            by_serial.entry(key).or_default().push(kept.len());
        }
        kept.push(disk);
    }
    kept
}

/// Sets `shelf` if two disks have the same bay name: the address of the expander, else "1", "2" in the order
/// of the controllers.
fn number_shelves(disks: &mut [DiskFacts]) {
    let in_shelf = |disk: &DiskFacts| {
        disk.bay.is_some()
            && disk.shelf.is_none()
            && matches!(
                disk.transport,
                Some(Transport::Sas | Transport::Sata | Transport::Scsi)
            )
    };
    let holder = |disk: &DiskFacts| expander(disk).or_else(|| disk.pci.clone());
    let mut holders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for disk in disks.iter().filter(|disk| in_shelf(disk)) {
        if let (Some(bay), Some(holder)) = (disk.bay.clone(), holder(disk)) {
            holders.entry(bay).or_default().insert(holder);
        }
    }
    if holders.values().all(|of_bay| of_bay.len() < 2) {
        return;
    }
    let all: BTreeSet<String> = holders.into_values().flatten().collect();
    for disk in disks.iter_mut().filter(|disk| in_shelf(disk)) {
        disk.shelf = expander(disk).or_else(|| {
            let place = holder(disk)?;
            Some((1 + all.iter().position(|known| *known == place)?).to_string())
        });
    }
}

/// "5000ccab04111100" from "pci-0000:5e:00.0-sas-exp0x5000ccab04111100-phy0-lun-0".
fn expander(disk: &DiskFacts) -> Option<String> {
    let (_, after) = disk.path.as_deref()?.split_once("-exp0x")?;
    let address: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    (!address.is_empty()).then_some(address)
}

/// Removes disks that the kernel shows from the hidden disks of their controller.
fn hide_shown(report: &mut AssetReport) {
    let shown: BTreeSet<String> = report.disks.iter().filter_map(own_serial).collect();
    for controller in &mut report.controllers {
        controller
            .disks
            .retain(|disk| own_serial(disk).is_none_or(|serial| !shown.contains(&serial)));
    }
}

/// Kind of a port of an embedded switch, from its name (the kernel's `phys_port_name`,
/// Documentation/networking/devlink).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// "p0", "p0s1": a port with a socket for a cable.
    Uplink,
    /// "pf0", "c2pf0": a function of the card. On the card's own system it represents the host's port; on the
    /// host it is a port.
    Function,
    /// "pf0vf1", "c1pf0sf3", "pf0hpf": represents a function behind the switch.
    Representor,
    /// Anything else.
    Other,
}

impl Port {
    fn of(name: &str) -> Port {
        let name = name.trim();
        let inside = numbered(name, "c").unwrap_or(name);
        match (numbered(inside, "pf"), numbered(name, "p")) {
            (Some(""), _) => Port::Function,
            (Some("hpf"), _) => Port::Representor,
            (Some(rest), _)
                if ["vf", "sf", "s"]
                    .iter()
                    .any(|word| numbered(rest, word) == Some("")) =>
            {
                Port::Representor
            }
            (Some(_), _) => Port::Other,
            (None, Some(rest)) if rest.is_empty() || numbered(rest, "s") == Some("") => Port::Uplink,
            (None, _) => Port::Other,
        }
    }
}

/// The rest after a word and its number.
fn numbered<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?;
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < rest.len()).then_some(after)
}

/// Keeps the ports that have a socket for a cable, or are the host's end of one.
fn ports(nics: Vec<NicFacts>) -> Vec<NicFacts> {
    let port = |nic: &NicFacts| nic.port.as_deref().map(Port::of);
    let functions_with = |wanted: Port| -> BTreeSet<String> {
        let having = nics.iter().filter(|nic| port(nic) == Some(wanted));
        having.filter_map(|nic| nic.pci.clone()).collect()
    };
    let (uplinks, functions) = (functions_with(Port::Uplink), functions_with(Port::Function));
    // A partition of an InfiniBand port is named after its parent: "ib0.8001".
    let names: BTreeSet<(String, Option<String>)> = nics
        .iter()
        .map(|nic| (nic.name.clone(), nic.pci.clone()))
        .collect();
    let stays = |nic: &NicFacts| {
        let below = |known: &BTreeSet<String>| nic.pci.as_ref().is_some_and(|pci| known.contains(pci));
        let of_parent = || {
            let (parent, _) = nic.name.rsplit_once('.')?;
            Some(nic.mac.is_none() && names.contains(&(parent.to_owned(), nic.pci.clone())))
        };
        match port(nic) {
            Some(Port::Uplink) => true,
            Some(Port::Representor) => false,
            Some(Port::Function) => !below(&uplinks),
            Some(Port::Other) | None => !below(&uplinks) && !below(&functions) && of_parent() != Some(true),
        }
    };
    nics.into_iter().filter(stays).collect()
}

#[cfg(test)]
mod tests;
