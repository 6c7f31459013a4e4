use inventory_api::report::{EdacCounter, MemoryClass, MemoryFacts, MemorySlot};
use inventory_api::text::memory_size;

use super::{Page, counted, joined, named, when};

impl Page {
    pub(super) fn memory(&mut self, memory: &MemoryFacts) {
        let modules = memory.slots.iter().filter(|slot| slot.size_bytes.is_some());
        let installed = memory.installed_bytes.map(|bytes| {
            format!(
                "{} in {} of {}",
                memory_size(bytes),
                modules.count(),
                counted(u32::try_from(memory.slots.len()).ok(), "slot").unwrap_or_default()
            )
        });
        let usable = memory
            .usable_bytes
            .map(|bytes| format!("{} usable", memory_size(bytes)));
        let persistent = memory
            .persistent_bytes
            .map(|bytes| format!("{} persistent", memory_size(bytes)));
        self.line("Memory", [installed, persistent, usable]);
        for array in &memory.arrays {
            let facts = [
                array.location.clone(),
                counted(array.slots, "slot"),
                array
                    .max_bytes
                    .map(|bytes| format!("up to {}", memory_size(bytes))),
                named("error correction", &array.error_correction),
            ];
            self.line("  array", facts);
        }
        self.modules(&memory.slots);
        for EdacCounter {
            controller,
            label,
            corrected,
            uncorrected,
        } in &memory.edac
        {
            let (corrected, uncorrected) = (corrected.unwrap_or(0), uncorrected.unwrap_or(0));
            if corrected > 0 || uncorrected > 0 {
                let corrected = counted(Some(corrected), "error").unwrap_or_default();
                let errors = format!("{corrected} corrected, {uncorrected} not");
                self.line(
                    "  errors",
                    [Some(controller.clone()), label.clone(), Some(errors)],
                );
            }
        }
    }

    /// Identical modules in one line, with place and serial number of each; empty slots in one line.
    fn modules(&mut self, slots: &[MemorySlot]) {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        let mut empty: Vec<String> = Vec::new();
        for slot in slots {
            let place = [&slot.slot, &slot.bank].into_iter().flatten().next();
            let place = place.map_or("a slot without a name", String::as_str);
            if slot.populated == Some(false) {
                empty.push(place.to_owned());
                continue;
            }
            let here = match &slot.serial {
                Some(serial) => format!("{place} (serial {serial})"),
                None => place.to_owned(),
            };
            let module = module(slot);
            match groups.iter_mut().find(|(known, _)| *known == module) {
                Some((_, places)) => places.push(here),
                None => groups.push((module, vec![here])),
            }
        }
        for (module, places) in groups {
            let name = format!("  {} x", places.len());
            self.line(&name, [Some(format!("{module}: {}", places.join(", ")))]);
        }
        if let Some(count) = counted(u32::try_from(empty.len()).ok().filter(|n| *n > 0), "slot") {
            self.line("  empty", [Some(format!("{count}: {}", empty.join(", ")))]);
        }
    }
}

/// "32 GiB DDR4-3200, 2 ranks, Samsung M393A4K40CB2-CVF".
fn module(s: &MemorySlot) -> String {
    let speed = match (s.speed_mts, s.configured_mts) {
        (Some(speed), Some(now)) if now != speed => Some(format!("{speed} MT/s (runs at {now})")),
        (Some(speed), _) => Some(format!("{speed} MT/s")),
        (None, _) => None,
    };
    // People say "DDR4-3200".
    let short = s
        .kind
        .as_deref()
        .zip(s.speed_mts)
        .filter(|_| s.configured_mts.is_none_or(|now| Some(now) == s.speed_mts));
    let kind = match short {
        Some((kind, speed)) if kind.starts_with("DDR") => vec![format!("{kind}-{speed}")],
        _ => s.kind.iter().cloned().chain(speed).collect(),
    };
    let size: Vec<String> = s.size_bytes.map(memory_size).into_iter().chain(kind).collect();
    let maker: Vec<String> = [&s.manufacturer, &s.part]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let class = s.class.and_then(|class| match class {
        MemoryClass::Persistent => Some("persistent".to_owned()),
        _ => when(s.cache_bytes.is_some_and(|bytes| bytes > 0), "cache"),
    });
    let facts = [
        joined(&size, " "),
        class,
        counted(s.rank, "rank"),
        joined(&maker, " "),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    joined(&facts, ", ").unwrap_or_else(|| "a module".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_modules_and_empty_slots_are_one_line_each() {
        let slot = |name: &str, rank: Option<u32>, configured: u32| MemorySlot {
            slot: Some(name.to_owned()),
            populated: Some(rank.is_some()),
            size_bytes: rank.map(|_| 32 << 30),
            kind: Some("DDR4".to_owned()),
            speed_mts: Some(3200),
            configured_mts: Some(configured),
            rank,
            manufacturer: Some("Samsung".to_owned()),
            part: Some("M393A4K40CB2-CVF".to_owned()),
            serial: (name == "A2").then(|| "36F1".to_owned()),
            ..MemorySlot::default()
        };
        let mut page = Page(String::new());
        page.modules(&[
            slot("A1", Some(2), 3200),
            slot("A2", Some(2), 3200),
            slot("A3", Some(1), 2933),
            slot("B1", None, 0),
            slot("B2", None, 0),
        ]);
        assert_eq!(
            page.0,
            "  2 x       32 GiB DDR4-3200, 2 ranks, Samsung M393A4K40CB2-CVF: A1, A2 (serial 36F1)\n  \
             1 x       32 GiB DDR4 3200 MT/s (runs at 2933), 1 rank, Samsung M393A4K40CB2-CVF: A3\n  \
             empty     2 slots: B1, B2\n"
        );
    }
}
