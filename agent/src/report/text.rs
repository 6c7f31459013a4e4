//! The report for people: `slipway-agent report`.

use std::fmt::Display;

use inventory_api::report::{
    AssetReport, CpuFacts, DiskFacts, FirmwareMode, MemoryFacts, MemorySlot, NicFacts, ProcessorFacts,
    Transport,
};

/// A page of plain text: what is there, one part a line. Absent facts are left out, not filled in.
pub fn render_text(report: &AssetReport) -> String {
    let mut page = Page(String::new());
    if let Some(s) = &report.system {
        page.line(
            "System",
            &[
                &s.manufacturer,
                &s.product,
                &s.version,
                &named("serial", &s.serial),
                &named("sku", &s.sku),
            ],
        );
        page.line("UUID", &[&s.uuid]);
    }
    if let Some(b) = &report.board {
        page.line(
            "Board",
            &[
                &b.manufacturer,
                &b.product,
                &b.version,
                &named("serial", &b.serial),
            ],
        );
    }
    if let Some(c) = &report.chassis {
        let facts = [
            &c.manufacturer,
            &c.kind,
            &c.version,
            &named("serial", &c.serial),
            &named("asset tag", &c.asset_tag),
        ];
        page.line("Chassis", &facts);
    }
    if let Some(f) = &report.firmware {
        page.line("Firmware", &[&f.vendor, &f.version, &f.date]);
    }
    let mode = match report.boot.mode {
        Some(FirmwareMode::Bios) => Some("BIOS".to_owned()),
        Some(FirmwareMode::Uefi) => Some("UEFI".to_owned()),
        Some(FirmwareMode::Unknown) | None => None,
    };
    let secure_boot = report
        .boot
        .secure_boot
        .map(|on| format!("Secure Boot {}", if on { "on" } else { "off" }));
    let boot_mac = named("from", &report.boot.boot_mac);
    page.line(
        "Booted",
        &[
            &mode,
            &secure_boot,
            &boot_mac,
            &named("kernel", &report.boot.kernel),
        ],
    );
    if let Some(cpu) = &report.cpu {
        page.cpu(cpu);
    }
    page.memory(&report.memory);
    report.disks.iter().for_each(|disk| page.disk(disk));
    report.nics.iter().for_each(|nic| page.nic(nic));
    for problem in &report.problems {
        page.line(
            "Problem",
            &[&Some(format!("{}: {}", problem.collector, problem.detail))],
        );
    }
    page.line(
        "Collected",
        &[&Some(format!(
            "in {} ms by agent {}",
            report.collect_ms, report.agent_version
        ))],
    );
    page.0
}

struct Page(String);

impl Page {
    /// A name and the facts that are there. Nothing is written when there are none.
    fn line(&mut self, name: &str, facts: &[&Option<String>]) {
        let facts: Vec<&str> = facts.iter().filter_map(|fact| fact.as_deref()).collect();
        if !facts.is_empty() {
            self.0.push_str(&format!("{name:<12}{}\n", facts.join(", ")));
        }
    }

    fn cpu(&mut self, cpu: &CpuFacts) {
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

    fn memory(&mut self, memory: &MemoryFacts) {
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

    fn disk(&mut self, d: &DiskFacts) {
        let transport = d.transport.and_then(|transport| match transport {
            Transport::Sata => Some("SATA"),
            Transport::Sas => Some("SAS"),
            Transport::Scsi => Some("SCSI"),
            Transport::Nvme => Some("NVMe"),
            Transport::Virtio => Some("virtio"),
            Transport::Usb => Some("USB"),
            Transport::Mmc => Some("MMC"),
            Transport::Unknown => None,
        });
        let facts = [
            Some(d.name.clone()),
            d.size_bytes.map(decimal),
            transport.map(str::to_owned),
            d.rotational
                .map(|spins| if spins { "rotating" } else { "solid state" }.to_owned()),
            d.model.clone(),
            named("serial", &d.serial),
            d.wwn.clone(),
            named("firmware", &d.firmware),
            d.pci.clone(),
            d.removable.filter(|r| *r).map(|_| "removable".to_owned()),
            d.read_only.filter(|r| *r).map(|_| "read-only".to_owned()),
        ];
        self.line("Disk", &facts.each_ref());
    }

    fn nic(&mut self, n: &NicFacts) {
        let link = n.link.map(|up| match (up, n.speed_mbps) {
            (true, Some(mbps)) => format!("link {mbps} Mbit/s"),
            (true, None) => "link".to_owned(),
            (false, _) => "no link".to_owned(),
        });
        let permanent = n
            .permanent_mac
            .filter(|permanent| n.mac.is_some_and(|mac| mac != *permanent));
        let facts = [
            Some(n.name.clone()),
            n.mac.map(|mac| mac.to_string()),
            named("permanent", &permanent),
            n.driver.clone(),
            n.pci.clone(),
            n.pci_id.clone(),
            link,
            named("firmware", &n.firmware),
        ];
        self.line("NIC", &facts.each_ref());
    }
}

fn named(name: &str, value: &Option<impl Display>) -> Option<String> {
    value.as_ref().map(|value| format!("{name} {value}"))
}

fn counted(count: Option<u32>, unit: &str) -> Option<String> {
    count.map(|n| format!("{n} {unit}{}", if n == 1 { "" } else { "s" }))
}

/// Memory is counted in powers of two.
fn binary(bytes: u64) -> String {
    scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"])
}

/// Disks are sold in powers of ten.
fn decimal(bytes: u64) -> String {
    scaled(bytes, 1000, ["B", "kB", "MB", "GB", "TB"])
}

fn scaled(bytes: u64, step: u64, units: [&str; 5]) -> String {
    let mut scale = 1_u64;
    let mut unit = 0;
    while unit + 1 < units.len() && bytes / scale >= step {
        scale *= step;
        unit += 1;
    }
    let (whole, tenth) = (bytes / scale, u128::from(bytes % scale) * 10 / u128::from(scale));
    match tenth {
        0 => format!("{whole} {}", units[unit]),
        tenth => format!("{whole}.{tenth} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use inventory_api::report::{CollectorProblem, SystemFacts};

    use super::*;

    #[test]
    fn sizes_as_people_say_them() {
        assert_eq!(binary(16 << 30), "16 GiB");
        assert_eq!(binary(1536 << 20), "1.5 GiB");
        assert_eq!(decimal(960_197_124_096), "960.1 GB");
        assert_eq!(decimal(512), "512 B");
        assert_eq!(binary(u64::MAX), "16777215.9 TiB");
    }

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
        let expected = "System      PowerEdge R630\n\
                        Memory      16 GiB in 1 of 2 slots\n  \
                        slot      A1, empty\n  \
                        slot      A2, 16 GiB, 2400 MT/s (runs at 1866)\n\
                        Problem     disks: sda: no answer\n\
                        Collected   in 0 ms by agent 0.1.0\n";
        assert_eq!(render_text(&report), expected);
    }
}
