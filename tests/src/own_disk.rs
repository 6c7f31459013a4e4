//! Disks that boot and announce themselves on the serial line.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::snakeoil::run;

/// What the disk's program prints.
pub const LINE: &str = "this machine boots its own disk";
/// GRUB as signed by Debian: it looks for its configuration in `EFI/debian`, beside itself.
const GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed";

/// Writes a boot sector.
pub fn bios(disk: &Path) -> Result<()> {
    // cli; xor ax,ax; mov ds,ax; cld; mov si,0x7c17; mov dx,0x3f8; next: lodsb; test al,al; jz end; out
    // dx,al; jmp next; end: hlt; jmp end
    const PROGRAM: [u8; 23] = [
        0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xfc, 0xbe, 0x17, 0x7c, 0xba, 0xf8, 0x03, 0xac, 0x84, 0xc0, 0x74, 0x03,
        0xee, 0xeb, 0xf8, 0xf4, 0xeb, 0xfd,
    ];
    let mut sector = PROGRAM.to_vec();
    sector.extend(format!("{LINE}\r\n\0").bytes());
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    let mut file = std::fs::OpenOptions::new().write(true).open(disk)?;
    file.write_all(&sector).context("writing the boot sector")
}

/// Writes a FAT file system with GRUB as the program that firmware starts from any disk.
pub fn uefi(disk: &Path) -> Result<()> {
    let config = tempfile::NamedTempFile::new()?;
    // It stays in GRUB; otherwise the firmware would go on to its next entry.
    std::fs::write(config.path(), format!("echo '{LINE}'\nsleep 600\n"))?;
    run(Command::new("/usr/sbin/mkfs.vfat").arg(disk))?;
    let folders = ["EFI", "EFI/BOOT", "EFI/debian"].map(|folder| format!("::{folder}"));
    run(Command::new("mmd").arg("-i").arg(disk).args(folders))?;
    for (from, to) in [
        (Path::new(GRUB), "EFI/BOOT/BOOTX64.EFI"),
        (config.path(), "EFI/debian/grub.cfg"),
    ] {
        run(Command::new("mcopy")
            .arg("-i")
            .arg(disk)
            .arg(from)
            .arg(format!("::{to}")))?;
    }
    Ok(())
}
