//! Type 39: power supplies.

use inventory_api::report::PowerSupply;

use super::super::Problems;
use super::structure::Structure;
use super::table::Table;
use super::words;

const LIMIT: usize = 64;

pub(super) fn power_supplies(table: &Table, problems: &mut Problems) -> Vec<PowerSupply> {
    let supplies = table.all(39, 0x10, problems);
    supplies
        .into_iter()
        .take(LIMIT)
        .map(|s| power_supply(s, problems))
        .collect()
}

/// 7.40; strings are kept for a bay marked empty, because some firmware leaves the bits at zero.
fn power_supply(s: &Structure, problems: &mut Problems) -> PowerSupply {
    let bits = s.word(0x0e).unwrap_or(0);
    let present = bits & 0x02 != 0;
    let name = s.fact(0x06, problems);
    PowerSupply {
        location: s.place(0x05, problems).or_else(|| name.clone()),
        name,
        manufacturer: s.fact(0x07, problems),
        serial: s.fact(0x08, problems),
        asset_tag: s.fact(0x09, problems),
        part: s.fact(0x0a, problems),
        revision: s.fact(0x0b, problems),
        // 0x8000: unknown.
        max_watts: s.word(0x0c).filter(|w| !matches!(w, 0 | 0x8000)).map(u32::from),
        present: Some(present),
        plugged: present.then_some(bits & 0x04 == 0),
        status: present
            .then(|| words::power_supply_status((bits >> 7 & 0x07) as u8))
            .flatten()
            .map(str::to_owned),
        hot_replaceable: Some(bits & 0x01 != 0),
    }
}
