//! The report as text: `slipway-agent report`. One file per part; each adds its lines to the [`Page`].

mod boot;
mod cpu;
mod disks;
mod health;
mod machine;
mod memory;
mod nics;
mod pci;
mod platform;
mod slots;

use std::fmt::Display;

use inventory_api::report::AssetReport;

/// A page of plain text, one part per line. Absent facts are omitted.
pub fn render_text(report: &AssetReport) -> String {
    let mut page = Page(String::new());
    page.state(report);
    page.machine(report);
    page.boot(report);
    if let Some(cpu) = &report.cpu {
        page.cpu(cpu);
    }
    page.memory(&report.memory);
    report
        .controllers
        .iter()
        .for_each(|controller| page.controller(controller));
    report.disks.iter().for_each(|disk| page.disk(disk));
    report.nics.iter().for_each(|nic| page.nic(nic));
    report.gpus.iter().for_each(|gpu| page.gpu(gpu));
    report.pci.iter().for_each(|device| page.pci(device));
    page.slots(report);
    page.platform(report);
    for problem in &report.problems {
        let text = format!("{}: {}", problem.collector, problem.detail);
        page.line("Problem", [Some(text)]);
    }
    let (time, agent) = (report.collect_ms, &report.agent_version);
    page.line("Collected", [Some(format!("in {time} ms by agent {agent}"))]);
    page.0
}

struct Page(String);

impl Page {
    /// Writes a name and its facts; nothing if there are none.
    fn line<const N: usize>(&mut self, name: &str, facts: [Option<String>; N]) {
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        if !facts.is_empty() {
            self.0.push_str(&format!("{name:<12}{}\n", facts.join(", ")));
        }
    }
}

fn named(name: &str, value: &Option<impl Display>) -> Option<String> {
    value.as_ref().map(|value| format!("{name} {value}"))
}

fn joined(texts: &[String], between: &str) -> Option<String> {
    (!texts.is_empty()).then(|| texts.join(between))
}

/// The word, if the condition holds.
fn when(holds: bool, word: &str) -> Option<String> {
    holds.then(|| word.to_owned())
}

fn counted(count: Option<impl Into<u64>>, unit: &str) -> Option<String> {
    Some(inventory_api::text::counted(count?, unit))
}

#[cfg(test)]
mod tests {
    use inventory_api::report::{CollectorProblem, MemoryFacts, MemorySlot, SystemFacts};

    use super::*;

    #[test]
    fn only_what_is_known_is_written() {
        let report = AssetReport {
            agent_version: "0.1.0".to_owned(),
            system: Some(SystemFacts {
                product: Some("PowerEdge R630".to_owned()),
                ..Default::default()
            }),
            memory: MemoryFacts {
                usable_bytes: None,
                installed_bytes: Some(16 << 30),
                slots: vec![
                    MemorySlot {
                        slot: Some("A1".to_owned()),
                        populated: Some(false),
                        ..Default::default()
                    },
                    MemorySlot {
                        slot: Some("A2".to_owned()),
                        populated: Some(true),
                        size_bytes: Some(16 << 30),
                        speed_mts: Some(2400),
                        configured_mts: Some(1866),
                        ..Default::default()
                    },
                ],
                ..Default::default()
            },
            problems: vec![CollectorProblem {
                collector: "disks".to_owned(),
                detail: "sda: no answer".to_owned(),
            }],
            ..Default::default()
        };
        let expected = "Health      nothing wrong was reported; 1 fact could not be read\n\
                        System      PowerEdge R630\n\
                        Memory      16 GiB in 1 of 2 slots\n  \
                        1 x       16 GiB 2400 MT/s (runs at 1866): A2\n  \
                        empty     1 slot: A1\n\
                        Problem     disks: sda: no answer\n\
                        Collected   in 0 ms by agent 0.1.0\n";
        assert_eq!(render_text(&report), expected);
    }
}
