//! Answers as text. Pure: the time is an argument. Text that came from a machine is sanitized with `tame`
//! before it reaches a terminal.

use inventory_api::agent::Verification;
use inventory_api::check::{CheckResult, Severity, Verdict};
use inventory_api::delivery::Placement;
use inventory_api::image::ImageManifest;
use inventory_api::machine::{
    DeployResponse, HistoryEntry, Journey, MachineDetail, MachineStatus, MachineSummary, StepStatus, Verb,
    VerbResponse,
};
use inventory_api::plan::InstallPlan;
use inventory_api::report::{AssetReport, CpuFacts, MemoryFacts, distinct};
use inventory_api::rescue::RescuePassword;
use inventory_api::{MachineId, UnixMs};

use super::table::{Table, cell};
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
    let table = Table::of(
        machines,
        &[
            ("ID", &|m| m.id.to_string()),
            ("STATE", &|m| listed_state(m)),
            ("HOSTNAME", &|m| cell(&m.hostname)),
            ("MODEL", &|m| cell(&m.model)),
            ("SERIAL", &|m| cell(&m.serial)),
            ("MAC", &|m| cell(&m.macs.first())),
            ("ADDRESS", &|m| cell(&m.ip)),
            ("SEEN", &|m| cell(&m.last_seen.map(|at| ago(at, now)))),
        ],
    );
    let mut text = table.text(0);
    // Explain each conflict, so that no reader takes one machine for the other.
    for m in machines.iter().filter(|m| !m.conflicts_with.is_empty()) {
        text += &format!("{} {}\n", m.id, conflict(m));
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
    let name = |other: &MachineId| match *other == m.id {
        true => "what it said before".to_owned(),
        false => other.to_string(),
    };
    let others: Vec<String> = m.conflicts_with.iter().map(name).collect();
    let (others, id) = (others.join(", "), &m.id);
    format!("is in conflict with {others} about who it is: slipway machine conflict {id}")
}

/// Aligned lines of key and value; keys without a value are left out.
fn facts(lines: &[(&str, Option<String>)]) -> String {
    let known = lines
        .iter()
        .filter_map(|(key, value)| Some((key, value.as_deref()?)));
    let width = known.clone().map(|(key, _)| key.len()).max().unwrap_or(0);
    let line = |(key, value)| format!("  {key:width$}  {}\n", tame(value, 400));
    known.map(line).collect()
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
    let seen = |at| format!("{} ({})", ago(at, now), timestamp(at));
    let mut out = format!("{}  {}\n  {}\n\n", name(m), state(s), tame(&s.sentence, 500));
    out += &facts(&[
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
        ("seen", m.last_seen.map(seen)),
        ("enrolled", Some(timestamp(m.enrolled_at))),
        ("step", s.step.as_ref().map(step)),
    ]);
    out += &d.check.as_ref().map(check).unwrap_or_default();
    out += &at_the_rack(d, now);
    out += &d.report.as_ref().map(report).unwrap_or_default();
    out += &d.plan.as_ref().map(plan).unwrap_or_default();
    out += &d.verification.as_ref().map(verification).unwrap_or_default();
    out
}

fn step(step: &StepStatus) -> String {
    let (index, title) = (step.index.saturating_add(1), plan_text::step_title(&step.name));
    let percent = step.percent.min(100);
    let mut text = format!("{index} of {}: {title}, {percent} % of the whole", step.count);
    if step.total_bytes > 0 {
        let [done, total] = [step.done_bytes, step.total_bytes].map(disk_size);
        text += &format!(" ({done} of {total})");
    }
    text
}

fn mark(ok: bool) -> &'static str {
    match ok {
        true => "ok",
        false => "NOT OK",
    }
}

fn verification(v: &Verification) -> String {
    let word = if v.holds() { "holds" } else { "does NOT hold" };
    let table = Table::of(
        &v.items,
        &[
            ("", &|item| mark(item.ok).to_owned()),
            ("WHAT", &|item| item.what.clone()),
            ("FOUND", &|item| item.found.clone()),
        ],
    );
    format!("\nVerification: {word}\n{}", table.text(2))
}

/// Rack place, tasks of the agent and notes.
fn at_the_rack(d: &MachineDetail, now: UnixMs) -> String {
    let from = d.expected_from.as_ref();
    let place = from.and_then(|f| f.placement.as_ref());
    let mut out = facts(&[
        ("belongs in", place.map(Placement::name)),
        ("profile", from.and_then(|f| f.profile.clone())),
    ]);
    for t in words::tasks::tasks(&d.tasks, SHOWN_TASKS, now) {
        let percent = t.percent.map_or(String::new(), |p| format!(" {p} %"));
        let line = format!("{}: {}{percent} ({}, {})", t.title, t.text, t.actor, t.at.ago);
        out += &format!("  {}\n", tame(&line, 600));
        for (part, passed, speed, found) in &t.parts {
            let line = format!("{} {part} {speed} {found}", mark(*passed));
            out += &format!("    {}\n", tame(&line, 300));
        }
    }
    for n in d.notes.iter().take(SHOWN_TASKS) {
        let line = format!("{}: {} ({})", n.actor, n.text, ago(n.at, now));
        out += &format!("  {}\n", tame(&line, 600));
    }
    match out.is_empty() {
        true => out,
        false => format!("\nAt the rack\n{out}"),
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
    let (system, firmware) = (r.system.as_ref(), r.firmware.as_ref());
    let mut out = String::from("\nHardware\n");
    out += &facts(&[
        (
            "system",
            system.and_then(|s| joined([&s.manufacturer, &s.product])),
        ),
        (
            "firmware",
            firmware.and_then(|f| joined([&f.vendor, &f.version, &f.date])),
        ),
        ("cpu", r.cpu.as_ref().map(cpu)),
        (
            "memory",
            r.memory.usable_bytes.map(|usable| memory(usable, &r.memory)),
        ),
    ]);
    let disks = Table::of(
        &r.disks,
        &[
            ("DISK", &|d| d.name.clone()),
            ("SIZE", &|d| cell(&d.capacity_bytes().map(disk_size))),
            ("MODEL", &|d| cell(&d.model)),
            ("SERIAL", &|d| cell(&d.serial)),
            ("WWN", &|d| cell(&d.wwn)),
        ],
    );
    let nics = Table::of(
        &r.nics,
        &[
            ("NIC", &|n| n.name.clone()),
            ("MAC", &|n| cell(&n.mac)),
            ("DRIVER", &|n| cell(&n.driver)),
            ("PCI", &|n| cell(&n.pci)),
            ("LINK", &|n| match (n.link, n.speed_mbps) {
                (Some(true), Some(speed)) => format!("up, {speed} Mbit/s"),
                (Some(true), None) => "up".to_owned(),
                (Some(false), _) => "down".to_owned(),
                (None, _) => String::new(),
            }),
        ],
    );
    out += &(disks.part(2) + &nics.part(2));
    for p in &r.problems {
        let (collector, detail) = (tame(&p.collector, 40), tame(&p.detail, 300));
        out += &format!("  not read: {collector}: {detail}\n");
    }
    out
}

fn cpu(cpu: &CpuFacts) -> String {
    let count = |n: Option<u32>, unit: &str| match n {
        Some(n) => counted(n, unit),
        None => format!("? {unit}s"),
    };
    let model = cpu.model.as_deref().unwrap_or("unknown");
    let (sockets, cores) = (count(cpu.sockets, "socket"), count(cpu.cores, "core"));
    format!("{model} ({sockets}, {cores}, {})", count(cpu.threads, "thread"))
}

fn memory(usable: u64, memory: &MemoryFacts) -> String {
    let populated = memory.slots.iter().filter(|s| s.size_bytes.is_some()).count();
    let (usable, slots) = (memory_size(usable), memory.slots.len());
    let persistent = memory
        .persistent_bytes
        .map(|size| format!(", {} persistent", memory_size(size)));
    format!(
        "{usable} usable, {populated} of {slots} slots populated{}",
        cell(&persistent)
    )
}

/// An install plan as text, to be read before it runs.
pub(crate) fn plan(p: &InstallPlan) -> String {
    let mut out = format!("\nPlan {} for {}\n", p.id, p.machine);
    out += &facts(&[
        ("image", Some(format!("{} {}", p.image, p.image_version))),
        ("hostname", Some(p.hostname.clone())),
        ("disk", Some(plan_text::disk(&p.disk))),
    ]);
    let partitions = Table::of(
        plan_text::partitions(p),
        &[
            ("PART", &|part| part.number.to_string()),
            ("NAME", &|part| part.name.clone()),
            ("FOR", &|part| plan_text::role(part.role).to_owned()),
            ("SIZE", &|part| {
                disk_size(plan_text::partition_bytes(part, p.disk.block_bytes))
            }),
            ("FIRST LBA", &|part| part.first_lba.to_string()),
            ("LAST LBA", &|part| part.last_lba.to_string()),
        ],
    );
    let steps = Table::of(
        (1..).zip(&p.steps),
        &[
            ("STEP", &|(number, _): &(u32, _)| number.to_string()),
            ("WHAT", &|(_, step)| plan_text::step_title(step.name()).to_owned()),
            ("", &|(_, step)| tame(&plan_text::step_detail(step, p), 97)),
        ],
    );
    out + &partitions.text(2) + "\n" + &steps.text(2)
}

pub(crate) fn deploy(d: &DeployResponse) -> String {
    let plan = d.plan.as_ref().map(|p| plan(p).trim_start().to_owned());
    let plan = plan
        .unwrap_or_else(|| "There is no plan yet: the machine must report its hardware first.\n".to_owned());
    let done = match d.dry_run {
        true => "Dry run: nothing was changed.".to_owned(),
        false => format!("Now {}: {}", state(&d.status), tame(&d.status.sentence, 500)),
    };
    format!("{plan}\n{done}\n")
}

pub(crate) fn verb(machine: &str, d: &VerbResponse) -> String {
    let (machine, sentence) = (tame(machine, 128), tame(&d.status.sentence, 500));
    format!("{machine}  {}\n  {sentence}\n", state(&d.status))
}

pub(crate) fn history(entries: &[HistoryEntry]) -> String {
    let table = Table::of(
        entries,
        &[
            ("SEQ", &|e| e.seq.to_string()),
            ("WHEN", &|e| timestamp(e.at)),
            ("WHO", &|e| e.actor.to_string()),
            ("EVENT", &|e| e.event.clone()),
            ("STATE", &|e| e.state.clone()),
            ("WHAT", &|e| e.sentence.clone()),
        ],
    );
    table.text(0)
}

pub(crate) fn images(images: &[ImageManifest]) -> String {
    if images.is_empty() {
        return "No images. Build one: slipway image build RECIPE.toml; or bring one: slipway image import FILE\n"
            .into();
    }
    let table = Table::of(
        images,
        &[
            ("IMAGE", &|i| i.name.clone()),
            ("VERSION", &|i| i.version.clone()),
            ("SYSTEM", &|i| i.os.clone()),
            ("ARCH", &|i| i.architecture.clone()),
            ("TO FETCH", &|i| disk_size(i.compressed_bytes)),
            ("ON DISK", &|i| disk_size(i.content_bytes)),
            ("BUILT", &|i| timestamp(i.built_at)),
            ("SHA-256", &|i| i.sha256.to_string()[..12].to_owned()),
        ],
    );
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
    let who = match &j.machine {
        Some(m) => format!("{} is {} ({}), {}", j.mac, name(m), m.id, state(&m.status)),
        None => format!("{} is not a known machine", j.mac),
    };
    let events = Table::of(
        &j.events,
        &[
            ("WHEN", &|e| timestamp(e.at)),
            ("NETWORK", &|e| cell(&e.network)),
            ("ADDRESS", &|e| cell(&e.ip)),
            ("WHAT", &|e| boot_text::event(&e.what).0),
            ("", &|e| boot_text::event(&e.what).1),
        ],
    );
    format!("{who}\n  {}\n{}", tame(&j.diagnosis, 1000), events.part(0))
}
