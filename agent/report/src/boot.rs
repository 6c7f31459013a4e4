//! How the running system was booted, and what the firmware would boot next: UEFI variables from efivarfs.

use inventory_api::efi;
use inventory_api::report::{BootEntry, BootFacts, FirmwareMode};

use super::roots::{Roots, bytes, names, text};
use super::{Problems, clean};

/// Maximum number of entries; some firmware adds one at every start until a few hundred.
const ENTRY_LIMIT: usize = 256;
/// A boot entry with a long device path has a few hundred bytes.
const VARIABLE_LIMIT: u64 = 8192;

/// Firmware mode, Secure Boot, boot entries and kernel. The boot NIC comes from the kernel command line, not
/// from here.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> BootFacts {
    let mode = if roots.sys("firmware/efi").is_dir() {
        Some(FirmwareMode::Uefi)
    } else if roots.sys("firmware").is_dir() && roots.proc("version").exists() {
        // A capture of only the tables does not say how the machine was booted.
        Some(FirmwareMode::Bios)
    } else {
        None
    };
    let mut facts = BootFacts {
        mode,
        kernel: text(&roots.proc("sys/kernel/osrelease")),
        ..BootFacts::default()
    };
    if mode == Some(FirmwareMode::Uefi) {
        facts.secure_boot = flag(roots, "SecureBoot", problems);
        facts.setup_mode = flag(roots, "SetupMode", problems);
        facts.entries = entries(roots, problems);
        facts.order = variable(roots, "BootOrder")
            .map(|bytes| numbers(&bytes))
            .unwrap_or_default();
        facts.current = variable(roots, "BootCurrent").and_then(|bytes| numbers(&bytes).first().copied());
    }
    facts
}

/// The value of a global variable. efivarfs prefixes four bytes of attributes; the kernel's older interface
/// does not.
fn variable(roots: &Roots, name: &str) -> Option<Vec<u8>> {
    let file = efi::file_of(name);
    let read = |path: String| bytes(&roots.sys(path), VARIABLE_LIMIT);
    read(format!("firmware/efi/efivars/{file}"))
        .map(|bytes| bytes.get(4..).unwrap_or_default().to_vec())
        .or_else(|| read(format!("firmware/efi/vars/{file}/data")))
}

fn flag(roots: &Roots, name: &str, problems: &mut Problems) -> Option<bool> {
    match variable(roots, name)?.as_slice() {
        [byte] => Some(*byte == 1),
        other => {
            problems.note(format_args!(
                "UEFI variable {name}: {} bytes, one was expected",
                other.len()
            ));
            None
        }
    }
}

pub(super) fn numbers(bytes: &[u8]) -> Vec<u16> {
    efi::units(bytes).take(ENTRY_LIMIT).collect()
}

fn entries(roots: &Roots, problems: &mut Problems) -> Vec<BootEntry> {
    let files = ["firmware/efi/efivars", "firmware/efi/vars"].map(|folder| names(&roots.sys(folder)));
    let mut entries: Vec<BootEntry> = files
        .iter()
        .flatten()
        .filter_map(|file| {
            let number = efi::boot_number(file)?;
            let name = file.split('-').next()?;
            let entry = variable(roots, name).and_then(|bytes| load_option(number, &bytes));
            if entry.is_none() {
                problems.note(format_args!("UEFI variable {name}: not a boot entry"));
            }
            entry
        })
        .collect();
    entries.sort_by_key(|entry| entry.number);
    entries.dedup_by_key(|entry| entry.number);
    problems.keep(&mut entries, ENTRY_LIMIT, "UEFI variables", "boot entries");
    entries
}

pub(super) fn load_option(number: u16, bytes: &[u8]) -> Option<BootEntry> {
    Some(BootEntry {
        number,
        label: clean::text(&efi::description(bytes)?).unwrap_or_default(),
        active: u32::from(*bytes.first()?) & efi::ACTIVE != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "UEFI QEMU DVD-ROM QM00003" as OVMF writes it, active; path list left out.
    fn option(label: &str, attributes: u32) -> Vec<u8> {
        let mut bytes = vec![7, 0, 0, 0];
        bytes.extend(attributes.to_le_bytes());
        bytes.extend([4, 0]);
        bytes.extend(label.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        bytes.extend([0x7f, 0xff, 4, 0]);
        bytes
    }

    #[test]
    fn entries_order_current_and_secure_boot() {
        let dir = tempfile::tempdir().unwrap();
        let vars = dir.path().join("sys/firmware/efi/efivars");
        std::fs::create_dir_all(&vars).unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(vars.join(efi::file_of(name)), bytes).unwrap();
        write("Boot0001", &option("UEFI PXEv4 (MAC:525400123456)", 1));
        write("Boot000A", &option("debian", 0));
        write("Boot0002", &[7, 0]);
        write("BootOptionSupport", &[7, 0, 0, 0, 1, 0, 0, 0]);
        write("BootOrder", &[7, 0, 0, 0, 10, 0, 1, 0]);
        write("BootCurrent", &[6, 0, 0, 0, 1, 0]);
        write("SecureBoot", &[6, 0, 0, 0, 0]);
        write("SetupMode", &[6, 0, 0, 0, 1]);
        let mut problems = Problems::new("boot");
        let facts = collect(&Roots::under(dir.path()), &mut problems);
        let expected = BootFacts {
            mode: Some(FirmwareMode::Uefi),
            secure_boot: Some(false),
            setup_mode: Some(true),
            entries: vec![
                BootEntry {
                    number: 1,
                    label: "UEFI PXEv4 (MAC:525400123456)".to_owned(),
                    active: true,
                },
                BootEntry {
                    number: 10,
                    label: "debian".to_owned(),
                    active: false,
                },
            ],
            order: vec![10, 1],
            current: Some(1),
            ..BootFacts::default()
        };
        assert_eq!(facts, expected);
        assert_eq!(problems.found.len(), 1, "{problems:?}");
        assert!(problems.found[0].detail.contains("Boot0002"));
    }
}
