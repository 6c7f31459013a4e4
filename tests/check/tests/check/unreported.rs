//! Every field of a profile with the fact absent from the report: a finding that says so, not a fault.

use std::collections::BTreeSet;

use inventory_api::check::{HardwareProfile, Severity, Verdict};
use inventory_api::report::*;

use crate::server::server;
use check_tests::against;

type Forget = fn(&mut AssetReport);

fn dimms(r: &mut AssetReport, forget: fn(&mut MemorySlot)) {
    r.memory.slots.iter_mut().for_each(forget);
}

fn processors(r: &mut AssetReport, forget: fn(&mut ProcessorFacts)) {
    r.cpu.as_mut().unwrap().processors.iter_mut().for_each(forget);
}

fn disks(r: &mut AssetReport, forget: fn(&mut DiskFacts)) {
    r.disks.iter_mut().for_each(forget);
}

fn nics(r: &mut AssetReport, forget: fn(&mut NicFacts)) {
    r.nics.iter_mut().for_each(forget);
}

fn psus(r: &mut AssetReport, forget: fn(&mut PowerSupply)) {
    r.power_supplies.iter_mut().for_each(forget);
}

/// Field, profile, the missing fact.
const TABLE: &[(&str, &str, Forget)] = &[
    ("system.maker", "system.maker = 'Dell Inc.'", |r| {
        r.system.as_mut().unwrap().manufacturer = None
    }),
    ("system.model", "system.model = 'PowerEdge R640'", |r| {
        r.system.as_mut().unwrap().product = None
    }),
    ("system.sku", "system.sku = 'SKU=0716'", |r| {
        r.system.as_mut().unwrap().sku = None
    }),
    ("board.maker", "board.maker = 'Dell Inc.'", |r| {
        r.board.as_mut().unwrap().manufacturer = None
    }),
    ("board.model", "board.model = '0H28RR'", |r| r.board = None),
    ("board.version", "board.version = 'A04'", |r| {
        r.board.as_mut().unwrap().version = None
    }),
    ("firmware.version", "firmware.version = '2.10.2'", |r| {
        r.firmware = None
    }),
    ("firmware.min_version", "firmware.min_version = '2.10.2'", |r| {
        r.firmware.as_mut().unwrap().version = None
    }),
    ("firmware.date", "firmware.date = '02/24/2021'", |r| {
        r.firmware.as_mut().unwrap().date = None
    }),
    ("firmware.min_date", "firmware.min_date = '02/24/2021'", |r| {
        r.firmware.as_mut().unwrap().date = None
    }),
    ("firmware.revision", "firmware.revision = '2.10'", |r| {
        r.firmware.as_mut().unwrap().revision = None
    }),
    ("firmware.min_revision", "firmware.min_revision = '2.10'", |r| {
        r.firmware.as_mut().unwrap().revision = None
    }),
    ("bmc.firmware", "bmc.firmware = '4.40'", |r| {
        r.bmc.as_mut().unwrap().firmware = None
    }),
    ("bmc.min_firmware", "bmc.min_firmware = '4.40'", |r| {
        r.bmc.as_mut().unwrap().firmware = None
    }),
    ("tpm.version", "tpm.version = '2.0'", |r| {
        r.tpm = Some(TpmFacts::default())
    }),
    ("boot.mode", "boot.mode = 'uefi'", |r| r.boot.mode = None),
    ("boot.secure_boot", "boot.secure_boot = true", |r| {
        r.boot.secure_boot = None
    }),
    ("cpu.sockets", "cpu.sockets = 2", |r| r.cpu = None),
    ("cpu.model", "cpu.model = 'Xeon Gold 6130'", |r| {
        r.cpu.as_mut().unwrap().model = None
    }),
    ("cpu.cores", "cpu.cores = 32", |r| {
        r.cpu.as_mut().unwrap().cores = None
    }),
    ("cpu.threads", "cpu.threads = 64", |r| {
        r.cpu.as_mut().unwrap().threads = None
    }),
    ("cpu.stepping", "cpu.stepping = 4", |r| {
        r.cpu.as_mut().unwrap().stepping = None
    }),
    ("cpu.microcode", "cpu.microcode = '0x2006a08'", |r| {
        r.cpu.as_mut().unwrap().microcode = None
    }),
    ("cpu.min_microcode", "cpu.min_microcode = '0x2006a08'", |r| {
        r.cpu.as_mut().unwrap().microcode = None
    }),
    (
        "cpu.processors.enabled",
        "cpu.processors = [{ socket = 'CPU1', enabled = true }, {}]",
        |r| processors(r, |p| p.enabled = None),
    ),
    (
        "cpu.processors.model",
        "cpu.processors = [{ socket = 'CPU1', model = 'Xeon Gold 6130' }, {}]",
        |r| processors(r, |p| p.model = None),
    ),
    (
        "cpu.processors.cores",
        "cpu.processors = [{ socket = 'CPU1', cores = 16 }, {}]",
        |r| processors(r, |p| p.cores = None),
    ),
    (
        "cpu.processors.cores_enabled",
        "cpu.processors = [{ socket = 'CPU1', cores_enabled = 16 }, {}]",
        |r| processors(r, |p| p.cores_enabled = None),
    ),
    (
        "cpu.processors.threads",
        "cpu.processors = [{ socket = 'CPU1', threads = 32 }, {}]",
        |r| processors(r, |p| p.threads = None),
    ),
    (
        "cpu.processors.part",
        "cpu.processors = [{ socket = 'CPU1', part = 'SR3B9' }, {}]",
        |r| processors(r, |p| p.part = None),
    ),
    (
        "cpu.processors.max_mhz",
        "cpu.processors = [{ socket = 'CPU1', max_mhz = 4000 }, {}]",
        |r| processors(r, |p| p.max_mhz = None),
    ),
    ("memory.total", "memory.total = '1 TB'", |r| {
        dimms(r, |s| s.size_bytes = None);
        r.memory.installed_bytes = None;
    }),
    ("memory.modules", "memory.modules = 16", |r| {
        r.memory.slots.clear()
    }),
    ("memory.ecc", "memory.ecc = true", |r| r.memory.arrays.clear()),
    ("memory.min_speed_mts", "memory.min_speed_mts = 2933", |r| {
        dimms(r, |s| s.speed_mts = None)
    }),
    (
        "memory.min_configured_mts",
        "memory.min_configured_mts = 2933",
        |r| dimms(r, |s| s.configured_mts = None),
    ),
    (
        "memory.dimms.size",
        "memory.dimms = [{ count = 16, size = '64 GB' }]",
        |r| dimms(r, |s| s.size_bytes = None),
    ),
    (
        "memory.dimms.maker",
        "memory.dimms = [{ count = 16, maker = 'Micron' }]",
        |r| dimms(r, |s| s.manufacturer = None),
    ),
    (
        "memory.dimms.part",
        "memory.dimms = [{ count = 16, part = 'MTA36*' }]",
        |r| dimms(r, |s| s.part = None),
    ),
    (
        "memory.dimms.class",
        "memory.dimms = [{ count = 16, class = 'dram' }]",
        |r| dimms(r, |s| s.kind = None),
    ),
    (
        "memory.dimms.kind",
        "memory.dimms = [{ count = 16, kind = 'DDR4' }]",
        |r| dimms(r, |s| s.kind = None),
    ),
    (
        "memory.dimms.rank",
        "memory.dimms = [{ count = 16, rank = 2 }]",
        |r| dimms(r, |s| s.rank = None),
    ),
    (
        "memory.dimms.total_width",
        "memory.dimms = [{ count = 16, total_width = 72 }]",
        |r| dimms(r, |s| s.total_width = None),
    ),
    (
        "memory.dimms.speed_mts",
        "memory.dimms = [{ count = 16, speed_mts = 2933 }]",
        |r| dimms(r, |s| s.speed_mts = None),
    ),
    (
        "memory.dimms.configured_mts",
        "memory.dimms = [{ count = 16, configured_mts = 2933 }]",
        |r| dimms(r, |s| s.configured_mts = None),
    ),
    ("disks.model", "disks = [{ count = 4, model = 'MZ7*' }]", |r| {
        disks(r, |d| d.model = None)
    }),
    (
        "disks.transport",
        "disks = [{ count = 4, transport = 'sata' }]",
        |r| disks(r, |d| d.transport = None),
    ),
    (
        "disks.rotational",
        "disks = [{ count = 4, rotational = false }]",
        |r| disks(r, |d| d.rotational = None),
    ),
    (
        "disks.firmware",
        "disks = [{ count = 4, firmware = 'HXT7904Q' }]",
        |r| disks(r, |d| d.firmware = None),
    ),
    (
        "disks.min_firmware",
        "disks = [{ count = 4, min_firmware = 'HXT7904Q' }]",
        |r| disks(r, |d| d.firmware = None),
    ),
    (
        "disks.max_used_percent",
        "disks = [{ count = 4, max_used_percent = 5 }]",
        |r| disks(r, |d| d.health = None),
    ),
    (
        "nics.pci_id",
        "nics = [{ count = 4, pci_id = '8086:1572' }]",
        |r| nics(r, |n| n.pci_id = None),
    ),
    ("nics.driver", "nics = [{ count = 4, driver = 'i40e' }]", |r| {
        nics(r, |n| n.driver = None)
    }),
    (
        "nics.min_speed_mbps",
        "nics = [{ count = 4, min_speed_mbps = 10000 }]",
        |r| nics(r, |n| n.speed_mbps = None),
    ),
    (
        "nics.firmware",
        "nics = [{ count = 4, firmware = '9.20*' }]",
        |r| nics(r, |n| n.firmware = None),
    ),
    (
        "nics.min_firmware",
        "nics = [{ count = 4, min_firmware = '9.20' }]",
        |r| nics(r, |n| n.firmware = None),
    ),
    (
        "gpus.pci_id",
        "gpus = [{ count = 2, pci_id = '10de:2330' }]",
        |r| r.gpus.iter_mut().for_each(|g| g.pci_id = None),
    ),
    ("gpus.name", "gpus = [{ count = 2, name = 'H100' }]", |r| {
        r.gpus.iter_mut().for_each(|g| g.name = None)
    }),
    ("gpus.memory", "gpus = [{ count = 2, memory = '80 GB' }]", |r| {
        r.gpus.iter_mut().for_each(|g| g.memory_bytes = None)
    }),
    ("psus.maker", "psus = [{ count = 2, maker = 'DELL' }]", |r| {
        psus(r, |p| p.manufacturer = None)
    }),
    ("psus.part", "psus = [{ count = 2, part = '0PJMDNA01' }]", |r| {
        psus(r, |p| p.part = None)
    }),
    ("psus.watts", "psus = [{ count = 2, watts = 1100 }]", |r| {
        psus(r, |p| p.max_watts = None)
    }),
    ("psus.plugged", "psus = [{ count = 2, plugged = true }]", |r| {
        psus(r, |p| p.plugged = None)
    }),
    ("psus.count", "psus = [{ count = 2 }]", |r| {
        r.power_supplies.clear()
    }),
    (
        "links.min_width",
        "links = [{ id = '10de:2330', min_width = 16 }]",
        |r| r.pci.iter_mut().for_each(|d| d.link_width = None),
    ),
    (
        "links.min_speed_gts",
        "links = [{ id = '10de:2330', min_speed_gts = 32.0 }]",
        |r| r.pci.iter_mut().for_each(|d| d.link_speed = None),
    ),
];

/// Fields that are not facts of a report (names, places, counts, rules), and facts whose absence has its own
/// finding: a disk without a size has `disk-format`, a missing path, module or TPM is missing.
const NO_FACTS: &[&str] = &[
    "bay",
    "bank",
    "count",
    "empty",
    "id",
    "min_size",
    "name",
    "path",
    "paths",
    "pci",
    "persistent",
    "port",
    "present",
    "shelf",
    "show_vulnerabilities",
    "size",
    "slot",
    "socket",
    "link_layer",
];

#[test]
fn an_expected_fact_that_is_not_reported_is_a_warning_that_says_so() {
    for (field, text, forget) in TABLE {
        let profile: HardwareProfile = toml::from_str(text).unwrap_or_else(|e| panic!("{field}: {e}"));
        let mut report = server();
        forget(&mut report);
        let result = against(&profile, &report);
        assert_eq!(result.verdict, Verdict::Warn, "{field}: {result:#?}");
        for finding in &result.findings {
            let sentence = &finding.sentence;
            println!("{field}: {sentence}");
            assert_eq!(finding.severity, Severity::Warning, "{field}");
            assert!(sentence.contains("not reported"), "{field}: {sentence}");
            for wrong in [
                "eplace",
                "is switched off",
                "found 0",
                "1 ranks",
                "1 cores",
                "older",
                "Update",
            ] {
                assert!(!sentence.contains(wrong), "{field}: {sentence}");
            }
        }
        // One line for all modules.
        if field.starts_with("memory") {
            assert_eq!(result.findings.len(), 1, "{field}: {result:#?}");
        }
    }
}

/// The leaf fields of the profile, as declared in the source.
#[test]
fn every_field_of_the_profile_is_in_the_table() {
    let source = concat!(
        include_str!("../../../../inventory/api/src/check/profile.rs"),
        include_str!("../../../../inventory/api/src/check/rules.rs")
    );
    let tested: BTreeSet<&str> = TABLE
        .iter()
        .filter_map(|(field, _, _)| field.rsplit('.').next())
        .collect();
    let mut structure = "";
    let mut fields = 0;
    for line in source.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ") {
            structure = name.split(' ').next().unwrap();
        }
        let Some((name, kind)) = line.strip_prefix("pub ").and_then(|l| l.split_once(": ")) else {
            continue;
        };
        let is_part =
            structure.ends_with("Profile") && !matches!(structure, "HardwareProfile" | "HealthProfile");
        if is_part && !kind.starts_with("Vec") {
            fields += 1;
            assert!(
                tested.contains(name) || NO_FACTS.contains(&name),
                "{structure}.{name} is in no row of the table"
            );
        }
    }
    assert!(fields > 80, "only {fields} fields were found in the source");
}
