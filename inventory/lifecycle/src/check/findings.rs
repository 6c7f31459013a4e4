//! The list of findings: severities by code and profile, sanitised texts, bounded length.

use std::collections::{BTreeMap, HashSet};

use inventory_api::check::{CheckResult, Finding, Severity, SeverityRule, Verdict, code};
use inventory_api::text::tame;

use super::difference::{Difference, Differences, LOOK};
use super::parts::PART_LIMIT;

/// Maximum number of findings; the last one says how many more there are.
pub(super) const FINDING_LIMIT: usize = 200;
/// Maximum characters of a place, an expected and a found value.
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
        self.add_as(code::severity(code), code, place, expected, found, sentence);
    }

    /// An expected fact that is not reported. It may be right, so it is a warning unless the profile says
    /// otherwise. `label` is the place in words.
    pub(super) fn not_reported(
        &mut self,
        code: &'static str,
        place: &str,
        label: &str,
        expected: &str,
        what: &str,
    ) {
        let found = format!("{what} not reported");
        let sentence = format!("{label}: {found} (expected {expected}). {LOOK}");
        self.add_as(Severity::Warning, code, place, expected, &found, &sentence);
    }

    /// Adds the differences at a place. `sentence` writes the sentence about the known ones.
    pub(super) fn add_said(
        &mut self,
        place: &str,
        label: &str,
        said: &Difference,
        sentence: impl FnOnce(&Difference) -> String,
    ) {
        if said.unknown {
            self.not_reported(said.code, place, label, &said.expected, &said.found);
        } else {
            self.add(said.code, place, &said.expected, &said.found, &sentence(said));
        }
    }

    /// As [`Self::add_said`] for a list of differences; adds nothing if it is empty.
    pub(super) fn add_list(
        &mut self,
        place: &str,
        label: &str,
        list: &Differences,
        sentence: impl FnOnce(&Difference) -> String,
    ) {
        if let Some(said) = list.said() {
            self.add_said(place, label, &said, sentence);
        }
    }

    /// Adds a part that is in `to` and belongs in `from`.
    pub(super) fn moved(
        &mut self,
        code: &'static str,
        place: &str,
        what: &str,
        (from, to): (&str, &str),
        sentence: &str,
    ) {
        self.add(
            code,
            place,
            &format!("{what} in {from}"),
            &format!("in {to}"),
            sentence,
        );
    }

    /// Adds a part where none was ordered: `nothing` should be there.
    pub(super) fn extra(&mut self, code: &'static str, place: &str, label: &str, nothing: &str, found: &str) {
        let sentence = format!("{label}: {found} is there although none was ordered.");
        self.add(code, place, nothing, found, &sentence);
    }

    /// Adds that there are more parts of one kind than are compared.
    pub(super) fn too_many(&mut self, code: &'static str, place: &str, parts: usize, what: &str) {
        if let Some(more) = parts.checked_sub(PART_LIMIT).filter(|more| *more > 0) {
            let more = format!("{more} more {what}");
            let sentence = format!("The machine lists {more} than are compared one by one.");
            self.add(code, place, "", &more, &sentence);
        }
    }

    /// Adds with another severity than the code's default; an override in the profile wins.
    pub(super) fn add_as(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: &str,
        expected: &str,
        found: &str,
        sentence: &str,
    ) {
        let severity = match self.rules.get(code) {
            Some(rule) => rule.severity(),
            None => Some(severity),
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

    /// Number of findings so far.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn has(&self, code: &'static str, place: &str) -> bool {
        self.told.contains(&(code, place.to_owned()))
    }

    /// Whether a place has a finding.
    pub(super) fn has_place(&self, place: &str) -> bool {
        self.told.iter().any(|(_, told)| told == place)
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
