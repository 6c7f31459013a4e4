//! Every real table of the fixtures against what dmidecode 3.6 says of it.

use std::path::{Path, PathBuf};

use inventory_api::report::{AssetReport, MemorySlot, ProcessorFacts};
use serde_json::Value;

use super::super::{Problems, Roots, clean};
use super::table::{EntryPoint, Table};
use super::{collect, fill};

/// The fixtures' folder; None (and a line that says so) where there is none.
pub(in super::super) fn fixtures(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SLIPWAY_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures"));
    let folder = root.join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    if std::env::var_os("SLIPWAY_REQUIRE_ALL").is_some_and(|v| v == "1") {
        panic!("SLIPWAY_REQUIRE_ALL=1 and no fixtures at {}", folder.display());
    }
    println!("skipped: no fixtures at {}", folder.display());
    None
}

/// A root whose sys holds the tables of this fixture.
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
    (report, problems)
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

/// Collects what differs from the oracle.
#[derive(Default)]
struct Oracle {
    equal: usize,
    placeholders: usize,
    /// What was taken for a placeholder, to be looked over by a person.
    left_out: std::collections::BTreeSet<String>,
    wrong: Vec<String>,
}

impl Oracle {
    fn check(&mut self, at: &str, got: Option<&str>, said: &Value) {
        let said = said.as_str().map(str::trim).filter(|s| !s.is_empty());
        // dmidecode prints a dot for what is not ASCII.
        let got_ascii = got.map(|g| {
            g.chars()
                .map(|c| if c.is_ascii() { c } else { '.' })
                .collect::<String>()
        });
        match (got_ascii.as_deref(), said) {
            (None, None) => {}
            (Some(got), Some(said)) if got == said => self.equal += 1,
            (None, Some(said)) if clean::serial(said).is_none() => {
                self.placeholders += 1;
                self.left_out.insert(said.to_owned());
            }
            (got, said) => self
                .wrong
                .push(format!("{at}: got {got:?}, dmidecode says {said:?}")),
        }
    }

    fn number(&mut self, at: &str, got: Option<u64>, said: &Value, unit: &str) {
        let said = said
            .as_str()
            .and_then(|s| s.strip_suffix(unit)?.trim().parse().ok());
        if got == said {
            self.equal += usize::from(got.is_some());
        } else {
            self.wrong
                .push(format!("{at}: got {got:?}, dmidecode says {said:?}"));
        }
    }

    fn machine(&mut self, name: &str, report: &AssetReport, said: &Value) {
        let system = report.system.clone().unwrap_or_default();
        let board = report.board.clone().unwrap_or_default();
        let chassis = report.chassis.clone().unwrap_or_default();
        let firmware = report.firmware.clone().unwrap_or_default();
        for (part, field, got) in [
            ("bios", "Vendor", &firmware.vendor),
            ("bios", "Version", &firmware.version),
            ("bios", "Release Date", &firmware.date),
            ("system", "Manufacturer", &system.manufacturer),
            ("system", "Product Name", &system.product),
            ("system", "Version", &system.version),
            ("system", "Serial Number", &system.serial),
            ("system", "SKU Number", &system.sku),
            ("system", "Family", &system.family),
            ("baseboard", "Manufacturer", &board.manufacturer),
            ("baseboard", "Product Name", &board.product),
            ("baseboard", "Version", &board.version),
            ("baseboard", "Serial Number", &board.serial),
            ("baseboard", "Asset Tag", &board.asset_tag),
            ("chassis", "Manufacturer", &chassis.manufacturer),
            ("chassis", "Type", &chassis.kind),
            ("chassis", "Version", &chassis.version),
            ("chassis", "Serial Number", &chassis.serial),
            ("chassis", "Asset Tag", &chassis.asset_tag),
        ] {
            let said = &said[part][field];
            let other = field == "Type" && said.as_str() == Some("Other");
            self.check(
                &format!("{name} {part} {field}"),
                got.as_deref(),
                if other { &Value::Null } else { said },
            );
        }
        match said["system"]["UUID"].as_str().map(str::to_lowercase) {
            // Not Settable, Not Present, or anonymised.
            None => assert_eq!(system.uuid, None, "{name}"),
            Some(u) if u.len() != 36 => {
                assert_eq!(system.uuid, None, "{name} {u}");
            }
            said => match system.uuid == said {
                true => self.equal += 1,
                false => self.wrong.push(format!(
                    "{name} UUID: got {:?}, dmidecode says {said:?}",
                    system.uuid
                )),
            },
        }
        self.processors(name, report, said);
        self.memory(name, report, said);
    }

    fn processors(&mut self, name: &str, report: &AssetReport, said: &Value) {
        let got: &[ProcessorFacts] = report.cpu.as_ref().map_or(&[], |cpu| &cpu.processors);
        let all = said["processors"].as_array().unwrap();
        assert_eq!(got.len(), all.len(), "{name}: processor sockets");
        let populated = got.iter().filter(|p| p.populated == Some(true)).count();
        assert_eq!(
            Some(populated as u64),
            said["processors_populated"].as_u64(),
            "{name}: populated sockets"
        );
        for (i, (p, said)) in got.iter().zip(all).enumerate() {
            let at = |field: &str| format!("{name} processor {i} {field}");
            self.check(&at("Socket"), p.socket.as_deref(), &said["Socket Designation"]);
            if p.populated != Some(true) {
                assert_eq!(
                    p,
                    &ProcessorFacts {
                        socket: p.socket.clone(),
                        populated: p.populated,
                        ..Default::default()
                    }
                );
                continue;
            }
            self.check(
                &at("Manufacturer"),
                p.manufacturer.as_deref(),
                &said["Manufacturer"],
            );
            self.check(&at("Version"), p.model.as_deref(), &said["Version"]);
            self.check(&at("Serial"), p.serial.as_deref(), &said["Serial Number"]);
            self.number(&at("cores"), p.cores.map(u64::from), &said["Core Count"], "");
            self.number(
                &at("enabled"),
                p.cores_enabled.map(u64::from),
                &said["Core Enabled"],
                "",
            );
            self.number(
                &at("threads"),
                p.threads.map(u64::from),
                &said["Thread Count"],
                "",
            );
        }
    }

    fn memory(&mut self, name: &str, report: &AssetReport, said: &Value) {
        let all = said["memory_devices"].as_array().unwrap();
        // VMware's slots name an array that does not exist; its one array is system memory and the module is real,
        // as dmidecode prints too. The oracle's sum leaves it out; we do not.
        let dangling = name == "u-root__VMWare";
        let system: Vec<&Value> = all
            .iter()
            .filter(|d| dangling || d["not_system_memory"] != Value::Bool(true))
            .collect();
        let got = &report.memory.slots;
        assert_eq!(got.len(), system.len(), "{name}: slots of system memory");
        let total: u64 = got.iter().filter_map(|slot| slot.size_bytes).sum();
        let total_said = if dangling {
            1 << 30
        } else {
            said["memory_total_mb"].as_u64().unwrap() << 20
        };
        if total != total_said {
            self.wrong.push(format!(
                "{name} memory total: got {total}, dmidecode says {total_said}"
            ));
        }
        for (i, (slot, said)) in got.iter().zip(system).enumerate() {
            self.slot(&format!("{name} slot {i}"), slot, said);
        }
    }

    fn slot(&mut self, at: &str, slot: &MemorySlot, said: &Value) {
        let at = |field: &str| format!("{at} {field}");
        let word = |field: &str| match said[field].as_str() {
            Some("Other" | "<OUT OF SPEC>") => Value::Null,
            _ => said[field].clone(),
        };
        self.check(&at("Locator"), slot.slot.as_deref(), &said["Locator"]);
        self.check(&at("Bank"), slot.bank.as_deref(), &said["Bank Locator"]);
        self.check(&at("Form"), slot.form.as_deref(), &word("Form Factor"));
        self.check(&at("Type"), slot.kind.as_deref(), &word("Type"));
        let size = said["size_mb"].as_u64().map(|mb| mb << 20);
        match slot.size_bytes == size && slot.populated == Some(size.is_some()) {
            true => self.equal += 1,
            false => self
                .wrong
                .push(format!("{}: got {slot:?}, dmidecode says {size:?}", at("Size"))),
        }
        if slot.populated != Some(true) {
            return;
        }
        let configured = [&said["Configured Memory Speed"], &said["Configured Clock Speed"]];
        let configured = configured
            .into_iter()
            .find(|v| v.is_string())
            .unwrap_or(&Value::Null);
        // The same number: dmidecode said MHz until 3.2.
        let mts = |v: &Value| Value::from(v.as_str().unwrap_or("").replace("MHz", "MT/s"));
        self.number(
            &at("Speed"),
            slot.speed_mts.map(u64::from),
            &mts(&said["Speed"]),
            "MT/s",
        );
        self.number(
            &at("Configured"),
            slot.configured_mts.map(u64::from),
            &mts(configured),
            "MT/s",
        );
        self.check(
            &at("Manufacturer"),
            slot.manufacturer.as_deref(),
            &said["Manufacturer"],
        );
        self.check(&at("Part"), slot.part.as_deref(), &said["Part Number"]);
        self.check(&at("Serial"), slot.serial.as_deref(), &said["Serial Number"]);
    }
}

#[test]
fn no_fact_differs_from_dmidecode() {
    let Some(smbios) = fixtures("smbios") else { return };
    let mut oracle = Oracle::default();
    let mut count = 0;
    for machine in ["norm", "rebuilt", "linuxhw"]
        .iter()
        .flat_map(|part| machines(&smbios.join(part)))
    {
        let said = std::fs::read(machine.join("expected.json")).unwrap();
        let (report, _) = report_of(&machine);
        let name = machine.file_name().unwrap().to_string_lossy().into_owned();
        oracle.machine(&name, &report, &serde_json::from_slice(&said).unwrap());
        count += 1;
    }
    println!(
        "{count} machines: {} facts equal, {} placeholders left out",
        oracle.equal, oracle.placeholders
    );
    println!("left out: {:?}", oracle.left_out);
    assert!(count > 200, "only {count} machines under {}", smbios.display());
    assert!(
        oracle.wrong.is_empty(),
        "{} wrong:\n{}",
        oracle.wrong.len(),
        oracle.wrong.join("\n")
    );
}

#[test]
fn a_planted_fault_changes_its_fact_and_no_other() {
    let Some(faults) = fixtures("smbios-faults") else {
        return;
    };
    let sound = fixtures("smbios/linuxhw").unwrap();
    for machine in machines(&faults) {
        let fault: Value =
            serde_json::from_slice(&std::fs::read(machine.join("fault.json")).unwrap()).unwrap();
        let (before, _) = report_of(&sound.join(fault["base"].as_str().unwrap()));
        let (after, _) = report_of(&machine);
        let cpu = before.cpu != after.cpu;
        let memory = before.memory != after.memory;
        assert_eq!(
            (cpu, memory),
            (fault["component"] == "cpu", fault["component"] == "memory"),
            "{fault}"
        );
        assert_eq!(
            (before.system, before.board, before.firmware),
            (after.system, after.board, after.firmware),
            "{fault}"
        );
    }
}

#[test]
fn a_damaged_table_gives_what_can_be_read_and_says_so() {
    let Some(malformed) = fixtures("smbios-malformed") else {
        return;
    };
    for machine in machines(&malformed) {
        let name = machine.file_name().unwrap().to_string_lossy().into_owned();
        let (report, problems) = report_of(&machine);
        println!(
            "{name}: {:?}",
            problems.found.iter().map(|p| &p.detail).collect::<Vec<_>>()
        );
        let system = report.system.unwrap();
        assert_eq!(system.product.as_deref(), Some("PowerEdge 6450/550"), "{name}");
        assert_eq!(
            system.uuid.as_deref(),
            Some("44454c4c-51a2-1050-8046-c3c04f333042"),
            "{name}"
        );
        // Bit flips that leave the structure whole cannot be seen by anybody.
        assert!(
            !problems.found.is_empty() || name.ends_with("bitflips"),
            "{name}: no problem noted"
        );
    }
}

#[test]
fn a_table_cut_anywhere_is_no_panic_and_no_invention() {
    let Some(norm) = fixtures("smbios/norm") else {
        return;
    };
    let machine = norm.join("go-smbios__Dell-PowerEdge-R630-Dual-Xeon");
    let bytes = std::fs::read(machine.join("DMI")).unwrap();
    let entry = EntryPoint::parse(&std::fs::read(machine.join("smbios_entry_point")).unwrap());
    let read = |bytes: &[u8]| {
        let mut problems = Problems::new("smbios");
        let table = Table::parse(bytes.to_vec(), entry, &mut problems);
        let mut report = AssetReport::default();
        fill(&table, &mut problems, &mut report);
        (report, problems)
    };
    let (whole, _) = read(&bytes);
    for cut in 0..bytes.len() {
        let (report, problems) = read(&bytes[..cut]);
        assert!(!problems.found.is_empty(), "cut at {cut}");
        assert!(
            report.system.is_none() || report.system == whole.system,
            "cut at {cut}"
        );
        assert_eq!(
            report.memory.slots[..],
            whole.memory.slots[..report.memory.slots.len()],
            "cut at {cut}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), entry in proptest::collection::vec(proptest::num::u8::ANY, 0..32)) {
        let mut problems = Problems::new("smbios");
        let table = Table::parse(bytes, EntryPoint::parse(&entry), &mut problems);
        fill(&table, &mut problems, &mut AssetReport::default());
    }

    /// Structures of the kinds that are read, with any content: closer to a broken table than any bytes.
    #[test]
    fn any_structures_are_read_without_a_panic(
        structures in proptest::collection::vec((proptest::sample::select(vec![0_u8, 1, 2, 3, 4, 16, 17, 127]), proptest::collection::vec(proptest::num::u8::ANY, 0..120)), 0..12),
    ) {
        let mut bytes = Vec::new();
        for (kind, body) in &structures {
            bytes.extend([*kind, body.len() as u8 / 2 + 4, 0, 0]);
            bytes.extend(body);
            bytes.extend([0, 0]);
        }
        let mut problems = Problems::new("smbios");
        let table = Table::parse(bytes, EntryPoint::default(), &mut problems);
        fill(&table, &mut problems, &mut AssetReport::default());
    }
}
