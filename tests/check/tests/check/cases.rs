//! Reports from the field, written by older agents, with the correct result. The inputs are in `tests/cases`.

use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, HardwareProfile, Severity, Verdict};
use inventory_api::report::AssetReport;
use lifecycle::check::{golden, unhealthy, validate};

use check_tests::{against, told};

fn text(name: &str) -> String {
    let file = fixtures::case(name);
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn report(name: &str) -> AssetReport {
    serde_json::from_str(&text(name)).unwrap()
}

fn order(name: &str) -> HardwareProfile {
    toml::from_str(&text(name)).unwrap()
}

/// Checks one report against the golden profile of another. The profile must survive its own file and pass
/// its own machine.
fn pair(good: &str, other: &str) -> CheckResult {
    let good = report(good);
    let profile = golden(&good);
    assert_eq!(validate(&profile), []);
    let toml = toml::to_string(&profile).unwrap();
    assert_eq!(
        toml::from_str::<HardwareProfile>(&toml).unwrap(),
        profile,
        "{toml}"
    );
    assert_eq!(against(&profile, &good).findings, unhealthy(&good));
    against(&profile, &report(other))
}

fn asset(folder: &str, good: &str, other: &str) -> CheckResult {
    pair(
        &format!("asset/{folder}/{good}.json"),
        &format!("asset/{folder}/{other}.json"),
    )
}

fn codes(result: &CheckResult) -> Vec<&str> {
    result.findings.iter().map(|f| f.code.as_str()).collect()
}

fn sentences(result: &CheckResult) -> String {
    let all: Vec<&str> = result.findings.iter().map(|f| f.sentence.as_str()).collect();
    all.join("\n")
}

#[test]
fn the_same_part_in_other_words_is_the_same_part() {
    for (folder, good, other) in [
        ("01-maker", "a", "b"),
        ("01-maker", "c", "d"),
        ("02-psu", "a", "c"),
        ("06-renamed", "a", "b"),
        ("06-renamed", "c", "d"),
        ("07-sku", "a", "b"),
        ("12-rated", "a", "b"),
        ("16-busshift", "a", "b"),
    ] {
        for (good, other) in [(good, other), (other, good)] {
            let result = asset(folder, good, other);
            assert_eq!(result.findings, [], "{folder} {good} {other}");
        }
    }
}

#[test]
fn power_supplies_of_another_supplier_are_another_model() {
    let result = asset("02-psu", "a", "b");
    assert_eq!(codes(&result), ["psu-other", "psu-other"]);
    assert!(!sentences(&result).contains("empty"), "{}", sentences(&result));
    // One of two.
    let mut one = report("asset/02-psu/a.json");
    one.power_supplies[1] = report("asset/02-psu/b.json").power_supplies[1].clone();
    let profile = golden(&report("asset/02-psu/a.json"));
    assert_eq!(codes(&against(&profile, &one)), ["psu-other"]);
    assert_eq!(
        codes(&against(&golden(&one), &report("asset/02-psu/a.json"))),
        ["psu-other"]
    );
    // A profile of an older version has the model as bay.
    let old: HardwareProfile = toml::from_str(
        "psus = [{ bay = 'PWR SPLY,750W,RDNT,DELTA', part = '0G6W6KA00' }, { bay = 'PWR SPLY,750W,RDNT,DELTA', part = '0G6W6KA00' }]",
    )
    .unwrap();
    assert_eq!(codes(&against(&old, &one)), ["psu-other"]);
}

#[test]
fn health_problems_of_a_golden_machine_are_reported_and_not_part_of_its_profile() {
    let sick = unhealthy(&report("asset/03-golden/a.json"));
    let codes_of = |list: &[inventory_api::check::Finding]| -> Vec<String> {
        list.iter().map(|f| f.code.clone()).collect()
    };
    assert_eq!(codes_of(&sick), ["disk-failed", "psu-failed", "no-driver"]);
    let result = asset("03-golden", "a", "b");
    assert_eq!(
        codes(&result),
        ["disk-failed", "psu-failed", "psu-failed", "no-driver"]
    );
    assert_eq!(result.verdict, Verdict::Fail);
}

#[test]
fn a_processor_that_is_switched_off_is_reported() {
    assert_eq!(codes(&asset("04-idle", "a", "b")), ["cpu-disabled"]);
}

#[test]
fn newer_firmware_is_newer() {
    for (good, other, says) in [
        (
            "a",
            "b",
            ["2.2.6 of 02/05/2008", "is newer than", "1.3.7 of 03/26/2007"],
        ),
        (
            "c",
            "d",
            ["2.2 of 07/09/2018", "is newer than", "080015 of 03/11/2010"],
        ),
        ("b", "a", ["1.3.7", "is older than", "2.2.6"]),
        ("d", "c", ["080015", "is older than", "2.2 of"]),
    ] {
        let result = asset("05-firmware", good, other);
        let sentence = sentences(&result);
        assert!(says.iter().all(|word| sentence.contains(word)), "{sentence}");
        let code = if says[1].contains("newer") {
            "firmware-other"
        } else {
            "firmware-older"
        };
        assert_eq!(codes(&result), [code]);
    }
    let check = |firmware: &str| -> (Vec<String>, String) {
        let profile: HardwareProfile = toml::from_str(&format!("firmware = {{ {firmware} }}")).unwrap();
        let result = against(&profile, &report("asset/05-firmware/b.json"));
        (
            codes(&result).iter().map(|c| (*c).to_owned()).collect(),
            sentences(&result),
        )
    };
    for (minimum, code) in [
        ("min_version = '2.2.6'", None),
        (
            "min_version = '1.3.7', min_date = '01/01/2020', min_revision = '9.9'",
            None,
        ),
        (
            "min_version = '2.2.6', min_date = '02/05/2008', min_revision = '2.6'",
            None,
        ),
        (
            "min_version = '2.2.6', min_date = '02/06/2008', min_revision = '1.0'",
            Some("firmware-older"),
        ),
        (
            "min_version = '2.2.6', min_revision = '2.7'",
            Some("firmware-older"),
        ),
        ("min_version = 'P89', min_date = '01/01/2007'", None),
        (
            "min_version = 'P89', min_date = '01/01/2010'",
            Some("firmware-older"),
        ),
        ("min_version = 'P89'", Some("firmware-other")),
        ("min_revision = '2.10'", Some("firmware-older")),
    ] {
        let (found, sentence) = check(minimum);
        assert_eq!(found.first().map(String::as_str), code, "{minimum}: {sentence}");
        if minimum == "min_version = 'P89'" {
            assert!(
                sentence.contains("cannot be compared") && sentence.contains("least date"),
                "{sentence}"
            );
        }
    }
}

#[test]
fn an_unreported_fact_is_not_reported_as_a_difference() {
    let cores = asset("08-cores", "a", "b");
    assert_eq!(codes(&cores), ["cpu-cores"]);
    assert!(sentences(&cores).contains("number of cores switched on not reported"));
    let part = asset("09-part", "a", "b");
    assert_eq!(codes(&part), ["dimm-other-part"]);
    let sentence = sentences(&part);
    assert!(
        sentence.contains("part not reported (expected HPE 840758-091)"),
        "{sentence}"
    );
    for result in [cores, part] {
        assert_eq!(result.verdict, Verdict::Warn);
        assert!(!sentences(&result).contains("Replace"));
    }
    for name in ["wear-none", "wear-p"] {
        let report = report(&format!("11-wear-unknown-passes/{name}.json"));
        let result = against(&order("11-wear-unknown-passes/wear.toml"), &report);
        assert_eq!(codes(&result), ["disk-worn"], "{name}");
        assert!(sentences(&result).contains("wear not reported"));
    }
}

#[test]
fn faults_that_once_passed_the_check_are_found() {
    let smart = asset("10-smart", "a", "b");
    assert_eq!(codes(&smart), ["disk-errors", "disk-link-errors"]);
    let said = sentences(&smart);
    assert!(
        ["2000 reallocated", "400 pending", "50 uncorrectable", "9000 link"]
            .iter()
            .all(|w| said.contains(w)),
        "{said}"
    );
    let mut found = codes(&asset("11-norule", "a", "b")).join(" ");
    assert_eq!(
        found,
        "tpm-missing boot-mode secure-boot memory-ecc fan-stopped link-slow memory-corrected"
    );
    // An installed system does not show how the machine boots, nor parts without a driver in its kernel.
    let profile = golden(&report("asset/11-norule/a.json"));
    let installed = lifecycle::check(
        &profile.into(),
        &report("asset/11-norule/b.json"),
        RunsOn::Installed,
    );
    found = codes(&installed).join(" ");
    assert_eq!(found, "memory-ecc fan-stopped link-slow memory-corrected");
    // The thresholds come from the profile.
    let calm = "[health]\nmax_reallocated_sectors = 2000\nmax_pending_sectors = 400\nmax_uncorrectable_errors = 50\n\
                max_link_errors = 9000\n";
    let calm: HardwareProfile = toml::from_str(calm).unwrap();
    assert_eq!(told(&against(&calm, &report("asset/10-smart/b.json"))), []);
}

#[test]
fn two_paths_are_one_disk() {
    let order = order("01-dual-path-sas/multipath.toml");
    let whole = "01-dual-path-sas/multipath.json";
    assert_eq!(told(&against(&order, &report(whole))), []);
    let gone = report("01-dual-path-sas/multipath-gone.json");
    let result = against(&order, &gone);
    assert_eq!(codes(&result), ["disk-missing"]);
    assert!(
        sentences(&result).contains("1 of 4 disks"),
        "{}",
        sentences(&result)
    );
    assert_eq!(
        told(&against(&order, &report("01-dual-path-sas/multipath-1path.json"))),
        []
    );
    let profile = golden(&report(whole));
    assert_eq!(profile.disks.len(), 4);
    assert_eq!(codes(&against(&profile, &gone)), ["disk-missing"]);
    let one_path = pair(whole, "01-dual-path-sas/multipath-1path.json");
    assert_eq!(
        codes(&one_path).iter().filter(|c| c.starts_with("disk")).count(),
        1,
        "{one_path:#?}"
    );
    assert!(
        codes(&one_path).contains(&"disk-paths") && one_path.verdict <= Verdict::Warn,
        "{one_path:#?}"
    );
}

#[test]
fn persistent_memory_in_memory_mode_is_another_total() {
    let order = order("03-persistent-memory/order.toml");
    let (app, mode) = (
        report("03-persistent-memory/optane-app.json"),
        report("03-persistent-memory/optane-mem.json"),
    );
    assert_eq!(told(&against(&order, &app)), []);
    let result = against(&order, &mode);
    assert_eq!(codes(&result), ["memory-total"]);
    assert!(
        sentences(&result).contains("Memory Mode"),
        "{}",
        sentences(&result)
    );
    for good in [&app, &mode] {
        let profile = golden(good);
        assert_eq!(profile.health, Default::default());
        assert_eq!(told(&against(&profile, good)), []);
        assert!(profile.disks.iter().all(|d| d.model.as_deref() != Some("pmem0")));
    }
    // A missing module is no longer hidden by persistent ones.
    let order: HardwareProfile = toml::from_str("memory.dimms = [{ count = 12 }]").unwrap();
    let mut gone = app.clone();
    gone.memory.slots[0].populated = Some(false);
    gone.memory.slots[0].size_bytes = None;
    let found = against(&order, &gone);
    assert_eq!(codes(&found), ["dimm-missing", "dimm-extra"], "{found:#?}");
    assert!(sentences(&found).contains("12 modules of persistent memory"));
    let mut less = app.clone();
    let last = less.memory.slots.len() - 1;
    less.memory.slots[last].populated = Some(false);
    less.memory.slots[last].size_bytes = None;
    assert_eq!(codes(&against(&golden(&app), &less)), ["dimm-missing"]);
}

#[test]
fn representors_and_infiniband_ports_do_not_count_as_ordered_ports() {
    let order = order("09-switchdev-representors/switchdev-order.toml");
    let whole = report("09-switchdev-representors/switchdev.json");
    let result = against(&order, &whole);
    assert_eq!(
        (codes(&result), result.verdict),
        (vec!["nic-extra"], Verdict::Pass),
        "{result:#?}"
    );
    let result = against(&order, &report("09-switchdev-representors/switchdev-gone.json"));
    let grave: Vec<&str> = result
        .findings
        .iter()
        .filter(|f| f.severity > Severity::Info)
        .map(|f| f.code.as_str())
        .collect();
    assert_eq!(grave, ["nic-missing"], "{result:#?}");
    assert_eq!(told(&against(&golden(&whole), &whole)), []);
}

#[test]
fn a_bay_has_its_shelf() {
    let (whole, gone) = (
        report("10-two-shelves/shelves.json"),
        report("10-two-shelves/shelves-gone.json"),
    );
    let by_bay = order("10-two-shelves/by-bay.toml");
    assert_eq!(told(&against(&by_bay, &whole)), []);
    for profile in [by_bay, golden(&whole)] {
        let result = against(&profile, &gone);
        assert_eq!(codes(&result), ["disk-missing"]);
        assert!(
            sentences(&result).contains("Slot 02 of shelf 5000ccab04111100"),
            "{}",
            sentences(&result)
        );
    }
    assert_eq!(told(&against(&order("10-two-shelves/golden.toml"), &whole)), []);
    // An identical machine has other shelf names.
    let mut sibling = gone;
    for disk in &mut sibling.disks {
        disk.path = disk
            .path
            .take()
            .map(|p| p.replace("5000ccab041111", "5000ccab099999"));
    }
    let result = against(&golden(&whole), &sibling);
    assert_eq!(codes(&result), ["disk-missing"], "{result:#?}");
    assert!(
        sentences(&result).contains("Slot 02 of shelf 5000ccab09999900"),
        "{}",
        sentences(&result)
    );
}

#[test]
fn sectors_of_520_bytes_say_so() {
    let order = order("16-sectors-of-520-bytes/s520.toml");
    let mut disk = report("16-sectors-of-520-bytes/s520.json");
    let says = |report: &AssetReport, words: &str| {
        let result = against(&order, report);
        assert_eq!(codes(&result), ["disk-format"]);
        assert!(sentences(&result).contains(words), "{}", sentences(&result));
    };
    says(
        &disk,
        "the kernel gives it no size: sectors other than 512 or 4096 bytes, or a fault",
    );
    disk.disks[0].logical_block_bytes = Some(520);
    let mended = "has sectors of 520 bytes: reformat it to 512 (sg_format), or replace it.";
    says(&disk, mended);
    disk.disks[0].size_bytes = Some(400_088_457_216);
    says(&disk, mended);
}
