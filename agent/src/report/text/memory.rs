use inventory_api::report::{MemoryFacts, MemorySlot};

use super::{Page, binary, named};

impl Page {
    pub(super) fn memory(&mut self, memory: &MemoryFacts) {
        let modules: Vec<u64> = memory.slots.iter().filter_map(|slot| slot.size_bytes).collect();
        let total = modules.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        let installed = (!modules.is_empty()).then(|| {
            format!(
                "{} in {} of {} slots",
                binary(total),
                modules.len(),
                memory.slots.len()
            )
        });
        let usable = memory
            .usable_bytes
            .map(|bytes| format!("{} usable", binary(bytes)));
        self.line("Memory", &[&installed, &usable]);
        for slot in &memory.slots {
            self.slot(slot);
        }
    }

    fn slot(&mut self, s: &MemorySlot) {
        let empty = (s.populated == Some(false)).then(|| "empty".to_owned());
        if empty.is_some() {
            self.line("  slot", &[&s.slot, &s.bank, &empty]);
            return;
        }
        let speed = s.speed_mts.map(|speed| match s.configured_mts {
            Some(now) if now != speed => format!("{speed} MT/s (runs at {now})"),
            _ => format!("{speed} MT/s"),
        });
        let size = s.size_bytes.map(binary);
        self.line(
            "  slot",
            &[
                &s.slot,
                &s.bank,
                &size,
                &s.kind,
                &speed,
                &s.manufacturer,
                &s.part,
                &named("serial", &s.serial),
            ],
        );
    }
}
