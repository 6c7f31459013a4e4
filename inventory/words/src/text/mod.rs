//! Facts in words, for page and CLI: sizes, times, plans. Pure: the time is an argument.

pub mod boot;
pub mod plan;

use std::borrow::Borrow;
use std::fmt::Display;

use inventory_api::machine::MachineSummary;
pub use inventory_api::text::{counted, disk_size, memory_size, tame};
use inventory_api::{Mac, UnixMs};
use time::OffsetDateTime;

/// The MACs of a machine; those known only from its report are marked.
pub fn macs_words(machine: &MachineSummary) -> String {
    let word = |mac: &Mac| match machine.reported_macs.contains(mac) {
        true => format!("{mac} (reported only)"),
        false => mac.to_string(),
    };
    machine.macs.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// A time as text. The page's script keeps `ago` current.
pub struct Moment {
    /// Milliseconds since 1970.
    pub ms: i64,
    /// "12 s ago".
    pub ago: String,
    /// The exact time.
    pub stamp: String,
}

impl Moment {
    /// Describes `at` as seen at `now`.
    pub fn new(at: UnixMs, now: UnixMs) -> Moment {
        Moment {
            ms: at.0,
            ago: ago(at, now),
            stamp: timestamp(at),
        }
    }
}

/// The value behind `before`, or nothing: " by relay 10.0.0.1".
pub(crate) fn if_any(before: &str, value: Option<impl Display>) -> String {
    value_or(before, value, "")
}

/// The value behind `before`, or other words: "the relay 10.0.0.1", "a relay".
pub(crate) fn value_or(before: &str, value: Option<impl Display>, unknown: &str) -> String {
    value.map_or_else(|| unknown.to_owned(), |value| format!("{before}{value}"))
}

/// Those that are present, joined with spaces: "Intel X710". `None`: none is present.
pub fn joined<'a>(words: impl IntoIterator<Item = &'a Option<String>>) -> Option<String> {
    let words: Vec<&str> = words.into_iter().filter_map(Option::as_deref).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// "a, b, c"; `none` for an empty list.
pub fn listed<S: Borrow<str>>(words: &[S], none: &str) -> String {
    match words {
        [] => none.to_owned(),
        _ => words.join(", "),
    }
}

/// Percent-encodes a text as one segment of a URL path.
pub fn segment(text: &str) -> String {
    let one = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

/// A duration in at most two units: "45 s", "2 min 5 s", "3 h 10 min", "4 d 2 h".
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
    match b {
        0 => format!("{a} {a_unit}"),
        _ => format!("{a} {a_unit} {b} {b_unit}"),
    }
}

/// A past time in one unit: "just now", "12 s ago", "3 min ago", "2 d ago".
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
    match OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)) {
        Ok(at) => {
            let (hour, minute, second) = at.to_hms();
            format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
        }
        // Outside the range of dates: the sender's value is wrong.
        Err(_) => format!("{} ms after 1970", at.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
