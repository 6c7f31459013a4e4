//! SMBIOS: the machine as described by its firmware (DMTF DSP0134). smbios-lib splits structures; results are
//! tested against dmidecode.

mod bmc;
mod components;
mod entry;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod memory;
mod power;
mod processors;
mod slots;
mod structure;
mod system;
mod table;
#[cfg(test)]
pub(super) mod tests;
mod words;

use inventory_api::report::AssetReport;

use super::Problems;
use super::roots::Roots;

/// Fills in all SMBIOS facts; none on a machine without tables.
pub(super) fn collect(roots: &Roots, problems: &mut Problems, report: &mut AssetReport) {
    let Some(table) = table::Table::read(roots, problems) else {
        // With a device tree, that describes the machine.
        if roots.is_live() && !super::device_tree::is_there(roots) {
            problems
                .note("/sys/firmware/dmi/tables/DMI: no such file; this machine provides no SMBIOS facts");
        }
        return;
    };
    fill(&table, problems, report);
}

fn fill(table: &table::Table, problems: &mut Problems, report: &mut AssetReport) {
    report.system = system::system(table, problems);
    report.board = system::board(table, problems);
    report.chassis = system::chassis(table, problems);
    report.firmware = system::firmware(table, problems);
    report.oem_strings = system::oem_strings(table, problems);
    report.memory = memory::memory(table, problems);
    report.cpu = processors::cpu(table, problems);
    report.slots = slots::slots(table, problems);
    report.onboard = slots::onboard(table, problems);
    report.power_supplies = power::power_supplies(table, problems);
    report.bmc = bmc::bmc(table, problems);
    report.tpm = components::tpm(table, problems);
    report.firmware_components = components::firmware(table, problems);
    report.batteries = components::batteries(table, problems);
}
