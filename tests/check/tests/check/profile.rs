//! Hand-written profiles: groups, tolerances, severities, mistakes.

use inventory_api::check::{HardwareProfile, Severity, Verdict};
use inventory_api::report::AssetReport;

use crate::server::server;
use check_tests::{against, told};

fn profile(text: &str) -> HardwareProfile {
    toml::from_str(text).unwrap_or_else(|e| panic!("{e}"))
}

fn codes(text: &str, plant: fn(&mut AssetReport)) -> Vec<String> {
    let mut report = server();
    plant(&mut report);
    let profile = profile(text);
    assert_eq!(lifecycle::check::validate(&profile), []);
    told(&against(&profile, &report))
        .into_iter()
        .map(|(code, _)| code)
        .collect()
}

const ORDER: &str = r#"
name = "web"
system = { maker = "dell inc.", model = "PowerEdge R6*" }
firmware = { min_version = "2.9" }
bmc = { min_firmware = "4.0" }
cpu = { sockets = 2, model = "Xeon Gold 6130", cores = 32 }
memory = { total = "1 TB", modules = 16, min_speed_mts = 2933 }
disks = [{ count = 4, min_size = "960 GB", transport = "sata", max_used_percent = 5 }]
nics = [{ count = 4, min_speed_mbps = 10000, driver = "i40e" }]
gpus = [{ count = 2, memory = "80 GB" }]
psus = [{ count = 2, watts = 1100, plugged = true }]
pci = [{ id = "1000:005d" }]
"#;

#[test]
fn an_order_in_totals_and_groups() {
    type Plant = fn(&mut AssetReport);
    let planted: [(&str, Plant); 19] = [
        ("system-other-model", |r| {
            r.system.as_mut().unwrap().product = Some("PowerEdge R740".into())
        }),
        ("firmware-older", |r| {
            r.firmware.as_mut().unwrap().version = Some("2.8.1".into())
        }),
        ("bmc-firmware-older", |r| {
            r.bmc.as_mut().unwrap().firmware = Some("3.99".into())
        }),
        ("cpu-missing", |r| {
            let cpu = r.cpu.as_mut().unwrap();
            (cpu.sockets, cpu.cores) = (Some(1), Some(16));
        }),
        ("cpu-other-model", |r| {
            r.cpu.as_mut().unwrap().model = Some("Intel(R) Xeon(R) Gold 6130T CPU @ 2.10GHz".into())
        }),
        ("cores-disabled", |r| r.cpu.as_mut().unwrap().cores = Some(30)),
        ("dimm-missing", |r| {
            r.memory.slots[0].populated = Some(false);
            r.memory.slots[0].size_bytes = None;
        }),
        ("memory-total", |r| r.memory.slots[0].size_bytes = Some(32 << 30)),
        ("dimm-slow", |r| r.memory.slots[2].speed_mts = Some(2666)),
        ("disk-missing", |r| drop(r.disks.remove(0))),
        ("disk-smaller", |r| r.disks[3].size_bytes = Some(800_000_000_000)),
        ("disk-extra", |r| {
            r.disks.push(r.disks[0].clone());
            r.disks.last_mut().unwrap().serial = Some("S45NNA09".into());
        }),
        ("disk-worn", |r| {
            r.disks[3].health.as_mut().unwrap().used_percent = Some(6)
        }),
        ("nic-missing", |r| drop(r.nics.pop())),
        ("nic-slow", |r| r.nics[1].speed_mbps = Some(1000)),
        ("gpu-missing", |r| drop(r.gpus.pop())),
        ("psu-missing", |r| drop(r.power_supplies.pop())),
        ("psu-unplugged", |r| r.power_supplies[0].plugged = Some(false)),
        ("pci-missing", |r| drop(r.pci.remove(0))),
    ];
    assert_eq!(codes(ORDER, |_| {}), Vec::<String>::new());
    for (code, plant) in planted {
        assert_eq!(codes(ORDER, plant), [code]);
    }
}

#[test]
fn a_missing_module_names_the_empty_slots() {
    let mut report = server();
    report.memory.slots[0].populated = Some(false);
    let result = against(&profile(ORDER), &report);
    assert!(
        result.findings[0].sentence.contains("Empty slots: A1, A2, A4"),
        "{result:#?}"
    );
}

#[test]
fn groups_take_the_parts_that_fit_best() {
    // A group that matches any disk must not use up the only one that another group needs.
    let text = r#"
        disks = [{ count = 2 }, { min_size = "1.9 TB" }, { size = 960197124096 }]
    "#;
    assert_eq!(
        codes(text, |r| r.disks[0].size_bytes = Some(1_920_383_410_176)),
        Vec::<String>::new()
    );
    assert_eq!(codes(text, |_| {}), ["disk-smaller"]);
    let text = r#"
        memory.dimms = [{ count = 15, size = "64 GB" }, { size = "128 GB", part = "M386*" }]
    "#;
    assert_eq!(
        codes(text, |r| {
            r.memory.slots[4].size_bytes = Some(128 << 30);
            r.memory.slots[4].part = Some("M386AAG40MM3-CWE".into());
        }),
        Vec::<String>::new()
    );
    assert_eq!(codes(text, |_| {}), ["dimm-smaller"]);
    assert_eq!(
        codes("memory.dimms = [{ count = 16, kind = 'DDR4' }]", |_| {}),
        Vec::<String>::new()
    );
    assert_eq!(
        codes("memory.dimms = [{ count = 14 }]", |_| {}),
        ["dimm-extra", "dimm-extra"]
    );
    assert_eq!(codes("memory.dimms = [{ count = 18 }]", |_| {}), ["dimm-missing"]);
}

#[test]
fn slots_of_one_name_are_told_apart() {
    // Some boards name the first slot of every channel "DIMM_A1"; others do not even give a bank.
    for banks in [true, false] {
        let mut report = server();
        for (n, slot) in report.memory.slots.iter_mut().enumerate() {
            slot.slot = Some(format!("DIMM_A{}", n % 2));
            slot.bank = banks.then(|| format!("BANK {}", n / 2));
        }
        let profile = lifecycle::check::golden(&report);
        assert_eq!(told(&against(&profile, &report)), []);
        for n in (0..32).step_by(2) {
            let mut fault = report.clone();
            fault.memory.slots[n].size_bytes = None;
            fault.memory.slots[n].populated = Some(false);
            let result = against(&profile, &fault);
            assert_eq!(
                told(&result),
                [("dimm-missing".to_owned(), "DIMM_A0".to_owned())],
                "{n}"
            );
            if banks {
                let bank = format!("(bank BANK {})", n / 2);
                assert!(result.findings[0].sentence.contains(&bank), "{result:#?}");
            }
        }
    }
}

#[test]
fn tolerance_and_severity_are_the_profiles() {
    let text = r#"
        disks = [{ count = 4, size = 950000000000 }]
        [tolerance]
        disk_size = 2
    "#;
    assert_eq!(codes(text, |_| {}), Vec::<String>::new());
    assert_eq!(
        codes("disks = [{ count = 4, size = 950000000000 }]", |_| {}).len(),
        4
    );
    // As on the label.
    assert_eq!(
        codes("disks = [{ count = 4, size = '960 GB' }]", |_| {}),
        Vec::<String>::new()
    );
    let speed = "memory.min_configured_mts = 3000\ntolerance.memory_speed = 5";
    assert_eq!(codes(speed, |_| {}), Vec::<String>::new());

    let mut report = server();
    report.disks.truncate(3);
    let check = |rule: &str| {
        let profile = profile(&format!(
            "disks = [{{ count = 4 }}]\nseverity.disk-missing = {rule:?}"
        ));
        let result = against(&profile, &report);
        (result.verdict, result.findings.first().map(|f| f.severity))
    };
    assert_eq!(check("error"), (Verdict::Fail, Some(Severity::Error)));
    assert_eq!(check("warning"), (Verdict::Warn, Some(Severity::Warning)));
    assert_eq!(check("info"), (Verdict::Pass, Some(Severity::Info)));
    assert_eq!(check("ignore"), (Verdict::Pass, None));
}

#[test]
fn without_slots_the_usable_memory_stands_in() {
    let without = |usable: u64| {
        let mut report = server();
        report.memory.slots.clear();
        report.memory.installed_bytes = None;
        report.memory.usable_bytes = Some(usable << 30);
        told(&against(&profile("memory.total = '64 GB'"), &report))
    };
    assert_eq!(without(62), []);
    assert_eq!(without(32), [("memory-total".to_owned(), "memory".to_owned())]);
    assert_eq!(without(65), [("memory-total".to_owned(), "memory".to_owned())]);
}

#[test]
fn vulnerabilities_are_information_and_only_when_asked_for() {
    let plant = |r: &mut AssetReport| {
        let list = &mut r.cpu.as_mut().unwrap().vulnerabilities;
        list.insert("meltdown".into(), "Vulnerable".into());
        list.insert("spectre_v1".into(), "Mitigation: usercopy/swapgs barriers".into());
    };
    assert_eq!(codes("", plant), Vec::<String>::new());
    let mut report = server();
    plant(&mut report);
    let result = against(&profile("cpu.show_vulnerabilities = true"), &report);
    assert_eq!(result.verdict, Verdict::Pass);
    assert_eq!(result.findings[0].found, "meltdown");
}

#[test]
fn mistakes_are_named() {
    for (text, says) in [
        ("disk = []", "disk"),
        ("disks = [{ count = 2, min_bytes = 3 }]", "min_bytes"),
        ("memory.total = '64 gigs'", "is not a size"),
        ("memory.total = -1", "negative"),
        ("severity.dimm-missing = 'loud'", "loud"),
        ("cpu.sockets = 'two'", "two"),
    ] {
        let error = toml::from_str::<HardwareProfile>(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn the_manual_is_true() {
    let manual = include_str!("../../../../docs/check.md");
    let example = manual
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let profile = profile(example);
    assert_eq!(lifecycle::check::validate(&profile), []);
    assert_eq!(profile.disks.len(), 2);
    for code in inventory_api::check::code::ALL {
        assert!(
            manual.contains(&format!("| `{code}` |")),
            "docs/check.md lacks {code}"
        );
    }
}
