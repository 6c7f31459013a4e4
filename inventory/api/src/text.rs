//! Text: what people and machines wrote, and how sizes are written.

/// Whether a character is invisible, or changes how the text around it is displayed: bidirectional and zero-width characters, and
/// the replacement character for a byte that could not be decoded.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
}

/// Removes invisible characters, turns every kind of space into a plain one (web pages and word processors use no-break spaces) and
/// trims. Control characters stay: the reader of an imported file reports them.
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

/// "1 disk", "2 disks".
pub fn counted(n: impl Into<u64>, what: &str) -> String {
    let n = n.into();
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A disk or transfer size in decimal units, as on the label: "960 GB".
pub fn disk_size(bytes: u64) -> String {
    scaled(bytes, 1000, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
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
    // One decimal below a hundred: "1.9 TB" and "12.8 TB", but "960 GB" and "16 GiB".
    let tenths = (u128::from(bytes) * 10 + u128::from(divisor) / 2) / u128::from(divisor);
    if unit > 0 && tenths < 1000 && !tenths.is_multiple_of(10) {
        format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
    } else {
        format!("{} {}", (tenths + 5) / 10, units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, disk, memory) in [
            (0, "0 B", "0 B"),
            (999, "999 B", "999 B"),
            (1_500, "1.5 kB", "1.5 KiB"),
            (960_197_124_096, "960 GB", "894 GiB"),
            (1_920_383_410_176, "1.9 TB", "1.7 TiB"),
            (16 << 30, "17.2 GB", "16 GiB"),
            (15_360_950_534_144, "15.4 TB", "14 TiB"),
            (9_999_999_999, "10 GB", "9.3 GiB"),
            (u64::MAX, "18.4 EB", "16 EiB"),
        ] {
            assert_eq!(disk_size(bytes), disk, "{bytes}");
            assert_eq!(memory_size(bytes), memory, "{bytes}");
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
