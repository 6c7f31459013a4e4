//! Compares a memory module with an entry of the profile.

use inventory_api::check::{DimmProfile, code};
use inventory_api::report::makers::memory_maker;
use inventory_api::report::{MemoryClass, MemorySlot};
use inventory_api::text::{counted, memory_size};

use super::difference::Differences;
use super::parts::{Kind, Place};
use super::text::{not_below, same, same_part, words, words_or};

/// A slot that holds a module, as far as the report tells.
pub(super) fn is_populated(slot: &MemorySlot) -> bool {
    slot.populated
        .unwrap_or(slot.size_bytes.is_some() || slot.part.is_some() || slot.serial.is_some())
}

/// The slot as the report names it.
pub(super) fn place_of(slot: &MemorySlot) -> String {
    let name = slot.slot.as_deref().or(slot.bank.as_deref());
    name.unwrap_or("memory").to_owned()
}

/// "64 GiB Micron MTA36ASF8G72PZ".
pub(super) fn describe(slot: &MemorySlot) -> String {
    in_words(slot.size_bytes, &slot.manufacturer, &slot.part, &slot.kind)
}

pub(super) fn describe_wanted(want: &DimmProfile) -> String {
    in_words(want.size, &want.maker, &want.part, &want.kind)
}

fn in_words(
    size: Option<u64>,
    maker: &Option<String>,
    part: &Option<String>,
    kind: &Option<String>,
) -> String {
    let size = size.map(memory_size);
    let part = part.as_deref().or(kind.as_deref());
    words_or("a module", [size.as_deref(), maker.as_deref(), part])
}

/// Modules in slots. A slot is identified by its name; if several have the same name, by name and bank, and
/// if necessary by order.
pub(super) struct Dimms {
    /// How far below the expected speed is tolerated, percent.
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

    fn differences(&self, want: &DimmProfile, have: &MemorySlot) -> Differences {
        let mut list = Differences::default();
        let sizes = (want.size, have.size_bytes);
        list.fact(
            code::DIMM_SMALLER,
            "size",
            sizes,
            |wanted, is| is >= wanted,
            memory_size,
        );
        let as_ordered = part(&mut list, want, have);
        class(&mut list, want, have, as_ordered);
        list.text(code::DIMM_OTHER_KIND, "type", &want.kind, &have.kind, same);
        let ranks = |n: u32| counted(n, "rank");
        let bits = |n: u32| format!("{} wide", counted(n, "bit"));
        let code = code::DIMM_OTHER_KIND;
        list.exact(code, "number of ranks", want.rank, have.rank, ranks);
        list.exact(code, "width", want.total_width, have.total_width, bits);
        if let (Some(wanted), Some(is)) = sizes
            && is > wanted
        {
            list.add(code::DIMM_LARGER, memory_size(wanted), memory_size(is));
        }
        // Some firmware writes the speed of the processor; the same part has the same speed.
        let rated = want.speed_mts.filter(|_| !as_ordered);
        for (what, speeds) in [
            ("rated", (rated, have.speed_mts)),
            ("configured", (want.configured_mts, have.configured_mts)),
        ] {
            let holds = |wanted, is| not_below(is, wanted, self.speed_percent);
            let shown = |speed: u32| format!("{speed} MT/s {what}");
            list.fact(code::DIMM_SLOW, &format!("{what} speed"), speeds, holds, shown);
        }
        list
    }

    fn may_be(&self, want: &DimmProfile, have: &MemorySlot) -> bool {
        let mut list = Differences::default();
        class(&mut list, want, have, false);
        list.0.is_empty() || want.class.is_some()
    }

    /// A module that moved keeps its size and part; the speed may depend on the slot.
    fn resembles(&self, want: &DimmProfile, have: &MemorySlot) -> bool {
        let part = match (&want.part, &have.part) {
            (Some(want), Some(have)) => same_part(want, have),
            (want, have) => want.is_none() && have.is_none(),
        };
        want.size.is_some() && want.size == have.size_bytes && part
    }
}

/// Compares part number and maker. Returns whether the part number is as ordered; then so is the maker,
/// however it is written.
fn part(list: &mut Differences, want: &DimmProfile, have: &MemorySlot) -> bool {
    let before = list.0.len();
    let (parts, makers) = ((&want.part, &have.part), (&want.maker, &have.manufacturer));
    let same_maker = |wanted: &str, is: &str| same(wanted, is) || memory_maker(wanted) == memory_maker(is);
    let as_ordered = list.part(code::DIMM_OTHER_PART, parts, makers, same_maker);
    // If neither is reported, the module as a whole is not.
    if let [part, maker] = &mut list.0[before..]
        && part.unknown
        && maker.unknown
    {
        part.expected = words([Some(maker.expected.as_str()), Some(part.expected.as_str())]);
        list.0.pop();
    }
    as_ordered
}

pub(super) fn is_persistent(slot: &MemorySlot) -> bool {
    slot.class == Some(MemoryClass::Persistent)
}

/// Whether it is not plain memory: an entry for a group must then name its class.
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

/// An entry for a group without a class means plain memory: a persistent module must not replace a missing
/// one.
fn class(list: &mut Differences, want: &DimmProfile, have: &MemorySlot, as_ordered: bool) {
    let placed = want.slot.is_some() || want.bank.is_some();
    let kinds = want.kind.as_deref().zip(have.kind.as_deref());
    let says = kinds.is_some_and(|(wanted, is)| same(wanted, is) && is.contains("non-volatile"));
    let wanted = match want.class {
        None if is_special(have) && !placed && !as_ordered && !says => Some(MemoryClass::Dram),
        class => class,
    };
    let shown = |class| class_name(class).to_owned();
    list.exact(code::DIMM_OTHER_KIND, "kind of module", wanted, have.class, shown);
}
