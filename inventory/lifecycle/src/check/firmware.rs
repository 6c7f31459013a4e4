//! Firmware of machine and BMC. Version, date and release number of a machine's firmware are one firmware and one finding: the
//! version decides which is older, then the date, then the release number.

use std::cmp::Ordering;

use inventory_api::check::{BmcProfile, FirmwareProfile, code};
use inventory_api::report::AssetReport;

use super::findings::Findings;
use super::text::same;
use super::version::{How, compare, compare_dates, off};

/// One of the facts by which a firmware is known.
struct Fact<'a> {
    name: &'static str,
    /// Before the value in a sentence.
    word: &'static str,
    exact: Option<&'a str>,
    min: Option<&'a str>,
    is: Option<&'a str>,
    compare: fn(&str, &str) -> Option<Ordering>,
}

impl Fact<'_> {
    fn order(&self, wanted: Option<&str>) -> Option<Ordering> {
        (self.compare)(self.is?, wanted?)
    }

    fn is_other(&self) -> bool {
        self.exact
            .is_some_and(|wanted| !self.is.is_some_and(|is| same(wanted, is)))
    }
}

pub(super) fn check(findings: &mut Findings, wanted: &FirmwareProfile, report: &AssetReport) {
    let is = report.firmware.as_ref();
    let facts = [
        Fact {
            name: "version",
            word: "",
            exact: wanted.version.as_deref(),
            min: wanted.min_version.as_deref(),
            is: is.and_then(|f| f.version.as_deref()),
            compare,
        },
        Fact {
            name: "date",
            word: "of ",
            exact: wanted.date.as_deref(),
            min: wanted.min_date.as_deref(),
            is: is.and_then(|f| f.date.as_deref()),
            compare: compare_dates,
        },
        Fact {
            name: "release number",
            word: "release ",
            exact: wanted.revision.as_deref(),
            min: wanted.min_revision.as_deref(),
            is: is.and_then(|f| f.revision.as_deref()),
            compare,
        },
    ];
    let by_exact = exactly(&facts);
    let Some(how) = by_exact.or_else(|| at_least(&facts)) else {
        return;
    };
    let exact = by_exact.is_some();
    let is_off = |fact: &Fact| {
        if exact {
            fact.is_other()
        } else {
            fact.min.is_some()
        }
    };
    // The version is told with the others, which alone say little.
    let told = |fact: &&Fact| is_off(fact) || (fact.name == "version" && fact.exact.is_some());
    let expected = facts.iter().filter(told).filter_map(|fact| match fact.exact {
        Some(wanted) if exact => Some(format!("{}{wanted}", fact.word)),
        _ => fact.min.map(|least| format!("{}{least} or newer", fact.word)),
    });
    let found = facts.iter().filter(told).map(|fact| match fact.is {
        Some(is) => format!("{}{is}", fact.word),
        None => format!("{} not reported", fact.name),
    });
    let join = |texts: Vec<String>| texts.join(" ").replace(" release ", ", release ");
    let (expected, found) = (join(expected.collect()), join(found.collect()));
    let what = match how {
        How::NotReported => {
            let sentence = format!(
                "Firmware (BIOS/UEFI): {found} (expected {expected}). {}",
                how.act()
            );
            return findings.add_unknown(code::FIRMWARE_OTHER, "firmware", &expected, &found, &sentence);
        }
        How::Older => "is older than",
        How::Newer => "is newer than",
        How::Other => "is not",
        How::NoOrder => "cannot be compared with",
    };
    let code = how.code(code::FIRMWARE_OLDER, code::FIRMWARE_OTHER);
    let sentence = format!(
        "The firmware (BIOS/UEFI) {found} {what} the expected {expected}. {}",
        how.act()
    );
    findings.add(code, "firmware", &expected, &found, &sentence);
}

/// What is wrong with facts that are fixed exactly; None: nothing.
fn exactly(facts: &[Fact]) -> Option<How> {
    let others: Vec<&Fact> = facts.iter().filter(|fact| fact.is_other()).collect();
    if others.iter().all(|fact| fact.is.is_none()) {
        return (!others.is_empty()).then_some(How::NotReported);
    }
    let decides = others.iter().find_map(|fact| match fact.order(fact.exact)? {
        Ordering::Less => Some(How::Older),
        Ordering::Greater => Some(How::Newer),
        Ordering::Equal => None,
    });
    Some(decides.unwrap_or(How::Other))
}

/// What is wrong with facts that have a minimum: the first that has an order decides; None: nothing.
fn at_least(facts: &[Fact]) -> Option<How> {
    let mut undecided = None;
    for fact in facts.iter().filter(|fact| fact.min.is_some()) {
        match fact.order(fact.min) {
            Some(Ordering::Less) => return Some(How::Older),
            Some(Ordering::Greater) => return None,
            Some(Ordering::Equal) => undecided = None,
            None if fact.is.is_none() => undecided = undecided.or(Some(How::NotReported)),
            None => undecided = Some(How::NoOrder),
        }
    }
    undecided
}

pub(super) fn bmc(findings: &mut Findings, wanted: &BmcProfile, report: &AssetReport) {
    if *wanted == BmcProfile::default() {
        return;
    }
    let expected = wanted.firmware.as_deref().or(wanted.min_firmware.as_deref());
    let Some(bmc) = &report.bmc else {
        let sentence = "No BMC answers in band. Check that it is there, has started and that IPMI is switched on in the \
                        firmware's setup.";
        findings.add(
            code::BMC_MISSING,
            "BMC",
            expected.unwrap_or("a BMC"),
            "no BMC",
            sentence,
        );
        return;
    };
    if let Some(off) = off(
        wanted.firmware.as_deref(),
        wanted.min_firmware.as_deref(),
        bmc.firmware.as_deref(),
        compare,
    ) {
        let how = off.how;
        let difference = off.difference(code::BMC_FIRMWARE_OLDER, code::BMC_FIRMWARE_OTHER);
        findings.add_list("BMC", "BMC", &[difference], |said| {
            let (found, expected) = (&said.found, &said.expected);
            format!(
                "The BMC's firmware is {found}; expected is {expected}. {}",
                how.act()
            )
        });
    }
}
