//! How texts are compared and displayed.

use std::fmt::Write as _;

use inventory_api::serial::{bare, says_something};

/// Maximum compared characters of a text; the agent keeps 256.
const COMPARED: usize = 512;

/// The characters to compare: lower case, runs of spaces as one, trimmed.
fn compared(text: &str) -> impl Iterator<Item = char> {
    let mut space = false;
    text.trim()
        .chars()
        .take(COMPARED)
        .filter(move |c| {
            let drop = c.is_whitespace() && space;
            space = c.is_whitespace();
            !drop
        })
        .flat_map(|c| if c.is_whitespace() { ' ' } else { c }.to_lowercase())
}

/// The text for comparison, used as a key.
pub(super) fn normal(text: &str) -> String {
    compared(text).collect()
}

/// Whether the text matches the wanted one; `*` matches anything.
pub(crate) fn same(wanted: &str, found: &str) -> bool {
    if !wanted.contains('*') {
        return compared(wanted).eq(compared(found));
    }
    let (wanted, found) = (normal(wanted), normal(found));
    let mut parts = wanted.split('*');
    let Some(mut rest) = found.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let last = parts.next_back().unwrap_or_default();
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// As [`same`], for part numbers: another revision is the same part. Dell's "0G6W6KA01" is "0G6W6K" in
/// revision A01; Kingston writes ".A01G", Micron the revision of the chips ("-2G9E1"), others "REV 02".
pub(super) fn same_part(wanted: &str, found: &str) -> bool {
    same(wanted, found)
        || (!wanted.contains('*') && {
            let (wanted, found) = (normal(wanted), normal(found));
            without_revision(&wanted) == without_revision(&found)
        })
}

/// A part number in lower case, without its revision.
fn without_revision(part: &str) -> &str {
    let all = |text: &str, holds: fn(u8) -> bool| !text.is_empty() && text.bytes().all(holds);
    let digits = |text: &str| all(text, |b| b.is_ascii_digit());
    // "pws-706p-1r rev1.1", "x_rev02".
    if let Some((before, after)) = part.rsplit_once("rev") {
        let number = after.trim_start_matches(['.', ':', '-', ' ']);
        let bare = before.trim_end_matches([' ', '-', '_', '/', ',', '(']);
        let short = number.len() <= 5 && all(number, |b| b.is_ascii_alphanumeric() || b == b'.' || b == b')');
        if short && bare.len() >= 4 && bare.len() < before.len() {
            return bare;
        }
    }
    let Some(at) = part.len().checked_sub(3).filter(|at| part.is_char_boundary(*at)) else {
        return part;
    };
    let (before, last) = part.split_at(at);
    let dell = before.len() == 6
        && all(before, |b| b.is_ascii_alphanumeric())
        && last.starts_with(['a', 'x'])
        && digits(&last[1..]);
    if dell {
        return before;
    }
    // "9965640-006.a01g".
    if let Some((before, after)) = part.rsplit_once('.')
        && let Some(number) = after.strip_prefix('a')
        && before.contains('-')
        && digits(number.trim_end_matches('g'))
    {
        return before;
    }
    // "mta36asf8g72pz-2g9e1": speed grade, then revision of the chips and of the board.
    if let Some((_, grade)) = part.rsplit_once('-')
        && let [a, b'g', c, d, e] = grade.as_bytes()
        && [a, c, e].iter().all(|b| b.is_ascii_digit())
        && d.is_ascii_alphabetic()
    {
        return &part[..part.len() - 2];
    }
    part
}

/// Whether it is a placeholder of the firmware.
pub(super) fn is_filler(text: &str) -> bool {
    let bare = bare(text);
    bare.is_empty() || (bare.len() > 1 && !says_something(&bare))
}

/// As [`same`], for CPU models: "Intel Xeon Gold 6130" matches "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz".
/// Noise words may be on one side only; a frequency on both sides must be equal.
pub(super) fn same_cpu(wanted: &str, found: &str) -> bool {
    if wanted.contains('*') || compared(wanted).eq(compared(found)) {
        return same(wanted, found);
    }
    let split = |text: &str| -> (Vec<String>, Vec<String>) {
        let text = normal(text)
            .replace("(r)", " ")
            .replace("(tm)", " ")
            .replace("(c)", " ");
        let words = text.split_whitespace().map(str::to_owned);
        let (noise, name): (Vec<_>, Vec<_>) = words.partition(|w| is_noise(w));
        (name, noise.into_iter().filter(|w| w.ends_with("hz")).collect())
    };
    let ((wanted, wanted_mhz), (found, found_mhz)) = (split(wanted), split(found));
    !wanted.is_empty()
        && wanted == found
        && (wanted_mhz.is_empty() || found_mhz.is_empty() || wanted_mhz == found_mhz)
}

fn is_noise(word: &str) -> bool {
    matches!(word, "cpu" | "processor" | "@" | "intel" | "amd" | "0")
        || word.ends_with("-core")
        || (word.ends_with("hz") && word.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether a number deviates by at most this many percent.
pub(super) fn near(found: u64, wanted: u64, percent: u32) -> bool {
    u128::from(found.abs_diff(wanted)) * 100 <= u128::from(wanted) * u128::from(percent)
}

/// Whether a number is at most this many percent below.
pub(super) fn not_below(found: u32, wanted: u32, percent: u32) -> bool {
    u64::from(found) * 100 >= u64::from(wanted) * u64::from(100_u32.saturating_sub(percent))
}

/// Joins the known words with spaces.
pub(super) fn words<'a>(parts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut out = String::new();
    for part in parts.into_iter().flatten() {
        let _ = write!(out, "{}{}", if out.is_empty() { "" } else { " " }, part.trim());
    }
    out
}

/// As [`words`]; `else_a` if nothing is known.
pub(super) fn words_or<'a>(else_a: &str, parts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let text = words(parts);
    if text.is_empty() { else_a.to_owned() } else { text }
}

/// "DIMM A5": puts the word before a place unless it contains it already.
pub(super) fn label(word: &str, place: &str) -> String {
    if normal(place).contains(&word.to_lowercase()) {
        place.to_owned()
    } else {
        format!("{word} {place}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_without_case_and_spaces() {
        assert!(same("Dell Inc.", " DELL  inc. "));
        assert!(!same("Dell Inc.", "Dell Inc"));
        assert!(same("MTA36ASF8G72PZ*", "MTA36ASF8G72PZ-2G9B1"));
        assert!(same("*6130*", "Intel(R) Xeon(R) Gold 6130 CPU"));
        assert!(same("*", ""));
        assert!(!same("a*b*c", "a-b-d"));
        assert!(same("a*b*c", "a-b-b-c"));
        assert!(same("*** x", "*** x"));
    }

    #[test]
    fn a_revision_does_not_make_another_part() {
        for (a, b, is) in [
            ("0G6W6KA00", "0G6W6KA01", true),
            ("0G6W6KA00", "0G6W6K", true),
            ("0G6W6KA00", "0TPJ2XA00", false),
            ("0H28RRX05", "0H28RRA04", true),
            ("PWS-706P-1R REV1.1", "PWS-706P-1R", true),
            ("PWS-706P-1R", "PWS-707P-1R", false),
            ("9965640-006.A01G", "9965640-006.A02G", true),
            ("9965640-006.A01G", "9965640-007.A01G", false),
            ("MTA36ASF8G72PZ-2G9E1", "MTA36ASF8G72PZ-2G9J3", true),
            ("MTA36ASF8G72PZ-2G9E1", "MTA36ASF8G72PZ-3G2E1", false),
            ("M393A4K40CB2-CTD", "M393A4K40BB2-CTD", false),
            ("840758-091", "840758-B21", false),
            ("MTA36*", "MTA36ASF8G72PZ-2G9E1", true),
            ("", "A00", false),
        ] {
            assert_eq!(
                (same_part(a, b), same_part(b, a) || a.contains('*')),
                (is, is),
                "{a} {b}"
            );
        }
    }

    #[test]
    fn placeholders_are_not_compared() {
        for text in [
            "SKU=NotProvided;ModelName=PowerEdge R320",
            " ",
            "To be filled by O.E.M.",
            "Default string",
        ] {
            assert!(is_filler(text), "{text}");
        }
        for text in ["SKU=0716;ModelName=PowerEdge R640", "755258-B21", "M1"] {
            assert!(!is_filler(text), "{text}");
        }
    }

    #[test]
    fn cpu_models_as_people_write_them() {
        let gold = "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz";
        assert!(same_cpu("Intel Xeon Gold 6130", gold));
        assert!(same_cpu("xeon gold 6130", gold));
        assert!(same_cpu("Xeon Gold 6130 @ 2.10GHz", gold));
        assert!(!same_cpu("Xeon Gold 6130 @ 2.80GHz", gold));
        assert!(!same_cpu("Xeon Gold 613", gold));
        assert!(!same_cpu("Xeon", gold));
        assert!(!same_cpu(
            "Intel Xeon E5-2620",
            "Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz"
        ));
        assert!(same_cpu("AMD EPYC 7302", "AMD EPYC 7302 16-Core Processor"));
        assert!(!same_cpu("AMD EPYC 7302", "AMD EPYC 7302P 16-Core Processor"));
        assert!(!same_cpu("Intel CPU", "AMD Processor"));
    }
}
