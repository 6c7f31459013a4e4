//! The `Range` header (RFC 9110, section 14): one byte range.

/// The part of a file that a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it (no range, or one we need not understand).
    All,
    /// From the first to the last byte, both inclusive.
    Part(u64, u64),
    /// A range outside the file.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `len` bytes.
#[must_use]
pub fn wanted(header: Option<&str>, len: u64) -> Wanted {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Wanted::All;
    };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        // A number too large to parse is beyond the end of any file.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (None, Some(0)) if first.is_empty() => Wanted::Unsatisfiable,
        (None, Some(suffix)) if first.is_empty() => {
            if len == 0 {
                Wanted::Unsatisfiable
            } else {
                Wanted::Part(len.saturating_sub(suffix), len - 1)
            }
        }
        (Some(first), _) if first >= len => Wanted::Unsatisfiable,
        (Some(first), None) if last.is_empty() => Wanted::Part(first, len - 1),
        (Some(first), Some(last)) if first <= last => Wanted::Part(first, last.min(len - 1)),
        // Several ranges, or nonsense: the whole file is a valid answer.
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted::*;
    use super::*;

    #[test]
    fn ranges() {
        for (header, expected) in [
            ("bytes=0-0", Part(0, 0)),
            ("bytes=0-99", Part(0, 99)),
            ("bytes=10-", Part(10, 99)),
            ("bytes=10-5000", Part(10, 99)),
            ("bytes=-10", Part(90, 99)),
            ("bytes=-1000", Part(0, 99)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-4", All),
            ("bytes=0-1,5-6", All),
            ("bytes=-", All),
            ("bytes=+1-2", All),
            ("bytes=a-b", All),
            ("lines=1-2", All),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=0-18446744073709551615", Part(0, 99)),
            ("bytes=0-99999999999999999999999999", Part(0, 99)),
            ("bytes=-18446744073709551616", Part(0, 99)),
            ("bytes=18446744073709551615-18446744073709551615", Unsatisfiable),
            ("bytes=000000000000000000000000000005-6", Part(5, 6)),
        ] {
            assert_eq!(wanted(Some(header), 100), expected, "{header}");
        }
        assert_eq!(wanted(None, 100), All);
        assert_eq!(wanted(Some("bytes=0-"), 0), Unsatisfiable);
        assert_eq!(wanted(Some("bytes=-5"), 0), Unsatisfiable);
    }
}
