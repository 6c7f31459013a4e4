//! Memory: slot by slot, then the totals that no slot explains.

use std::collections::HashMap;

use inventory_api::check::{DimmProfile, MemoryProfile, Tolerance, code};
use inventory_api::report::{AssetReport, MemorySlot};

use super::difference::{Difference, Said, said};
use super::dimm::{Dimms, describe, describe_wanted, is_persistent, is_populated, is_special, place_of};
use super::findings::Findings;
use super::memory_totals::{error_correction, totals, without_slots};
use super::parts::{Kind as _, Outcome, PART_LIMIT, pair};
use super::text::{counted, label, normal};

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

/// Names of slots that the report has more than once: there the bank belongs to the name.
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

    /// "DIMM A1", and "DIMM A1 (bank BANK 2)" where several have the name.
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

/// Returns whether a module is missing, another one, or more than ordered: that explains totals that are off.
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
    let mut slow: Vec<(usize, usize, Vec<Difference>)> = Vec::new();
    let mut others: Vec<Differing> = Vec::new();
    let mut persistent: Vec<&MemorySlot> = Vec::new();
    let mut fitting = 0;
    let before = findings.len();
    for outcome in pair(&kind, wants, haves) {
        match outcome {
            Outcome::Fits { .. } => fitting += 1,
            Outcome::Missing { want, lacking } => missing(findings, &names, &wants[want], lacking),
            Outcome::Extra { have } if is_persistent(&haves[have]) => persistent.push(&haves[have]),
            // It is in the processor's package.
            Outcome::Extra { have } if is_special(&haves[have]) => {}
            Outcome::Extra { have } => {
                let found = describe(&haves[have]);
                let sentence = format!(
                    "{}: {found} is there, the slot should be empty.",
                    names.of_have(have)
                );
                findings.add(
                    code::DIMM_EXTRA,
                    &place_of(&haves[have]),
                    "empty",
                    &found,
                    &sentence,
                );
            }
            Outcome::Moved { want, have } => {
                let (from, to) = (names.of_want(&wants[want]), names.of_have(have));
                let named = haves[have].slot.is_some() || haves[have].bank.is_some();
                let to = if named {
                    to
                } else {
                    "a slot without a name".to_owned()
                };
                let what = describe(&haves[have]);
                let sentence = format!("{what} sits in {to} instead of {from}. Move it from {to} to {from}.");
                findings.add(
                    code::DIMM_MOVED,
                    &place_wanted(&wants[want]),
                    &format!("{what} in {from}"),
                    &format!("in {to}"),
                    &sentence,
                );
            }
            Outcome::Swapped { want, have, other } => {
                let (from, to) = (names.of_want(&wants[want]), names.of_want(&wants[other]));
                let what = describe(&haves[have]);
                let sentence = format!(
                    "The modules of {from} and {to} are swapped: {what} belongs in {from}. Exchange them."
                );
                findings.add(
                    code::DIMM_SWAPPED,
                    &place_wanted(&wants[want]),
                    &format!("{what} in {from}"),
                    &format!("in {to}"),
                    &sentence,
                );
            }
            Outcome::Differs { want, have } => {
                let list = kind.differences(&wants[want], &haves[have]);
                match said(&list) {
                    Some(said) if said.code == code::DIMM_SLOW && !said.unknown => {
                        slow.push((want, have, list))
                    }
                    Some(said) => others.push(Differing {
                        want: &wants[want],
                        have,
                        said,
                    }),
                    None => {}
                }
            }
        }
    }
    tell(findings, &names, &others);
    if let Some(first) = persistent.first() {
        let (n, found) = (counted(persistent.len() as u64, "module"), describe(first));
        let sentence = format!("{n} of persistent memory ({found}) beyond what was ordered.");
        findings.add(
            code::DIMM_EXTRA,
            "memory",
            "none",
            &format!("{n} of persistent memory"),
            &sentence,
        );
    }
    if haves.len() > PART_LIMIT {
        let more = format!("{} more slots", haves.len() - PART_LIMIT);
        let sentence = format!("The machine lists {more} than are looked at one by one.");
        findings.add(code::DIMM_EXTRA, "memory", "", &more, &sentence);
    }
    let others = findings.len() > before;
    speeds(findings, &names, wants, haves, slow, fitting, others);
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
    let sentence = format!(
        "{lacking} of {of} modules {what} are missing.{}",
        empty_slots(names.1)
    );
    findings.add(
        code::DIMM_MISSING,
        &place,
        &format!("{of} x {what}"),
        &format!("{} of them", of.saturating_sub(lacking)),
        &sentence,
    );
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

/// A module that is not as its entry says.
struct Differing<'a> {
    want: &'a DimmProfile,
    have: usize,
    said: Said,
}

/// Modules that differ: one finding each, or one for all of them where all differ alike.
fn tell(findings: &mut Findings, names: &Names, list: &[Differing]) {
    let populated = names
        .1
        .iter()
        .take(PART_LIMIT)
        .filter(|slot| is_populated(slot))
        .count();
    let Some(first) = list.first() else { return };
    let alike = list.iter().all(|other| other.said == first.said);
    if list.len() > 1 && list.len() == populated && alike {
        let all = format!("All {populated} modules");
        return findings.add_said("memory", &all, &first.said, |said| {
            format!(
                "{all}: ordered {}, found {}. {}",
                said.expected,
                said.found,
                act(said.code)
            )
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
    findings.add_said(&place_of(slot), &name, &one.said, |said| {
        let whole = match said.code {
            code::DIMM_SLOW | code::DIMM_OTHER_KIND => {
                format!("ordered {}, found {}", said.expected, said.found)
            }
            _ => format!("ordered {}, found {}", describe_wanted(one.want), describe(slot)),
        };
        format!("{name}: {whole}. {}", act(said.code))
    });
}

/// Modules that are alike but slow. All of them together are a setting and one finding; where one module is slower by its
/// make, or another one than ordered, it holds the others back and is the finding.
fn speeds(
    findings: &mut Findings,
    names: &Names,
    wants: &[DimmProfile],
    haves: &[MemorySlot],
    slow: Vec<(usize, usize, Vec<Difference>)>,
    fitting: usize,
    others: bool,
) {
    let rated_less = |(want, have, _): &(usize, usize, Vec<Difference>)| {
        wants[*want]
            .speed_mts
            .is_some_and(|wanted| haves[*have].speed_mts.is_some_and(|is| is < wanted))
            && slow_by_make(&wants[*want], &haves[*have])
    };
    let culprits = slow.iter().filter(|s| rated_less(s)).count();
    let all = fitting == 0 && !others && slow.len() > 1;
    if all && culprits == 0 {
        let same = slow.iter().all(|(_, have, list)| {
            (haves[*have].configured_mts, list.len()) == (haves[slow[0].1].configured_mts, slow[0].2.len())
        });
        if same {
            let Some(first) = slow[0].2.iter().find(|d| !d.unknown) else {
                return;
            };
            let sentence = format!(
                "All {} modules run slow: expected {}, found {}. Look at the memory speed in the firmware's setup, and at which \
                 slots are filled.",
                slow.len(),
                first.expected,
                first.found
            );
            findings.add(
                code::MEMORY_SLOW,
                "memory",
                &first.expected,
                &first.found,
                &sentence,
            );
            return;
        }
    }
    let held_back = culprits > 0 || (others && slow.len() > 1 && fitting == 0);
    let told: Vec<Differing> = slow
        .iter()
        .filter(|entry| !held_back || rated_less(entry))
        .filter_map(|(want, have, list)| {
            Some(Differing {
                want: &wants[*want],
                have: *have,
                said: said(list)?,
            })
        })
        .collect();
    tell(findings, names, &told);
}

/// The part itself is another one: of the ordered part the rated speed is as ordered, whatever firmware writes.
fn slow_by_make(want: &DimmProfile, have: &MemorySlot) -> bool {
    let part = want.part.as_deref().zip(have.part.as_deref());
    !part.is_some_and(|(want, have)| super::text::same_part(want, have))
}

/// The least speeds that hold for every module.
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
            && let Some(said) = said(&list[..])
            && said.code == code::DIMM_SLOW
            && !findings.has(code::DIMM_SLOW, &place_of(slot))
        {
            slow.push(Differing {
                want: &all,
                have,
                said,
            });
        }
    }
    tell(findings, &names, &slow);
}

/// Whether a number is no further off than so many percent.
pub(super) fn near(found: u64, wanted: u64, percent: u32) -> bool {
    u128::from(found.abs_diff(wanted)) * 100 <= u128::from(wanted) * u128::from(percent)
}
