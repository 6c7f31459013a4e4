use inventory_api::report::{EdacCounter, MemoryFacts, MemorySlot};

use super::{Page, binary, counted, named};

impl Page {
    pub(super) fn memory(&mut self, memory: &MemoryFacts) {
        let modules = memory.slots.iter().filter(|slot| slot.size_bytes.is_some());
        let installed = memory.installed_bytes.map(|bytes| {
            format!(
                "{} in {} of {} slots",
                binary(bytes),
                modules.count(),
                memory.slots.len()
            )
        });
        let usable = memory
            .usable_bytes
            .map(|bytes| format!("{} usable", binary(bytes)));
        self.line("Memory", &[&installed, &usable]);
        for array in &memory.arrays {
            let facts = [
                array.location.clone(),
                array.slots.map(|slots| format!("{slots} slots")),
                array.max_bytes.map(|bytes| format!("up to {}", binary(bytes))),
                named("error correction", &array.error_correction),
            ];
            self.line("  array", &facts.each_ref());
        }
        for slot in &memory.slots {
            self.slot(slot);
        }
        for EdacCounter {
            controller,
            label,
            corrected,
            uncorrected,
        } in &memory.edac
        {
            let (corrected, uncorrected) = (corrected.unwrap_or(0), uncorrected.unwrap_or(0));
            if corrected > 0 || uncorrected > 0 {
                let errors = format!("{corrected} errors corrected, {uncorrected} not");
                self.line("  errors", &[&Some(controller.clone()), label, &Some(errors)]);
            }
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
        let ranks = counted(s.rank, "rank");
        self.line(
            "  slot",
            &[
                &s.slot,
                &s.bank,
                &size,
                &s.kind,
                &ranks,
                &speed,
                &s.manufacturer,
                &s.part,
                &named("serial", &s.serial),
            ],
        );
    }
}
