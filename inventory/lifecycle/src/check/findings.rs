//! The list of findings as it grows: severities by code and profile, tamed texts, a bound.

use std::collections::{BTreeMap, HashSet};

use inventory_api::check::{CheckResult, Finding, Severity, SeverityRule, Verdict, code};

use super::text::tame;

/// Findings kept; the last one says how many more there are.
pub(super) const FINDING_LIMIT: usize = 200;
/// Characters of a place, of what was expected and of what was found.
const PHRASE: usize = 200;
const SENTENCE: usize = 500;

pub(super) struct Findings<'a> {
    rules: &'a BTreeMap<String, SeverityRule>,
    list: Vec<Finding>,
    told: HashSet<(&'static str, String)>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(rules: &'a BTreeMap<String, SeverityRule>) -> Findings<'a> {
        Findings {
            rules,
            list: Vec::new(),
            told: HashSet::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        code: &'static str,
        place: &str,
        expected: &str,
        found: &str,
        sentence: &str,
    ) {
        let severity = match self.rules.get(code) {
            Some(rule) => rule.severity(),
            None => Some(default_severity(code)),
        };
        if let Some(severity) = severity {
            self.told.insert((code, place.to_owned()));
            self.list.push(Finding {
                code: code.to_owned(),
                place: tame(place, PHRASE),
                expected: tame(expected, PHRASE),
                found: tame(found, PHRASE),
                severity,
                sentence: tame(sentence, SENTENCE),
            });
        }
    }

    /// Findings so far: to see whether something added one.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn has(&self, code: &'static str, place: &str) -> bool {
        self.told.contains(&(code, place.to_owned()))
    }

    pub(super) fn has_code(&self, code: &str) -> bool {
        self.list.iter().any(|f| f.code == code)
    }

    pub(super) fn result(mut self) -> CheckResult {
        self.list.sort_by_key(|f| std::cmp::Reverse(f.severity));
        let verdict = match self.list.first().map(|f| f.severity) {
            Some(Severity::Error) => Verdict::Fail,
            Some(Severity::Warning) => Verdict::Warn,
            Some(Severity::Info) | None => Verdict::Pass,
        };
        if self.list.len() > FINDING_LIMIT {
            let kept = FINDING_LIMIT - 1;
            let more = self.list.len() - kept;
            let severity = self.list[kept].severity;
            self.list.truncate(kept);
            self.list.push(Finding {
                code: code::MORE.to_owned(),
                place: "system".to_owned(),
                expected: String::new(),
                found: format!("{more} more findings"),
                severity,
                sentence: format!("And {more} more findings that are not listed."),
            });
        }
        CheckResult {
            verdict,
            findings: self.list,
        }
    }
}

/// More than was ordered, in another place than planned, or worn: look at it. Anything else is not as ordered.
fn default_severity(code: &str) -> Severity {
    match code {
        code::CPU_VULNERABLE => Severity::Info,
        code::CPU_EXTRA
        | code::CPU_MOVED
        | code::CPU_SWAPPED
        | code::MICROCODE_OTHER
        | code::CPU_OTHER_STEPPING
        | code::DIMM_EXTRA
        | code::DIMM_LARGER
        | code::DIMM_MOVED
        | code::DIMM_SWAPPED
        | code::MEMORY_LOST
        | code::DISK_EXTRA
        | code::DISK_LARGER
        | code::DISK_MOVED
        | code::DISK_SWAPPED
        | code::DISK_WORN
        | code::NIC_EXTRA
        | code::NIC_MOVED
        | code::GPU_EXTRA
        | code::PSU_EXTRA
        | code::PSU_MOVED
        | code::PSU_UNPLUGGED
        | code::PCI_EXTRA
        | code::NO_DRIVER
        | code::CABLE_SILENT => Severity::Warning,
        _ => Severity::Error,
    }
}
