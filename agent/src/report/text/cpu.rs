use inventory_api::report::{CpuFacts, ProcessorFacts};

use super::{Page, counted, named};

impl Page {
    pub(super) fn cpu(&mut self, cpu: &CpuFacts) {
        let counts = [
            counted(cpu.sockets, "socket"),
            counted(cpu.cores, "core"),
            counted(cpu.threads, "thread"),
        ];
        self.line(
            "CPU",
            &[&cpu.model, &cpu.vendor, &counts[0], &counts[1], &counts[2]],
        );
        self.line(
            "  flags",
            &[&(!cpu.flags.is_empty()).then(|| cpu.flags.join(" "))],
        );
        for ProcessorFacts {
            socket,
            populated,
            model,
            serial,
            cores,
            threads,
            ..
        } in &cpu.processors
        {
            let empty = (*populated == Some(false)).then(|| "empty".to_owned());
            let facts = [
                socket,
                &empty,
                model,
                &named("serial", serial),
                &counted(*cores, "core"),
                &counted(*threads, "thread"),
            ];
            self.line("  socket", &facts);
        }
    }
}
