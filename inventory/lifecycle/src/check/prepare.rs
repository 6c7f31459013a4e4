//! Prepares a report for the check: one entry per part, and nothing else among the parts.

use std::collections::BTreeSet;

use inventory_api::report::{AssetReport, GpuFacts, NicFacts, PowerSupply, ProcessorFacts, distinct};
use inventory_api::serial::counts_as_serial;

/// Reduces a report to one entry per part, also for agents that listed some parts twice.
pub(super) fn prepared(report: &AssetReport) -> AssetReport {
    let mut report = report.clone();
    for disk in &mut report.disks {
        disk.transport = disk.attachment();
    }
    report = distinct(report);
    one_shelf_needs_no_name(&mut report);
    let takes_functions = report.nics.iter().any(|nic| nic.sriov_vfs.is_some());
    report.nics.retain(|nic| !(takes_functions && is_virtual(nic)));
    let first: BTreeSet<String> = report.gpus.iter().map(|gpu| gpu.pci.clone()).collect();
    report.gpus.retain(|gpu| !is_further_function(gpu, &first));
    if let Some(cpu) = &mut report.cpu {
        cpu.processors.retain(is_central);
    }
    let mut seen = BTreeSet::new();
    report.power_supplies.retain(|psu| is_new(psu, &mut seen));
    report
}

fn one_shelf_needs_no_name(report: &mut AssetReport) {
    let shelves: BTreeSet<&str> = report
        .disks
        .iter()
        .filter_map(|disk| disk.shelf.as_deref())
        .collect();
    if shelves.len() < 2 {
        report.disks.iter_mut().for_each(|disk| disk.shelf = None);
    }
}

/// Virtual functions of Mellanox cards, which use the driver of the whole card (PCI id database).
const MELLANOX_VF: [&str; 6] = [
    "15b3:1014",
    "15b3:1016",
    "15b3:1018",
    "15b3:101a",
    "15b3:101c",
    "15b3:101e",
];

/// Whether it is a virtual function, from its driver ("iavf", "igbvf", "ixgbevf") or id.
fn is_virtual(nic: &NicFacts) -> bool {
    let driver = nic.driver.as_deref().unwrap_or_default();
    let id = nic.pci_id.as_deref().unwrap_or_default().to_lowercase();
    nic.sriov_vfs.is_none() && (driver.ends_with("vf") || MELLANOX_VF.contains(&id.as_str()))
}

/// Whether it is a virtual function of an accelerator: the first function is listed too.
fn is_further_function(gpu: &GpuFacts, all: &BTreeSet<String>) -> bool {
    gpu.pci
        .rsplit_once('.')
        .is_some_and(|(device, function)| function != "0" && all.contains(&format!("{device}.0")))
}

/// SMBIOS type 4 lists mathematical and graphics processors too.
fn is_central(processor: &ProcessorFacts) -> bool {
    let kind = processor.kind.as_deref().unwrap_or_default();
    !["Math Processor", "DSP Processor", "Video Processor"].contains(&kind)
}

/// Whether it is the first entry of this power supply at this place.
fn is_new(psu: &PowerSupply, seen: &mut BTreeSet<(String, String)>) -> bool {
    match (&psu.serial, &psu.location) {
        (Some(serial), Some(location)) if counts_as_serial(serial) => {
            seen.insert((location.clone(), serial.clone()))
        }
        _ => true,
    }
}
