//! Files named on a command line; - is standard input.

use std::io::Read as _;
use std::path::Path;

use inventory_api::report::{AssetReport, REPORT_SCHEMA};
use serde::de::DeserializeOwned;

use super::CliError;
use words::text::tame;

/// Largest file with settings or a report, bytes; a large machine's report has some hundred kilobytes.
const MAX_TEXT: usize = 64 << 20;

pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

pub(crate) fn shown(path: &Path) -> String {
    if is_stdin(path) {
        "on standard input".to_owned()
    } else {
        tame(&path.display().to_string(), 300)
    }
}

pub(crate) fn tame_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().take(60).map(|line| tame(line, 300)).collect();
    lines.join("\n")
}

/// The content of a file of at most `limit` bytes.
pub(crate) fn bytes(what: &str, path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    let failed = |e| CliError::usage(format!("the {what} {} cannot be read: {e}", shown(path)));
    let from: Box<dyn std::io::Read> = match is_stdin(path) {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(failed)?),
    };
    let mut bytes = Vec::new();
    from.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > limit {
        let limit = limit >> 20;
        return Err(CliError::usage(format!(
            "the {what} {} is larger than {limit} MiB",
            shown(path)
        )));
    }
    Ok(bytes)
}

fn text(what: &str, path: &Path) -> Result<String, CliError> {
    let wrong = |why: &str| CliError::usage(format!("the {what} {} {why}", shown(path)));
    // PowerShell's > writes UTF-16.
    let text = String::from_utf8(bytes(what, path, MAX_TEXT)?)
        .map_err(|_| wrong("is not UTF-8 text: save it as UTF-8"))?;
    // Windows editors write a byte order mark first.
    let text = text.trim_start_matches('\u{feff}');
    match text.trim().is_empty() {
        true => Err(wrong("is empty")),
        false => Ok(text.to_owned()),
    }
}

/// Reads TOML or JSON; the first character decides, not the file name. Errors name line and column.
pub(crate) fn settings<T: DeserializeOwned>(what: &str, path: &Path) -> Result<T, CliError> {
    let text = text(what, path)?;
    let parsed = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|e| e.to_string())
    } else {
        toml::from_str(&text).map_err(|e| e.to_string())
    };
    parsed.map_err(|e| {
        let hint = if is_report(&text) {
            "\n  That is an asset report: `slipway hardware-profile from-report` makes a profile of it."
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

pub(crate) fn report(path: &Path) -> Result<AssetReport, CliError> {
    let text = text("report", path)?;
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
        return Err(wrong("it is not an asset report"));
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
