//! Memory as a whole: totals that no slot explains, error correction, machines that list no slots.

use inventory_api::check::{MemoryProfile, Severity, Tolerance, code};
use inventory_api::report::{MemoryFacts, MemorySlot};
use inventory_api::text::{counted, memory_size};

use super::difference::{Differences, LOOK};
use super::dimm::{is_persistent, is_populated, is_special};
use super::findings::Findings;
use super::memory::empty_slots;
use super::text::near;

pub(super) fn totals(
    findings: &mut Findings,
    wanted: &MemoryProfile,
    tolerance: &Tolerance,
    memory: &MemoryFacts,
) {
    let plain = |slot: &&MemorySlot| is_populated(slot) && !is_special(slot);
    let modules = u32::try_from(memory.slots.iter().filter(plain).count()).unwrap_or(u32::MAX);
    if let Some(count) = wanted.modules.filter(|n| *n != modules) {
        let (code, act) = if modules < count {
            let empty = empty_slots(&memory.slots);
            (code::DIMM_MISSING, format!("{} missing.{empty}", count - modules))
        } else {
            (
                code::DIMM_EXTRA,
                format!("{} more than ordered.", modules - count),
            )
        };
        let (count, modules) = (counted(count, "memory module"), counted(modules, "module"));
        let sentence = format!("{count} expected, {modules} found: {act}");
        return findings.add(code, "memory", &count, &modules, &sentence);
    }
    let found = memory.installed_bytes;
    if let Some(total) = wanted.total
        && !found.is_some_and(|found| near(found, total, tolerance.memory_total))
    {
        let cached = memory
            .slots
            .iter()
            .any(|s| is_persistent(s) && s.volatile_bytes.is_some_and(|n| n > 0));
        let act = match found {
            Some(_) if cached => {
                "The persistent memory is in Memory Mode: it is the memory, and the DRAM its cache."
                    .to_owned()
            }
            Some(found) if found > total => "There is more than ordered.".to_owned(),
            _ => format!(
                "Compare the modules with the order.{}",
                empty_slots(&memory.slots)
            ),
        };
        total_is_off(findings, total, found, &act);
    }
    if let Some(total) = wanted.persistent
        && !memory
            .persistent_bytes
            .is_some_and(|found| near(found, total, tolerance.memory_total))
    {
        let expected = memory_size(total);
        let found = memory.persistent_bytes.map_or("none".to_owned(), memory_size);
        let sentence = format!(
            "{expected} of persistent memory are expected; found: {found}. Compare the modules with the order, and look at their \
             mode in the firmware's setup."
        );
        findings.add(code::MEMORY_PERSISTENT, "memory", &expected, &found, &sentence);
    }
}

/// Whether all memory controllers correct errors; `None` if not reported.
pub(super) fn corrects_errors(memory: &MemoryFacts) -> Option<bool> {
    let words = memory
        .arrays
        .iter()
        .filter_map(|array| array.error_correction.as_deref());
    let known: Vec<bool> = words
        .filter_map(|word| match word {
            "None" | "Parity" => Some(false),
            word => word.contains("ECC").then_some(true),
        })
        .collect();
    (!known.is_empty()).then(|| known.iter().all(|on| *on))
}

pub(super) fn error_correction(findings: &mut Findings, wanted: &MemoryProfile, memory: &MemoryFacts) {
    let word = |on: bool| match on {
        true => "error correction".to_owned(),
        false => "no error correction".to_owned(),
    };
    let mut list = Differences::default();
    let is = corrects_errors(memory);
    list.exact(code::MEMORY_ECC, "error correction", wanted.ecc, is, word);
    findings.add_list("memory", "Memory", &list, |said| {
        format!(
            "The memory has {}; expected is {}. Look at the firmware's setup and at the kind of the modules.",
            said.found, said.expected
        )
    });
}

/// If SMBIOS lists no slot, the kernel's total is compared; it is lower than what is installed by what
/// firmware and kernel reserve.
pub(super) fn without_slots(
    findings: &mut Findings,
    wanted: &MemoryProfile,
    tolerance: &Tolerance,
    memory: &MemoryFacts,
) {
    if let Some(total) = wanted.total {
        let percent = tolerance.memory_total.max(10);
        let holds = memory
            .usable_bytes
            .is_some_and(|usable| usable <= total && near(usable, total, percent));
        if !holds {
            let act = "The machine lists no memory slots: look at its modules.";
            total_is_off(findings, total, memory.usable_bytes, act);
        }
    } else if *wanted
        != (MemoryProfile {
            ecc: wanted.ecc,
            ..MemoryProfile::default()
        })
    {
        let sentence = format!(
            "Memory modules not reported: the machine lists no memory slots, its firmware's tables are missing or broken. {LOOK}"
        );
        let (severity, found) = (Severity::Warning, "memory modules not reported");
        findings.add_as(
            severity,
            code::DIMM_MISSING,
            "memory",
            "memory modules",
            found,
            &sentence,
        );
    }
}

fn total_is_off(findings: &mut Findings, wanted: u64, found: Option<u64>, act: &str) {
    let mut list = Differences::default();
    let found = found.map(memory_size);
    list.other(code::MEMORY_TOTAL, "total memory", memory_size(wanted), found);
    findings.add_list("memory", "Memory", &list, |said| {
        format!(
            "{} of memory are expected; found: {}. {act}",
            said.expected, said.found
        )
    });
}
