//! What differs between what was expected and what was found.

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub code: &'static str,
    pub expected: String,
    /// What was found; of a fact that is not reported its name.
    pub found: String,
    /// The fact is not reported.
    pub unknown: bool,
}

impl Difference {
    pub(super) fn new(
        code: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Difference {
        Difference {
            code,
            expected: expected.into(),
            found: found.into(),
            unknown: false,
        }
    }

    /// The fact `what` was expected to be something and is not reported.
    pub(super) fn unknown(code: &'static str, expected: impl Into<String>, what: &str) -> Difference {
        Difference {
            unknown: true,
            ..Difference::new(code, expected, what)
        }
    }

    /// A fact that is either reported, or not.
    pub(super) fn of(
        code: &'static str,
        expected: impl Into<String>,
        found: Option<String>,
        what: &str,
    ) -> Difference {
        match found {
            Some(found) => Difference::new(code, expected, found),
            None => Difference::unknown(code, expected, what),
        }
    }
}

/// Differences as one finding has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Code of the first.
    pub code: &'static str,
    pub expected: String,
    pub found: String,
    /// Nothing of it is reported.
    pub unknown: bool,
}

/// What is known to differ; where nothing is, what is not reported. None: nothing differs.
pub(super) fn said(list: &[Difference]) -> Option<Said> {
    let unknown = list.iter().all(|d| d.unknown);
    let told: Vec<&Difference> = list.iter().filter(|d| d.unknown == unknown).collect();
    let join = |of: fn(&Difference) -> &str| told.iter().map(|d| of(d)).collect::<Vec<_>>().join(", ");
    let found = join(|d| &d.found);
    Some(Said {
        code: told.first()?.code,
        expected: join(|d| &d.expected),
        found: if unknown { not_reported(&found) } else { found },
        unknown,
    })
}

/// "part not reported".
pub(super) fn not_reported(what: &str) -> String {
    format!("{what} not reported")
}

/// What to do about facts that nobody reported.
pub(super) const LOOK: &str =
    "The machine does not tell: look at the part, or take the field out of the profile.";

/// The sentence about facts that nobody reported.
pub(super) fn unknown_sentence(place: &str, said: &Said) -> String {
    format!("{place}: {} (expected {}). {LOOK}", said.found, said.expected)
}
