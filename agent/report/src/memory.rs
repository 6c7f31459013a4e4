//! The memory usable by the kernel. The modules come from SMBIOS.

use super::Problems;
use super::roots::{Roots, attribute};

/// MemTotal in bytes. On the running system `sysinfo` reads it; for a captured machine the file is read here.
pub(super) fn usable_bytes(roots: &Roots, problems: &mut Problems) -> Option<u64> {
    if roots.is_live() {
        return live(problems);
    }
    let path = roots.proc("meminfo");
    let text = attribute(&path)?;
    let bytes = mem_total(&text);
    if bytes.is_none() {
        problems.note(format_args!("{}: no line MemTotal: NUMBER kB", path.display()));
    }
    bytes
}

fn live(problems: &mut Problems) -> Option<u64> {
    use sysinfo::{MemoryRefreshKind, RefreshKind, System};
    let wanted = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    match System::new_with_specifics(wanted).map(|system| system.total_memory()) {
        Ok(0) => problems.note("/proc/meminfo: sysinfo found no MemTotal"),
        Ok(bytes) => return Some(bytes),
        Err(e) => problems.note(format_args!("sysinfo: memory: {e}")),
    }
    None
}

/// `MemTotal:       16316412 kB`: the kernel's kB are 1024 bytes.
fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mem_total_is_in_bytes() {
        assert_eq!(
            mem_total("MemTotal:       16316412 kB\nMemFree: 1 kB\n"),
            Some(16_316_412 * 1024)
        );
        assert_eq!(mem_total("MemTotal: 18446744073709551615 kB"), None);
        assert_eq!(mem_total("MemFree: 1 kB"), None);
    }

    #[test]
    fn sysinfo_and_the_file_agree() {
        let mut problems = Problems::new("memory");
        let text = attribute(&Roots::live().proc("meminfo")).unwrap();
        assert_eq!(usable_bytes(&Roots::live(), &mut problems), mem_total(&text));
        assert!(problems.found.is_empty());
    }
}
