//! Log pages of SCSI and SAS disks (SPC-6 7.3, SBC-4 6.4), each from LOG SENSE.

use inventory_api::report::DiskHealth;

use super::super::super::parse::{big_endian, page_body};

/// Maximum number of parameters per page.
const PARAMETER_LIMIT: usize = 64;

/// The pages to query, with cumulative values.
pub(crate) const PAGES: [u8; 8] = [0x02, 0x03, 0x05, 0x0d, 0x10, 0x11, 0x15, 0x2f];

/// Adds the facts of one page. A wrong or broken page adds nothing.
pub(crate) fn add(page: u8, data: &[u8], health: &mut DiskHealth) {
    if data.first().is_none_or(|code| code & 0x3f != page) {
        return;
    }
    for (code, value) in parameters(data) {
        match (page, code) {
            (0x02, 5) => health.written_bytes = number(value),
            (0x03, 5) => health.read_bytes = number(value),
            // Uncorrected errors: write, read, verify.
            (0x02 | 0x03 | 0x05, 6) => {
                let before = health.uncorrectable_errors.unwrap_or(0);
                health.uncorrectable_errors = Some(before.saturating_add(number(value).unwrap_or(0)));
            }
            // FFh: no reading.
            (0x0d, 0) => health.temperature_c = value.get(1).filter(|t| **t != 0xff).map(|t| i32::from(*t)),
            (0x10, 1) => health.self_test = self_test(value),
            (0x11, 1) => health.used_percent = value.get(3).map(|percent| u32::from(*percent)),
            (0x15, 0) => {
                health.power_on_hours = value.get(..4).and_then(number).map(|minutes| minutes / 60);
            }
            // Additional sense code 5Dh: a failure is predicted; 0Bh: a warning.
            (0x2f, 0) => {
                health.passed = match value.first() {
                    Some(0) => Some(true),
                    Some(0x5d | 0x0b) => Some(false),
                    _ => None,
                }
            }
            _ => {}
        }
    }
}

/// Sectors replaced since manufacture, from the header of READ DEFECT DATA (10) (SBC-4, 5.18.2). None without
/// a grown list, or if its format is vendor-specific.
pub(crate) fn grown_defects(header: &[u8]) -> Option<u64> {
    let [_, bits, high, low, ..] = header else {
        return None;
    };
    let each = match bits & 0x7 {
        // Short block; long block, bytes from index, physical sector.
        0 => 4,
        3..=5 => 8,
        _ => return None,
    };
    (bits & 0x08 != 0).then(|| u64::from(u16::from_be_bytes([*high, *low])) / each)
}

/// Code and value of each parameter: two bytes code, one control, one length.
fn parameters(data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = page_body(data);
    std::iter::from_fn(move || {
        let (header, after) = rest.split_at_checked(4)?;
        let (value, after) = after.split_at_checked(usize::from(header[3]))?;
        rest = after;
        Some((u16::from_be_bytes([header[0], header[1]]), value))
    })
    .take(PARAMETER_LIMIT)
}

fn number(bytes: &[u8]) -> Option<u64> {
    (1..=8).contains(&bytes.len()).then(|| big_endian(bytes))
}

/// The first parameter of page 10h is the newest test (SPC-6, table 411).
fn self_test(value: &[u8]) -> Option<String> {
    let first = *value.first()?;
    if first >> 5 == 0 {
        return None;
    }
    let words = match first & 0xf {
        0 => "passed",
        1 | 2 => "aborted",
        3..=7 => "failed",
        15 => "running",
        _ => return None,
    };
    Some(words.to_owned())
}
