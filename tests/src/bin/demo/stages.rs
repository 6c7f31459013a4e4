//! What happened, from the three places where it can be seen: the journey of the machine's packets, its
//! history, and its serial console.

use std::collections::VecDeque;

use inventory_api::UnixMs;
use inventory_api::boot::{BootEvent, BootEventKind, BootTarget, TftpEnd};
use inventory_api::check::{CheckResult, Verdict};
use inventory_api::machine::{HistoryEntry, MachineDetail};
use inventory_api::report::AssetReport;

use crate::screen::bytes;

/// One event that the demo prints.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// When it happened, by the server's clock.
    pub at: UnixMs,
    pub stage: &'static str,
    /// The text, possibly several lines.
    pub text: String,
}

/// Remembers what has been printed.
#[derive(Default)]
pub struct Stages {
    heard: VecDeque<BootEvent>,
    last_packet: String,
    last_seq: i64,
    console: usize,
    from_disk: bool,
    claimed: bool,
    write_began: Option<UnixMs>,
}

impl Stages {
    /// New events of the journey. The journey is bounded, so events are compared, not counted.
    pub fn packets(&mut self, events: &[BootEvent]) -> Vec<News> {
        let fresh = fresh(&self.heard, events).to_vec();
        self.heard = events.iter().cloned().collect();
        let mut news: Vec<News> = Vec::new();
        for event in fresh {
            if let BootEventKind::Script { target } = event.what {
                self.from_disk = target == BootTarget::LocalDisk;
                self.claimed = false;
            }
            let Some((stage, text)) = packet(&event) else {
                continue;
            };
            // Firmware asks several times; print once.
            if text != self.last_packet {
                self.last_packet.clone_from(&text);
                news.push(News {
                    at: event.at,
                    stage,
                    text,
                });
            }
        }
        news
    }

    /// New rows of the history. `detail` was requested after it.
    pub fn history(&mut self, entries: &[HistoryEntry], detail: &MachineDetail) -> Vec<News> {
        let mut news = Vec::new();
        let known = std::mem::replace(&mut self.last_seq, entries.last().map_or(0, |e| e.seq));
        for entry in entries.iter().filter(|e| e.seq > known) {
            let mut tell = |stage, text: String| {
                news.push(News {
                    at: entry.at,
                    stage,
                    text,
                })
            };
            if let Some(began) = self.write_began.take() {
                tell("install", written(detail, began, entry.at));
            }
            match entry.event.as_str() {
                // Already printed from the journey.
                "script-given" => {}
                "claimed" => tell(
                    "mini-os",
                    "the agent traded its boot ticket for a machine certificate".to_owned(),
                ),
                "reported" => {
                    if let Some(report) = &detail.report {
                        tell("report", hardware(report));
                    }
                    if let Some(check) = &detail.check {
                        tell("verdict", verdict(check));
                    }
                    if let Some(plan) = &detail.plan {
                        let disk = plan
                            .disk
                            .serial
                            .as_deref()
                            .or(plan.disk.wwn.as_deref())
                            .unwrap_or("?");
                        tell(
                            "plan",
                            format!(
                                "{} {} on disk {disk} ({}) as {}, {} steps",
                                plan.image,
                                plan.image_version,
                                bytes(plan.disk.size_bytes),
                                plan.hostname,
                                plan.steps.len()
                            ),
                        );
                    }
                }
                "step-starting" => {
                    tell("install", step(&entry.sentence, detail));
                    if entry.sentence.contains("write-image") {
                        self.write_began = Some(entry.at);
                    }
                }
                "install-done" => tell("reboot", entry.sentence.clone()),
                "resident-reported" => tell("checked in", entry.sentence.clone()),
                "verified" => {
                    let items = detail.verification.iter().flat_map(|v| &v.items);
                    let list: Vec<String> = items
                        .map(|i| format!("{} {}: {}", if i.ok { "ok " } else { "NOT" }, i.what, i.found))
                        .collect();
                    tell("verified", format!("{}\n{}", entry.sentence, list.join("\n")));
                }
                "step-failed" | "security-alarm" | "deadline-passed" | "wipe-failed" => {
                    tell("problem", entry.sentence.clone());
                }
                _ => tell("server", entry.sentence.clone()),
            }
        }
        news
    }

    /// New lines on the serial console: kernels that start, and what the agent says until it talks to the
    /// server.
    pub fn console(&mut self, all: &str, now: UnixMs) -> Vec<News> {
        let mut news = Vec::new();
        let mut tell = |stage, text: String| news.push(News { at: now, stage, text });
        // Complete lines only.
        let end = all.rfind('\n').map_or(0, |i| i + 1);
        let fresh = all.get(self.console..end).unwrap_or_default();
        self.console = self.console.max(end);
        for line in fresh.lines() {
            let line = plain(line);
            if let Some((_, version)) = line.split_once("Linux version ") {
                let version = version.split_ascii_whitespace().next().unwrap_or_default();
                match self.from_disk {
                    true => tell("local boot", format!("Linux {version} starts from the disk")),
                    false => tell("mini-os", format!("Linux {version} starts")),
                }
            } else if let Some(said) = said_by_agent(&line).filter(|_| !self.from_disk) {
                let bad = said.starts_with("FAILED") || said.starts_with("next: ");
                if bad || !self.claimed {
                    tell(if bad { "problem" } else { "console" }, said.to_owned());
                }
                // From here on the server knows what the console says.
                self.claimed |= said.starts_with("server: ");
            }
        }
        news
    }
}

/// The events after those that were seen before.
fn fresh<'a>(heard: &VecDeque<BootEvent>, events: &'a [BootEvent]) -> &'a [BootEvent] {
    let known = heard
        .back()
        .and_then(|last| events.iter().rposition(|event| event == last));
    &events[known.map_or(0, |i| i + 1)..]
}

fn packet(event: &BootEvent) -> Option<(&'static str, String)> {
    let who = event.ip.map_or("no address".to_owned(), |ip| ip.to_string());
    Some(match &event.what {
        BootEventKind::Dhcp {
            message,
            client,
            answer,
            boot_file,
            ..
        } => {
            let file = boot_file
                .as_ref()
                .map_or(String::new(), |f| format!(", boot file {f}"));
            ("DHCP", format!("{message} from {client}: {answer} {who}{file}"))
        }
        // EDK2 first asks for the file's length.
        BootEventKind::Tftp {
            end: TftpEnd::SizeAsked,
            ..
        } => return None,
        BootEventKind::Tftp {
            file,
            bytes: sent,
            complete,
            ..
        } => {
            let all = if *complete { "100 %" } else { "broken off" };
            ("boot file", format!("{file}, {} by TFTP, {all}", bytes(*sent)))
        }
        // The history covers the agent.
        BootEventKind::Connection { .. } | BootEventKind::Agent { .. } => return None,
        // The script it gets is a separate event.
        BootEventKind::Http { path, .. } if path.ends_with(".ipxe") => return None,
        BootEventKind::Http { head: true, .. } => return None,
        BootEventKind::Http {
            path,
            bytes: sent,
            status,
            ..
        } => {
            let failed = if *status >= 400 {
                format!(", status {status}")
            } else {
                String::new()
            };
            let (stage, what) = match path.strip_prefix("/boot/") {
                Some(file) => ("mini-os", file.to_owned()),
                None => ("image", path.chars().take(24).collect()),
            };
            (stage, format!("{what}, {} by HTTP{failed}", bytes(*sent)))
        }
        BootEventKind::Chosen { choice, .. } => ("boot menu", format!("{choice} was chosen at the console")),
        BootEventKind::Script { target } => match target {
            BootTarget::MiniOs { purpose } => ("boot script", format!("boot the mini-os ({purpose})")),
            BootTarget::LocalDisk => ("local boot", "boot script: boot your own disk".to_owned()),
            BootTarget::Ignore => return None,
        },
    })
}

/// "Step 5 began: bootloader." with the number of steps.
fn step(sentence: &str, detail: &MachineDetail) -> String {
    let parts = sentence
        .strip_prefix("Step ")
        .and_then(|s| s.split_once(" began: "));
    match (parts, &detail.plan) {
        (Some((number, name)), Some(plan)) => {
            format!(
                "step {number}/{} {}",
                plan.steps.len(),
                name.trim_end_matches('.')
            )
        }
        _ => sentence.to_owned(),
    }
}

fn written(detail: &MachineDetail, began: UnixMs, ended: UnixMs) -> String {
    use inventory_api::plan::Step;
    let size = detail
        .plan
        .iter()
        .flat_map(|p| &p.steps)
        .find_map(|step| match step {
            Step::WriteImage { source, .. } => Some(source),
            _ => None,
        });
    let seconds = ended.0.saturating_sub(began.0) as f64 / 1e3;
    match size {
        Some(source) => format!(
            "image written: {} from {} in {seconds:.1} s, {:.0} MB/s, both digests right",
            bytes(source.content_bytes),
            bytes(source.compressed_bytes),
            source.content_bytes as f64 / 1e6 / seconds.max(0.001)
        ),
        None => format!("image written in {seconds:.1} s"),
    }
}

/// The report in a few lines.
fn hardware(report: &AssetReport) -> String {
    let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "?".to_owned());
    let mut lines = Vec::new();
    if let Some(system) = &report.system {
        lines.push(format!(
            "{} {}, serial {}",
            text(&system.manufacturer),
            text(&system.product),
            text(&system.serial)
        ));
    }
    if let Some(cpu) = &report.cpu {
        lines.push(format!(
            "CPU: {}, {} cores",
            text(&cpu.model),
            cpu.cores.map_or("?".to_owned(), |n| n.to_string())
        ));
    }
    for slot in report.memory.slots.iter().filter(|s| s.populated != Some(false)) {
        let speed = slot.speed_mts.map_or(String::new(), |s| format!(", {s} MT/s"));
        lines.push(format!(
            "memory {}: {} MiB, {} {}, serial {}{speed}",
            text(&slot.slot),
            slot.size_bytes.unwrap_or(0) >> 20,
            text(&slot.manufacturer),
            text(&slot.part),
            text(&slot.serial)
        ));
    }
    for disk in &report.disks {
        lines.push(format!(
            "disk {}: {}, serial {}",
            disk.name,
            bytes(disk.size_bytes.unwrap_or(0)),
            text(&disk.serial)
        ));
    }
    for nic in &report.nics {
        lines.push(format!(
            "NIC {}: {}, {}",
            nic.name,
            nic.mac.map_or("?".to_owned(), |m| m.to_string()),
            text(&nic.driver)
        ));
    }
    for problem in &report.problems {
        lines.push(format!("not read: {}: {}", problem.collector, problem.detail));
    }
    lines.join("\n")
}

fn verdict(check: &CheckResult) -> String {
    let mut text = match check.verdict {
        Verdict::Pass => "pass: the hardware is as expected".to_owned(),
        Verdict::Warn => "pass, with warnings".to_owned(),
        Verdict::Fail => "fail: no disk is touched".to_owned(),
    };
    for finding in &check.findings {
        text.push_str(&format!("\n{}: {}", finding.code, finding.sentence));
    }
    if check.findings.is_empty() {
        text.push_str(", no findings");
    }
    text
}

/// A console line without control sequences.
pub fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\x1b' {
            // CSI ... letter
            for c in rest.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if !c.is_control() {
            text.push(c);
        }
    }
    text
}

/// The agent's lines begin with the time since the kernel started: `[  1.2 s] text`.
fn said_by_agent(line: &str) -> Option<&str> {
    let (time, text) = line.strip_prefix('[')?.split_once(" s] ")?;
    time.trim().parse::<f64>().ok().map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::Mac;

    fn event(at: i64, file: &str) -> BootEvent {
        BootEvent {
            at: UnixMs(at),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            ip: None,
            network: None,
            what: BootEventKind::Tftp {
                file: file.to_owned(),
                bytes: 70_123,
                complete: true,
                end: Default::default(),
                block: None,
            },
        }
    }

    #[test]
    fn each_packet_is_printed_once_although_the_journey_drops_the_oldest() {
        let mut stages = Stages::default();
        let (a, b, c) = (event(1, "a"), event(2, "b"), event(3, "c"));
        assert_eq!(stages.packets(&[a.clone(), b.clone()]).len(), 2);
        assert_eq!(stages.packets(&[a, b.clone()]), []);
        let news = stages.packets(&[b, c]);
        assert_eq!(news.len(), 1);
        assert_eq!(news[0].text, "c, 70 kB by TFTP, 100 %");
    }

    #[test]
    fn console_lines_are_printed_once_complete() {
        let mut stages = Stages::default();
        let mut text = "\x1b[2JiPXE\n[ 0.000000] Linux version 6.1.0-41 (deb".to_owned();
        assert_eq!(stages.console(&text, UnixMs(1)), []);
        text.push_str("ian)\r\n[  1.2 s] network: eth0 has a link\r\n[    1.3] other\n");
        let told: Vec<_> = stages
            .console(&text, UnixMs(2))
            .into_iter()
            .map(|n| (n.stage, n.text))
            .collect();
        assert_eq!(
            told,
            [
                ("mini-os", "Linux 6.1.0-41 starts".to_owned()),
                ("console", "network: eth0 has a link".to_owned())
            ]
        );
        // A second kernel is the disk's only if the script said so.
        text.push_str("[ 0.0] Linux version 6.1.0-41 (debian)\n");
        assert_eq!(stages.console(&text, UnixMs(3))[0].stage, "mini-os");
        let mut script = event(4, "");
        script.what = BootEventKind::Script {
            target: BootTarget::LocalDisk,
        };
        stages.packets(&[script]);
        text.push_str("[ 0.0] Linux version 6.1.0-41-cloud (debian)\n");
        assert_eq!(stages.console(&text, UnixMs(5))[0].stage, "local boot");
        assert_eq!(plain("\x1b[1;31mred\x1b[0m\r"), "red");
    }
}
