//! Logs of ATA disks: self-test log (SMART log 06h) and device statistics (general purpose log 04h, ACS-4
//! 9.5).

use super::super::super::parse::little_endian;

/// Describes the newest entry of the self-test log (ATA8-ACS, A.14). None if no test was ever run.
pub(crate) fn self_test(log: &[u8]) -> Option<String> {
    let log = log.get(..512)?;
    let index = usize::from(log[508]);
    if !(1..=21).contains(&index) {
        return None;
    }
    let status = log[2 + 24 * (index - 1) + 1] >> 4;
    let words = match status {
        0 => "passed",
        1 | 2 => "aborted",
        3..=8 => "failed",
        _ => return None,
    };
    Some(words.to_owned())
}

/// Whether the log directory (log 00h) has the device statistics.
pub(crate) fn has_statistics(directory: &[u8]) -> bool {
    matches!(directory.get(8..10), Some([low, high]) if (*low, *high) != (0, 0))
}

/// The supported device statistics pages, from page 0.
pub(crate) fn statistics_pages(page: &[u8]) -> &[u8] {
    let count = usize::from(page.get(8).copied().unwrap_or(0));
    page.get(9..9 + count).unwrap_or_default()
}

/// Page 1, general.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct General {
    pub power_on_resets: Option<u64>,
    pub power_on_hours: Option<u64>,
    pub sectors_written: Option<u64>,
    pub sectors_read: Option<u64>,
}

/// Parses page 1.
pub(crate) fn general(page: &[u8]) -> General {
    let value = |offset| statistic(page, 1, offset);
    General {
        power_on_resets: value(8),
        power_on_hours: value(16),
        sectors_written: value(24),
        sectors_read: value(40),
    }
}

/// Page 7, solid state: percentage used endurance indicator.
pub(crate) fn used_percent(page: &[u8]) -> Option<u32> {
    statistic(page, 7, 8).and_then(|value| u32::try_from(value & 0xff).ok())
}

/// One statistic: seven bytes of value, then flags: bit 7 supported, bit 6 valid.
fn statistic(page: &[u8], number: u8, offset: usize) -> Option<u64> {
    // The third byte of the header is the page number.
    if *page.get(2)? != number {
        return None;
    }
    let field = page.get(offset..offset + 8)?;
    (field[7] & 0xc0 == 0xc0).then(|| little_endian(&field[..7]))
}
