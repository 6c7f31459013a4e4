//! Differences between the expected and the found.

use super::text::same_part;
use super::version::{Fact, How, off};

/// One difference, or those of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Of several: the code of the first.
    pub code: &'static str,
    pub expected: String,
    /// What was found; for a fact that is not reported, its name.
    pub found: String,
    /// The fact is not reported; of several: none is.
    pub unknown: bool,
}

/// Differences of one part, most significant first. Each fact has a name, which is shown if the fact is not
/// reported.
#[derive(Clone, Debug, Default)]
pub(super) struct Differences(pub Vec<Difference>);

impl Differences {
    /// Something unexpected was found.
    pub(super) fn add(&mut self, code: &'static str, expected: impl Into<String>, found: impl Into<String>) {
        self.other(code, "", expected, Some(found.into()));
    }

    /// Something unexpected was found, or nothing was reported.
    pub(super) fn other(
        &mut self,
        code: &'static str,
        name: &str,
        expected: impl Into<String>,
        found: Option<String>,
    ) {
        self.0.push(Difference {
            code,
            expected: expected.into(),
            unknown: found.is_none(),
            found: found.unwrap_or_else(|| name.to_owned()),
        });
    }

    /// Compares an expected fact: it differs unless it `holds`. `shown`: a value in words.
    pub(super) fn fact<T: Copy>(
        &mut self,
        code: &'static str,
        name: &str,
        (wanted, is): (Option<T>, Option<T>),
        holds: impl Fn(T, T) -> bool,
        shown: impl Fn(T) -> String,
    ) {
        if let Some(wanted) = wanted.filter(|wanted| !is.is_some_and(|is| holds(*wanted, is))) {
            self.other(code, name, shown(wanted), is.map(shown));
        }
    }

    /// Compares an exactly expected fact.
    pub(super) fn exact<T: Copy + PartialEq>(
        &mut self,
        code: &'static str,
        name: &str,
        wanted: Option<T>,
        is: Option<T>,
        shown: impl Fn(T) -> String,
    ) {
        self.fact(code, name, (wanted, is), |wanted, is| wanted == is, shown);
    }

    /// Compares an expected text; a blank one is not compared.
    pub(super) fn text(
        &mut self,
        code: &'static str,
        name: &str,
        wanted: &Option<String>,
        is: &Option<String>,
        same: fn(&str, &str) -> bool,
    ) {
        self.fact(
            code,
            name,
            (not_blank(wanted), is.as_deref()),
            same,
            str::to_owned,
        );
    }

    /// Compares part number and maker. If the part number is as ordered, so is the maker, however it is
    /// written. Returns whether the part number is as ordered.
    pub(super) fn part(
        &mut self,
        code: &'static str,
        (part, is): (&Option<String>, &Option<String>),
        (maker, found): (&Option<String>, &Option<String>),
        same_maker: fn(&str, &str) -> bool,
    ) -> bool {
        let before = self.0.len();
        self.text(code, "part", part, is, same_part);
        if not_blank(part).is_some() && self.0.len() == before {
            return true;
        }
        self.text(code, "maker", maker, found, same_maker);
        false
    }

    /// Compares a firmware that is identified by one fact.
    pub(super) fn firmware(&mut self, older: &'static str, other: &'static str, fact: Fact) {
        let name = fact.name;
        let Some(off) = off(&[fact]) else { return };
        let found = match off.how {
            How::NotReported => None,
            How::NoOrder => Some(format!("{}, which cannot be compared with it", off.found)),
            How::Older | How::Newer | How::Other => Some(off.found),
        };
        self.other(off.how.code(older, other), name, off.expected, found);
    }

    /// The content of one finding: the known differences, or, if there are none, what is not reported.
    /// `None`: nothing differs.
    pub(super) fn said(&self) -> Option<Difference> {
        let unknown = self.0.iter().all(|d| d.unknown);
        let told: Vec<&Difference> = self.0.iter().filter(|d| d.unknown == unknown).collect();
        let join = |of: fn(&Difference) -> &str| told.iter().map(|d| of(d)).collect::<Vec<_>>().join(", ");
        Some(Difference {
            code: told.first()?.code,
            expected: join(|d| &d.expected),
            found: join(|d| &d.found),
            unknown,
        })
    }
}

pub(super) fn not_blank(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

/// What to do about facts that were not reported.
pub(super) const LOOK: &str =
    "The machine does not tell: look at the part, or take the field out of the profile.";
