//! What a kernel module declares: the `.modinfo` section, `key=value` strings.

use crate::elf::place;
use crate::{Error, Result};

/// The values of `key` in the module's `.modinfo` section, in order.
///
/// # Errors
/// If `module` is not a 64-bit little-endian ELF file with such a section.
pub(crate) fn modinfo<'a>(module: &'a [u8], key: &str) -> Result<Vec<&'a str>> {
    let section = section(module, b".modinfo").ok_or_else(|| {
        Error::Input("not a kernel module: no .modinfo section in a 64-bit ELF file".to_owned())
    })?;
    Ok(section
        .split(|b| *b == 0)
        .filter_map(|entry| {
            std::str::from_utf8(entry)
                .ok()?
                .strip_prefix(key)?
                .strip_prefix('=')
        })
        .collect())
}

/// The bytes of a section, by the ELF64 section headers (little endian).
fn section<'a>(elf: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let headers = place(elf, 0x28, 8)?;
    let size = place(elf, 0x3a, 2)?;
    let count = place(elf, 0x3c, 2)?;
    let names_index = place(elf, 0x3e, 2)?;
    let header = |index: usize| {
        let start = headers.checked_add(index.checked_mul(size)?)?;
        elf.get(start..start.checked_add(size.max(0x40))?)
    };
    let content = |header: &[u8]| {
        let start = place(header, 0x18, 8)?;
        let length = place(header, 0x20, 8)?;
        elf.get(start..start.checked_add(length)?)
    };
    let names = content(header(names_index)?)?;
    for index in 0..count {
        let header = header(index)?;
        let found = names.get(place(header, 0, 4)?..)?;
        if found.starts_with(name) && found.get(name.len()) == Some(&0) {
            return content(header);
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The least an ELF file needs to have a `.modinfo` section.
    pub(crate) fn elf(entries: &[&str]) -> Vec<u8> {
        let modinfo: Vec<u8> = entries.iter().flat_map(|e| e.bytes().chain([0])).collect();
        let names = b"\0.modinfo\0.shstrtab\0";
        let names_at = 0x40 + modinfo.len();
        let headers_at = names_at + names.len();
        let mut file = vec![0; 0x40];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[0x28..0x30].copy_from_slice(&(headers_at as u64).to_le_bytes());
        file[0x3a..0x3c].copy_from_slice(&0x40u16.to_le_bytes());
        file[0x3c..0x3e].copy_from_slice(&3u16.to_le_bytes());
        file[0x3e..0x40].copy_from_slice(&2u16.to_le_bytes());
        file.extend_from_slice(&modinfo);
        file.extend_from_slice(names);
        for (name, at, length) in [
            (0u32, 0, 0),
            (1, 0x40, modinfo.len()),
            (10, names_at, names.len()),
        ] {
            let mut header = [0; 0x40];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&(at as u64).to_le_bytes());
            header[0x20..0x28].copy_from_slice(&(length as u64).to_le_bytes());
            file.extend_from_slice(&header);
        }
        file
    }

    #[test]
    fn all_values_of_a_key() {
        let file = elf(&[
            "license=GPL",
            "firmware=a/b.fw",
            "firmware_note=no",
            "firmware=c.bin",
        ]);
        assert_eq!(modinfo(&file, "firmware").unwrap(), ["a/b.fw", "c.bin"]);
        assert_eq!(modinfo(&file, "alias").unwrap(), [""; 0]);
    }

    #[test]
    fn a_damaged_file_is_refused_and_never_panics() {
        let file = elf(&["firmware=a"]);
        assert!(modinfo(b"", "firmware").is_err());
        for cut in 0..file.len() {
            assert!(modinfo(&file[..cut], "firmware").is_err(), "{cut}");
        }
        for at in 0..file.len() {
            for value in [0, 0x7f, 0xff] {
                let mut file = file.clone();
                file[at] = value;
                let _ = modinfo(&file, "firmware");
            }
        }
    }
}
