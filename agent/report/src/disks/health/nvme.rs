//! NVMe logs: SMART / health information (02h) and device self-test (06h), NVM Express base specification
//! 2.0, 5.16.1.

use inventory_api::report::DiskHealth;

use super::super::super::parse::little_endian;

/// Data units are thousands of 512-byte blocks.
const UNIT: u64 = 512_000;

/// From the 512 bytes of log page 02h. None if too short or empty.
pub(crate) fn health(log: &[u8]) -> Option<DiskHealth> {
    let log = log.get(..512)?;
    if log.iter().all(|b| *b == 0) {
        return None;
    }
    let counter = |at: usize| little_endian(&log[at..at + 16]);
    // Virtual disks report zero for spare and threshold, which does not mean that no spare is left.
    let has_spare = log[3] != 0 || log[4] != 0;
    let kelvin = i32::from(u16::from_le_bytes([log[1], log[2]]));
    Some(DiskHealth {
        passed: Some(log[0] == 0),
        temperature_c: (kelvin > 0).then_some(kelvin - 273),
        power_on_hours: Some(counter(128)),
        power_cycles: Some(counter(112)),
        used_percent: Some(u32::from(log[5])),
        spare_percent: has_spare.then_some(u32::from(log[3])),
        spare_threshold_percent: has_spare.then_some(u32::from(log[4])),
        uncorrectable_errors: Some(counter(160)),
        critical_warning: Some(log[0]),
        unsafe_shutdowns: Some(counter(144)),
        written_bytes: counter(48).checked_mul(UNIT),
        read_bytes: counter(32).checked_mul(UNIT),
        ..DiskHealth::default()
    })
}

/// Describes the newest self-test, from log page 06h. None if none was ever run.
pub(crate) fn self_test(log: &[u8]) -> Option<String> {
    if log.first()? & 0xf != 0 {
        return Some(format!("running {} %", (log.get(1)? & 0x7f).min(100)));
    }
    let words = match log.get(4)? & 0xf {
        0 => "passed",
        1..=4 | 8 | 9 => "aborted",
        5..=7 => "failed",
        _ => return None,
    };
    // In an empty, all-zero log the entry has no test type.
    (log[4] >> 4 != 0).then(|| words.to_owned())
}
