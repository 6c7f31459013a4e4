//! The boot loader for BIOS and UEFI, from files in the image.

use super::super::area::Area;
use super::super::error::{StepError, Tried};
use super::super::root::{ROOT, Root};
use super::{HEADER, write_text};

/// The boot loader's files in the image.
const DIR: &str = "/usr/lib/slipway/boot";
/// GRUB counts 512-byte sectors.
const SECTOR: u64 = 512;
/// Bytes of boot code in an MBR; the disk signature and partition table behind it are kept.
const BOOT_CODE: usize = 440;
/// boot.img: LBA of core.img's first sector (GRUB_BOOT_MACHINE_KERNEL_SECTOR in grub/i386/pc/boot.h).
const KERNEL_SECTOR: usize = 0x5c;
/// boot.img: a jump that skips the workaround for BIOSes that pass a wrong drive. Two NOPs enable the
/// workaround, as grub-bios-setup does for hard disks (GRUB_BOOT_MACHINE_DRIVE_CHECK).
const DRIVE_CHECK: usize = 0x66;
/// core.img's first sector ends with the block list of the rest: u64 first LBA, u16 sectors, u16 segment
/// (struct grub_boot_blocklist; the first entry is the last 12 bytes of the sector).
const BLOCK_LIST: usize = 0x1f4;
/// The segment for the rest: GRUB_BOOT_I386_PC_KERNEL_SEG (0x800) plus one sector.
const SEGMENT: u16 = 0x820;
/// The MBR's boot code from boot.img, which loads core.img from `first_lba`.
fn boot_code(boot: &[u8], first_lba: u64) -> Result<[u8; BOOT_CODE], String> {
    if boot.len() != 512 || boot[510..] != [0x55, 0xaa] {
        return Err(format!("boot.img is not a boot sector ({} bytes)", boot.len()));
    }
    let mut code = [0; BOOT_CODE];
    code.copy_from_slice(&boot[..BOOT_CODE]);
    code[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&first_lba.to_le_bytes());
    code[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
    Ok(code)
}

/// core.img with its block list for position `first_lba`, padded to whole sectors, at most `room` bytes.
fn core_image(core: &[u8], first_lba: u64, room: u64) -> Result<Vec<u8>, String> {
    let sectors = (core.len() as u64).div_ceil(SECTOR);
    if sectors < 2 || sectors * SECTOR > room {
        return Err(format!(
            "core.img of {} bytes does not fit into the BIOS boot partition of {room}",
            core.len()
        ));
    }
    let rest =
        u16::try_from(sectors - 1).map_err(|_| format!("core.img of {} bytes is too large", core.len()))?;
    let mut image = core.to_vec();
    image.resize((sectors * SECTOR) as usize, 0);
    image[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(first_lba + 1).to_le_bytes());
    image[BLOCK_LIST + 8..BLOCK_LIST + 10].copy_from_slice(&rest.to_le_bytes());
    image[BLOCK_LIST + 10..BLOCK_LIST + 12].copy_from_slice(&SEGMENT.to_le_bytes());
    Ok(image)
}

/// The configuration on the ESP: finds the root and continues there.
fn esp_config(root_uuid: &str) -> String {
    format!("search.fs_uuid {root_uuid} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n")
}

/// `console=ttyS0,115200n8` -> (0, 115200).
fn serial(args: &[String]) -> Option<(u32, u32)> {
    let (unit, speed) = args
        .iter()
        .find_map(|a| a.strip_prefix("console=ttyS"))?
        .split_once(',')?;
    let digits = speed.find(|c: char| !c.is_ascii_digit()).unwrap_or(speed.len());
    Some((unit.parse().ok()?, speed[..digits].parse().ok()?))
}

/// The configuration in the root. Single quotes keep each argument one word; `inventory_api::valid` refuses
/// arguments that contain them.
fn root_config(root_uuid: &str, args: &[String]) -> String {
    let mut text = format!("{HEADER}# update-grub replaces it.\nset default=0\nset timeout=1\n");
    if let Some((unit, speed)) = serial(args) {
        text += &format!(
            "if serial --unit={unit} --speed={speed}; then\n  terminal_input console serial\n  \
             terminal_output console serial\nfi\n"
        );
    }
    let quoted: String = args.iter().map(|a| format!(" '{a}'")).collect();
    text += &format!(
        "search --no-floppy --fs-uuid --set=root {root_uuid}\nmenuentry 'Linux' {{\n  \
         linux /vmlinuz root=UUID={root_uuid} ro{quoted}\n  initrd /initrd.img\n}}\n"
    );
    text
}

/// Defaults that make a later update-grub agree with this.
fn defaults(args: &[String]) -> String {
    let mut text = format!(
        "{HEADER}GRUB_TIMEOUT=1\nGRUB_DISABLE_OS_PROBER=true\n\
         GRUB_CMDLINE_LINUX=\"{}\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"\"\n",
        args.join(" ")
    );
    if let Some((unit, speed)) = serial(args) {
        text += &format!(
            "GRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit={unit} --speed={speed}\"\n"
        );
    }
    text
}

fn file(root: &Root, name: &str) -> Result<Vec<u8>, StepError> {
    let path = format!("{DIR}/{name}");
    root.read(&path)?
        .ok_or_else(|| StepError::new("boot-files", format!("the image has no {path}")))
}

/// Writes MBR boot code and core.img. `disk` is the whole disk, `bios` the BIOS boot partition at byte
/// `start`.
pub(crate) fn apply_bios(root: &Root, disk: &Area, bios: &Area, start: u64) -> Result<(), StepError> {
    let first_lba = start / SECTOR;
    let wrong = |e| StepError::new("boot-files", e);
    let code = boot_code(&file(root, "boot.img")?, first_lba).map_err(wrong)?;
    let core = core_image(&file(root, "core.img")?, first_lba, bios.len).map_err(wrong)?;
    bios.write_at(&core, 0).tried("disk-write", "write core.img")?;
    bios.flush_to_medium()
        .tried("disk-write", "flush the BIOS boot partition")?;
    disk.write_at(&code, 0)
        .tried("disk-write", "write the MBR's boot code")?;
    disk.file.sync_all().tried("disk-write", "flush the MBR")
}

/// Puts shim and GRUB on the ESP: at the fallback path of every firmware, and at Debian's.
pub(crate) fn apply_uefi(root: &Root, esp: &Root, root_uuid: &str) -> Result<(), StepError> {
    let (shim, grub) = (file(root, "shimx64.efi")?, file(root, "grubx64.efi")?);
    let config = esp_config(root_uuid);
    for (path, bytes) in [
        ("/EFI/BOOT/grubx64.efi", &grub[..]),
        ("/EFI/BOOT/grub.cfg", config.as_bytes()),
        ("/EFI/debian/shimx64.efi", &shim[..]),
        ("/EFI/debian/grubx64.efi", &grub[..]),
        ("/EFI/debian/grub.cfg", config.as_bytes()),
        ("/EFI/BOOT/BOOTX64.EFI", &shim[..]),
    ] {
        esp.write(path, bytes, 0o644, ROOT)?;
    }
    Ok(())
}

/// Writes grub.cfg in the root.
pub(crate) fn apply_config(root: &Root, root_uuid: &str, args: &[String]) -> Result<(), StepError> {
    write_text(root, "/boot/grub/grub.cfg", &root_config(root_uuid, args))?;
    write_text(root, "/etc/default/grub.d/slipway.cfg", &defaults(args))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::valid::kernel_args as check;

    #[test]
    fn images_are_patched_where_grub_reads() {
        let mut boot = vec![0xcc; 512];
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        let code = boot_code(&boot, 2048).expect("a boot sector");
        assert_eq!(code[0x5c..0x64], [0, 8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(code[0x66..0x69], [0x90, 0x90, 0xcc]);
        assert!(boot_code(&boot[..511], 2048).is_err() && boot_code(&[0; 512], 2048).is_err());
        let core = core_image(&vec![0xcc; 512 * 60 + 1], 2048, 1 << 20).expect("fits");
        assert_eq!(core.len(), 512 * 61);
        assert_eq!(core[0x1f4..0x200], [1, 8, 0, 0, 0, 0, 0, 0, 60, 0, 0x20, 0x08]);
        assert!(
            core_image(&vec![0; 2 << 20], 2048, 1 << 20).is_err() && core_image(&[], 2048, 1 << 20).is_err()
        );
    }

    #[test]
    fn grub_configurations_name_root_arguments_and_serial_console() {
        let args = ["console=tty0".to_owned(), "console=ttyS0,115200n8".to_owned()];
        assert_eq!(check(&args), Ok(()));
        assert_eq!(serial(&args), Some((0, 115200)));
        assert_eq!(serial(&args[..1]), None);
        let text = root_config("u-u", &args);
        assert!(
            text.contains("  linux /vmlinuz root=UUID=u-u ro 'console=tty0' 'console=ttyS0,115200n8'\n"),
            "{text}"
        );
        assert!(text.contains("if serial --unit=0 --speed=115200; then"), "{text}");
        assert!(defaults(&args).contains("GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS0,115200n8\"\n"));
        for bad in ["a b", "a'b", "$(reboot)", "a\"b", "", "a\nb"] {
            assert!(check(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
    }
}
