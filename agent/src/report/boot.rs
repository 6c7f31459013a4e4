//! How the running system was booted.

use inventory_api::report::{BootFacts, FirmwareMode};

use super::roots::{Roots, attribute, read_bounded};
use super::{Problems, clean};

/// The global variable namespace of the UEFI specification, section 3.3.
const SECURE_BOOT: &str = "firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The same variable in the kernel's older interface.
const SECURE_BOOT_OLD: &str = "firmware/efi/vars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c/data";

/// Firmware mode, Secure Boot and kernel. The boot NIC is known from the kernel's command line, not here.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> BootFacts {
    let mode = if roots.sys("firmware/efi").is_dir() {
        Some(FirmwareMode::Uefi)
    } else if roots.sys("firmware").is_dir() && roots.proc("version").exists() {
        // A capture of the tables alone does not say how the machine was booted.
        Some(FirmwareMode::Bios)
    } else {
        None
    };
    let secure_boot = match mode {
        Some(FirmwareMode::Uefi) => secure_boot(roots, problems),
        _ => None,
    };
    BootFacts {
        mode,
        secure_boot,
        kernel: kernel(roots),
        boot_mac: None,
        ..BootFacts::default()
    }
}

fn secure_boot(roots: &Roots, problems: &mut Problems) -> Option<bool> {
    let value = |path: &str| read_bounded(&roots.sys(path), 16).ok().map(|(bytes, _)| bytes);
    // efivarfs puts four bytes of attributes before the value.
    let byte = match (value(SECURE_BOOT).as_deref(), value(SECURE_BOOT_OLD).as_deref()) {
        (Some([_, _, _, _, byte]), _) | (None, Some([byte])) => *byte,
        (None, None) => return None,
        _ => {
            problems.note(format_args!(
                "{SECURE_BOOT}: not one byte after four of attributes"
            ));
            return None;
        }
    };
    Some(byte == 1)
}

fn kernel(roots: &Roots) -> Option<String> {
    attribute(&roots.proc("sys/kernel/osrelease")).and_then(|text| clean::text(&text))
}
