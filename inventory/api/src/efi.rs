//! UEFI's boot variables (UEFI 2.10, 3.1.3 and 3.3), read by the report and written by the installation.

/// EFI_GLOBAL_VARIABLE.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// LOAD_OPTION_ACTIVE.
pub const ACTIVE: u32 = 1;

/// The file of a global variable in efivarfs.
pub fn file_of(name: &str) -> String {
    format!("{name}-{GLOBAL}")
}

/// The number of a boot entry's file: 3 for `Boot0003-8be4...`.
pub fn boot_number(file: &str) -> Option<u16> {
    let digits = file
        .strip_prefix("Boot")?
        .strip_suffix(GLOBAL)?
        .strip_suffix('-')?;
    let is_number = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

/// The 16-bit units of BootOrder, BootCurrent and texts.
pub fn units(value: &[u8]) -> impl Iterator<Item = u16> {
    let (pairs, _) = value.as_chunks();
    pairs.iter().map(|pair| u16::from_le_bytes(*pair))
}

/// The description in an EFI_LOAD_OPTION: zero-terminated, after four bytes of attributes and two with the
/// length of the path list. None if the value is shorter.
pub fn description(option: &[u8]) -> Option<String> {
    let text: Vec<u16> = units(option.get(6..)?).take_while(|unit| *unit != 0).collect();
    Some(String::from_utf16_lossy(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_boot_entries_have_a_number() {
        assert_eq!(boot_number(&file_of("Boot000A")), Some(10));
        for other in ["BootOrder", "BootNext", "Boot+00A", "Boot1", "boot0001"] {
            assert_eq!(boot_number(&file_of(other)), None, "{other}");
        }
        assert_eq!(boot_number("Boot0001-00000000-0000-0000-0000-000000000000"), None);
    }

    #[test]
    fn a_description_ends_at_its_zero_or_with_the_value() {
        let option = |text: &[u8]| [&[1, 0, 0, 0, 4, 0], text].concat();
        assert_eq!(description(&option(b"a\0b\0\0\0c\0")).as_deref(), Some("ab"));
        assert_eq!(description(&option(b"a\0b")).as_deref(), Some("a"));
        assert_eq!(description(&[1, 0, 0, 0, 4]), None);
    }
}
