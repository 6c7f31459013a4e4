//! Text: what people and machines wrote, and how sizes are written.

/// Whether a character is invisible, or changes how the text around it is displayed: bidirectional and
/// zero-width characters, and the replacement character for a byte that could not be decoded.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
}

/// Removes invisible characters, turns every kind of space into a plain one (web pages and word processors
/// use no-break spaces) and trims. Control characters stay: the reader of an imported file reports them.
pub fn cleaned(raw: &str) -> String {
    let kept: String = raw
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| {
            if c.is_whitespace() && !c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    kept.trim().to_owned()
}

/// Whether a terminal or a page must not get this character: a control character, or one that is invisible.
/// The replacement character shows that something was there, so it stays.
pub fn is_wild(c: char) -> bool {
    c.is_control() || (is_invisible(c) && c != '\u{fffd}')
}

/// A text from a machine or a person as one harmless line of at most `limit` characters.
pub fn tame(text: &str, limit: usize) -> String {
    let mut chars = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_wild(*c));
    let mut line: String = chars.by_ref().take(limit).collect();
    if chars.next().is_some() {
        // Not an ellipsis: a console's font may lack it.
        line = line.chars().take(limit.saturating_sub(3)).collect();
        line.push_str("...");
    }
    line
}

/// The months as crontab(5) and firmware write them, in lower case.
pub const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// "1 disk", "2 disks".
pub fn counted(n: impl Into<u64>, what: &str) -> String {
    let n = n.into();
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A disk or transfer size in decimal units, as on the label: "960 GB".
pub fn disk_size(bytes: u64) -> String {
    scaled(bytes, 1000, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// A disk size with its bytes, for a comparison: rounded sizes can look equal.
pub fn exact_disk_size(bytes: u64) -> String {
    format!("{} ({bytes} bytes)", disk_size(bytes))
}

/// A memory size in binary units: "16 GiB".
pub fn memory_size(bytes: u64) -> String {
    scaled(bytes, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

fn scaled(bytes: u64, base: u64, units: &[&str]) -> String {
    let mut unit = 0;
    let mut divisor: u64 = 1;
    while unit + 1 < units.len() && bytes / divisor >= base {
        divisor = divisor.saturating_mul(base);
        unit += 1;
    }
    // Three digits, as on labels: "1.92 TB", "15.4 TB", "960 GB".
    let value = bytes as f64 / divisor as f64;
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    let digits = format!("{value:.decimals$}");
    let digits = match decimals {
        0 => digits.as_str(),
        _ => digits.trim_end_matches('0').trim_end_matches('.'),
    };
    format!("{digits} {}", units[unit])
}

/// An error with its causes, each once: "cannot read x: permission denied".
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, disk, memory) in [
            (0, "0 B", "0 B"),
            (999, "999 B", "999 B"),
            (1_500, "1.5 kB", "1.46 KiB"),
            (960_197_124_096, "960 GB", "894 GiB"),
            (1_920_383_410_176, "1.92 TB", "1.75 TiB"),
            (16 << 30, "17.2 GB", "16 GiB"),
            (15_360_950_534_144, "15.4 TB", "14 TiB"),
            (9_999_999_999, "10 GB", "9.31 GiB"),
            (u64::MAX, "18.4 EB", "16 EiB"),
        ] {
            assert_eq!(disk_size(bytes), disk, "{bytes}");
            assert_eq!(memory_size(bytes), memory, "{bytes}");
        }
    }

    #[test]
    fn hostile_text_is_tamed() {
        for (raw, limit, tamed) in [
            ("a\u{1b}[2Jb\n\u{202e}c", 20, "a[2Jb c"),
            ("a\u{200b}b\u{feff}\u{2028}c\u{fffd}", 20, "ab c\u{fffd}"),
            ("abc", 3, "abc"),
            ("abcdef", 5, "ab..."),
            ("éèàéè", 4, "é..."),
        ] {
            assert_eq!(tame(raw, limit), tamed, "{raw:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_goes_and_every_space_is_one() {
        for (raw, clean) in [
            ("\u{200b}SNX2", "SNX2"),
            ("SNX3\u{a0}", "SNX3"),
            ("a\u{a0}b\u{2009}c\u{3000}d", "a b c d"),
            ("\u{feff}\u{202e}x\u{2069}", "x"),
            ("Gerät\nß", "Gerät\nß"),
            ("", ""),
        ] {
            assert_eq!(cleaned(raw), clean, "{raw:?}");
        }
    }
}
