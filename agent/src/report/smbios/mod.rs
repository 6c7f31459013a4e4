//! SMBIOS: the machine as its firmware describes it (DMTF DSP0134). Parsed by smbios-lib, checked against dmidecode.

mod memory;
mod processors;
mod system;
mod table;
#[cfg(test)]
pub(super) mod tests;
mod words;

use inventory_api::report::AssetReport;

use super::Problems;
use super::roots::Roots;

/// Fills system, board, chassis, firmware, processors and memory slots. A machine without tables has none of them.
pub(super) fn collect(roots: &Roots, problems: &mut Problems, report: &mut AssetReport) {
    let Some(table) = table::Table::read(roots, problems) else {
        if roots.is_live() {
            problems.note(
                "/sys/firmware/dmi/tables/DMI: no such file; this machine tells nothing through SMBIOS",
            );
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
    report.memory.slots = memory::slots(table, problems);
    let processors = processors::processors(table, problems);
    if !processors.is_empty() {
        report.cpu = Some(processors::summary(processors));
    }
}
