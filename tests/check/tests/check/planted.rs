//! Plants every kind of fault into every slot and socket of every captured machine: exactly one finding, at
//! its place.

use std::collections::BTreeMap;

use inventory_api::agent::RunsOn;
use inventory_api::report::{AssetReport, MemorySlot, ProcessorFacts};
use lifecycle::check;
use lifecycle::check::{golden, unhealthy};

use check_tests::{machines, told};

/// Expected: kind of fault, code, place.
struct Fault {
    kind: &'static str,
    code: &'static str,
    place: String,
    report: AssetReport,
}

/// Facts the agent derives from slots and sockets, recomputed after a change.
fn settle(mut report: AssetReport) -> AssetReport {
    let sum: u64 = report.memory.slots.iter().filter_map(|s| s.size_bytes).sum();
    report.memory.installed_bytes = Some(sum).filter(|sum| *sum > 0);
    if let Some(cpu) = &mut report.cpu {
        let there: Vec<&ProcessorFacts> = cpu
            .processors
            .iter()
            .filter(|p| p.populated == Some(true))
            .collect();
        let sum = |of: fn(&ProcessorFacts) -> Option<u32>| there.iter().map(|p| of(p)).sum::<Option<u32>>();
        cpu.sockets = Some(there.len() as u32).filter(|n| *n > 0);
        cpu.cores = sum(|p| p.cores_enabled.or(p.cores)).filter(|n| *n > 0);
        cpu.threads = sum(|p| p.threads).filter(|n| *n > 0);
        cpu.model = there.iter().find_map(|p| p.model.clone());
    }
    report
}

fn slot_place(slot: &MemorySlot) -> String {
    let name = slot.slot.clone().or(slot.bank.clone());
    name.unwrap_or_else(|| "memory".into())
}

fn faults(base: &AssetReport) -> Vec<Fault> {
    let mut list = Vec::new();
    let mut add = |kind, code, place: String, plant: &dyn Fn(&mut AssetReport)| {
        let mut report = base.clone();
        plant(&mut report);
        list.push(Fault {
            kind,
            code,
            place,
            report: settle(report),
        });
    };
    let slots = &base.memory.slots;
    let populated = |s: &MemorySlot| s.populated == Some(true);
    let empty: Vec<usize> = (0..slots.len())
        .filter(|n| slots[*n].populated == Some(false))
        .collect();
    for (n, slot) in slots.iter().enumerate().filter(|(_, s)| populated(s)) {
        let place = slot_place(slot);
        let bare = MemorySlot {
            slot: slot.slot.clone(),
            bank: slot.bank.clone(),
            form: slot.form.clone(),
            kind: slot.kind.clone(),
            populated: Some(false),
            ..Default::default()
        };
        add("dimm_missing", "dimm-missing", place.clone(), &|r| {
            r.memory.slots[n] = bare.clone()
        });
        if let Some(size) = slot.size_bytes {
            add("dimm_smaller", "dimm-smaller", place.clone(), &|r| {
                r.memory.slots[n].size_bytes = Some(size / 2)
            });
            add("dimm_larger", "dimm-larger", place.clone(), &|r| {
                r.memory.slots[n].size_bytes = Some(size * 2)
            });
        }
        // A part number implies one rated speed and one maker, whatever the firmware writes.
        if let Some(speed) = slot.speed_mts.filter(|_| slot.part.is_none()) {
            add("dimm_slow_rated", "dimm-slow", place.clone(), &|r| {
                r.memory.slots[n].speed_mts = Some(speed * 2 / 3)
            });
        }
        if let Some(speed) = slot.configured_mts {
            add("dimm_slow", "dimm-slow", place.clone(), &|r| {
                r.memory.slots[n].configured_mts = Some(speed * 2 / 3)
            });
        }
        if slot.part.is_some() {
            add("dimm_other_part", "dimm-other-part", place.clone(), &|r| {
                r.memory.slots[n].part = Some("KVR-OTHER-1".into());
                r.memory.slots[n].manufacturer = Some("Kingston".into());
                r.memory.slots[n].rank = Some(7);
            });
        }
        if slot.manufacturer.is_some() && slot.part.is_none() {
            add("dimm_other_maker", "dimm-other-part", place.clone(), &|r| {
                r.memory.slots[n].manufacturer = Some("No Such Maker".into())
            });
        }
        if slot.kind.is_some() {
            add("dimm_other_kind", "dimm-other-kind", place.clone(), &|r| {
                r.memory.slots[n].kind = Some("SDR-X".into())
            });
        }
        let named = slot.slot.is_some() || slot.bank.is_some();
        for to in [empty.first(), empty.last()]
            .into_iter()
            .flatten()
            .filter(|_| named)
        {
            add("dimm_moved", "dimm-moved", place.clone(), &|r| {
                let there = r.memory.slots[*to].clone();
                r.memory.slots[*to] = MemorySlot {
                    slot: there.slot,
                    bank: there.bank,
                    ..r.memory.slots[n].clone()
                };
                r.memory.slots[n] = bare.clone();
            });
        }
        let other = (n + 1..slots.len()).find(|m| {
            populated(&slots[*m])
                && slots[*m].size_bytes != slot.size_bytes
                && (slots[*m].slot.is_some() || slots[*m].bank.is_some())
        });
        if let Some(m) = other.filter(|_| named) {
            add("dimm_swapped", "dimm-swapped", place, &|r| {
                let (a, b) = (r.memory.slots[n].clone(), r.memory.slots[m].clone());
                let (a_place, b_place) = ((a.slot.clone(), a.bank.clone()), (b.slot.clone(), b.bank.clone()));
                r.memory.slots[n] = MemorySlot {
                    slot: a_place.0,
                    bank: a_place.1,
                    ..b
                };
                r.memory.slots[m] = MemorySlot {
                    slot: b_place.0,
                    bank: b_place.1,
                    ..a
                };
            });
        }
    }
    if let Some(n) = slots.iter().position(populated) {
        for to in &empty {
            add("dimm_extra", "dimm-extra", slot_place(&slots[*to]), &|r| {
                let there = r.memory.slots[*to].clone();
                r.memory.slots[*to] = MemorySlot {
                    slot: there.slot,
                    bank: there.bank,
                    ..r.memory.slots[n].clone()
                };
            });
        }
    }
    processors(base, &mut add);
    whole(base, &mut add);
    list
}

type Add<'a> = dyn FnMut(&'static str, &'static str, String, &dyn Fn(&mut AssetReport)) + 'a;

fn processors(base: &AssetReport, add: &mut Add) {
    let Some(cpu) = &base.cpu else { return };
    let at = |r: &mut AssetReport, n: usize, change: &dyn Fn(&mut ProcessorFacts)| {
        change(&mut r.cpu.as_mut().unwrap().processors[n])
    };
    for (n, p) in cpu
        .processors
        .iter()
        .enumerate()
        .filter(|(_, p)| p.populated == Some(true))
    {
        let place = p.socket.clone().unwrap_or_else(|| "CPU".into());
        add("cpu_missing", "cpu-missing", place.clone(), &|r| {
            at(r, n, &|p| {
                *p = ProcessorFacts {
                    socket: p.socket.clone(),
                    populated: Some(false),
                    ..Default::default()
                }
            })
        });
        if p.model.is_some() {
            add("cpu_other_model", "cpu-other-model", place.clone(), &|r| {
                at(r, n, &|p| {
                    p.model = Some("Intel(R) Xeon(R) Bronze 3104-X CPU @ 1.70GHz".into());
                    p.cores = Some(6);
                    p.cores_enabled = Some(6);
                    p.threads = Some(6);
                })
            });
        }
        if let Some(cores) = p.cores_enabled.filter(|n| *n > 1) {
            add("cores_disabled", "cores-disabled", place.clone(), &|r| {
                at(r, n, &|p| p.cores_enabled = Some(cores / 2))
            });
        }
        if let Some(threads) = p.threads.filter(|n| *n > 1) {
            add("threads_off", "cpu-threads", place.clone(), &|r| {
                at(r, n, &|p| p.threads = Some(threads / 2))
            });
        }
        if p.enabled == Some(true) {
            add("cpu_disabled", "cpu-disabled", place, &|r| {
                at(r, n, &|p| p.enabled = Some(false))
            });
        }
    }
}

fn whole(base: &AssetReport, add: &mut Add) {
    if let Some(version) = base.firmware.as_ref().and_then(|f| f.version.clone()) {
        if let Some(older) = older(&version) {
            add("firmware_older", "firmware-older", "firmware".into(), &|r| {
                r.firmware.as_mut().unwrap().version = Some(older.clone())
            });
        }
        add("firmware_other", "firmware-other", "firmware".into(), &|r| {
            r.firmware.as_mut().unwrap().version = Some(format!("{version}.1"))
        });
    }
    if base.firmware.as_ref().is_some_and(|f| f.date.is_some()) {
        add("firmware_older_date", "firmware-older", "firmware".into(), &|r| {
            r.firmware.as_mut().unwrap().date = Some("01/02/1981".into())
        });
    }
    if base.system.as_ref().is_some_and(|s| s.product.is_some()) {
        add(
            "system_other_model",
            "system-other-model",
            "system".into(),
            &|r| r.system.as_mut().unwrap().product = Some("PowerEdge R0".into()),
        );
    }
    if base.board.as_ref().is_some_and(|b| b.product.is_some()) {
        add("board_other", "board-other", "board".into(), &|r| {
            r.board.as_mut().unwrap().product = Some("0XXXXX".into())
        });
    }
    for (n, psu) in base
        .power_supplies
        .iter()
        .enumerate()
        .filter(|(_, p)| p.present != Some(false))
    {
        // A missing one without a name cannot be located, but one without mains can. Dell's model names are
        // not bays.
        let name = psu.location.clone().or(psu.name.clone());
        let name = name.filter(|name| !name.contains(','));
        let place = name.clone().unwrap_or_else(|| format!("power supply {}", n + 1));
        let all = name.unwrap_or_else(|| "power supplies".into());
        add("psu_missing", "psu-missing", all, &|r| {
            r.power_supplies[n].present = Some(false)
        });
        if psu.plugged == Some(true) {
            add("psu_unplugged", "psu-unplugged", place, &|r| {
                r.power_supplies[n].plugged = Some(false)
            });
        }
    }
}

/// The version with its last non-zero number reduced by one.
fn older(version: &str) -> Option<String> {
    let end = version.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = version[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + 1);
    let number: u64 = version[start..end].parse().ok()?;
    let older = number.checked_sub(1)?;
    Some(format!("{}{older}{}", &version[..start], &version[end..]))
}

#[test]
fn every_kind_of_fault_in_every_machine_is_exactly_its_finding() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, base) in machines() {
        let expectation = golden(base).into();
        // Problems of the captured machine itself.
        let sick: Vec<(String, String)> = unhealthy(base).into_iter().map(|f| (f.code, f.place)).collect();
        for fault in faults(base) {
            let result = check(&expectation, &fault.report, RunsOn::MiniOs);
            let mut found = told(&result);
            found.retain(|one| !sick.contains(one));
            let expected = [(fault.code.to_owned(), fault.place.trim().to_owned())];
            let same = found.len() == 1 && found[0].0 == expected[0].0 && found[0].1.trim() == expected[0].1;
            if same {
                *counts.entry(fault.kind).or_default() += 1;
            } else {
                wrong.push(format!("{name}: {}: {expected:?}, found {found:?}", fault.kind));
            }
        }
    }
    let total: usize = counts.values().sum();
    println!("{total} planted: {counts:?}");
    assert!(
        wrong.is_empty(),
        "{} of {} wrong:\n{}",
        wrong.len(),
        wrong.len() + total,
        wrong[..wrong.len().min(40)].join("\n")
    );
    assert!(machines().is_empty() || total > 10_000, "only {total}");
}
