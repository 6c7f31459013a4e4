//! Processors: socket by socket, then the totals that no socket explains, then stepping and microcode.

use std::cmp::Ordering;

use inventory_api::check::{CpuProfile, ProcessorProfile, code};
use inventory_api::report::{AssetReport, CpuFacts, ProcessorFacts};

use super::difference::{Difference, said};
use super::findings::Findings;
use super::parts::{Kind, Outcome, PART_LIMIT, Place, pair};
use super::text::{counted, label, same, same_cpu, same_part};
use super::version::{compare, off};

/// `healthy`: no processor may be switched off, whatever the profile fixes.
pub(super) fn check(findings: &mut Findings, wanted: &CpuProfile, report: &AssetReport, healthy: bool) {
    let none = CpuFacts::default();
    let cpu = report.cpu.as_ref().unwrap_or(&none);
    let before = findings.len();
    sockets(findings, &wanted.processors, &cpu.processors);
    if healthy {
        switched_off(findings, &wanted.processors, &cpu.processors);
    }
    if findings.len() == before {
        totals(findings, wanted, cpu);
    }
    // Each stepping has its own microcode: where that differs, the other says nothing.
    if findings.len() == before {
        stepping(findings, wanted, cpu);
    }
    if findings.len() == before {
        microcode(findings, wanted, cpu);
    }
    if wanted.show_vulnerabilities {
        let open: Vec<&str> = cpu
            .vulnerabilities
            .iter()
            .filter(|(_, state)| state.starts_with("Vulnerable"))
            .map(|(name, _)| name.as_str())
            .take(30)
            .collect();
        if !open.is_empty() {
            let open = open.join(", ");
            let sentence = format!("The kernel calls these processor vulnerabilities open: {open}.");
            findings.add(code::CPU_VULNERABLE, "CPU", "mitigated", &open, &sentence);
        }
    }
}

struct Sockets;

impl Kind for Sockets {
    type Want = ProcessorProfile;
    type Have = ProcessorFacts;

    fn place(&self, want: &ProcessorProfile) -> Option<Place> {
        Place::new("socket", want.socket.as_deref(), None)
    }

    fn places(&self, have: &ProcessorFacts) -> Vec<Place> {
        Place::new("socket", have.socket.as_deref(), None)
            .into_iter()
            .collect()
    }

    fn count(&self, _: &ProcessorProfile) -> u32 {
        1
    }

    fn wants_empty(&self, want: &ProcessorProfile) -> bool {
        want.empty
    }

    fn is_there(&self, have: &ProcessorFacts) -> bool {
        have.populated != Some(false)
    }

    fn lists_places(&self) -> bool {
        true
    }

    fn differences(&self, want: &ProcessorProfile, have: &ProcessorFacts) -> Vec<Difference> {
        let mut list = Vec::new();
        if let Some(model) = &want.model
            && !have.model.as_deref().is_some_and(|is| same_cpu(model, is))
        {
            list.push(Difference::of(
                code::CPU_OTHER_MODEL,
                model,
                have.model.clone(),
                "model",
            ));
        }
        if let Some(part) = &want.part
            && !have.part.as_deref().is_some_and(|is| same_part(part, is))
        {
            let found = have.part.as_ref().map(|is| format!("part {is}"));
            list.push(Difference::of(
                code::CPU_OTHER_MODEL,
                format!("part {part}"),
                found,
                "part",
            ));
        }
        if let Some(on) = want.enabled.filter(|on| have.enabled != Some(*on)) {
            let word = |on: bool| if on { "switched on" } else { "switched off" }.to_owned();
            list.push(Difference::of(
                code::CPU_DISABLED,
                word(on),
                have.enabled.map(word),
                "whether it is switched on",
            ));
        }
        let fewer = have
            .cores_enabled
            .zip(want.cores_enabled)
            .is_some_and(|(is, wanted)| is < wanted);
        let numbers = [
            (code::CPU_CORES, "core", "", want.cores, have.cores),
            (
                if fewer {
                    code::CORES_DISABLED
                } else {
                    code::CPU_CORES
                },
                "core",
                " switched on",
                want.cores_enabled,
                have.cores_enabled,
            ),
            (code::CPU_THREADS, "thread", "", want.threads, have.threads),
        ];
        for (code, what, more, wanted, found) in numbers {
            let shown = |n: u32| format!("{}{more}", counted(u64::from(n), what));
            if let Some(wanted) = wanted.filter(|wanted| found != Some(*wanted)) {
                let name = format!("number of {what}s{more}");
                list.push(Difference::of(code, shown(wanted), found.map(shown), &name));
            }
        }
        // What the socket can do follows the firmware: the same model is the same processor.
        let is_ordered = want
            .model
            .as_deref()
            .zip(have.model.as_deref())
            .is_some_and(|(model, is)| same_cpu(model, is));
        let max_mhz = want.max_mhz.filter(|_| !is_ordered);
        if let Some(wanted) = max_mhz.filter(|wanted| have.max_mhz != Some(*wanted)) {
            let shown = |mhz: u32| format!("{mhz} MHz at most");
            let found = have.max_mhz.map(shown);
            list.push(Difference::of(
                code::CPU_OTHER_MODEL,
                shown(wanted),
                found,
                "most speed",
            ));
        }
        // Cores that are switched off are a setting; a processor made with other cores is another one.
        if fewer {
            list.sort_by_key(|d| d.code != code::CPU_OTHER_MODEL && d.code != code::CORES_DISABLED);
        }
        list
    }

    fn resembles(&self, want: &ProcessorProfile, have: &ProcessorFacts) -> bool {
        match (&want.model, &have.model) {
            (Some(want), Some(have)) => same_cpu(want, have),
            _ => false,
        }
    }
}

fn sockets(findings: &mut Findings, wants: &[ProcessorProfile], haves: &[ProcessorFacts]) {
    if wants.is_empty() {
        return;
    }
    let name = |at: usize| haves[at].socket.as_deref().unwrap_or("CPU");
    let wanted = |at: usize| wants[at].socket.as_deref().unwrap_or("CPU");
    let model = |text: &Option<String>| text.clone().unwrap_or_else(|| "processor".to_owned());
    for outcome in pair(&Sockets, wants, haves) {
        match outcome {
            Outcome::Fits { .. } => {}
            Outcome::Missing { want, .. } => {
                let (place, expected) = (wanted(want), model(&wants[want].model));
                let sentence = format!(
                    "{}: ordered {expected}, the socket is empty or its processor is not seen. Check that it is there and seated.",
                    label("CPU", place)
                );
                findings.add(code::CPU_MISSING, place, &expected, "empty", &sentence);
            }
            Outcome::Extra { have } => {
                let (place, found) = (name(have), model(&haves[have].model));
                let sentence = format!(
                    "{}: {found} is there although none was ordered.",
                    label("CPU", place)
                );
                findings.add(code::CPU_EXTRA, place, "empty", &found, &sentence);
            }
            Outcome::Moved { want, have } => {
                let (from, to, what) = (wanted(want), name(have), model(&haves[have].model));
                let sentence = format!("{what} sits in {to} instead of {from}. Move it to {from}.");
                findings.add(
                    code::CPU_MOVED,
                    from,
                    &format!("{what} in {from}"),
                    &format!("in {to}"),
                    &sentence,
                );
            }
            Outcome::Swapped { want, have, .. } => {
                let (from, to) = (wanted(want), name(have));
                let sentence =
                    format!("The processors of {from} and {to} are swapped. Put each into its own socket.");
                findings.add(
                    code::CPU_SWAPPED,
                    from,
                    &model(&wants[want].model),
                    &format!("in {to}"),
                    &sentence,
                );
            }
            Outcome::Differs { want, have } => {
                let list = Sockets.differences(&wants[want], &haves[have]);
                // One finding a processor, of what tells most.
                let first = list.iter().find(|d| !d.unknown).map(std::slice::from_ref);
                let Some(said) = said(first.unwrap_or(&list)) else {
                    continue;
                };
                let (place, name) = (name(have), label("CPU", name(have)));
                findings.add_said(place, &name, &said, |said| {
                    let act = match said.code {
                        code::CORES_DISABLED => {
                            "Firmware has switched cores off: look at the core settings of its setup."
                        }
                        code::CPU_DISABLED => SWITCHED_OFF,
                        code::CPU_THREADS => "Look at hyper-threading (SMT) in the firmware's setup.",
                        _ => "Another processor is fitted than ordered.",
                    };
                    format!("{name}: expected {}, found {}. {act}", said.expected, said.found)
                });
            }
        }
    }
}

const SWITCHED_OFF: &str = "It is switched off in the firmware's setup, or firmware found it faulty.";

/// Processors that are there and switched off, where neither a finding nor the profile has told it.
fn switched_off(findings: &mut Findings, wants: &[ProcessorProfile], haves: &[ProcessorFacts]) {
    let off = |p: &&ProcessorFacts| p.populated != Some(false) && p.enabled == Some(false);
    let there = haves.iter().filter(|p| p.populated != Some(false)).count();
    // Hypervisors list the processors that a machine could get as switched off.
    if haves.iter().filter(off).count() * 2 > there {
        return;
    }
    for processor in haves.iter().take(PART_LIMIT).filter(off) {
        let place = processor.socket.as_deref().unwrap_or("CPU");
        let ordered = wants.iter().any(|want| {
            want.enabled == Some(false) && want.socket.as_deref().is_none_or(|socket| same(socket, place))
        });
        if !ordered && !findings.has_place(place) {
            let sentence = format!("{} is not in use. {SWITCHED_OFF}", label("CPU", place));
            findings.add(
                code::CPU_DISABLED,
                place,
                "switched on",
                "switched off",
                &sentence,
            );
        }
    }
}

/// What the whole machine has. One finding: fewer sockets are fewer cores, and another model has others.
fn totals(findings: &mut Findings, wanted: &CpuProfile, cpu: &CpuFacts) {
    if let Some(sockets) = wanted.sockets.filter(|n| cpu.sockets != Some(*n)) {
        let (code, act) = match cpu.sockets.map(|is| is.cmp(&sockets)) {
            Some(Ordering::Greater) => (code::CPU_EXTRA, "There are more than ordered."),
            _ => (
                code::CPU_MISSING,
                "Check that each processor is there and seated.",
            ),
        };
        return number(findings, code, "processor", sockets, cpu.sockets, act);
    }
    if let Some(model) = &wanted.model
        && !cpu.model.as_deref().is_some_and(|is| same_cpu(model, is))
    {
        let list = [Difference::of(
            code::CPU_OTHER_MODEL,
            model,
            cpu.model.clone(),
            "model",
        )];
        findings.add_list("CPU", "CPU", &list, |said| {
            format!(
                "The processors are {}; ordered are {}.",
                said.found, said.expected
            )
        });
        return;
    }
    if let Some(cores) = wanted.cores.filter(|n| cpu.cores != Some(*n)) {
        let (code, act) = if cpu.cores.is_some_and(|is| is < cores) {
            (
                code::CORES_DISABLED,
                "Look at the core settings of the firmware's setup.",
            )
        } else {
            (code::CPU_CORES, "Compare the model with the order.")
        };
        return number(findings, code, "core", cores, cpu.cores, act);
    }
    if let Some(threads) = wanted.threads.filter(|n| cpu.threads != Some(*n)) {
        let act = "Look at hyper-threading (SMT) in the firmware's setup.";
        number(findings, code::CPU_THREADS, "thread", threads, cpu.threads, act);
    }
}

fn number(
    findings: &mut Findings,
    code: &'static str,
    what: &str,
    wanted: u32,
    found: Option<u32>,
    act: &str,
) {
    let shown = |n: u32| counted(u64::from(n), what);
    let list = [Difference::of(
        code,
        shown(wanted),
        found.map(shown),
        &format!("number of {what}s"),
    )];
    findings.add_list("CPU", "CPU", &list, |said| {
        format!("Expected {}, found {}. {act}", said.expected, said.found)
    });
}

fn stepping(findings: &mut Findings, wanted: &CpuProfile, cpu: &CpuFacts) {
    let Some(expected) = wanted.stepping.filter(|s| cpu.stepping != Some(*s)) else {
        return;
    };
    let found = cpu.stepping.map(|s| s.to_string());
    let list = [Difference::of(
        code::CPU_OTHER_STEPPING,
        expected.to_string(),
        found,
        "stepping",
    )];
    findings.add_list("CPU", "CPU", &list, |said| {
        format!(
            "The processors have stepping {}; expected is {}. It is another revision of the model that was ordered.",
            said.found, said.expected
        )
    });
}

fn microcode(findings: &mut Findings, wanted: &CpuProfile, cpu: &CpuFacts) {
    let Some(off) = off(
        wanted.microcode.as_deref(),
        wanted.min_microcode.as_deref(),
        cpu.microcode.as_deref(),
        compare_hex,
    ) else {
        return;
    };
    let mut difference = off.difference(code::MICROCODE_OLDER, code::MICROCODE_OTHER);
    if difference.unknown {
        difference.found = "microcode".to_owned();
    }
    findings.add_list("CPU", "CPU", &[difference], |said| {
        format!(
            "The processors' microcode is {}; expected is {}. It comes with the firmware (BIOS/UEFI): update that.",
            said.found, said.expected
        )
    });
}

fn compare_hex(a: &str, b: &str) -> Option<Ordering> {
    let value = |text: &str| u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    match (value(a), value(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => compare(a, b),
    }
}
