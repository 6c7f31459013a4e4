//! The UEFI boot order after an installation. The network entry that booted the mini-os stays first, so that
//! the server keeps deciding each boot. The new disk comes second, so that booting the disk does not first
//! try the firmware's other network entries (OVMF of Debian 12: PXE and HTTP boot over IPv4 and IPv6, over a
//! minute).
//!
//! Variables are files in efivarfs (Documentation/filesystems/efivarfs.rst): four bytes of attributes, then
//! the value, written in one call. The crate `efivar` is not used: it only supports the live directory, does
//! not clear the kernel's immutable flag, and pulls in Windows crates.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use inventory_api::efi;
use inventory_api::plan::Partition;

use super::gpt::on_disk;

/// Non-volatile, boot service access, run-time access.
const ATTRIBUTES: u32 = 7;
/// Description of our entry; an existing entry with it is ours and is overwritten.
const LABEL: &str = "Slipway";
/// The path every firmware tries on an ESP (UEFI 2.10, section 3.5.1.1); the bootloader step puts GRUB there.
const LOADER: &str = "\\EFI\\BOOT\\BOOTX64.EFI";
/// Longest variable read; real ones have a few hundred bytes.
const LIMIT: u64 = 64 * 1024;

nix::ioctl_read_bad!(
    get_flags,
    nix::request_code_read!(b'f', 1, size_of::<usize>()),
    nix::libc::c_long
);
nix::ioctl_write_ptr_bad!(
    set_flags,
    nix::request_code_write!(b'f', 2, size_of::<usize>()),
    nix::libc::c_long
);
/// FS_IMMUTABLE_FL (linux/fs.h).
const IMMUTABLE: nix::libc::c_long = 0x10;

/// Writes our entry and the boot order. Returns a description of what was done.
///
/// # Errors
/// What was tried, on what, and the error. The disk does not depend on it: without it the machine boots too,
/// only later.
pub(super) fn apply(variables: &Path, esp: &Partition) -> Result<String, String> {
    let order = read(variables, "BootOrder")?.map_or(Ok(Vec::new()), |v| numbers(&v))?;
    let current = match read(variables, "BootCurrent")? {
        Some(value) => numbers(&value)?.first().copied(),
        None => None,
    };
    let number = our_number(variables)?;
    let option = load_option(esp)?;
    let name = format!("Boot{number:04X}");
    // Unchanged variables are not written, because NVRAM wears out.
    if read(variables, &name)?.as_deref() != Some(&option[..]) {
        write(variables, &name, &option)?;
    }
    let wanted = order_after(&order, current, number);
    if wanted != order {
        let value: Vec<u8> = wanted.iter().flat_map(|n| n.to_le_bytes()).collect();
        write(variables, "BootOrder", &value)?;
    }
    let shown: Vec<String> = wanted.iter().map(|n| format!("{n:04X}")).collect();
    Ok(format!("{name} is this disk, boot order {}", shown.join(",")))
}

/// The entry that was booted, ours, then the others in their old order.
fn order_after(order: &[u16], current: Option<u16>, ours: u16) -> Vec<u16> {
    // Booted from a file or menu without an entry: keep the first one first.
    let first = current
        .filter(|c| *c != ours)
        .or(order.iter().copied().find(|n| *n != ours));
    let mut wanted: Vec<u16> = first.into_iter().chain([ours]).collect();
    for number in order {
        if !wanted.contains(number) {
            wanted.push(*number);
        }
    }
    wanted
}

/// EFI_LOAD_OPTION (UEFI 2.10, section 3.1.3) with a short-form device path: hard drive, file (10.3.5.1,
/// 10.3.5.4).
fn load_option(esp: &Partition) -> Result<Vec<u8>, String> {
    let guid = on_disk(&esp.guid).map_err(|e| e.detail)?;
    let mut path = vec![4, 1, 42, 0];
    path.extend(esp.number.to_le_bytes());
    path.extend(esp.first_lba.to_le_bytes());
    path.extend((esp.last_lba + 1 - esp.first_lba).to_le_bytes());
    path.extend(guid);
    // Partition format GPT, signature type GUID.
    path.extend([2, 2]);
    let file = utf16(LOADER);
    path.extend([4, 4]);
    path.extend((file.len() as u16 + 4).to_le_bytes());
    path.extend(file);
    path.extend([0x7f, 0xff, 4, 0]);
    let mut option = efi::ACTIVE.to_le_bytes().to_vec();
    option.extend((path.len() as u16).to_le_bytes());
    option.extend(utf16(LABEL));
    option.extend(path);
    Ok(option)
}

/// UTF-16, little-endian, zero-terminated.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// The number of our existing entry, or else the lowest free one.
fn our_number(variables: &Path) -> Result<u16, String> {
    let entries = std::fs::read_dir(variables)
        .map_err(|e| format!("reading {} (is efivarfs mounted?): {e}", variables.display()))?;
    let mut taken = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(efi::boot_number) else {
            continue;
        };
        let value = read(variables, &format!("Boot{number:04X}"))?.unwrap_or_default();
        if efi::description(&value).as_deref() == Some(LABEL) {
            return Ok(number);
        }
        taken.push(number);
    }
    (0..=u16::MAX)
        .find(|n| !taken.contains(n))
        .ok_or_else(|| "all 65536 boot entries are taken".to_owned())
}

fn numbers(value: &[u8]) -> Result<Vec<u16>, String> {
    if !value.len().is_multiple_of(2) {
        let odd = value.len();
        return Err(format!("a boot variable has an odd number of bytes: {odd}"));
    }
    Ok(efi::units(value).collect())
}

/// A variable's value without its attributes. None if there is no such variable.
fn read(variables: &Path, name: &str) -> Result<Option<Vec<u8>>, String> {
    let path = variables.join(efi::file_of(name));
    let said = |e: io::Error| format!("reading {}: {e}", path.display());
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)) {
        Ok(_) => Ok(bytes.get(4..).map(<[u8]>::to_vec)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(said(e)),
    }
}

fn write(variables: &Path, name: &str, value: &[u8]) -> Result<(), String> {
    let path = variables.join(efi::file_of(name));
    let said = |e: io::Error| format!("writing {}: {e}", path.display());
    if let Ok(file) = File::open(&path) {
        let mut flags = 0;
        // SAFETY: the argument points to a long that outlives the call; the descriptor is open.
        let known = unsafe { get_flags(file.as_raw_fd(), &mut flags) };
        if known.is_ok() && flags & IMMUTABLE != 0 {
            // SAFETY: as above.
            unsafe { set_flags(file.as_raw_fd(), &(flags & !IMMUTABLE)) }
                .map_err(|e| format!("making {} writable: {e}", path.display()))?;
        }
    }
    let mut bytes = ATTRIBUTES.to_le_bytes().to_vec();
    bytes.extend(value);
    // One call, because efivarfs takes each write as the whole variable.
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(said)?;
    let written = file.write(&bytes).map_err(said)?;
    if written == bytes.len() {
        Ok(())
    } else {
        Err(format!(
            "writing {}: {written} of {} bytes were taken",
            path.display(),
            bytes.len()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::plan::PartitionRole;

    fn esp() -> Partition {
        Partition {
            number: 2,
            name: "ESP".into(),
            role: PartitionRole::Esp,
            guid: "00112233-4455-6677-8899-aabbccddeeff".into(),
            first_lba: 4096,
            last_lba: 4096 + 131_071,
        }
    }

    fn variables(set: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in set {
            let bytes = [&ATTRIBUTES.to_le_bytes()[..], value].concat();
            std::fs::write(dir.path().join(efi::file_of(name)), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn the_network_stays_first_and_the_disk_follows() {
        assert_eq!(order_after(&[0, 1, 2, 3], Some(2), 9), [2, 9, 0, 1, 3]);
        assert_eq!(order_after(&[2, 9, 0, 1, 3], Some(2), 9), [2, 9, 0, 1, 3]);
        assert_eq!(order_after(&[0, 1], None, 9), [0, 9, 1]);
        assert_eq!(order_after(&[9, 0, 1], None, 9), [0, 9, 1]);
        assert_eq!(order_after(&[9, 0, 1], Some(9), 9), [0, 9, 1]);
        assert_eq!(order_after(&[], None, 9), [9]);
    }

    #[test]
    fn a_second_installation_takes_the_same_entry_and_writes_nothing_twice() {
        let dir = variables(&[
            ("BootOrder", &[0, 0, 3, 0, 1, 0]),
            ("BootCurrent", &[3, 0]),
            ("Boot0000", b"\x01\0\0\0\0\0U\0i\0\0\0"),
            ("Boot0001", b"\x01\0\0\0\0\0D\0\0\0"),
            ("Boot0003", b"\x01\0\0\0\0\0N\0\0\0"),
        ]);
        let said = apply(dir.path(), &esp()).unwrap();
        assert_eq!(said, "Boot0002 is this disk, boot order 0003,0002,0000,0001");
        let order = read(dir.path(), "BootOrder").unwrap().unwrap();
        assert_eq!(numbers(&order).unwrap(), [3, 2, 0, 1]);
        let before = std::fs::metadata(dir.path().join(efi::file_of("Boot0002")))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(apply(dir.path(), &esp()).unwrap(), said);
        let after = std::fs::metadata(dir.path().join(efi::file_of("Boot0002")))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(before, after);
    }

    /// Byte for byte what `efibootmgr -c -d DISK -p 2 -L Slipway -l '\EFI\BOOT\BOOTX64.EFI'` writes for this
    /// partition.
    #[test]
    fn the_entry_is_a_load_option() {
        let option = load_option(&esp()).unwrap();
        let loader: String = LOADER.chars().flat_map(|c| [c, '\0']).collect();
        let mut expected = vec![1, 0, 0, 0, 42 + 4 + 44 + 4, 0];
        expected.extend(b"S\0l\0i\0p\0w\0a\0y\0\0\0");
        expected.extend([
            4, 1, 42, 0, 2, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
        ]);
        expected.extend([
            0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
        ]);
        expected.extend([2, 2, 4, 4, 48, 0]);
        expected.extend(loader.as_bytes());
        expected.extend([0, 0, 0x7f, 0xff, 4, 0]);
        assert_eq!(option, expected);
    }

    #[test]
    fn without_efivarfs_the_error_says_so() {
        let said = apply(Path::new("/nonexistent/efivars"), &esp()).unwrap_err();
        assert!(
            said.contains("/nonexistent/efivars") && said.contains("efivarfs"),
            "{said}"
        );
    }
}
