//! The golden profile: made from a good machine, with what belongs to its model and nothing that belongs to
//! the single machine.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::check::{
    BmcProfile, BoardProfile, BootProfile, CpuProfile, DimmProfile, DiskProfile, FirmwareProfile, GpuProfile,
    HardwareProfile, MemoryProfile, NicProfile, PciProfile, ProcessorProfile, PsuProfile, SystemProfile,
    TpmProfile,
};
use inventory_api::report::{
    AssetReport, CpuFacts, DiskFacts, FirmwareMode, LinkLayer, MemoryFacts, MemorySlot, NicFacts,
    PowerSupply, Transport,
};
use inventory_api::text::tame;

use super::dimm::{is_populated, is_special};
use super::disk::{needs_naming, ways};
use super::nics::{is_fixed, is_infiniband};
use super::parts::{GROUP_LIMIT, PART_LIMIT};
use super::pci::id_of;
use super::prepare::prepared;
use super::text::{is_filler, normal, words};
use super::validate::is_pci_id;
use super::{disks, links, memory_totals, psus};

/// Maximum characters of a text.
const TEXT: usize = 256;

/// The golden profile: exact slots, sizes, parts, speeds, models, counts and firmware. No serial numbers,
/// MACs, temperatures, hours or boot entries. Health problems of its machine ([`super::unhealthy`]) are not
/// part of it: the health rules stay on, and apart from their findings the report passes.
pub fn golden(report: &AssetReport) -> HardwareProfile {
    let report = &prepared(report);
    let system = report.system.clone().unwrap_or_default();
    let board = report.board.clone().unwrap_or_default();
    let firmware = report.firmware.clone().unwrap_or_default();
    let name = words([system.manufacturer.as_deref(), system.product.as_deref()]);
    HardwareProfile {
        name: tame(&name, TEXT),
        system: SystemProfile {
            maker: text(&system.manufacturer),
            model: text(&system.product),
            sku: text(&system.sku).filter(|sku| !is_filler(sku)),
        },
        board: BoardProfile {
            maker: text(&board.manufacturer),
            model: text(&board.product),
            version: None,
        },
        firmware: FirmwareProfile {
            version: text(&firmware.version),
            date: text(&firmware.date),
            revision: text(&firmware.revision),
            ..FirmwareProfile::default()
        },
        bmc: BmcProfile {
            firmware: report.bmc.as_ref().and_then(|b| text(&b.firmware)),
            min_firmware: None,
        },
        cpu: report.cpu.as_ref().map(cpu).unwrap_or_default(),
        memory: memory(&report.memory),
        tpm: TpmProfile {
            present: report.tpm.is_some(),
            version: report.tpm.as_ref().and_then(|t| text(&t.version)),
        },
        boot: BootProfile {
            mode: report.boot.mode.filter(|mode| *mode != FirmwareMode::Unknown),
            secure_boot: report.boot.secure_boot.filter(|on| *on),
        },
        disks: disks(report),
        nics: nics(&report.nics),
        gpus: gpus(report),
        psus: power_supplies(&report.power_supplies),
        pci: pci(report),
        links: links::golden(report),
        ..HardwareProfile::default()
    }
}

/// A text for comparison. Control characters are dropped, as they are when it is shown.
fn text(text: &Option<String>) -> Option<String> {
    text.as_deref()
        .filter(|t| !t.trim().is_empty() && t.chars().count() <= TEXT && !t.chars().any(char::is_control))
        .map(str::to_owned)
}

fn pci_id(id: &Option<String>) -> Option<String> {
    text(id).filter(|id| is_pci_id(id))
}

fn cpu(cpu: &CpuFacts) -> CpuProfile {
    let listed: Vec<_> = cpu.processors.iter().take(PART_LIMIT).collect();
    let names = repeated(listed.iter().map(|p| p.socket.as_deref()));
    let processors: Vec<ProcessorProfile> = listed
        .into_iter()
        .filter_map(|p| {
            let socket = text(&p.socket);
            if !p.is_there() {
                // Sockets with the same name are matched in order, so empty ones are kept.
                let holds = p.socket.as_deref().is_some_and(|s| names.contains(&normal(s)));
                return holds.then(|| ProcessorProfile {
                    socket,
                    empty: true,
                    ..ProcessorProfile::default()
                });
            }
            Some(ProcessorProfile {
                socket,
                empty: false,
                enabled: p.enabled.filter(|on| *on),
                model: text(&p.model),
                cores: p.cores,
                cores_enabled: p.cores_enabled,
                threads: p.threads,
                part: None,
                max_mhz: p.max_mhz,
            })
        })
        .collect();
    let by_socket = !processors.is_empty();
    CpuProfile {
        sockets: cpu.sockets.filter(|_| !by_socket),
        model: text(&cpu.model).filter(|_| !by_socket),
        cores: cpu.cores,
        threads: cpu.threads,
        stepping: cpu.stepping,
        microcode: text(&cpu.microcode),
        processors,
        ..CpuProfile::default()
    }
}

/// Names that occur more than once.
fn repeated<'a>(names: impl Iterator<Item = Option<&'a str>>) -> BTreeSet<String> {
    let (mut seen, mut again) = (BTreeSet::new(), BTreeSet::new());
    for name in names.flatten().map(normal) {
        if !seen.insert(name.clone()) {
            again.insert(name);
        }
    }
    again
}

fn memory(memory: &MemoryFacts) -> MemoryProfile {
    let slots: Vec<&MemorySlot> = memory.slots.iter().take(PART_LIMIT).collect();
    let names = repeated(slots.iter().map(|s| s.slot.as_deref()));
    let mut groups = Groups::default();
    for slot in &slots {
        let shared = slot.slot.as_deref().is_none_or(|s| names.contains(&normal(s)));
        let place = DimmProfile {
            slot: slot.slot.clone(),
            bank: slot.bank.clone().filter(|_| shared),
            ..DimmProfile::default()
        };
        let placed = place != DimmProfile::default();
        if is_populated(slot) {
            let dimm = DimmProfile {
                size: slot.size_bytes,
                maker: text(&slot.manufacturer),
                part: text(&slot.part),
                kind: text(&slot.kind),
                rank: slot.rank,
                total_width: slot.total_width,
                speed_mts: slot.speed_mts,
                configured_mts: slot.configured_mts,
                class: slot.class.filter(|_| is_special(slot)),
                ..place
            };
            groups.add(dimm, placed);
        } else if placed && shared {
            groups.add(DimmProfile { empty: true, ..place }, true);
        }
    }
    MemoryProfile {
        total: if memory.slots.is_empty() {
            memory.usable_bytes
        } else {
            memory.installed_bytes.filter(|sum| *sum > 0)
        },
        persistent: memory.persistent_bytes.filter(|_| !memory.slots.is_empty()),
        ecc: memory_totals::corrects_errors(memory).filter(|on| *on),
        dimms: groups.counted(|dimm, count| dimm.count = Some(count)),
        ..MemoryProfile::default()
    }
}

/// Entries with a place in the report's order, then those without, where equal ones become one with a count.
#[derive(Default)]
struct Groups<T> {
    placed: Vec<T>,
    groups: Vec<(T, u32)>,
}

impl<T: PartialEq> Groups<T> {
    fn add(&mut self, entry: T, placed: bool) {
        if placed {
            self.placed.push(entry);
        } else if let Some((_, count)) = self.groups.iter_mut().find(|(known, _)| *known == entry) {
            *count += 1;
        } else if self.groups.len() < GROUP_LIMIT {
            // No machine has more kinds than the check compares.
            self.groups.push((entry, 1));
        }
    }

    fn counted(self, set: fn(&mut T, u32)) -> Vec<T> {
        let groups = self.groups.into_iter().map(|(mut entry, count)| {
            if count > 1 {
                set(&mut entry, count);
            }
            entry
        });
        self.placed.into_iter().chain(groups).collect()
    }
}

/// Built-in disks, without plugged-in media and storage of other machines.
fn disks(report: &AssetReport) -> Vec<DiskProfile> {
    let built_in = |d: &&DiskFacts| {
        d.removable != Some(true) && (!needs_naming(d.transport) || d.transport == Some(Transport::Mmc))
    };
    let fixed: Vec<&DiskFacts> = disks::physical(report)
        .filter(built_in)
        .take(PART_LIMIT)
        .collect();
    // If shelves are known, a bay's name may occur in each.
    let one_shelf = fixed.iter().all(|d| d.shelf.is_none());
    let bays = repeated(fixed.iter().filter(|_| one_shelf).map(|d| d.bay.as_deref()));
    let paths = repeated(fixed.iter().map(|d| d.path.as_deref()));
    let mut groups = Groups::default();
    for disk in fixed {
        let bay = disk.bay.clone().filter(|bay| !bays.contains(&normal(bay)));
        let path = disk
            .path
            .clone()
            .filter(|path| bay.is_none() && !paths.contains(&normal(path)));
        let placed = bay.is_some() || path.is_some();
        let shelf = disk.shelf.clone().filter(|_| bay.is_some());
        let ways = ways(disk);
        let entry = DiskProfile {
            bay,
            shelf,
            path,
            paths: (ways > 1).then_some(ways),
            model: text(&disk.model),
            size: disk.size_bytes.filter(|size| *size > 0),
            transport: disk.transport,
            rotational: disk.rotational,
            firmware: text(&disk.firmware),
            ..DiskProfile::default()
        };
        groups.add(entry, placed);
    }
    groups.counted(|disk, count| disk.count = Some(count))
}

fn nics(nics: &[NicFacts]) -> Vec<NicProfile> {
    let mut groups = Groups::default();
    for nic in nics.iter().filter(|n| is_fixed(n)).take(PART_LIMIT) {
        let entry = NicProfile {
            slot: nic.slot.clone(),
            port: nic.port.clone(),
            pci: nic.pci.clone(),
            pci_id: pci_id(&nic.pci_id),
            driver: text(&nic.driver),
            link_layer: is_infiniband(nic).then_some(LinkLayer::Infiniband),
            firmware: text(&nic.firmware),
            ..NicProfile::default()
        };
        let placed = entry.slot.is_some() || entry.pci.is_some();
        groups.add(entry, placed);
    }
    groups.counted(|nic, count| nic.count = Some(count))
}

fn gpus(report: &AssetReport) -> Vec<GpuProfile> {
    let gpus = report.gpus.iter().take(PART_LIMIT);
    gpus.map(|gpu| GpuProfile {
        pci: Some(gpu.pci.clone()),
        pci_id: pci_id(&gpu.pci_id),
        name: text(&gpu.name).filter(|_| pci_id(&gpu.pci_id).is_none()),
        memory: gpu.memory_bytes,
        count: None,
    })
    .collect()
}

fn power_supplies(supplies: &[PowerSupply]) -> Vec<PsuProfile> {
    let mut groups = Groups::default();
    let names = repeated(supplies.iter().map(psus::bay_of));
    for psu in supplies.iter().filter(|p| p.is_there()).take(PART_LIMIT) {
        let bay = psus::bay_of(psu)
            .filter(|bay| !names.contains(&normal(bay)))
            .map(str::to_owned);
        let placed = bay.is_some();
        let entry = PsuProfile {
            bay,
            maker: text(&psu.manufacturer),
            part: text(&psu.part),
            watts: psu.max_watts,
            ..PsuProfile::default()
        };
        groups.add(entry, placed);
    }
    groups.counted(|psu, count| psu.count = Some(count))
}

/// Classes of cards and controllers. The rest belongs to chipset and processors and changes with settings.
fn is_card(class: &str) -> bool {
    ["01", "02", "03", "04", "0b", "0c04", "0c06", "10", "12"]
        .iter()
        .any(|c| class.starts_with(c))
}

/// Cards that are not counted as network ports, accelerators or NVMe disks.
fn pci(report: &AssetReport) -> Vec<PciProfile> {
    let ports = report.nics.iter().filter_map(|n| n.pci.as_deref());
    let gpus = report.gpus.iter().map(|g| g.pci.as_str());
    let disks = report.disks.iter().filter_map(|d| d.pci.as_deref());
    let nvme = report
        .pci
        .iter()
        .filter(|d| d.class.as_deref().is_some_and(|c| c.starts_with("0108")));
    let nvme: BTreeSet<&str> = nvme.map(|d| d.address.as_str()).collect();
    let counted: BTreeSet<&str> = ports
        .chain(gpus)
        .chain(disks.filter(|address| nvme.contains(address)))
        .collect();
    // A device that is counted elsewhere excludes all with its id, because a count covers all devices of an
    // id.
    let ids: BTreeSet<String> = report
        .pci
        .iter()
        .filter(|d| counted.contains(d.address.as_str()))
        .filter_map(id_of)
        .collect();
    let mut counts: BTreeMap<String, (u32, Option<String>)> = report
        .pci
        .iter()
        .filter(|d| d.class.as_deref().is_some_and(is_card))
        .filter_map(|d| Some((id_of(d)?, (0, text(&d.name)))))
        .filter(|(id, _)| !ids.contains(id) && is_pci_id(id))
        .take(PART_LIMIT)
        .collect();
    // The check counts every device with the id, whatever its class.
    for id in report.pci.iter().filter_map(id_of) {
        if let Some((count, _)) = counts.get_mut(&id) {
            *count += 1;
        }
    }
    counts
        .into_iter()
        .map(|(id, (count, name))| PciProfile {
            id,
            count: (count > 1).then_some(count),
            name,
        })
        .collect()
}
