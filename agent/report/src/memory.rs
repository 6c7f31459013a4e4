//! What the kernel says about its memory. The modules come from SMBIOS.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use super::Problems;
use super::roots::{Roots, attribute};

/// MemTotal in bytes. On the running system `sysinfo` reads it; for a captured machine the file is read here.
pub(super) fn usable_bytes(roots: &Roots, problems: &mut Problems) -> Option<u64> {
    if roots.is_live() {
        let bytes = system().map(|system| system.total_memory());
        if bytes.is_none() {
            problems.note("/proc/meminfo: sysinfo found no MemTotal");
        }
        return bytes;
    }
    let path = roots.proc("meminfo");
    let bytes = size_in(&attribute(&path)?, "MemTotal:");
    if bytes.is_none() {
        problems.note(format_args!("{}: no line MemTotal: NUMBER kB", path.display()));
    }
    bytes
}

/// Bytes of memory that can be allocated without swapping: MemAvailable.
pub fn available_bytes(roots: &Roots) -> Option<u64> {
    if roots.is_live() {
        return system().map(|system| system.available_memory());
    }
    size_in(&attribute(&roots.proc("meminfo"))?, "MemAvailable:")
}

/// The running system's memory; `None` if it cannot be read, for which sysinfo answers 0.
fn system() -> Option<System> {
    let wanted = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(wanted).ok()?;
    (system.total_memory() > 0).then_some(system)
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

    #[test]
    fn sysinfo_and_the_file_agree() {
        let mut problems = Problems::new("memory");
        let text = attribute(&Roots::live().proc("meminfo")).unwrap();
        assert_eq!(
            usable_bytes(&Roots::live(), &mut problems),
            size_in(&text, "MemTotal:")
        );
        assert!(problems.found.is_empty());
    }
}
