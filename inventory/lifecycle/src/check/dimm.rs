//! One memory module against one entry of the profile.

use inventory_api::check::{DimmProfile, code};
use inventory_api::report::makers::memory_maker;
use inventory_api::report::{MemoryClass, MemorySlot};

use super::difference::Difference;
use super::parts::{Kind, Place};
use super::text::{counted, memory_size, same, same_part, words};

/// A slot that has a module, as far as the report tells.
pub(super) fn is_populated(slot: &MemorySlot) -> bool {
    slot.populated
        .unwrap_or(slot.size_bytes.is_some() || slot.part.is_some() || slot.serial.is_some())
}

/// The slot as the report names it.
pub(super) fn place_of(slot: &MemorySlot) -> String {
    let name = slot.slot.as_deref().or(slot.bank.as_deref());
    name.unwrap_or("memory").to_owned()
}

/// "64 GB Micron MTA36ASF8G72PZ".
pub(super) fn describe(slot: &MemorySlot) -> String {
    let size = slot.size_bytes.map(memory_size);
    let text = words([
        size.as_deref(),
        slot.manufacturer.as_deref(),
        slot.part.as_deref().or(slot.kind.as_deref()),
    ]);
    if text.is_empty() {
        "a module".to_owned()
    } else {
        text
    }
}

pub(super) fn describe_wanted(want: &DimmProfile) -> String {
    let size = want.size.map(memory_size);
    let text = words([
        size.as_deref(),
        want.maker.as_deref(),
        want.part.as_deref().or(want.kind.as_deref()),
    ]);
    if text.is_empty() {
        "a module".to_owned()
    } else {
        text
    }
}

/// Modules in slots. A slot is known by its name; where several slots have one name, by name and bank; where that is not
/// enough, by their order too.
pub(super) struct Dimms {
    /// How far below the wanted speed is well enough, percent.
    pub speed_percent: u32,
}

impl Kind for Dimms {
    type Want = DimmProfile;
    type Have = MemorySlot;

    fn place(&self, want: &DimmProfile) -> Option<Place> {
        Place::new("slot", want.slot.as_deref(), want.bank.as_deref())
            .or_else(|| Place::new("bank", want.bank.as_deref(), None))
    }

    fn places(&self, have: &MemorySlot) -> Vec<Place> {
        Place::new("slot", have.slot.as_deref(), have.bank.as_deref())
            .or_else(|| Place::new("bank", have.bank.as_deref(), None))
            .into_iter()
            .collect()
    }

    fn count(&self, want: &DimmProfile) -> u32 {
        want.count.unwrap_or(1)
    }

    fn wants_empty(&self, want: &DimmProfile) -> bool {
        want.empty
    }

    fn is_there(&self, have: &MemorySlot) -> bool {
        is_populated(have)
    }

    fn has_nameless_places(&self) -> bool {
        true
    }

    fn lists_places(&self) -> bool {
        true
    }

    fn differences(&self, want: &DimmProfile, have: &MemorySlot) -> Vec<Difference> {
        let mut list = Vec::new();
        let size = have.size_bytes;
        if let Some(wanted) = want.size.filter(|wanted| size.is_none_or(|is| is < *wanted)) {
            let found = size.map(memory_size);
            list.push(Difference::of(
                code::DIMM_SMALLER,
                memory_size(wanted),
                found,
                "size",
            ));
        }
        let as_ordered = part(&mut list, want, have);
        class(&mut list, want, have, as_ordered);
        if let Some(wanted) = text(&want.kind)
            && !have.kind.as_deref().is_some_and(|is| same(wanted, is))
        {
            list.push(Difference::of(
                code::DIMM_OTHER_KIND,
                wanted,
                have.kind.clone(),
                "type",
            ));
        }
        let ranks = |n: u32| counted(u64::from(n), "rank");
        if let Some(wanted) = want.rank.filter(|wanted| have.rank != Some(*wanted)) {
            let found = have.rank.map(ranks);
            list.push(Difference::of(
                code::DIMM_OTHER_KIND,
                ranks(wanted),
                found,
                "number of ranks",
            ));
        }
        let bits = |n: u32| format!("{} wide", counted(u64::from(n), "bit"));
        if let Some(wanted) = want
            .total_width
            .filter(|wanted| have.total_width != Some(*wanted))
        {
            let found = have.total_width.map(bits);
            list.push(Difference::of(
                code::DIMM_OTHER_KIND,
                bits(wanted),
                found,
                "width",
            ));
        }
        if let Some((wanted, size)) = want.size.zip(size).filter(|(wanted, is)| is > wanted) {
            list.push(Difference::new(
                code::DIMM_LARGER,
                memory_size(wanted),
                memory_size(size),
            ));
        }
        let speeds = [
            // Some firmware writes what the processor can do: the same part has the same speed.
            ("rated", want.speed_mts.filter(|_| !as_ordered), have.speed_mts),
            ("configured", want.configured_mts, have.configured_mts),
        ];
        for (what, wanted, is) in speeds {
            if let Some(wanted) = wanted {
                let least = u64::from(wanted) * u64::from(100_u32.saturating_sub(self.speed_percent));
                if is.is_none_or(|is| u64::from(is) * 100 < least) {
                    list.push(Difference::of(
                        code::DIMM_SLOW,
                        format!("{wanted} MT/s {what}"),
                        is.map(|is| format!("{is} MT/s {what}")),
                        &format!("{what} speed"),
                    ));
                }
            }
        }
        list
    }

    fn may_be(&self, want: &DimmProfile, have: &MemorySlot) -> bool {
        let mut list = Vec::new();
        class(&mut list, want, have, false);
        list.is_empty() || want.class.is_some()
    }

    /// A module that moved keeps its size and part; speed and such may follow the slot.
    fn resembles(&self, want: &DimmProfile, have: &MemorySlot) -> bool {
        let part = match (&want.part, &have.part) {
            (Some(want), Some(have)) => same_part(want, have),
            (want, have) => want.is_none() && have.is_none(),
        };
        want.size.is_some() && want.size == have.size_bytes && part
    }
}

fn text(wanted: &Option<String>) -> Option<&str> {
    wanted.as_deref().filter(|text| !text.trim().is_empty())
}

/// Part number and maker. Returns whether the part number is as ordered: then the maker is, in whatever words.
fn part(list: &mut Vec<Difference>, want: &DimmProfile, have: &MemorySlot) -> bool {
    let (maker, found_maker) = (text(&want.maker), have.manufacturer.as_deref());
    if let Some(wanted) = text(&want.part) {
        if have.part.as_deref().is_some_and(|is| same_part(wanted, is)) {
            return true;
        }
        let Some(found) = &have.part else {
            let unknown = maker.filter(|_| found_maker.is_none());
            let expected = words([unknown, Some(wanted)]);
            list.push(Difference::unknown(code::DIMM_OTHER_PART, expected, "part"));
            if unknown.is_some() {
                return false;
            }
            return maker_differs(list, maker, found_maker);
        };
        list.push(Difference::new(code::DIMM_OTHER_PART, wanted, found));
    }
    maker_differs(list, maker, found_maker)
}

/// Returns false: the part number is not as ordered.
fn maker_differs(list: &mut Vec<Difference>, wanted: Option<&str>, is: Option<&str>) -> bool {
    if let Some(wanted) = wanted
        && !is.is_some_and(|is| same(wanted, is) || memory_maker(wanted) == memory_maker(is))
    {
        list.push(Difference::of(
            code::DIMM_OTHER_PART,
            wanted,
            is.map(str::to_owned),
            "maker",
        ));
    }
    false
}

pub(super) fn is_persistent(slot: &MemorySlot) -> bool {
    slot.class == Some(MemoryClass::Persistent)
}

/// No plain memory module: an entry for a group must name its class.
pub(super) fn is_special(slot: &MemorySlot) -> bool {
    matches!(slot.class, Some(MemoryClass::Persistent | MemoryClass::Hbm))
}

fn class_name(class: MemoryClass) -> &'static str {
    match class {
        MemoryClass::Dram => "DRAM",
        MemoryClass::Persistent => "persistent memory",
        MemoryClass::Hbm => "HBM",
        MemoryClass::Flash => "flash",
        MemoryClass::Unknown => "unknown",
    }
}

/// An entry for a group without a class means plain memory: a persistent module must not stand for a missing one.
fn class(list: &mut Vec<Difference>, want: &DimmProfile, have: &MemorySlot, as_ordered: bool) {
    let found = have.class.map(|class| class_name(class).to_owned());
    let placed = want.slot.is_some() || want.bank.is_some();
    let says = text(&want.kind).is_some_and(|kind| have.kind.as_deref().is_some_and(|is| same(kind, is)));
    let says = says
        && have
            .kind
            .as_deref()
            .is_some_and(|kind| kind.contains("non-volatile"));
    match want.class {
        Some(wanted) if have.class != Some(wanted) => list.push(Difference::of(
            code::DIMM_OTHER_KIND,
            class_name(wanted),
            found,
            "kind of module",
        )),
        None if is_special(have) && !placed && !as_ordered && !says => list.push(Difference::new(
            code::DIMM_OTHER_KIND,
            class_name(MemoryClass::Dram),
            found.unwrap_or_default(),
        )),
        Some(_) | None => {}
    }
}
