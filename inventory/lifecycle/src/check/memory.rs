//! Memory: by slot, then totals that no slot explains.

use std::collections::HashMap;

use inventory_api::check::{DimmProfile, MemoryProfile, Tolerance, code};
use inventory_api::report::{AssetReport, MemorySlot};
use inventory_api::text::counted;

use super::difference::Differences;
use super::dimm::{Dimms, describe, describe_wanted, is_persistent, is_populated, is_special, place_of};
use super::findings::Findings;
use super::memory_totals::{error_correction, totals, without_slots};
use super::parts::{Kind as _, Outcome, PART_LIMIT, pair};
use super::text::{label, normal};

pub(super) fn check(
    findings: &mut Findings,
    wanted: &MemoryProfile,
    tolerance: &Tolerance,
    report: &AssetReport,
) {
    let memory = &report.memory;
    error_correction(findings, wanted, memory);
    if memory.slots.is_empty() {
        without_slots(findings, wanted, tolerance, memory);
        return;
    }
    let explained = slots(findings, &wanted.dimms, tolerance, &memory.slots);
    least_speed(findings, wanted, tolerance, &memory.slots);
    if !explained {
        totals(findings, wanted, tolerance, memory);
    }
}

/// Slot names that occur more than once in the report: for them, the bank is part of the name.
struct Names<'a>(HashMap<String, u32>, &'a [MemorySlot]);

impl<'a> Names<'a> {
    fn of(slots: &'a [MemorySlot]) -> Names<'a> {
        let mut count = HashMap::new();
        for slot in slots.iter().take(PART_LIMIT) {
            *count
                .entry(normal(slot.slot.as_deref().unwrap_or_default()))
                .or_insert(0) += 1;
        }
        Names(count, slots)
    }

    /// "DIMM A1", or "DIMM A1 (bank BANK 2)" if several slots have the name.
    fn label(&self, place: &str, bank: Option<&str>) -> String {
        let several = self.0.get(&normal(place)).is_some_and(|n| *n > 1);
        match bank.filter(|_| several) {
            Some(bank) => format!("{} (bank {bank})", label("DIMM", place)),
            None => label("DIMM", place),
        }
    }

    fn of_have(&self, have: usize) -> String {
        let slot = &self.1[have];
        self.label(&place_of(slot), slot.bank.as_deref())
    }

    fn of_want(&self, want: &DimmProfile) -> String {
        match &want.slot {
            Some(slot) => self.label(slot, want.bank.as_deref()),
            None => want.bank.clone().unwrap_or_else(|| "memory".to_owned()),
        }
    }
}

/// Returns whether modules are missing, different or too many, which explains wrong totals.
fn slots(
    findings: &mut Findings,
    wants: &[DimmProfile],
    tolerance: &Tolerance,
    haves: &[MemorySlot],
) -> bool {
    if wants.is_empty() {
        return false;
    }
    let kind = Dimms {
        speed_percent: tolerance.memory_speed,
    };
    let names = Names::of(haves);
    let mut slow = Vec::new();
    let mut others = Vec::new();
    let mut persistent: Vec<&MemorySlot> = Vec::new();
    let mut fitting = 0;
    let before = findings.len();
    for outcome in pair(&kind, wants, haves) {
        match outcome {
            Outcome::Fits { .. } => fitting += 1,
            Outcome::Missing { want, lacking } => missing(findings, &names, &wants[want], lacking),
            Outcome::Extra { have } if is_persistent(&haves[have]) => persistent.push(&haves[have]),
            // It is part of the processor package.
            Outcome::Extra { have } if is_special(&haves[have]) => {}
            Outcome::Extra { have } => {
                let (name, found) = (names.of_have(have), describe(&haves[have]));
                let sentence = format!("{name}: {found} is there, the slot should be empty.");
                findings.add(
                    code::DIMM_EXTRA,
                    &place_of(&haves[have]),
                    "empty",
                    &found,
                    &sentence,
                );
            }
            Outcome::Moved { want, have } => {
                let (place, from) = (place_wanted(&wants[want]), names.of_want(&wants[want]));
                let what = describe(&haves[have]);
                let to = match haves[have].slot.is_some() || haves[have].bank.is_some() {
                    true => names.of_have(have),
                    false => "a slot without a name".to_owned(),
                };
                let sentence = format!("{what} sits in {to} instead of {from}. Move it from {to} to {from}.");
                findings.moved(code::DIMM_MOVED, &place, &what, (&from, &to), &sentence);
            }
            Outcome::Swapped { want, have, other } => {
                let (from, to) = (names.of_want(&wants[want]), names.of_want(&wants[other]));
                let (place, what) = (place_wanted(&wants[want]), describe(&haves[have]));
                let sentence = format!(
                    "The modules of {from} and {to} are swapped: {what} belongs in {from}. Exchange them."
                );
                findings.moved(code::DIMM_SWAPPED, &place, &what, (&from, &to), &sentence);
            }
            Outcome::Differs { want, have } => {
                let (want, list) = (&wants[want], kind.differences(&wants[want], &haves[have]));
                match list.said() {
                    Some(said) if said.code == code::DIMM_SLOW && !said.unknown => {
                        slow.push(Differing { want, have, list })
                    }
                    Some(_) => others.push(Differing { want, have, list }),
                    None => {}
                }
            }
        }
    }
    tell(findings, &names, &others);
    if let Some(first) = persistent.first() {
        let n = counted(persistent.len() as u64, "module");
        let (n, found) = (format!("{n} of persistent memory"), describe(first));
        let sentence = format!("{n} ({found}) beyond what was ordered.");
        findings.add(code::DIMM_EXTRA, "memory", "none", &n, &sentence);
    }
    findings.too_many(code::DIMM_EXTRA, "memory", haves.len(), "slots");
    let others = findings.len() > before;
    speeds(findings, &names, slow, fitting, others);
    others
}

fn place_wanted(want: &DimmProfile) -> String {
    let place = want.slot.as_deref().or(want.bank.as_deref());
    place.unwrap_or("memory").to_owned()
}

fn missing(findings: &mut Findings, names: &Names, want: &DimmProfile, lacking: u32) {
    let what = describe_wanted(want);
    let place = place_wanted(want);
    if want.slot.is_some() || want.bank.is_some() {
        let sentence = format!(
            "{}: ordered {what}, slot is empty. Check that it is there and seated.",
            names.of_want(want)
        );
        findings.add(code::DIMM_MISSING, &place, &what, "empty", &sentence);
        return;
    }
    let of = want.count.unwrap_or(1);
    let (empty, there) = (empty_slots(names.1), of.saturating_sub(lacking));
    let sentence = format!("{lacking} of {of} modules {what} are missing.{empty}");
    let (expected, found) = (format!("{of} x {what}"), format!("{there} of them"));
    findings.add(code::DIMM_MISSING, &place, &expected, &found, &sentence);
}

pub(super) fn empty_slots(slots: &[MemorySlot]) -> String {
    let empty: Vec<String> = slots
        .iter()
        .filter(|s| !is_populated(s))
        .take(16)
        .map(place_of)
        .collect();
    if empty.is_empty() {
        String::new()
    } else {
        format!(" Empty slots: {}.", empty.join(", "))
    }
}

/// A module that differs from its entry.
struct Differing<'a> {
    want: &'a DimmProfile,
    have: usize,
    list: Differences,
}

/// Modules that differ: one finding each, or one for all if all differ in the same way.
fn tell(findings: &mut Findings, names: &Names, list: &[Differing]) {
    let Some(first) = list.first() else { return };
    let slots = names.1.iter().take(PART_LIMIT);
    let populated = slots.filter(|slot| is_populated(slot)).count();
    let alike = || list.iter().all(|other| other.list.said() == first.list.said());
    if list.len() > 1 && list.len() == populated && alike() {
        let all = format!("All {populated} modules");
        return findings.add_list("memory", &all, &first.list, |said| {
            let (expected, found) = (&said.expected, &said.found);
            format!("{all}: ordered {expected}, found {found}. {}", act(said.code))
        });
    }
    for one in list {
        differs(findings, names, one);
    }
}

fn act(code: &str) -> &'static str {
    match code {
        code::DIMM_SLOW => {
            "It is slower than ordered, or the firmware's setup or a slower module holds it back."
        }
        code::DIMM_LARGER => "It is larger than ordered.",
        _ => "Replace it by the module that was ordered.",
    }
}

fn differs(findings: &mut Findings, names: &Names, one: &Differing) {
    let slot = &names.1[one.have];
    let name = names.of_have(one.have);
    findings.add_list(&place_of(slot), &name, &one.list, |said| {
        let whole = match said.code {
            code::DIMM_SLOW | code::DIMM_OTHER_KIND => {
                format!("ordered {}, found {}", said.expected, said.found)
            }
            _ => format!("ordered {}, found {}", describe_wanted(one.want), describe(slot)),
        };
        format!("{name}: {whole}. {}", act(said.code))
    });
}

/// Modules that are right but slow. If all are, that is a setting and one finding; if one module is slower by
/// design or not as ordered, it slows down the others and is the finding.
fn speeds(findings: &mut Findings, names: &Names, mut slow: Vec<Differing>, fitting: usize, others: bool) {
    let slot = |one: &Differing| &names.1[one.have];
    let rated_less = |one: &Differing| {
        let rated = slot(one).speed_mts;
        rated.is_some() && rated < one.want.speed_mts && slow_by_make(one.want, slot(one))
    };
    let culprits = slow.iter().any(rated_less);
    let all = fitting == 0 && slow.len() > 1;
    let setting = |one: &Differing| (slot(one).configured_mts, one.list.0.len());
    let one_setting = || slow.iter().all(|one| setting(one) == setting(&slow[0]));
    if all && !others && !culprits && one_setting() {
        let Some(first) = slow[0].list.0.iter().find(|d| !d.unknown) else {
            return;
        };
        let (n, expected, found) = (slow.len(), &first.expected, &first.found);
        let sentence = format!(
            "All {n} modules run slow: expected {expected}, found {found}. Look at the memory speed in the firmware's setup, and \
             at which slots are filled."
        );
        return findings.add(code::MEMORY_SLOW, "memory", expected, found, &sentence);
    }
    let held_back = culprits || others && all;
    slow.retain(|one| !held_back || rated_less(one));
    tell(findings, names, &slow);
}

/// Whether the part itself is different. The ordered part has the ordered rated speed, whatever the firmware
/// writes.
fn slow_by_make(want: &DimmProfile, have: &MemorySlot) -> bool {
    let part = want.part.as_deref().zip(have.part.as_deref());
    !part.is_some_and(|(want, have)| super::text::same_part(want, have))
}

/// The minimum speeds that apply to every module.
fn least_speed(findings: &mut Findings, wanted: &MemoryProfile, tolerance: &Tolerance, slots: &[MemorySlot]) {
    let all = DimmProfile {
        speed_mts: wanted.min_speed_mts,
        configured_mts: wanted.min_configured_mts,
        ..DimmProfile::default()
    };
    if all == DimmProfile::default() {
        return;
    }
    let kind = Dimms {
        speed_percent: tolerance.memory_speed,
    };
    let names = Names::of(slots);
    let mut slow = Vec::new();
    for (have, slot) in slots.iter().enumerate().take(PART_LIMIT) {
        let list = kind.differences(&all, slot);
        if is_populated(slot)
            && list.said().is_some_and(|said| said.code == code::DIMM_SLOW)
            && !findings.has(code::DIMM_SLOW, &place_of(slot))
        {
            let want = &all;
            slow.push(Differing { want, have, list });
        }
    }
    tell(findings, &names, &slow);
}
