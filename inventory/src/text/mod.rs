//! Facts in words, for page and CLI alike: sizes, times, plans. Pure: the time is an argument.

pub mod boot;
pub mod plan;

use std::borrow::Borrow;

use inventory_api::machine::MachineSummary;
use inventory_api::{Mac, UnixMs};

/// The MACs of a machine; those that only its report names are marked.
pub fn macs_words(machine: &MachineSummary) -> String {
    let word = |mac: &Mac| match machine.reported_macs.contains(mac) {
        true => format!("{mac} (reported only)"),
        false => mac.to_string(),
    };
    machine.macs.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// What of these there is, in one: "Intel X710".
pub fn joined<'a>(words: impl IntoIterator<Item = &'a Option<String>>) -> Option<String> {
    let words: Vec<&str> = words.into_iter().filter_map(Option::as_deref).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// "a, b, c", or what stands there when there is none.
pub fn listed<S: Borrow<str>>(words: &[S], none: &str) -> String {
    if words.is_empty() {
        return none.to_owned();
    }
    words.join(", ")
}

/// A disk or transfer size in decimal units, as makers print it: "960 GB".
pub fn disk_size(bytes: u64) -> String {
    scaled(bytes, 1000, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// A memory size in binary units: "16 GiB".
pub fn memory_size(bytes: u64) -> String {
    scaled(bytes, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// A text as one segment of an address.
pub fn segment(text: &str) -> String {
    let one = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

fn scaled(bytes: u64, base: u64, units: &[&str]) -> String {
    let mut unit = 0;
    let mut divisor: u64 = 1;
    while unit + 1 < units.len() && bytes / divisor >= base {
        divisor = divisor.saturating_mul(base);
        unit += 1;
    }
    // One decimal below ten: "1.9 TB", but "960 GB" and "16 GiB".
    let tenths = (u128::from(bytes) * 10 + u128::from(divisor) / 2) / u128::from(divisor);
    if unit > 0 && tenths < 100 && !tenths.is_multiple_of(10) {
        format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
    } else {
        format!("{} {}", (tenths + 5) / 10, units[unit])
    }
}

/// A length of time, in the two units that matter: "45 s", "2 min 5 s", "3 h 10 min", "4 d 2 h".
pub fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 if ms > 0 => format!("0.{} s", (ms / 100).max(1)),
        0..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s % 3600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

fn two(a: u64, a_unit: &str, b: u64, b_unit: &str) -> String {
    if b == 0 {
        format!("{a} {a_unit}")
    } else {
        format!("{a} {a_unit} {b} {b_unit}")
    }
}

/// How long ago, in one unit: "just now", "12 s ago", "3 min ago", "2 d ago".
pub fn ago(at: UnixMs, now: UnixMs) -> String {
    match now.since(at) / 1000 {
        0..2 => "just now".to_owned(),
        s @ 2..60 => format!("{s} s ago"),
        s @ 60..3600 => format!("{} min ago", s / 60),
        s @ 3600..86_400 => format!("{} h ago", s / 3600),
        s => format!("{} d ago", s / 86_400),
    }
}

/// "2026-11-22 04:31:51 UTC".
pub fn timestamp(at: UnixMs) -> String {
    let seconds = at.0.div_euclid(1000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let s = seconds.rem_euclid(86_400);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        s / 3600,
        s % 3600 / 60,
        s % 60
    )
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar (the algorithm that
/// counts in eras of 400 years from 0000-03-01).
fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The text with control characters, line and paragraph separators and bidirectional overrides replaced, and cut to
/// `limit` characters: what a machine says of itself must not be able to drive a terminal.
pub fn tame(text: &str, limit: usize) -> String {
    let mut out: String = text
        .chars()
        .take(limit)
        .map(|c| match c {
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    if text.chars().nth(limit).is_some() {
        out.push('…');
    }
    out
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
            (16 << 30, "17 GB", "16 GiB"),
            (9_999_999_999, "10 GB", "9.3 GiB"),
            (u64::MAX, "18 EB", "16 EiB"),
        ] {
            assert_eq!(disk_size(bytes), disk, "{bytes}");
            assert_eq!(memory_size(bytes), memory, "{bytes}");
        }
    }

    #[test]
    fn durations() {
        for (ms, text) in [
            (0, "0 s"),
            (40, "0.1 s"),
            (950, "0.9 s"),
            (45_000, "45 s"),
            (60_000, "1 min"),
            (125_000, "2 min 5 s"),
            (11_400_000, "3 h 10 min"),
            (352_800_000, "4 d 2 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
        assert_eq!(ago(UnixMs(0), UnixMs(190_000)), "3 min ago");
        assert_eq!(ago(UnixMs(5_000), UnixMs(0)), "just now");
    }

    #[test]
    fn timestamps() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_795_321_911_000, "2026-11-22 04:31:51 UTC"),
            (1_735_689_599_999, "2024-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(timestamp(UnixMs(ms)), text);
        }
    }

    #[test]
    fn hostile_text_is_tamed() {
        assert_eq!(
            tame("a\u{1b}[2Jb\n\u{202e}c", 20),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c"
        );
        assert_eq!(tame("abcdef", 3), "abc…");
    }
}
