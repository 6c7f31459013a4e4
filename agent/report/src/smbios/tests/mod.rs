//! Every real table of the fixtures compared with dmidecode 3.6, and damaged tables.

mod damaged;
mod field_reports;
mod oracle;
mod placeholders;

use std::path::{Path, PathBuf};

use inventory_api::report::{AssetReport, distinct};
use serde_json::Value;

use super::super::{Problems, Roots};
use super::entry::EntryPoint;
use super::table::Table;
use super::{collect, fill};
use oracle::{Oracle, from_json, from_text};

/// The report of this fixture, from a root with only its tables.
fn report_of(machine: &Path) -> (AssetReport, Problems) {
    let root = tempfile::tempdir().unwrap();
    let tables = root.path().join("sys/firmware/dmi/tables");
    std::fs::create_dir_all(&tables).unwrap();
    for file in ["DMI", "smbios_entry_point"] {
        std::fs::copy(machine.join(file), tables.join(file)).unwrap();
    }
    let mut problems = Problems::new("smbios");
    let mut report = AssetReport::default();
    collect(&Roots::under(root.path()), &mut problems, &mut report);
    (summed(report), problems)
}

/// Including sums over slots; makers stay as in the table.
fn summed(mut report: AssetReport) -> AssetReport {
    report.memory.installed_bytes = distinct(report.clone()).memory.installed_bytes;
    report
}

/// The report of a table in memory.
fn read(bytes: &[u8], entry: EntryPoint) -> (AssetReport, Problems) {
    let mut problems = Problems::new("smbios");
    let mut report = AssetReport::default();
    fill(
        &Table::parse(bytes, entry, &mut problems),
        &mut problems,
        &mut report,
    );
    (summed(report), problems)
}

fn entry_of(machine: &Path) -> EntryPoint {
    EntryPoint::parse(&std::fs::read(machine.join("smbios_entry_point")).unwrap()).unwrap()
}

fn machines(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    all.retain(|p| p.join("DMI").is_file());
    all.sort();
    all
}

fn name(machine: &Path) -> String {
    machine.file_name().unwrap().to_string_lossy().into_owned()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn no_fact_differs_from_dmidecode() {
    let Some(smbios) = fixtures::find("smbios") else {
        return;
    };
    let mut oracle = Oracle::default();
    let mut count = 0;
    for machine in ["norm", "rebuilt", "linuxhw"]
        .iter()
        .flat_map(|part| machines(&smbios.join(part)))
    {
        let said = json(&machine.join("expected.json"));
        let (report, problems) = report_of(&machine);
        oracle.machine(&name(&machine), &report, &from_json(&said));
        oracle.totals(&name(&machine), &report, &said);
        if !problems.found.is_empty() {
            println!(
                "{}: {:?}",
                name(&machine),
                problems.found.iter().map(|p| &p.detail).collect::<Vec<_>>()
            );
        }
        count += 1;
    }
    println!("{count} machines: {}", oracle.summary());
    assert!(count > 200, "only {count} machines under {}", smbios.display());
    oracle.assert();
}

/// For fixtures with dmidecode's full text: also caches, slots, power supplies, on-board devices, arrays.
#[test]
fn no_fact_differs_from_the_whole_text_of_dmidecode() {
    let Some(norm) = fixtures::find("smbios/norm") else {
        return;
    };
    let mut oracle = Oracle::default();
    let mut kinds = std::collections::BTreeMap::new();
    for machine in machines(&norm) {
        let text = std::fs::read_to_string(machine.join("dmidecode.txt")).unwrap();
        let sections = from_text(&text);
        for section in &sections {
            *kinds.entry(section.kind).or_insert(0) += 1;
        }
        let (report, _) = report_of(&machine);
        oracle.machine(&name(&machine), &report, &sections);
    }
    println!("structures: {kinds:?}; {}", oracle.summary());
    for kind in [7, 9, 10, 11, 16, 38, 39, 41] {
        assert!(kinds.contains_key(&kind), "no structure of type {kind}");
    }
    oracle.assert();
}

#[test]
fn a_planted_fault_changes_its_fact_and_no_other() {
    let Some(faults) = fixtures::find("smbios-faults") else {
        return;
    };
    let sound = fixtures::find("smbios/linuxhw").unwrap();
    for machine in machines(&faults) {
        let fault = json(&machine.join("fault.json"));
        let (before, _) = report_of(&sound.join(fault["base"].as_str().unwrap()));
        let (after, _) = report_of(&machine);
        let changed = |what: &str| fault["component"] == what;
        assert_eq!(before.cpu != after.cpu, changed("cpu"), "{fault}");
        assert_eq!(before.memory != after.memory, changed("memory"), "{fault}");
        let rest = |report: AssetReport| AssetReport {
            cpu: None,
            memory: Default::default(),
            ..report
        };
        assert_eq!(rest(before), rest(after), "{fault}");
    }
}

/// A table without its entry point gives the same facts: the version follows from the structures' lengths.
#[test]
fn a_table_without_entry_point_gives_the_same() {
    let Some(smbios) = fixtures::find("smbios") else {
        return;
    };
    let mut known = 0;
    for machine in ["norm", "linuxhw"]
        .iter()
        .flat_map(|part| machines(&smbios.join(part)))
    {
        let bytes = std::fs::read(machine.join("DMI")).unwrap();
        let entry = entry_of(&machine);
        let (mut with, _) = read(&bytes, entry);
        let (without, problems) = read(&bytes, EntryPoint::NONE);
        let unknown = problems
            .found
            .iter()
            .any(|p| p.detail.contains("table's version"));
        if unknown {
            // Only then is the UUID omitted.
            with.system.as_mut().unwrap().uuid = None;
        }
        known += usize::from(!unknown);
        // VMware's and some 2.x tables end at their count, not at a marker.
        assert_eq!(with, without, "{}", name(&machine));
    }
    assert!(known > 150, "{known}");
}

/// The whole report, all collectors, for folders with only the tables: no problems. The time is only printed:
/// see `--no-capture`.
#[test]
fn the_tables_alone_make_a_full_report_without_problems() {
    let Some(linuxhw) = fixtures::find("smbios/linuxhw") else {
        return;
    };
    let (mut most, mut slowest) = (0, String::new());
    for machine in machines(&linuxhw) {
        let root = tempfile::tempdir().unwrap();
        let tables = root.path().join("sys/firmware/dmi/tables");
        std::fs::create_dir_all(&tables).unwrap();
        for file in ["DMI", "smbios_entry_point"] {
            std::fs::copy(machine.join(file), tables.join(file)).unwrap();
        }
        let report = crate::collect(&Roots::under(root.path()));
        // Phytium's table refers to missing strings; all others are valid.
        let broken = std::fs::read_to_string(machine.join("expected.json"))
            .unwrap()
            .contains("<BAD INDEX>");
        assert_eq!(
            report.problems.is_empty(),
            !broken,
            "{}: {:?}",
            name(&machine),
            report.problems
        );
        let (alone, _) = report_of(&machine);
        assert_eq!(
            report.memory,
            distinct(alone.clone()).memory,
            "{}",
            name(&machine)
        );
        assert_eq!(report.cpu, alone.cpu, "{}", name(&machine));
        assert_eq!(report.bmc, alone.bmc, "{}", name(&machine));
        if report.collect_ms >= most {
            (most, slowest) = (report.collect_ms, name(&machine));
        }
    }
    println!("the slowest full report: {most} ms, {slowest}");
}
