//! Faults planted into the tables of captured machines: each gives exactly one finding, at its place.

use inventory_api::check::{Severity, Verdict};
use lifecycle::check::golden;
use serde_json::Value;

use check_tests::{against, name_of, smbios_report, told};

#[test]
fn a_fault_in_the_tables_is_exactly_its_finding() {
    let (Some(faults), Some(sound)) = (fixtures::find("smbios-faults"), fixtures::find("smbios/linuxhw"))
    else {
        return;
    };
    let mut count = 0;
    for path in fixtures::folders(&faults) {
        let name = name_of(&path);
        let fault: Value = serde_json::from_slice(&std::fs::read(path.join("fault.json")).unwrap()).unwrap();
        let text = |field: &str| fault[field].as_str().unwrap_or_default().to_owned();
        let base = smbios_report(&sound.join(text("base")));
        let result = against(&golden(&base), &smbios_report(&path));
        assert_eq!(result.findings.len(), 1, "{name}: {result:#?}");
        let finding = &result.findings[0];
        println!("{name}: {}", finding.sentence);
        let place = ["socket", "locator", "moved_from"]
            .into_iter()
            .map(text)
            .find(|place| !place.is_empty())
            .unwrap();
        assert_eq!(finding.place, place, "{name}");
        assert!(finding.sentence.contains(&place), "{name}: {}", finding.sentence);
        assert_eq!(finding.code, text("fault").replace('_', "-"), "{name}");
        match finding.code.as_str() {
            "dimm-moved" => {
                assert!(finding.found.contains(&text("moved_to")), "{name}: {finding:?}");
                assert!(finding.sentence.contains(&text("moved_to")), "{name}");
                assert_eq!(
                    (finding.severity, result.verdict),
                    (Severity::Warning, Verdict::Warn)
                );
            }
            "dimm-slow" | "cores-disabled" | "cpu-other-model" => {
                let shown = |field: &str| fault[field].to_string().trim_matches('"').to_owned();
                assert!(finding.expected.contains(&shown("was")), "{name}: {finding:?}");
                assert!(finding.found.contains(&shown("now")), "{name}: {finding:?}");
            }
            "dimm-smaller" => {
                let gib = |field: &str| format!("{} GiB", fault[field].as_u64().unwrap() / 1024);
                assert_eq!(
                    (finding.expected.clone(), finding.found.clone()),
                    (gib("was_mb"), gib("now_mb"))
                );
            }
            _ => assert_eq!(result.verdict, Verdict::Fail, "{name}"),
        }
        // The good machine passes, and the faulty one passes its own profile.
        assert_eq!(told(&against(&golden(&base), &base)), [], "{name}");
        count += 1;
    }
    println!("{count} faults");
    assert!(count >= 8);
}
