//! How texts are compared and shown.

use std::fmt::Write as _;

/// Characters of a text that are compared; the agent keeps 256.
const COMPARED: usize = 512;

/// The characters that are compared: lower case, runs of spaces as one, none at the ends.
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

/// The text as it is compared, for keys.
pub(super) fn normal(text: &str) -> String {
    compared(text).collect()
}

/// Whether the text is as the profile has it; `*` stands for anything.
pub(super) fn same(wanted: &str, found: &str) -> bool {
    if !wanted.contains('*') {
        return compared(wanted).eq(compared(found));
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (compared(wanted).collect(), compared(found).collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// As [`same`], for CPU models: "Intel Xeon Gold 6130" is what firmware calls "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz".
/// Words that are noise need not stand on both sides; a frequency on both sides must be the same.
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

/// The text without control characters and such that make a terminal or page show something else, cut to `limit`.
pub(super) fn tame(text: &str, limit: usize) -> String {
    let mut out: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'))
        .take(limit + 1)
        .collect();
    if out.chars().count() > limit {
        out.pop();
        out.pop();
        out.push('…');
    }
    out
}

/// A size of memory as on the label of a module: "64 GB" of 2^30 bytes each.
pub fn memory_size(n: u64) -> String {
    let (gib, mib, kib) = (1 << 30, 1 << 20, 1 << 10);
    match n {
        n if n >= gib && n.is_multiple_of(gib) => format!("{} GB", n / gib),
        n if n >= 16 * gib => format!("{:.1} GB", n as f64 / gib as f64),
        n if n >= mib => format!("{} MB", n / mib),
        n => format!("{} kB", n / kib),
    }
}

/// A size of a disk as on its label, in units of 1000; with enough digits to tell it from another.
pub(super) fn disk_size(n: u64) -> String {
    match n {
        1_000_000_000_000.. => format!("{:.2} TB", n as f64 / 1e12),
        1_000_000_000.. => format!("{:.1} GB", n as f64 / 1e9),
        _ => format!("{} MB", n / 1_000_000),
    }
}

/// Joins what is known with spaces.
pub(super) fn words<'a>(parts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut out = String::new();
    for part in parts.into_iter().flatten() {
        let _ = write!(out, "{}{}", if out.is_empty() { "" } else { " " }, part.trim());
    }
    out
}

/// "DIMM A5": the word before a place unless the place has it already.
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

    #[test]
    fn sizes_as_on_labels() {
        assert_eq!(memory_size(64 << 30), "64 GB");
        assert_eq!(memory_size(1536 << 20), "1536 MB");
        assert_eq!(disk_size(960_197_124_096), "960.2 GB");
        assert_eq!(disk_size(1_920_383_410_176), "1.92 TB");
    }

    #[test]
    fn hostile_text_is_tamed() {
        assert_eq!(tame("a\u{1b}[2Jb\n\u{202e}c", 20), "a[2Jb c");
        assert_eq!(tame("abcdef", 4), "abc…");
        assert_eq!(tame("abcd", 4), "abcd");
    }
}
