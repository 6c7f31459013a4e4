//! Processors: socket by socket, then the totals that no socket explains, then stepping and microcode.

use std::cmp::Ordering;

use inventory_api::check::{CpuProfile, ProcessorProfile, code};
use inventory_api::report::{AssetReport, CpuFacts, ProcessorFacts};

use super::findings::Findings;
use super::parts::{Difference, Kind, Outcome, Place, pair};
use super::text::{label, same, same_cpu};
use super::version::{compare, off};

pub(super) fn check(findings: &mut Findings, wanted: &CpuProfile, report: &AssetReport) {
    let none = CpuFacts::default();
    let cpu = report.cpu.as_ref().unwrap_or(&none);
    let before = findings.len();
    sockets(findings, &wanted.processors, &cpu.processors);
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

    fn differences(&self, want: &ProcessorProfile, have: &ProcessorFacts) -> Vec<Difference> {
        let mut list = Vec::new();
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "not reported".to_owned());
        if let Some(model) = &want.model
            && !have.model.as_deref().is_some_and(|is| same_cpu(model, is))
        {
            list.push(Difference {
                code: code::CPU_OTHER_MODEL,
                expected: model.clone(),
                found: shown(&have.model),
            });
        }
        if let Some(part) = &want.part
            && !have.part.as_deref().is_some_and(|is| same(part, is))
        {
            list.push(Difference {
                code: code::CPU_OTHER_MODEL,
                expected: format!("part {part}"),
                found: format!("part {}", shown(&have.part)),
            });
        }
        if want.enabled == Some(true) && have.enabled == Some(false) {
            list.push(Difference {
                code: code::CPU_DISABLED,
                expected: "switched on".to_owned(),
                found: "switched off".to_owned(),
            });
        }
        let fewer = have.cores_enabled < want.cores_enabled;
        let numbers = [
            (code::CPU_CORES, "cores", want.cores, have.cores),
            (
                if fewer {
                    code::CORES_DISABLED
                } else {
                    code::CPU_CORES
                },
                "cores switched on",
                want.cores_enabled,
                have.cores_enabled,
            ),
            (code::CPU_THREADS, "threads", want.threads, have.threads),
            (code::CPU_OTHER_MODEL, "MHz at most", want.max_mhz, have.max_mhz),
        ];
        for (code, what, wanted, found) in numbers {
            if let Some(wanted) = wanted.filter(|wanted| found != Some(*wanted)) {
                list.push(Difference {
                    code,
                    expected: format!("{wanted} {what}"),
                    found: found.map_or(format!("{what} not reported"), |found| format!("{found} {what}")),
                });
            }
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
                let Some(first) = list.first() else { continue };
                let act = match first.code {
                    code::CORES_DISABLED => {
                        "Firmware has switched cores off: look at the core settings of its setup."
                    }
                    code::CPU_DISABLED => {
                        "It is switched off in the firmware's setup, or firmware found it faulty."
                    }
                    code::CPU_THREADS => "Look at hyper-threading (SMT) in the firmware's setup.",
                    _ => "Another processor is fitted than ordered.",
                };
                let place = name(have);
                let sentence = format!(
                    "{}: expected {}, found {}. {act}",
                    label("CPU", place),
                    first.expected,
                    first.found
                );
                findings.add(first.code, place, &first.expected, &first.found, &sentence);
            }
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
        return number(findings, code, "processors", sockets, cpu.sockets, act);
    }
    if let Some(model) = &wanted.model
        && !cpu.model.as_deref().is_some_and(|is| same_cpu(model, is))
    {
        let found = cpu.model.as_deref().unwrap_or("not reported");
        let sentence = format!("The processors are {found}; ordered are {model}.");
        return findings.add(code::CPU_OTHER_MODEL, "CPU", model, found, &sentence);
    }
    if let Some(cores) = wanted.cores.filter(|n| cpu.cores != Some(*n)) {
        let (code, act) = if cpu.cores < Some(cores) {
            (
                code::CORES_DISABLED,
                "Look at the core settings of the firmware's setup.",
            )
        } else {
            (code::CPU_CORES, "Compare the model with the order.")
        };
        return number(findings, code, "cores in use", cores, cpu.cores, act);
    }
    if let Some(threads) = wanted.threads.filter(|n| cpu.threads != Some(*n)) {
        let act = "Look at hyper-threading (SMT) in the firmware's setup.";
        number(findings, code::CPU_THREADS, "threads", threads, cpu.threads, act);
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
    let shown = found.map_or("not reported".to_owned(), |n| n.to_string());
    let sentence = format!("{wanted} {what} are expected; found: {shown}. {act}");
    findings.add(code, "CPU", &format!("{wanted} {what}"), &shown, &sentence);
}

fn stepping(findings: &mut Findings, wanted: &CpuProfile, cpu: &CpuFacts) {
    let Some(expected) = wanted.stepping.filter(|s| cpu.stepping != Some(*s)) else {
        return;
    };
    let found = cpu.stepping.map_or("not reported".to_owned(), |s| s.to_string());
    let sentence = format!(
        "The processors have stepping {found}; expected is {expected}. It is another revision of the model that was ordered."
    );
    findings.add(
        code::CPU_OTHER_STEPPING,
        "CPU",
        &expected.to_string(),
        &found,
        &sentence,
    );
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
    let code = if off.older {
        code::MICROCODE_OLDER
    } else {
        code::MICROCODE_OTHER
    };
    let sentence = format!(
        "The processors' microcode is {}; expected is {}. It comes with the firmware (BIOS/UEFI): update that.",
        off.found, off.expected
    );
    findings.add(code, "CPU", &off.expected, &off.found, &sentence);
}

fn compare_hex(a: &str, b: &str) -> Option<Ordering> {
    let value = |text: &str| u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    match (value(a), value(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => compare(a, b),
    }
}
