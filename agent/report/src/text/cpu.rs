use inventory_api::report::{CpuFacts, ProcessorFacts};
use inventory_api::text::memory_size;

use super::{Page, counted, joined, named, when};

impl Page {
    pub(super) fn cpu(&mut self, cpu: &CpuFacts) {
        let range = match (cpu.min_mhz, cpu.max_mhz) {
            (Some(min), Some(max)) => Some(format!("{min:.0} to {max:.0} MHz")),
            (None, Some(max)) => Some(format!("up to {max:.0} MHz")),
            _ => None,
        };
        let numbers = [
            ("family", cpu.family),
            ("model", cpu.model_number),
            ("stepping", cpu.stepping),
        ];
        let numbers: Vec<String> = numbers
            .iter()
            .filter_map(|(name, number)| named(name, number))
            .collect();
        let facts = [
            cpu.model.clone(),
            cpu.vendor.clone(),
            counted(cpu.sockets, "socket"),
            counted(cpu.cores, "core"),
            counted(cpu.threads, "thread"),
            counted(cpu.numa_nodes, "NUMA node"),
            range,
            joined(&numbers, " "),
            named("microcode", &cpu.microcode),
        ];
        self.line("CPU", facts);
        self.line("  flags", [joined(&cpu.flags, " ")]);
        let caches = cpu.caches.iter().map(|cache| {
            let (level, kind) = (cache.level, &cache.kind);
            format!(
                "L{level} {kind} {} in {}",
                memory_size(cache.total_bytes),
                cache.instances
            )
        });
        let caches: Vec<String> = caches.collect();
        self.line("  caches", [joined(&caches, ", ")]);
        // Mitigated and irrelevant ones are only in the JSON.
        for (name, said) in &cpu.vulnerabilities {
            if said.starts_with("Vulnerable") {
                self.line("  open", [Some(format!("{name}: {said}"))]);
            }
        }
        for processor in &cpu.processors {
            self.processor(processor);
        }
    }

    fn processor(&mut self, p: &ProcessorFacts) {
        let cores = match (p.cores, p.cores_enabled) {
            (Some(cores), Some(enabled)) if enabled < cores => Some(format!("{enabled} of {cores} cores")),
            (cores, enabled) => counted(cores.or(enabled), "core"),
        };
        let facts = [
            p.socket.clone(),
            when(p.populated == Some(false), "empty"),
            p.model.clone(),
            named("part", &p.part),
            named("serial", &p.serial),
            cores,
            counted(p.threads, "thread"),
            p.current_mhz.map(|mhz| format!("{mhz} MHz")),
            when(p.enabled == Some(false), "switched off"),
        ];
        self.line("  socket", facts);
    }
}
