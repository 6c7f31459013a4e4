//! The system clock and the hardware clock (RTC). A machine with a dead battery boots in 1970, 2010 or 2036,
//! and every TLS certificate then looks invalid.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inventory_api::UnixMs;
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

use crate::console::Console;

/// A clock that is off by more than any time zone is wrong, not merely set to local time.
pub const LOST: Duration = Duration::from_secs(86_400);

/// Where the kernel puts the first RTC.
const RTC: &str = "/dev/rtc0";

/// `struct rtc_time` of linux/rtc.h is the first nine fields of `struct tm`.
const RTC_TIME: usize = 9 * size_of::<i32>();
nix::ioctl_read_bad!(
    rtc_read_time,
    nix::request_code_read!(b'p', 0x09, RTC_TIME),
    libc::tm
);
nix::ioctl_write_ptr_bad!(
    rtc_set_time,
    nix::request_code_write!(b'p', 0x0a, RTC_TIME),
    libc::tm
);

/// The time of the system's clock; a time before 1970 counts as 1970.
pub fn now() -> UnixMs {
    ms(SystemTime::now())
}

/// Like [`now`], for any time.
pub fn ms(time: SystemTime) -> UnixMs {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().into()
}

/// Whether a clock must be set: it is off by more than `tolerance`, and `right` is plausible.
fn is_off(now: UnixMs, right: UnixMs, tolerance: Duration) -> bool {
    // 2020-01-01: no server's clock is earlier.
    right.0 >= 1_577_836_800_000 && u128::from(now.0.abs_diff(right.0)) > tolerance.as_millis()
}

/// Sets the system clock if it is off by more than `tolerance`, then the RTC if it is off by more than `rtc`,
/// and reports both on the console.
pub fn set_both(right: UnixMs, tolerance: Duration, rtc: Duration, console: &dyn Console) {
    for said in [set(right, tolerance), keep(rtc)].into_iter().flatten() {
        console.line(&said);
    }
}

fn set(right: UnixMs, tolerance: Duration) -> Option<String> {
    let before = now();
    if !is_off(before, right, tolerance) {
        return None;
    }
    let time = TimeSpec::new(right.0 / 1000, (right.0 % 1000) * 1_000_000);
    Some(match clock_settime(ClockId::CLOCK_REALTIME, time) {
        Ok(()) => format!(
            "clock: was off by {} s, set to the server's time",
            before.0.abs_diff(right.0) / 1000
        ),
        Err(e) => format!("clock: cannot set it: {}", e.desc()),
    })
}

/// Writes the system time into the RTC, in UTC. A machine without an RTC is left alone.
fn keep(tolerance: Duration) -> Option<String> {
    match keep_in(Path::new(RTC), tolerance) {
        Ok(written) => {
            written.then(|| "clock: the hardware clock (RTC) was wrong and has been set".to_owned())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => Some(format!(
            "clock: {RTC}: {e}; the time may be wrong after the reboot"
        )),
    }
}

fn keep_in(rtc: &Path, tolerance: Duration) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).open(rtc)?;
    let now = now().0 / 1000;
    let mut has = calendar(0);
    // SAFETY: the argument begins with the kernel's layout and outlives the call. An RTC that cannot be read
    // (never set) is written.
    let known = unsafe { rtc_read_time(file.as_raw_fd(), &mut has) }.is_ok();
    if known && seconds(has).abs_diff(now) <= tolerance.as_secs() {
        return Ok(false);
    }
    // SAFETY: as above.
    unsafe { rtc_set_time(file.as_raw_fd(), &calendar(now)) }?;
    Ok(true)
}

/// The calendar fields of a time, in UTC.
fn calendar(seconds: i64) -> libc::tm {
    // SAFETY: all zeros is a value of this plain structure.
    let mut parts = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values that outlive the call.
    unsafe { libc::gmtime_r(&seconds, &mut parts) };
    parts
}

/// Seconds since 1970 of a time in UTC.
fn seconds(mut parts: libc::tm) -> i64 {
    // SAFETY: the pointer is to a value that outlives the call.
    unsafe { libc::timegm(&mut parts) }
}

/// The validity period of the machine's own certificate (PEM). The server issued it in the past, so the true
/// time is not before its start.
pub fn validity(cert_pem: &str) -> Option<(UnixMs, UnixMs)> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(cert_pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let ms = |time: x509_parser::time::ASN1Time| UnixMs(time.timestamp().saturating_mul(1000));
    Some((
        ms(certificate.validity().not_before),
        ms(certificate.validity().not_after),
    ))
}

/// Whether an installed machine accepts an unauthenticated time. It asks for one when TLS failed over dates
/// or its clock is outside `valid`. The time must lie within its own certificate's validity and differ by
/// more than a day.
pub fn believes(now: UnixMs, told: UnixMs, valid: (UnixMs, UnixMs)) -> bool {
    (valid.0..=valid.1).contains(&told) && is_off(now, told, LOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixMs {
        UnixMs(seconds * 1000)
    }

    #[test]
    fn the_clock_is_set_only_when_it_is_off() {
        let off = |right| is_off(at(1_800_000_000), right, Duration::from_secs(60));
        assert!(!off(at(1_800_000_059)));
        assert!(!off(at(1_799_999_941)));
        assert!(off(at(1_800_000_061)));
        assert!(is_off(at(0), at(1_800_000_000), Duration::from_secs(60)));
        assert!(!off(at(0)));
        assert!(!off(UnixMs(i64::MIN)));
    }

    #[test]
    fn the_rtc_has_the_kernels_layout_and_counts_as_a_calendar() {
        assert_eq!(RTC_TIME, std::mem::offset_of!(libc::tm, tm_isdst) + 4);
        // 2028-02-29 12:34:56, a Tuesday.
        let leap = calendar(1_835_440_496);
        assert_eq!(
            (
                leap.tm_year,
                leap.tm_mon,
                leap.tm_mday,
                leap.tm_hour,
                leap.tm_wday
            ),
            (128, 1, 29, 12, 2)
        );
        for time in [0, 1_835_440_496, 2_147_483_648, 4_102_444_800] {
            assert_eq!(seconds(calendar(time)), time);
        }
        let dir = tempfile::tempdir().unwrap();
        let none = keep_in(&dir.path().join("rtc0"), LOST).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_told_time_is_believed_within_the_certificate_and_when_it_matters() {
        let valid = (at(1_700_000_000), at(2_000_000_000));
        for (now, told, expected) in [
            (0, 1_800_000_000, true),
            (1_262_304_000, 1_800_000_000, true),
            (2_208_988_800, 1_800_000_000, true),
            // Daylight saving and a slow clock explain up to a day.
            (1_800_000_000, 1_800_086_400, false),
            (1_800_000_000, 1_800_086_401, true),
            // Before its own certificate starts, or after it ends.
            (0, 1_699_999_999, false),
            (0, 2_000_000_001, false),
            (0, -1, false),
        ] {
            assert_eq!(believes(at(now), at(told), valid), expected, "{now} {told}");
        }
    }

    #[test]
    fn the_validity_of_a_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2036, 1, 2);
        let pem = params.self_signed(&key).unwrap().pem();
        assert_eq!(validity(&pem), Some((at(1_767_312_000), at(2_082_844_800))));
        assert_eq!(validity("no certificate"), None);
    }
}
