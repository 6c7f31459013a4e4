//! `slipway check`: the asset check on files, without a server.

use std::path::PathBuf;

use clap::Args;
use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, Expectation, HardwareProfile, Severity, Verdict, code};
use inventory_api::delivery::Placement;

use super::{CliError, Output, file, render};
use words::text::tame;

/// `slipway check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The hardware profile, TOML or JSON; - is standard input
    #[arg(long, value_name = "PROFILE")]
    expected: PathBuf,
    /// The asset report, JSON; - is standard input
    #[arg(long, value_name = "REPORT.json")]
    report: PathBuf,
    /// The machine's rack place (serial number, asset tag, switch ports), TOML or JSON
    #[arg(long, value_name = "FILE")]
    placement: Option<PathBuf>,
    /// The report is from an installed system, not from the mini-os: boot mode and missing drivers are not
    /// checked
    #[arg(long)]
    installed: bool,
}

/// Runs `slipway check`. `Err` is [`CliError::Verdict`] with the whole answer if the machine fails.
pub(crate) fn check(args: &CheckArgs, output: Output) -> Result<String, CliError> {
    let files = [Some(&args.expected), Some(&args.report), args.placement.as_ref()];
    if files
        .into_iter()
        .flatten()
        .filter(|path| file::is_stdin(path))
        .count()
        > 1
    {
        return Err(CliError::usage(
            "only one of --expected, --report and --placement can be standard input (-)",
        ));
    }
    let profile: HardwareProfile = file::settings("profile", &args.expected)?;
    let problems = lifecycle::check::validate(&profile);
    if !problems.is_empty() {
        let list: String = problems.iter().map(|p| format!("\n  {p}")).collect();
        return Err(CliError::usage(format!(
            "the profile {} makes no sense:{}",
            file::shown(&args.expected),
            file::tame_lines(&list)
        )));
    }
    let placement = args.placement.as_deref();
    let placement: Option<Placement> = placement
        .map(|path| file::settings("placement", path))
        .transpose()?;
    let report = file::report(&args.report)?;
    let runs_on = match args.installed {
        true => RunsOn::Installed,
        false => RunsOn::MiniOs,
    };
    let result = lifecycle::check(&Expectation { profile, placement }, &report, runs_on);
    let text = output.answer(&result, verdict)?;
    match result.verdict {
        Verdict::Pass | Verdict::Warn => Ok(text),
        Verdict::Fail => Err(CliError::Verdict(text)),
    }
}

fn verdict(result: &CheckResult) -> String {
    let word = render::verdict(result.verdict);
    let sick: Vec<String> = result
        .findings
        .iter()
        .filter(|f| f.severity > Severity::Info && code::is_health(&f.code))
        .map(|f| format!("{} at {}", tame(&f.code, 40), tame(&f.place, 100)))
        .collect();
    let shown: Vec<&str> = sick.iter().map(String::as_str).take(4).collect();
    let health = match sick.len() {
        0 => "no alarm".to_owned(),
        1 => format!("1 alarm, {}", sick[0]),
        n => {
            let more = if n > shown.len() { ", ..." } else { "" };
            format!("{n} alarms, {}{more}", shown.join(", "))
        }
    };
    let mut out = format!("{word}; health: {health}\n");
    for f in &result.findings {
        out.push_str(&format!(
            "  {}: {} [{}]\n",
            render::severity(f.severity),
            tame(&f.sentence, 600),
            tame(&f.code, 40)
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use inventory_api::report::{AssetReport, MemorySlot, SystemFacts};

    use super::*;
    use crate::hardware_profile::from_report;

    struct Files(tempfile::TempDir);

    impl Files {
        fn with(files: &[(&str, &str)]) -> Files {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in files {
                std::fs::write(dir.path().join(name), text).unwrap();
            }
            Files(dir)
        }

        fn check(&self, expected: &str, report: &str, output: Output) -> Result<String, CliError> {
            let args = CheckArgs {
                expected: self.0.path().join(expected),
                report: self.0.path().join(report),
                placement: None,
                installed: false,
            };
            check(&args, output)
        }

        fn golden(&self, report: &str, output: Output) -> Result<String, CliError> {
            from_report(&self.0.path().join(report), None, output)
        }
    }

    fn report() -> AssetReport {
        let slot = |name: &str| MemorySlot {
            slot: Some(name.into()),
            populated: Some(true),
            size_bytes: Some(64 << 30),
            manufacturer: Some("Micron".into()),
            part: Some("MTA36ASF8G72PZ".into()),
            serial: Some("1A2B3C4D".into()),
            ..Default::default()
        };
        AssetReport {
            schema: 1,
            system: Some(SystemFacts {
                product: Some("PowerEdge R640".into()),
                ..Default::default()
            }),
            memory: inventory_api::report::MemoryFacts {
                slots: vec![slot("A4"), slot("A5")],
                ..Default::default()
            },
            ..Default::default()
        }
    }

    #[test]
    fn a_machine_is_checked_against_the_profile_of_another() {
        let good = report();
        let mut bad = report();
        bad.memory.slots[1] = MemorySlot {
            slot: Some("A5".into()),
            populated: Some(false),
            ..Default::default()
        };
        let json = |r: &AssetReport| serde_json::to_string(r).unwrap();
        let files = Files::with(&[("good.json", &json(&good)), ("bad.json", &json(&bad))]);
        let toml = files.golden("good.json", Output::Text).unwrap();
        assert!(
            toml.contains("size = \"64 GiB\"") && !toml.contains("1A2B3C4D"),
            "{toml}"
        );
        std::fs::write(files.0.path().join("web.toml"), &toml).unwrap();
        let as_json = files.golden("good.json", Output::Json).unwrap();
        std::fs::write(files.0.path().join("web"), as_json).unwrap();
        std::fs::write(files.0.path().join("named-wrongly.json"), &toml).unwrap();
        for profile in ["web.toml", "web", "named-wrongly.json"] {
            let text = files.check(profile, "good.json", Output::Text).unwrap();
            assert!(text.starts_with("pass"), "{text}");
            let Err(failed) = files.check(profile, "bad.json", Output::Json) else {
                panic!("it passed")
            };
            assert_eq!(failed.exit_code(), 1);
            let result: CheckResult = serde_json::from_str(&failed.to_string()).unwrap();
            assert_eq!(result.verdict, Verdict::Fail);
            assert_eq!(result.findings.len(), 1);
            assert_eq!(
                result.findings[0].sentence,
                "DIMM A5: ordered 64 GiB Micron MTA36ASF8G72PZ, slot is empty. Check that it is there and seated."
            );
        }
        let text = files
            .check("web.toml", "bad.json", Output::Text)
            .unwrap_err()
            .to_string();
        assert!(text.contains("FAIL") && text.contains("[dimm-missing]"), "{text}");
    }

    #[test]
    fn the_first_line_has_the_health_and_a_sick_golden_machine_is_told() {
        let mut sick = report();
        sick.disks = vec![inventory_api::report::DiskFacts {
            name: "sda".into(),
            bay: Some("Bay 1".into()),
            health: Some(inventory_api::report::DiskHealth {
                passed: Some(false),
                ..Default::default()
            }),
            ..Default::default()
        }];
        let files = Files::with(&[("sick.json", &serde_json::to_string(&sick).unwrap())]);
        let toml = files.golden("sick.json", Output::Text).unwrap();
        assert!(toml.starts_with("# This machine is not healthy"), "{toml}");
        assert!(
            toml.contains("# - Disk Bay 1 reports that it is failing"),
            "{toml}"
        );
        assert!(!toml.contains("[health]"), "{toml}");
        std::fs::write(files.0.path().join("web.toml"), &toml).unwrap();
        let text = files
            .check("web.toml", "sick.json", Output::Text)
            .unwrap_err()
            .to_string();
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "FAIL: the machine is not as expected; health: 1 alarm, disk-failed at Bay 1"
        );
    }

    #[test]
    fn a_wrong_file_is_named_with_line_and_column() {
        let files = Files::with(&[
            ("report.json", &serde_json::to_string(&report()).unwrap()),
            ("empty.json", "{}"),
            ("broken.json", "{\n \"disks\": 3 }"),
            ("typo.toml", "[memory]\ntotl = \"64 GB\"\n"),
            ("typo.json", "{\n\"disks\": [{\"size_gb\": 1}]}"),
            ("nonsense.toml", "severity.dimm-mising = \"info\"\n"),
            ("good.toml", "# anything goes\n"),
            ("blank", " \n"),
            ("list.json", "[1, 2]"),
            (
                "newer.json",
                "{\"schema\": 99, \"agent_version\": \"9.1\", \"disks\": [{\"name\": \"sda\"}]}",
            ),
            ("web.json", "{\"name\": \"web\", \"system\": {\"model\": \"R1\"}}"),
        ]);
        std::fs::write(files.0.path().join("latin.json"), b"{\"name\": \"B\xfcro\"}").unwrap();
        for (expected, report, says) in [
            (
                "typo.toml",
                "report.json",
                vec!["typo.toml", "line 2, column 1", "totl"],
            ),
            (
                "typo.json",
                "report.json",
                vec!["typo.json", "line 2 column", "size_gb"],
            ),
            (
                "nonsense.toml",
                "report.json",
                vec!["severity.dimm-mising", "dimm-missing"],
            ),
            ("good.toml", "broken.json", vec!["broken.json", "line 2 column"]),
            (
                "good.toml",
                "empty.json",
                vec!["empty.json", "slipway-agent report --json"],
            ),
            ("good.toml", "blank", vec!["blank", "is empty"]),
            ("blank", "report.json", vec!["the profile", "blank", "is empty"]),
            (
                "good.toml",
                "list.json",
                vec!["list.json", "slipway-agent report --json"],
            ),
            (
                "good.toml",
                "newer.json",
                vec!["newer.json", "schema 99", "agent 9.1", "schema 1"],
            ),
            ("good.toml", "web.json", vec!["web.json", "not an asset report"]),
            (
                "report.json",
                "web.json",
                vec!["report.json", "slipway hardware-profile from-report"],
            ),
            ("good.toml", ".", vec!["directory"]),
            (".", "report.json", vec!["directory"]),
            ("good.toml", "latin.json", vec!["latin.json", "UTF-8"]),
            ("none.toml", "report.json", vec!["none.toml", "No such file"]),
        ] {
            let error = files.check(expected, report, Output::Text).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            for word in says {
                assert!(error.to_string().contains(word), "{error} does not say {word:?}");
            }
        }
    }
}
