//! Answers as text. Pure: the time is an argument. Text that came from a machine is sanitized with `tame`
//! before it reaches a terminal.

use inventory_api::UnixMs;
use inventory_api::check::{CheckResult, Severity, Verdict};
use inventory_api::image::ImageManifest;
use inventory_api::machine::{
    DeployResponse, HistoryEntry, Journey, MachineDetail, MachineStatus, MachineSummary, Verb, VerbResponse,
};
use inventory_api::plan::InstallPlan;
use inventory_api::report::{AssetReport, distinct};
use inventory_api::rescue::RescuePassword;

use super::table::Table;
use words::text::{ago, counted, disk_size, duration, joined, macs_words, memory_size, tame, timestamp};
use words::text::{boot as boot_text, plan as plan_text};

/// Most tasks, and most notes, shown for one machine.
const SHOWN_TASKS: usize = 10;

pub(crate) fn name(m: &MachineSummary) -> String {
    tame(&m.name(), 80)
}

/// "deploying/installing 42 %".
fn state(status: &MachineStatus) -> String {
    let mut text = status.words();
    if let Some(step) = &status.step {
        text.push_str(&format!(" {} %", step.percent.min(100)));
    }
    text
}

pub(crate) fn machines(machines: &[MachineSummary], now: UnixMs) -> String {
    if machines.is_empty() {
        return "No machines. Power one on that boots from a provisioning network: it appears here by itself.\n".into();
    }
    let heading = [
        "ID", "STATE", "HOSTNAME", "MODEL", "SERIAL", "MAC", "ADDRESS", "SEEN",
    ];
    let table = Table::of(&heading, machines, |m| {
        [
            m.id.to_string(),
            listed_state(m),
            m.hostname.clone().unwrap_or_default(),
            m.model.clone().unwrap_or_default(),
            m.serial.clone().unwrap_or_default(),
            m.macs.first().map(ToString::to_string).unwrap_or_default(),
            m.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            m.last_seen.map(|at| ago(at, now)).unwrap_or_default(),
        ]
    });
    let mut text = table.text(0);
    // Explain each conflict, so that no reader takes one machine for the other.
    for m in machines.iter().filter(|m| !m.conflicts_with.is_empty()) {
        text.push_str(&format!("{} {}\n", m.id, conflict(m)));
    }
    text
}

/// The state, with the marks that must not be overlooked in a list.
fn listed_state(m: &MachineSummary) -> String {
    let mut text = state(&m.status);
    if m.verdict == Some(Verdict::Fail) {
        text.push_str(" FAIL");
    }
    if !m.conflicts_with.is_empty() {
        text.push_str(" CONFLICT");
    }
    text
}

/// The machines that claim the same identity, and the command that decides.
fn conflict(m: &MachineSummary) -> String {
    let others: Vec<String> = m
        .conflicts_with
        .iter()
        .map(|other| {
            if *other == m.id {
                "what it said before".to_owned()
            } else {
                other.to_string()
            }
        })
        .collect();
    format!(
        "is in conflict with {} about who it is: slipway machine conflict {}",
        others.join(", "),
        m.id
    )
}

/// Aligned lines of key and value; keys without a value are left out.
fn facts(lines: &[(&str, Option<String>)]) -> String {
    let width = lines
        .iter()
        .filter(|(_, v)| v.is_some())
        .map(|(k, _)| k.len())
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for (key, value) in lines {
        if let Some(value) = value {
            out.push_str(&format!("  {key:width$}  {}\n", tame(value, 400)));
        }
    }
    out
}

/// "retire, release". Verbs that only a newer server knows are left out.
fn verbs(verbs: &[Verb]) -> Option<String> {
    let known = verbs.iter().filter(|verb| **verb != Verb::Unknown);
    let words: Vec<String> = known.map(Verb::to_string).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

pub(crate) fn machine(d: &MachineDetail, now: UnixMs) -> String {
    let m = &d.machine;
    let s = &m.status;
    let mut out = format!("{}  {}\n  {}\n\n", name(m), state(s), tame(&s.sentence, 500));
    out.push_str(&facts(&[
        ("id", Some(m.id.to_string())),
        ("model", m.model.clone()),
        ("serial", m.serial.clone()),
        ("macs", Some(macs_words(m))),
        ("address", m.ip.map(|ip| ip.to_string())),
        ("in this state", Some(duration(now.since(s.since)))),
        ("accepts", verbs(&s.verbs)),
        ("gives up in", s.deadline.map(|at| duration(at.since(now)))),
        ("reason", s.reason.clone()),
        ("is now", m.folded_into.as_ref().map(ToString::to_string)),
        ("conflict", (!m.conflicts_with.is_empty()).then(|| conflict(m))),
        (
            "seen",
            m.last_seen
                .map(|at| format!("{} ({})", ago(at, now), timestamp(at))),
        ),
        ("enrolled", Some(timestamp(m.enrolled_at))),
        (
            "step",
            s.step.as_ref().map(|step| {
                let mut text = format!(
                    "{} of {}: {}, {} % of the whole",
                    step.index.saturating_add(1),
                    step.count,
                    plan_text::step_title(&step.name),
                    step.percent.min(100)
                );
                if step.total_bytes > 0 {
                    text.push_str(&format!(
                        " ({} of {})",
                        disk_size(step.done_bytes),
                        disk_size(step.total_bytes)
                    ));
                }
                text
            }),
        ),
    ]));
    if let Some(result) = &d.check {
        out.push_str(&check(result));
    }
    out.push_str(&at_the_rack(d, now));
    if let Some(r) = &d.report {
        out.push_str(&report(r));
    }
    if let Some(p) = &d.plan {
        out.push_str(&plan(p));
    }
    if let Some(v) = &d.verification {
        out.push_str(&format!(
            "\nVerification: {}\n",
            if v.holds() { "holds" } else { "does NOT hold" }
        ));
        let table = Table::of(&["", "WHAT", "FOUND"], &v.items, |item| {
            [if item.ok { "ok" } else { "NOT OK" }, &item.what, &item.found]
        });
        out.push_str(&table.text(2));
    }
    out
}

/// Rack place, tasks of the agent and notes.
fn at_the_rack(d: &MachineDetail, now: UnixMs) -> String {
    let from = d.expected_from.as_ref();
    let place = from.and_then(|f| f.placement.as_ref());
    let mut out = facts(&[
        ("belongs in", place.map(files::import::place_name)),
        ("profile", from.and_then(|f| f.profile.clone())),
    ]);
    for t in words::tasks::tasks(&d.tasks, SHOWN_TASKS, now) {
        let percent = t.percent.map_or(String::new(), |p| format!(" {p} %"));
        let line = format!("{}: {}{percent} ({}, {})", t.title, t.text, t.actor, t.at.ago);
        out.push_str(&format!("  {}\n", tame(&line, 600)));
        for (part, passed, speed, found) in &t.parts {
            let mark = if *passed { "ok" } else { "NOT OK" };
            out.push_str(&format!(
                "    {}\n",
                tame(&format!("{mark} {part} {speed} {found}"), 300)
            ));
        }
    }
    for n in d.notes.iter().take(SHOWN_TASKS) {
        out.push_str(&format!(
            "  {}\n",
            tame(&format!("{}: {} ({})", n.actor, n.text, ago(n.at, now)), 600)
        ));
    }
    if out.is_empty() {
        out
    } else {
        format!("\nAt the rack\n{out}")
    }
}

pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass: the machine is as expected",
        Verdict::Warn => "warn: the machine is as expected, with something to look at",
        Verdict::Fail => "FAIL: the machine is not as expected",
    }
}

fn check(result: &CheckResult) -> String {
    let mut out = format!("\nVerdict: {}\n", verdict(result.verdict));
    for f in &result.findings {
        let mark = severity(f.severity);
        out.push_str(&format!("  {mark}: {}\n", tame(&f.sentence, 500)));
    }
    out
}

fn report(r: &AssetReport) -> String {
    // Older agents report each path to a disk as a disk of its own.
    let r = &distinct(r.clone());
    let mut out = String::from("\nHardware\n");
    let modules = r.memory.slots.iter().filter(|s| s.size_bytes.is_some()).count();
    out.push_str(&facts(&[
        (
            "system",
            r.system
                .as_ref()
                .and_then(|s| joined([&s.manufacturer, &s.product])),
        ),
        (
            "firmware",
            r.firmware
                .as_ref()
                .and_then(|f| joined([&f.vendor, &f.version, &f.date])),
        ),
        (
            "cpu",
            r.cpu.as_ref().map(|c| {
                let count = |n: Option<u32>, unit: &str| match n {
                    Some(n) => counted(n, unit),
                    None => format!("? {unit}s"),
                };
                format!(
                    "{} ({}, {}, {})",
                    c.model.as_deref().unwrap_or("unknown"),
                    count(c.sockets, "socket"),
                    count(c.cores, "core"),
                    count(c.threads, "thread")
                )
            }),
        ),
        (
            "memory",
            r.memory.usable_bytes.map(|b| {
                let persistent = r.memory.persistent_bytes.map(memory_size);
                format!(
                    "{} usable, {modules} of {} slots populated{}",
                    memory_size(b),
                    r.memory.slots.len(),
                    persistent.map_or_else(String::new, |size| format!(", {size} persistent"))
                )
            }),
        ),
    ]));
    let table = Table::of(&["DISK", "SIZE", "MODEL", "SERIAL", "WWN"], &r.disks, |d| {
        [
            d.name.clone(),
            d.capacity_bytes().map(disk_size).unwrap_or_default(),
            d.model.clone().unwrap_or_default(),
            d.serial.clone().unwrap_or_default(),
            d.wwn.clone().unwrap_or_default(),
        ]
    });
    out.push_str(&table.part(2));
    let table = Table::of(&["NIC", "MAC", "DRIVER", "PCI", "LINK"], &r.nics, |n| {
        [
            n.name.clone(),
            n.mac.map(|m| m.to_string()).unwrap_or_default(),
            n.driver.clone().unwrap_or_default(),
            n.pci.clone().unwrap_or_default(),
            match (n.link, n.speed_mbps) {
                (Some(true), Some(speed)) => format!("up, {speed} Mbit/s"),
                (Some(true), None) => "up".to_owned(),
                (Some(false), _) => "down".to_owned(),
                (None, _) => String::new(),
            },
        ]
    });
    out.push_str(&table.part(2));
    for p in &r.problems {
        out.push_str(&format!(
            "  not read: {}: {}\n",
            tame(&p.collector, 40),
            tame(&p.detail, 300)
        ));
    }
    out
}

/// An install plan as text, to be read before it runs.
pub(crate) fn plan(p: &InstallPlan) -> String {
    let mut out = format!("\nPlan {} for {}\n", p.id, p.machine);
    out.push_str(&facts(&[
        ("image", Some(format!("{} {}", p.image, p.image_version))),
        ("hostname", Some(p.hostname.clone())),
        ("disk", Some(plan_text::disk(&p.disk))),
    ]));
    let partitions = plan_text::partitions(p);
    let heading = ["PART", "NAME", "FOR", "SIZE", "FIRST LBA", "LAST LBA"];
    let table = Table::of(&heading, partitions, |part| {
        [
            part.number.to_string(),
            part.name.clone(),
            plan_text::role(part.role).to_owned(),
            disk_size(plan_text::partition_bytes(part, p.disk.block_bytes)),
            part.first_lba.to_string(),
            part.last_lba.to_string(),
        ]
    });
    out.push_str(&table.part(2));
    out.push('\n');
    let mut table = Table::new(&["STEP", "WHAT", ""]);
    for (i, step) in p.steps.iter().enumerate() {
        let title = plan_text::step_title(step.name()).to_owned();
        table.row([
            (i + 1).to_string(),
            title,
            tame(&plan_text::step_detail(step, p), 97),
        ]);
    }
    out.push_str(&table.text(2));
    out
}

pub(crate) fn deploy(d: &DeployResponse) -> String {
    let mut out = match (&d.plan, d.dry_run) {
        (Some(p), _) => plan(p).trim_start().to_owned(),
        (None, _) => "There is no plan yet: the machine must report its hardware first.\n".to_owned(),
    };
    out.push('\n');
    if d.dry_run {
        out.push_str("Dry run: nothing was changed.\n");
    } else {
        out.push_str(&format!(
            "Now {}: {}\n",
            state(&d.status),
            tame(&d.status.sentence, 500)
        ));
    }
    out
}

pub(crate) fn verb(machine: &str, d: &VerbResponse) -> String {
    format!(
        "{}  {}\n  {}\n",
        tame(machine, 128),
        state(&d.status),
        tame(&d.status.sentence, 500)
    )
}

pub(crate) fn history(entries: &[HistoryEntry]) -> String {
    let table = Table::of(&["SEQ", "WHEN", "WHO", "EVENT", "STATE", "WHAT"], entries, |e| {
        [
            e.seq.to_string(),
            timestamp(e.at),
            e.actor.to_string(),
            e.event.clone(),
            e.state.clone(),
            e.sentence.clone(),
        ]
    });
    table.text(0)
}

pub(crate) fn images(images: &[ImageManifest]) -> String {
    if images.is_empty() {
        return "No images. Build one: slipway image build RECIPE.toml; or bring one: slipway image import DIRECTORY\n"
            .into();
    }
    let heading = [
        "IMAGE", "VERSION", "SYSTEM", "ARCH", "TO FETCH", "ON DISK", "BUILT", "SHA-256",
    ];
    let table = Table::of(&heading, images, |i| {
        [
            i.name.clone(),
            i.version.clone(),
            i.os.clone(),
            i.architecture.clone(),
            disk_size(i.compressed_bytes),
            disk_size(i.content_bytes),
            timestamp(i.built_at),
            i.sha256.to_string()[..12].to_owned(),
        ]
    });
    table.text(0)
}

pub(crate) fn rescue(made: &RescuePassword) -> String {
    let how = match made.menu_seconds {
        0 => "But the boot menu is switched off ([boot] menu_seconds): nobody can choose the rescue system."
            .to_owned(),
        seconds => format!(
            "At the machine's console: boot it, press m within {seconds} s, choose Rescue, type the password."
        ),
    };
    format!(
        "{}\n  opens the rescue system of {} once, until {}. It is not shown again.\n  {how}\n",
        made.password,
        made.machine,
        timestamp(made.expires_at)
    )
}

pub(crate) fn journey(j: &Journey) -> String {
    let mut out = match &j.machine {
        Some(m) => format!("{} is {} ({}), {}\n", j.mac, name(m), m.id, state(&m.status)),
        None => format!("{} is no machine that Slipway knows\n", j.mac),
    };
    out.push_str(&format!("  {}\n\n", tame(&j.diagnosis, 1000)));
    let mut table = Table::new(&["WHEN", "NETWORK", "ADDRESS", "WHAT", ""]);
    for e in &j.events {
        let (what, detail) = boot_text::event(&e.what);
        table.row([
            timestamp(e.at),
            e.network.clone().unwrap_or_default(),
            e.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            what,
            detail,
        ]);
    }
    if !j.events.is_empty() {
        out.push_str(&table.text(0));
    }
    out
}
