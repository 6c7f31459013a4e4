//! One memory module against one entry of the profile.

use inventory_api::check::{DimmProfile, code};
use inventory_api::report::MemorySlot;

use super::parts::{Difference, Kind, Place};
use super::text::{memory_size, same, words};

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

    fn differences(&self, want: &DimmProfile, have: &MemorySlot) -> Vec<Difference> {
        let mut list = Vec::new();
        let mut add = |code, expected: String, found: Option<String>, unknown: &str| {
            list.push(Difference {
                code,
                expected,
                found: found.unwrap_or_else(|| format!("{unknown} not reported")),
            });
        };
        let smaller = want
            .size
            .filter(|size| have.size_bytes.is_none_or(|is| is < *size));
        if let Some(size) = smaller {
            add(
                code::DIMM_SMALLER,
                memory_size(size),
                have.size_bytes.map(memory_size),
                "size",
            );
        }
        let texts = [
            (code::DIMM_OTHER_PART, "part", &want.part, &have.part),
            (code::DIMM_OTHER_PART, "maker", &want.maker, &have.manufacturer),
            (code::DIMM_OTHER_KIND, "type", &want.kind, &have.kind),
        ];
        for (code, what, wanted, is) in texts {
            if let Some(wanted) = wanted.as_deref().filter(|w| !w.trim().is_empty())
                && !is.as_deref().is_some_and(|is| same(wanted, is))
            {
                add(code, wanted.to_owned(), is.clone(), what);
            }
        }
        let numbers = [
            ("ranks", want.rank, have.rank),
            ("bits wide", want.total_width, have.total_width),
        ];
        for (what, wanted, is) in numbers {
            if let Some(wanted) = wanted.filter(|wanted| is != Some(*wanted)) {
                let found = is.map(|is| format!("{is} {what}"));
                add(code::DIMM_OTHER_KIND, format!("{wanted} {what}"), found, what);
            }
        }
        if let Some(size) = want
            .size
            .filter(|size| have.size_bytes.is_some_and(|is| is > *size))
        {
            add(
                code::DIMM_LARGER,
                memory_size(size),
                have.size_bytes.map(memory_size),
                "size",
            );
        }
        let speeds = [
            ("rated", want.speed_mts, have.speed_mts),
            ("configured", want.configured_mts, have.configured_mts),
        ];
        for (what, wanted, is) in speeds {
            if let Some(wanted) = wanted {
                let least = u64::from(wanted) * u64::from(100_u32.saturating_sub(self.speed_percent));
                if is.is_none_or(|is| u64::from(is) * 100 < least) {
                    let found = is.map(|is| format!("{is} MT/s {what}"));
                    add(
                        code::DIMM_SLOW,
                        format!("{wanted} MT/s {what}"),
                        found,
                        &format!("{what} speed"),
                    );
                }
            }
        }
        list
    }

    /// A module that moved keeps its size and part; speed and such may follow the slot.
    fn resembles(&self, want: &DimmProfile, have: &MemorySlot) -> bool {
        let part = match (&want.part, &have.part) {
            (Some(want), Some(have)) => same(want, have),
            (want, have) => want.is_none() && have.is_none(),
        };
        want.size.is_some() && want.size == have.size_bytes && part
    }
}
