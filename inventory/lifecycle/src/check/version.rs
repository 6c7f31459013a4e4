//! Compares versions and dates.

use std::cmp::Ordering;

use inventory_api::text::MONTHS;

use super::text::same;

/// Maximum compared parts of a version.
const PARTS: usize = 32;

#[derive(PartialEq)]
enum Part {
    Number(u128),
    Word(String),
}

/// Splits into numbers and words; other characters separate: "N1MET37W (1.22 )" is n, 1, met, 37, w, 1, 22.
fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut after_border = true;
    for c in text.chars().take(512) {
        match (c.to_digit(10), parts.last_mut()) {
            (Some(digit), Some(Part::Number(n))) if !after_border => {
                *n = n.saturating_mul(10).saturating_add(u128::from(digit));
            }
            (Some(digit), _) => parts.push(Part::Number(u128::from(digit))),
            (None, last) if c.is_alphabetic() => match last {
                Some(Part::Word(w)) if !after_border => w.extend(c.to_lowercase()),
                _ => parts.push(Part::Word(c.to_lowercase().collect())),
            },
            _ => {}
        }
        after_border = !c.is_alphanumeric();
        if parts.len() > PARTS {
            break;
        }
    }
    parts
}

/// Whether it is a number without dots that cannot start a version: "080015" (AMI's core), "6702".
fn is_lone(text: &str, parts: &[Part]) -> bool {
    let digits = text.trim();
    matches!(parts, [Part::Number(_)]) && (digits.len() > 3 || digits.len() > 1 && digits.starts_with('0'))
}

/// Compares two versions; `None` if they are not comparable.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (text_a, text_b) = (a, b);
    let (a, b) = (parts(a), parts(b));
    if is_lone(text_a, &a) && b.len() > 1 || is_lone(text_b, &b) && a.len() > 1 {
        return None;
    }
    for (at, pair) in a.iter().zip(&b).enumerate() {
        match pair {
            (Part::Number(a), Part::Number(b)) if a != b => return Some(a.cmp(b)),
            // "1.2a" and "1.2b" are releases; "P89" and "U30" are families.
            (Part::Word(a), Part::Word(b)) if a != b => {
                return (at > 0 && a.chars().count() == 1 && b.chars().count() == 1).then(|| a.cmp(b));
            }
            (Part::Number(_), Part::Word(_)) | (Part::Word(_), Part::Number(_)) => return None,
            _ => {}
        }
    }
    Some(a.len().cmp(&b.len()))
}

/// Parses a date of firmware, month first ("01/31/2022", "Jul 26 2022") or ISO 8601; two-digit years are 1970
/// to 2069.
fn date(text: &str) -> Option<(u32, u32, u32)> {
    let words: Vec<&str> = text
        .split(['/', '-', '.', ' ', ','])
        .filter(|w| !w.is_empty())
        .take(4)
        .collect();
    let number = |word: &str| word.parse::<u32>().ok();
    let named = |word: &str| {
        let word = word.to_lowercase();
        let at = MONTHS.iter().position(|m| word.starts_with(m))?;
        u32::try_from(at + 1).ok()
    };
    let (year, month, day) = match words.as_slice() {
        [month, day, year] if named(month).is_some() => (number(year)?, named(month)?, number(day)?),
        [month, day, year] if text.contains('/') => (number(year)?, number(month)?, number(day)?),
        [year, month, day] => (number(year)?, number(month)?, number(day)?),
        _ => return None,
    };
    let year = match year {
        0..70 => 2000 + year,
        70..100 => 1900 + year,
        1970..10_000 => year,
        _ => return None,
    };
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some((year, month, day))
}

/// Compares two dates; `None` if one cannot be parsed.
pub(super) fn compare_dates(a: &str, b: &str) -> Option<Ordering> {
    Some(date(a)?.cmp(&date(b)?))
}

/// How a version differs from the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Older,
    Newer,
    /// Not comparable with the exact version expected.
    Other,
    /// Not comparable with the minimum expected.
    NoOrder,
    NotReported,
}

impl How {
    pub(super) fn code(self, older: &'static str, other: &'static str) -> &'static str {
        if self == How::Older { older } else { other }
    }

    /// What to do.
    pub(super) fn act(self) -> &'static str {
        match self {
            How::Older => "Update it.",
            How::Newer | How::Other => "Install the expected version, or change the profile.",
            How::NoOrder => {
                "It cannot be told which is newer: they are numbered differently. Write the minimum as this \
                 machine reports its version, or give a least date."
            }
            How::NotReported => super::difference::LOOK,
        }
    }
}

/// One of the facts that identify a firmware.
pub(super) struct Fact<'a> {
    pub name: &'static str,
    /// The word before the value in a sentence.
    pub word: &'static str,
    pub exact: Option<&'a str>,
    pub min: Option<&'a str>,
    pub is: Option<&'a str>,
    pub compare: fn(&str, &str) -> Option<Ordering>,
}

impl<'a> Fact<'a> {
    /// A firmware identified only by its version.
    pub(super) fn firmware(
        exact: &'a Option<String>,
        min: &'a Option<String>,
        is: &'a Option<String>,
    ) -> Fact<'a> {
        Fact {
            name: "firmware",
            word: "",
            exact: exact.as_deref(),
            min: min.as_deref(),
            is: is.as_deref(),
            compare,
        }
    }

    fn order(&self, wanted: Option<&str>) -> Option<Ordering> {
        (self.compare)(self.is?, wanted?)
    }

    fn is_other(&self) -> bool {
        self.exact
            .is_some_and(|wanted| !self.is.is_some_and(|is| same(wanted, is)))
    }
}

/// Why a firmware is not as expected.
pub(super) struct Off {
    pub how: How,
    pub expected: String,
    pub found: String,
}

/// Compares the facts of one firmware with exact values, then with minima; `None` if it is as expected, or
/// nothing is expected.
pub(super) fn off(facts: &[Fact]) -> Option<Off> {
    let by_exact = exactly(facts);
    let exact = by_exact.is_some();
    let how = by_exact.or_else(|| at_least(facts))?;
    let is_off = |fact: &Fact| {
        if exact {
            fact.is_other()
        } else {
            fact.min.is_some()
        }
    };
    // The version is shown with the others, which alone say little.
    let told = |fact: &&Fact| is_off(fact) || (fact.name == "version" && fact.exact.is_some());
    let expected = facts.iter().filter(told).filter_map(|fact| match fact.exact {
        Some(wanted) if exact => Some(format!("{}{wanted}", fact.word)),
        _ => fact.min.map(|least| format!("{}{least} or newer", fact.word)),
    });
    let found = facts.iter().filter(told).map(|fact| match fact.is {
        Some(is) => format!("{}{is}", fact.word),
        None => format!("{} not reported", fact.name),
    });
    Some(Off {
        how,
        expected: expected.collect::<Vec<_>>().join(" "),
        found: found.collect::<Vec<_>>().join(" "),
    })
}

/// Differences from exact values.
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

/// Differences from minima: the first comparable fact decides.
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

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    #[test]
    fn versions_of_the_field_are_ordered() {
        for (a, b, order) in [
            ("2.4.2", "2.10.0", Some(Less)),
            ("2.10", "2.10.0", Some(Less)),
            ("N1MET37W (1.22 )", "N1MET35W (1.20 )", Some(Greater)),
            ("U30 v2.36", "U30 v2.40 (10/26/2020)", Some(Less)),
            ("U30 v2.36", "A43 v2.36", None),
            ("P89", "I36", None),
            ("1.2a", "1.2b", Some(Less)),
            ("1.2", "1.2a", Some(Less)),
            ("SE5C610.86B.01.01.0016", "SE5C610.86B.01.01.0016", Some(Equal)),
            ("0xd0003e7", "0xd0003e7", Some(Equal)),
            ("F.11", "2.0", None),
            ("", "1", Some(Less)),
            ("080015", "2.2", None),
            ("080015", "080016", Some(Less)),
            ("6702", "6701", Some(Greater)),
            ("2", "2.1", Some(Less)),
        ] {
            assert_eq!(compare(a, b), order, "{a} {b}");
        }
        let long = "9".repeat(10_000);
        assert_eq!(compare(&long, "1"), Some(Greater));
    }

    #[test]
    fn dates_of_the_field_are_ordered() {
        assert_eq!(compare_dates("01/31/2022", "02/01/2021"), Some(Greater));
        assert_eq!(compare_dates("12/31/99", "01/01/2000"), Some(Less));
        assert_eq!(compare_dates("2021-02-01", "02/01/2021"), Some(Equal));
        assert_eq!(compare_dates("Jul 26 2022", "Nov  5 2023"), Some(Less));
        assert_eq!(compare_dates("soon", "02/01/2021"), None);
        assert_eq!(compare_dates("13/01/2021", "02/01/2021"), None);
    }

    #[test]
    fn exact_and_least_versions() {
        let check = |exact, min, is| {
            let (name, word) = ("firmware", "");
            let fact = Fact {
                name,
                word,
                exact,
                min,
                is,
                compare,
            };
            off(&[fact]).map(|off| off.how)
        };
        assert_eq!(check(Some("2.4"), None, Some("2.4")), None);
        assert_eq!(check(Some("2.4"), None, Some("2.3")), Some(How::Older));
        assert_eq!(check(Some("2.4"), None, Some("2.5")), Some(How::Newer));
        assert_eq!(check(Some("2.4"), None, Some("F3")), Some(How::Other));
        assert_eq!(check(Some("2.*"), None, Some("2.5")), None);
        assert_eq!(check(None, Some("2.4"), Some("2.5")), None);
        assert_eq!(check(None, Some("2.4"), Some("2.3")), Some(How::Older));
        assert_eq!(check(None, Some("2.4"), Some("F3")), Some(How::NoOrder));
        assert_eq!(check(None, Some("2.4"), None), Some(How::NotReported));
        assert_eq!(check(None, None, None), None);
    }
}
