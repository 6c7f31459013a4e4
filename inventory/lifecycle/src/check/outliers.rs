//! Finds machines that differ from the others with the same hardware profile, even if no rule covers the
//! difference.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::check::Outlier;
use inventory_api::report::{AssetReport, ProcessorFacts};
use inventory_api::text::{counted as counted_word, exact_disk_size, memory_size, tame};

use super::dimm::{self, is_populated};
use super::nics::{self, is_fixed};
use super::text::words;
use super::{disk as disks, psus};

/// Fewer machines cannot be compared.
const LEAST: usize = 3;
/// Maximum number of compared parts of one kind per machine.
const PARTS: usize = 512;
/// Maximum groups of a split fleet; with more, the fact does not depend on the model.
const GROUPS: usize = 4;
/// Maximum number of remarks.
const LIMIT: usize = 1000;
/// Maximum characters of a value.
const VALUE: usize = 300;

/// Compares machines of one hardware profile. Fewer than three give nothing. If at least three in five share
/// a value, one that only one machine (or one in ten) has is an outlier; values that more machines share make
/// groups.
pub fn outliers(machines: &[(String, &AssetReport)]) -> Vec<Outlier> {
    if machines.len() < LEAST {
        return Vec::new();
    }
    let mut facts: BTreeMap<(&'static str, String), BTreeMap<usize, String>> = BTreeMap::new();
    for (at, (_, report)) in machines.iter().enumerate() {
        let report = &super::prepare::prepared(report);
        let mut seen: BTreeMap<(&'static str, String), u32> = BTreeMap::new();
        for (fact, place, value) in facts_of(report) {
            // Places with the same name are matched in order.
            let times = seen.entry((fact, place.clone())).or_default();
            *times += 1;
            let place = if *times > 1 {
                format!("{place} ({times})")
            } else {
                place
            };
            facts.entry((fact, place)).or_default().insert(at, value);
        }
    }
    let mut odd: BTreeMap<(usize, &'static str, String, String, usize), Vec<String>> = BTreeMap::new();
    // The same split in many places is one remark.
    let mut splits: BTreeMap<(&str, Split), Vec<&str>> = BTreeMap::new();
    for ((fact, place), values) in &facts {
        let mut by_value: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for at in 0..machines.len() {
            let value = values.get(&at).map_or("none", String::as_str);
            by_value.entry(value).or_default().push(at);
        }
        if by_value.len() < 2 {
            continue;
        }
        let mut by_value: Vec<(&str, Vec<usize>)> = by_value.into_iter().collect();
        by_value.sort_by_key(|(_, who)| std::cmp::Reverse(who.len()));
        let (usual, many) = (by_value[0].0, by_value[0].1.len());
        let rare = (machines.len() / 10).max(1);
        let settled = many * 5 >= machines.len() * 3;
        let (few, groups_of) = by_value
            .iter()
            .partition::<Vec<_>, _>(|(value, who)| settled && *value != usual && who.len() <= rare);
        for (value, who) in few {
            for at in who {
                let key = (*at, *fact, (*value).to_owned(), usual.to_owned(), many);
                odd.entry(key).or_default().push(place.clone());
            }
        }
        if (2..=GROUPS).contains(&groups_of.len()) && groups_of.iter().all(|(_, who)| who.len() > 1) {
            let names = |who: &[usize]| who.iter().map(|at| machines[*at].0.clone()).collect();
            let split = groups_of
                .iter()
                .map(|(value, who)| ((*value).to_owned(), names(who)));
            splits.entry((fact, split.collect())).or_default().push(place);
        }
    }
    let odd = odd
        .into_iter()
        .map(|((at, fact, found, usual, others), places)| Outlier::Odd {
            machine: machines[at].0.clone(),
            fact: fact.to_owned(),
            place: tame(&places.join(", "), VALUE),
            found,
            usual,
            others,
        });
    let groups = splits
        .into_iter()
        .map(|((fact, groups), places)| Outlier::Groups {
            fact: fact.to_owned(),
            place: tame(&places.join(", "), VALUE),
            groups,
        });
    odd.chain(groups).take(LIMIT).collect()
}

/// Each value with its machines.
type Split = Vec<(String, Vec<String>)>;

type Fact = (&'static str, String, String);

/// What machines of one model should have in common. One fact per part, so that another part is one remark.
fn facts_of(report: &AssetReport) -> Vec<Fact> {
    let mut facts = Vec::new();
    whole(&mut facts, report);
    processors(&mut facts, report);
    parts(&mut facts, report);
    for (_, place, value) in &mut facts {
        *place = tame(place, 100);
        *value = tame(value, VALUE);
    }
    facts
}

/// Reported facts without a place.
fn known(list: impl IntoIterator<Item = (&'static str, Option<String>)>) -> impl Iterator<Item = Fact> {
    let known = list.into_iter().filter_map(|(fact, value)| Some((fact, value?)));
    known.map(|(fact, value)| (fact, String::new(), value))
}

fn whole(facts: &mut Vec<Fact>, report: &AssetReport) {
    let (system, board) = (report.system.as_ref(), report.board.as_ref());
    let (firmware, bmc) = (report.firmware.as_ref(), report.bmc.as_ref());
    let (tpm, boot) = (report.tpm.as_ref(), &report.boot);
    let yes = |flag: Option<bool>| flag.map(|on| if on { "on" } else { "off" }.to_owned());
    let list: [(&'static str, Option<String>); 18] = [
        ("system maker", system.and_then(|s| s.manufacturer.clone())),
        ("system model", system.and_then(|s| s.product.clone())),
        ("system SKU", system.and_then(|s| s.sku.clone())),
        (
            "board",
            board.map(|b| words([b.manufacturer.as_deref(), b.product.as_deref()])),
        ),
        (
            "firmware",
            firmware.map(|f| words([f.version.as_deref(), f.revision.as_deref(), f.date.as_deref()])),
        ),
        ("BMC firmware", bmc.and_then(|b| b.firmware.clone())),
        ("BMC maker", bmc.and_then(|b| b.vendor.clone())),
        (
            "TPM",
            tpm.map(|t| words([t.manufacturer.as_deref(), t.version.as_deref()])),
        ),
        ("TPM firmware", tpm.and_then(|t| t.firmware.clone())),
        ("boot mode", boot.mode.map(|mode| mode.words().to_owned())),
        ("Secure Boot", yes(boot.secure_boot)),
        ("Secure Boot setup mode", yes(boot.setup_mode)),
        (
            "memory error correction",
            report
                .memory
                .arrays
                .first()
                .and_then(|a| a.error_correction.clone()),
        ),
        ("OEM strings", Some(report.oem_strings.len().to_string())),
        ("expansion slots in use", in_use(report)),
        ("PCI devices", devices(report)),
        ("accelerators", accelerators(report)),
        ("storage controllers", controllers(report)),
    ];
    facts.extend(known(list));
}

/// Equal values with their count, sorted: "2 x 8086:1572, 1 x 10de:2330".
fn counted(values: impl Iterator<Item = String>) -> Option<String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for value in values.take(PARTS) {
        *counts.entry(value).or_default() += 1;
    }
    let list: Vec<String> = counts
        .into_iter()
        .map(|(value, n)| format!("{n} x {value}"))
        .collect();
    (!list.is_empty()).then(|| list.join(", "))
}

fn in_use(report: &AssetReport) -> Option<String> {
    counted(
        report
            .slots
            .iter()
            .filter(|s| s.in_use == Some(true))
            .filter_map(|s| s.slot.clone()),
    )
}

/// Devices that no other fact covers.
fn devices(report: &AssetReport) -> Option<String> {
    let told: BTreeSet<&str> = report
        .nics
        .iter()
        .filter_map(|n| n.pci.as_deref())
        .chain(report.gpus.iter().map(|g| g.pci.as_str()))
        .chain(report.disks.iter().filter_map(|d| d.pci.as_deref()))
        .chain(report.controllers.iter().map(|c| c.pci.as_str()))
        .collect();
    let others = report.pci.iter().filter(|d| !told.contains(d.address.as_str()));
    counted(others.filter_map(super::pci::id_of))
}

fn accelerators(report: &AssetReport) -> Option<String> {
    counted(report.gpus.iter().map(|g| {
        let memory = g.memory_bytes.map(memory_size);
        words([g.pci_id.as_deref().or(g.name.as_deref()), memory.as_deref()])
    }))
}

fn controllers(report: &AssetReport) -> Option<String> {
    counted(report.controllers.iter().map(|c| {
        words([
            c.model.as_deref(),
            c.pci_id.as_deref(),
            c.firmware.as_deref(),
            c.driver.as_deref(),
        ])
    }))
}

fn processors(facts: &mut Vec<Fact>, report: &AssetReport) {
    let Some(cpu) = &report.cpu else { return };
    let number = |n: Option<u32>| n.map(|n| n.to_string());
    let mhz = |n: Option<f64>| n.map(|n| format!("{n:.0} MHz"));
    let by_socket = cpu.processors.iter().any(ProcessorFacts::is_there);
    let whole: [(&'static str, Option<String>); 9] = [
        ("sockets", number(cpu.sockets).filter(|_| !by_socket)),
        ("CPU model", cpu.model.clone().filter(|_| !by_socket)),
        ("cores", number(cpu.cores).filter(|_| !by_socket)),
        ("threads of a core", number(cpu.threads_per_core)),
        ("CPU stepping", number(cpu.stepping)),
        ("microcode", cpu.microcode.clone()),
        ("NUMA nodes", number(cpu.numa_nodes)),
        ("CPU frequency", mhz(cpu.max_mhz)),
        (
            "CPU flags",
            Some(cpu.flags.join(" ")).filter(|flags| !flags.is_empty()),
        ),
    ];
    facts.extend(known(whole));
    for p in cpu.processors.iter().filter(|p| p.is_there()).take(PARTS) {
        let cores = match (p.cores_enabled, p.cores) {
            (Some(on), Some(all)) if on != all => Some(format!("{on} of {all} cores")),
            (on, all) => on.or(all).map(|n| counted_word(n, "core")),
        };
        let threads = p.threads.map(|n| counted_word(n, "thread"));
        let off = (p.enabled == Some(false)).then_some("switched off");
        let value = words([p.model.as_deref(), cores.as_deref(), threads.as_deref(), off]);
        facts.push(("CPU", p.socket.clone().unwrap_or_default(), value));
    }
}

fn parts(facts: &mut Vec<Fact>, report: &AssetReport) {
    let memory = report.memory.slots.iter().filter(|s| is_populated(s));
    for slot in memory.take(PARTS) {
        let speed = slot.speed_mts.map(|n| format!("rated {n} MT/s"));
        let configured = slot.configured_mts.map(|n| format!("runs at {n} MT/s"));
        let rank = slot.rank.map(|n| counted_word(n, "rank"));
        let module = dimm::describe(slot);
        let value = words([
            Some(module.as_str()),
            slot.kind.as_deref(),
            rank.as_deref(),
            speed.as_deref(),
            configured.as_deref(),
        ]);
        facts.push(("memory module", dimm::place_of(slot), value));
    }
    let mut loose = Vec::new();
    for disk in report.disks.iter().filter(|d| disks::counts(d, &[])).take(PARTS) {
        let size = disk.size_bytes.map(exact_disk_size);
        let transport = disk.transport.map(|transport| transport.to_string());
        let firmware = disk.firmware.as_deref().map(|f| format!("firmware {f}"));
        let value = words([
            size.as_deref(),
            transport.as_deref(),
            disk.model.as_deref(),
            firmware.as_deref(),
        ]);
        if disk.bay.is_some() || disk.path.is_some() {
            facts.push(("disk", disks::place_of(disk), value));
        } else {
            loose.push(value);
        }
    }
    facts.extend(known([("disks", counted(loose.into_iter()))]));
    for nic in report.nics.iter().filter(|n| is_fixed(n)).take(PARTS) {
        let firmware = nic.firmware.as_deref().map(|f| format!("firmware {f}"));
        let value = words([nic.driver.as_deref(), nic.pci_id.as_deref(), firmware.as_deref()]);
        let place = nics::place_of(nic);
        if let Some(speed) = nic.speed_mbps {
            facts.push(("link speed", place.clone(), format!("{speed} Mbit/s")));
        }
        facts.push(("network port", place, value));
    }
    for (at, psu) in report.power_supplies.iter().enumerate().take(PARTS) {
        let value = if !psu.is_there() {
            "absent".to_owned()
        } else {
            let watts = psu.max_watts.map(|n| format!("{n} W"));
            let mains = (psu.plugged == Some(false)).then_some("no mains power");
            words([
                psu.manufacturer.as_deref(),
                psu.part.as_deref(),
                watts.as_deref(),
                mains,
            ])
        };
        facts.push(("power supply", psus::place_of(psu, at), value));
    }
    for device in report.onboard.iter().take(PARTS) {
        if let (Some(name), Some(on)) = (&device.name, device.enabled) {
            let value = if on { "on" } else { "off" };
            facts.push(("onboard device", name.clone(), value.to_owned()));
        }
    }
}
