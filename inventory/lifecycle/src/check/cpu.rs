//! Processors: by socket, then totals that no socket explains, then stepping and microcode.

use std::cmp::Ordering;

use inventory_api::check::{CpuProfile, ProcessorProfile, code};
use inventory_api::report::{AssetReport, CpuFacts, ProcessorFacts};
use inventory_api::text::counted;

use super::difference::{Differences, not_blank};
use super::findings::Findings;
use super::parts::{Kind, Outcome, PART_LIMIT, Place, pair};
use super::text::{label, same, same_cpu, same_part};
use super::version::{Fact, compare};

/// `healthy`: no processor may be switched off, whatever the profile demands.
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
    // Each stepping has its own microcode, so the microcode means nothing if the stepping differs.
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
        have.is_there()
    }

    fn lists_places(&self) -> bool {
        true
    }

    fn differences(&self, want: &ProcessorProfile, have: &ProcessorFacts) -> Differences {
        let mut list = Differences::default();
        list.text(code::CPU_OTHER_MODEL, "model", &want.model, &have.model, same_cpu);
        let parts = (not_blank(&want.part), have.part.as_deref());
        list.fact(code::CPU_OTHER_MODEL, "part", parts, same_part, |part| {
            format!("part {part}")
        });
        let word = |on: bool| if on { "switched on" } else { "switched off" }.to_owned();
        let name = "whether it is switched on";
        list.exact(code::CPU_DISABLED, name, want.enabled, have.enabled, word);
        let fewer = have.cores_enabled.is_some() && have.cores_enabled < want.cores_enabled;
        let on = if fewer {
            code::CORES_DISABLED
        } else {
            code::CPU_CORES
        };
        for (code, what, more, wanted, is) in [
            (code::CPU_CORES, "core", "", want.cores, have.cores),
            (on, "core", " switched on", want.cores_enabled, have.cores_enabled),
            (code::CPU_THREADS, "thread", "", want.threads, have.threads),
        ] {
            let shown = |n: u32| format!("{}{more}", counted(n, what));
            list.exact(code, &format!("number of {what}s{more}"), wanted, is, shown);
        }
        // The maximum speed of the socket depends on the firmware: the same model is the same processor.
        let max_mhz = want.max_mhz.filter(|_| !self.resembles(want, have));
        let shown = |mhz: u32| format!("{mhz} MHz at most");
        list.exact(code::CPU_OTHER_MODEL, "most speed", max_mhz, have.max_mhz, shown);
        // Disabled cores are a setting; another number of cores makes another processor.
        if fewer {
            list.0
                .sort_by_key(|d| d.code != code::CPU_OTHER_MODEL && d.code != code::CORES_DISABLED);
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
                findings.extra(code::CPU_EXTRA, place, &label("CPU", place), "empty", &found);
            }
            Outcome::Moved { want, have } => {
                let (from, to, what) = (wanted(want), name(have), model(&haves[have].model));
                let sentence = format!("{what} sits in {to} instead of {from}. Move it to {from}.");
                findings.moved(code::CPU_MOVED, from, &what, (from, to), &sentence);
            }
            Outcome::Swapped { want, have, .. } => {
                let (from, to, found) = (wanted(want), name(have), format!("in {}", name(have)));
                let sentence =
                    format!("The processors of {from} and {to} are swapped. Put each into its own socket.");
                findings.add(
                    code::CPU_SWAPPED,
                    from,
                    &model(&wants[want].model),
                    &found,
                    &sentence,
                );
            }
            Outcome::Differs { want, have } => {
                let mut list = Sockets.differences(&wants[want], &haves[have]);
                // One finding per processor, about the most significant difference.
                if let Some(first) = list.0.iter().position(|d| !d.unknown) {
                    list.0 = vec![list.0.swap_remove(first)];
                }
                let (place, name) = (name(have), label("CPU", name(have)));
                findings.add_list(place, &name, &list, |said| {
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

/// Processors that are present and switched off, if neither a finding nor the profile covers that.
fn switched_off(findings: &mut Findings, wants: &[ProcessorProfile], haves: &[ProcessorFacts]) {
    let off = |p: &&ProcessorFacts| p.is_there() && p.enabled == Some(false);
    let there = haves.iter().filter(|p| p.is_there()).count();
    // Hypervisors list processors that a machine could get as switched off.
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

/// Totals of the machine. One finding, because fewer sockets mean fewer cores, and another model has another
/// number.
fn totals(findings: &mut Findings, wanted: &CpuProfile, cpu: &CpuFacts) {
    let mut list = Differences::default();
    let number = |list: &mut Differences, code, what: &str, wanted, is| {
        list.exact(code, &format!("number of {what}s"), wanted, is, |n: u32| {
            counted(n, what)
        });
    };
    let more = cpu.sockets > wanted.sockets;
    let code = if more { code::CPU_EXTRA } else { code::CPU_MISSING };
    number(&mut list, code, "processor", wanted.sockets, cpu.sockets);
    list.text(
        code::CPU_OTHER_MODEL,
        "model",
        &wanted.model,
        &cpu.model,
        same_cpu,
    );
    let fewer = cpu.cores.is_some() && cpu.cores < wanted.cores;
    let code = if fewer {
        code::CORES_DISABLED
    } else {
        code::CPU_CORES
    };
    number(&mut list, code, "core", wanted.cores, cpu.cores);
    number(
        &mut list,
        code::CPU_THREADS,
        "thread",
        wanted.threads,
        cpu.threads,
    );
    list.0.truncate(1);
    findings.add_list("CPU", "CPU", &list, |said| {
        let (expected, found) = (&said.expected, &said.found);
        let act = match said.code {
            code::CPU_OTHER_MODEL => return format!("The processors are {found}; ordered are {expected}."),
            code::CPU_EXTRA => "There are more than ordered.",
            code::CPU_MISSING => "Check that each processor is there and seated.",
            code::CORES_DISABLED => "Look at the core settings of the firmware's setup.",
            code::CPU_CORES => "Compare the model with the order.",
            _ => "Look at hyper-threading (SMT) in the firmware's setup.",
        };
        format!("Expected {expected}, found {found}. {act}")
    });
}

fn stepping(findings: &mut Findings, wanted: &CpuProfile, cpu: &CpuFacts) {
    let mut list = Differences::default();
    let shown = |stepping: u32| stepping.to_string();
    list.exact(
        code::CPU_OTHER_STEPPING,
        "stepping",
        wanted.stepping,
        cpu.stepping,
        shown,
    );
    findings.add_list("CPU", "CPU", &list, |said| {
        format!(
            "The processors have stepping {}; expected is {}. It is another revision of the model that was ordered.",
            said.found, said.expected
        )
    });
}

fn microcode(findings: &mut Findings, wanted: &CpuProfile, cpu: &CpuFacts) {
    let mut list = Differences::default();
    let fact = Fact {
        name: "microcode",
        compare: compare_hex,
        ..Fact::firmware(&wanted.microcode, &wanted.min_microcode, &cpu.microcode)
    };
    list.firmware(code::MICROCODE_OLDER, code::MICROCODE_OTHER, fact);
    findings.add_list("CPU", "CPU", &list, |said| {
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
