//! What the kernel says about its memory. The modules come from SMBIOS.

use super::Problems;
use super::roots::{Roots, attribute};

/// MemTotal in bytes.
pub(super) fn usable_bytes(roots: &Roots, problems: &mut Problems) -> Option<u64> {
    let path = roots.proc("meminfo");
    let bytes = size_in(&attribute(&path)?, "MemTotal:");
    if bytes.is_none() {
        problems.note(format_args!("{}: no line MemTotal: NUMBER kB", path.display()));
    }
    bytes
}

/// Bytes of memory that can be allocated without swapping: MemAvailable.
pub fn available_bytes(roots: &Roots) -> Option<u64> {
    size_in(&attribute(&roots.proc("meminfo"))?, "MemAvailable:")
}

/// `MemTotal:       16316412 kB`: the kernel's kB are 1024 bytes.
fn size_in(meminfo: &str, field: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mem_total_is_in_bytes() {
        assert_eq!(
            size_in("MemTotal:       16316412 kB\nMemFree: 1 kB\n", "MemTotal:"),
            Some(16_316_412 * 1024)
        );
        assert_eq!(size_in("MemTotal: 18446744073709551615 kB", "MemTotal:"), None);
        assert_eq!(size_in("MemFree: 1 kB", "MemTotal:"), None);
    }
}
