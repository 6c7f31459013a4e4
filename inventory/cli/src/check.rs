//! `slipway profile` and `slipway check`: the asset check on files, without a server.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, Expectation, Finding, HardwareProfile, Severity, Verdict, code};
use inventory_api::delivery::Placement;
use inventory_api::report::{AssetReport, REPORT_SCHEMA};
use serde::de::DeserializeOwned;

use super::{Asked, CliError, Common, Output, render};
use words::text::tame;

/// Largest file accepted, bytes; a large machine's report has some hundred kilobytes.
const FILE_LIMIT: u64 = 64 << 20;

/// `slipway profile`.
#[derive(Clone, Debug, Subcommand)]
pub enum ProfileCommand {
    /// Make a golden profile from the asset report of a good machine (`slipway-agent report --json`)
    ///
    /// Prints TOML, or JSON with --output json. The profile fixes what belongs to the model (slots, sizes,
    /// parts, speeds, firmware), nothing of the single machine (serial numbers, MACs, hours). Health problems
    /// of the machine are listed on standard error and in TOML comments; they are not part of the profile.
    FromReport {
        /// The report, JSON; - is standard input
        #[arg(value_name = "REPORT.json")]
        report: PathBuf,
        /// Name of the profile; default: maker and model
        #[arg(long)]
        name: Option<String>,
    },
    /// List the hardware profiles of the server
    List,
    /// Print one hardware profile of the server as JSON
    Show {
        /// Name of the profile
        name: String,
    },
    /// Make a profile on the server from a machine that is known to be good
    FromMachine {
        /// Id, MAC, serial number or asset tag
        machine: String,
        /// Name of the profile
        name: String,
        /// Make the profile although the machine is not healthy; the health rules stay on
        #[arg(long)]
        accept_unhealthy: bool,
    },
    /// Remove a profile; refused while a rack place or an order item uses it
    Remove {
        /// Name of the profile
        name: String,
    },
}

/// `slipway check`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 pass or warn, 1 fail, 2 a file is wrong.")]
pub struct CheckArgs {
    /// Options common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// The hardware profile, TOML or JSON; - is standard input
    #[arg(long, value_name = "PROFILE")]
    pub expected: PathBuf,
    /// The asset report, JSON; - is standard input
    #[arg(long, value_name = "REPORT.json")]
    pub report: PathBuf,
    /// The machine's rack place (serial number, asset tag, switch ports), TOML or JSON
    #[arg(long, value_name = "FILE")]
    pub placement: Option<PathBuf>,
    /// The report is from an installed system, not from the mini-os: boot mode and missing drivers are not
    /// checked
    #[arg(long)]
    pub installed: bool,
}

/// Runs `slipway profile from-report`; the other subcommands ask the server and are in `delivery`.
pub(crate) fn profile(args: &Asked<ProfileCommand>) -> Result<String, CliError> {
    let ProfileCommand::FromReport { report, name } = &args.command else {
        return Err(CliError::usage("this asks the server and is not done on files"));
    };
    let report = read_report(report)?;
    let mut profile = lifecycle::check::golden(&report);
    let sick = sick_lines(&lifecycle::check::unhealthy(&report));
    if !sick.is_empty() {
        eprintln!("slipway: {}", sick.join("\n  "));
    }
    if let Some(name) = name {
        profile.name.clone_from(name);
    }
    match args.common.output {
        Output::Json => render::answer(Output::Json, &profile, |_| String::new()),
        Output::Text => toml::to_string_pretty(&profile)
            .map(|toml| sick.iter().map(|line| format!("# {line}\n")).collect::<String>() + &toml)
            .map_err(|e| CliError::failed(format!("the profile cannot be written as TOML: {e}"))),
    }
}

/// A heading and one line per health problem of the golden machine; empty if it is healthy.
fn sick_lines(sick: &[Finding]) -> Vec<String> {
    if sick.is_empty() {
        return Vec::new();
    }
    let health = "This machine is not healthy; the profile asks for a healthy one all the same:";
    let lines = sick
        .iter()
        .take(50)
        .map(|f| format!("- {} [{}]", tame(&f.sentence, 600), tame(&f.code, 40)));
    [health.to_owned()].into_iter().chain(lines).collect()
}

/// Runs `slipway check`. `Err` is [`CliError::Verdict`] with the whole answer if the machine fails.
pub(crate) fn check(args: &CheckArgs) -> Result<String, CliError> {
    let stdin = |path: &Path| path == Path::new("-");
    let files = [Some(&args.expected), Some(&args.report), args.placement.as_ref()];
    if files.into_iter().flatten().filter(|path| stdin(path)).count() > 1 {
        return Err(CliError::usage(
            "only one of --expected, --report and --placement can be standard input (-)",
        ));
    }
    let profile: HardwareProfile = read_settings("profile", &args.expected)?;
    let problems = lifecycle::check::validate(&profile);
    if !problems.is_empty() {
        let list: String = problems.iter().map(|p| format!("\n  {p}")).collect();
        return Err(CliError::usage(format!(
            "the profile {} makes no sense:{}",
            shown(&args.expected),
            tame_lines(&list)
        )));
    }
    let placement: Option<Placement> = match &args.placement {
        Some(path) => Some(read_settings("placement", path)?),
        None => None,
    };
    let report = read_report(&args.report)?;
    let runs_on = if args.installed {
        RunsOn::Installed
    } else {
        RunsOn::MiniOs
    };
    let result = lifecycle::check(&Expectation { profile, placement }, &report, runs_on);
    let text = render::answer(args.common.output, &result, verdict)?;
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
    let health = match sick.len() {
        0 => "no alarm".to_owned(),
        1 => format!("1 alarm, {}", sick[0]),
        n => format!(
            "{n} alarms, {}{}",
            sick[..n.min(4)].join(", "),
            if n > 4 { ", ..." } else { "" }
        ),
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

fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        "on standard input".to_owned()
    } else {
        tame(&path.display().to_string(), 300)
    }
}

fn tame_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().take(60).map(|line| tame(line, 300)).collect();
    lines.join("\n")
}

fn read(what: &str, path: &Path) -> Result<String, CliError> {
    let wrong = |why: &str| CliError::usage(format!("the {what} {} {why}", shown(path)));
    let failed = |e: std::io::Error| match e.kind() {
        // PowerShell's > writes UTF-16.
        std::io::ErrorKind::InvalidData => wrong("is not UTF-8 text: save it as UTF-8"),
        _ => wrong(&format!("cannot be read: {e}")),
    };
    let from: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let mut text = String::new();
    from.take(FILE_LIMIT + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(wrong(&format!("is larger than {} MiB", FILE_LIMIT >> 20)));
    }
    // Windows editors write a byte order mark first.
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(wrong("is empty"));
    }
    Ok(text.to_owned())
}

/// Reads TOML or JSON; the first character decides, not the file name. Errors name line and column.
fn read_settings<T: DeserializeOwned>(what: &str, path: &Path) -> Result<T, CliError> {
    let text = read(what, path)?;
    let parsed = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|e| e.to_string())
    } else {
        toml::from_str(&text).map_err(|e| e.to_string())
    };
    parsed.map_err(|e| {
        let hint = if is_report(&text) {
            "\n  That is an asset report: `slipway profile from-report` makes a profile of it."
        } else {
            ""
        };
        CliError::usage(format!(
            "the {what} {} is wrong: {}{hint}",
            shown(path),
            tame_lines(e.trim_end())
        ))
    })
}

/// Whether a text looks like the output of `slipway-agent report --json`.
fn is_report(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Report {
        schema: serde_json::Value,
        #[serde(rename = "agent_version")]
        _version: serde_json::Value,
    }
    serde_json::from_str::<Report>(text).is_ok_and(|r| r.schema.is_number())
}

fn read_report(path: &Path) -> Result<AssetReport, CliError> {
    let text = read("report", path)?;
    let wrong = |why: &str| {
        CliError::usage(format!(
            "the report {} is wrong: {}\n  `slipway-agent report --json` makes one.",
            shown(path),
            tame_lines(why)
        ))
    };
    let report: AssetReport = serde_json::from_str(&text).map_err(|e| wrong(&e.to_string()))?;
    // Every field of a report may be absent, so any JSON object would parse as one, even a profile.
    if !is_report(&text) || report.schema == 0 && report == AssetReport::default() {
        return Err(wrong("it holds nothing of an asset report"));
    }
    // A newer agent may mean something else by the same field name.
    if report.schema > REPORT_SCHEMA {
        return Err(wrong(&format!(
            "it is of schema {}, made by agent {}; this slipway reads schema {REPORT_SCHEMA}: use one of the agent's version",
            report.schema,
            tame(&report.agent_version, 40)
        )));
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use inventory_api::report::{MemorySlot, SystemFacts};

    use super::*;

    fn common(output: Output) -> Common {
        Common {
            output,
            url: None,
            ca: None,
        }
    }

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
            check(&CheckArgs {
                common: common(output),
                expected: self.0.path().join(expected),
                report: self.0.path().join(report),
                placement: None,
                installed: false,
            })
        }

        fn golden(&self, report: &str, output: Output) -> Result<String, CliError> {
            profile(&Asked {
                common: common(output),
                command: ProfileCommand::FromReport {
                    report: self.0.path().join(report),
                    name: None,
                },
            })
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
            (
                "good.toml",
                "web.json",
                vec!["web.json", "nothing of an asset report"],
            ),
            (
                "report.json",
                "web.json",
                vec!["report.json", "slipway profile from-report"],
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
