//! Turns bytes from firmware and devices into a fact, or into nothing.

mod placeholders;

use inventory_api::serial::is_placeholder as is_known_placeholder;
use inventory_api::text::is_invisible;

/// Longest fact, in characters. The longest string in 227 real tables is a third of this.
const FACT_LIMIT: usize = 256;

/// Trims, drops control characters and truncates. None if empty.
pub fn text(raw: &str) -> Option<String> {
    let kept: String = raw
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .collect();
    let kept: String = kept.trim().chars().take(FACT_LIMIT).collect();
    let kept = kept.trim_end();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// As [`text`], but None for a placeholder too.
pub fn fact(raw: &str) -> Option<String> {
    text(raw).filter(|t| !is_placeholder(t) && !placeholders::says_nothing(t))
}

/// As [`fact`], for the name of a place, where "0" is the first slot or bank, and "Reserved for SAS" or
/// "PSU1" is valid.
pub fn place(raw: &str) -> Option<String> {
    text(raw).filter(|t| t.bytes().all(|b| b == b'0') || !(is_placeholder(t) || placeholders::says_not(t)))
}

/// As [`fact`], for serial and part numbers: None for a single repeated character or a counting pattern.
pub fn serial(raw: &str) -> Option<String> {
    fact(raw).filter(|t| !is_filler(t))
}

/// As [`serial`], for bytes padded with blanks or zeros.
pub fn ascii(bytes: &[u8]) -> Option<String> {
    serial(&bytes.iter().map(|b| char::from(*b)).collect::<String>())
}

fn is_placeholder(text: &str) -> bool {
    let key: String = text
        .chars()
        .filter(|c| {
            !c.is_whitespace()
                && !matches!(
                    c,
                    '.' | '-' | '_' | '?' | '<' | '>' | '[' | ']' | '(' | ')' | '*' | ','
                )
        })
        .flat_map(char::to_lowercase)
        .collect();
    key.is_empty() || key.chars().all(|c| c == '0') || is_known_placeholder(&key)
}

/// Prefixes of counting patterns that makers leave, with the letters of their field before it.
const COUNTING: [&str; 2] = ["1234567890", "0123456789"];

/// "2020202020": hex of blanks, zeros or erased bytes.
fn is_blank_in_hex(hex: &str) -> bool {
    hex.len() >= 8
        && hex.len().is_multiple_of(2)
        && hex
            .as_bytes()
            .chunks_exact(2)
            .all(|pair| matches!(pair, b"20" | b"00" | b"FF"))
}

fn is_filler(text: &str) -> bool {
    let key: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_uppercase();
    let hex = key.strip_prefix("0X").unwrap_or(&key);
    let one_sign = |key: &str| {
        let first = key.as_bytes().first().copied();
        let filling = matches!(first, Some(b'0' | b'F' | b'X')) || key.len() >= 5;
        key.len() > 1 && filling && key.bytes().all(|b| Some(b) == first)
    };
    let counting = COUNTING.iter().any(|all| {
        // "01234567", "123456789", "01234567890123456789AB", "BSN12345678901234567".
        key.len() >= 8 && (all.starts_with(&key) || key.contains(all))
    });
    one_sign(&key) || one_sign(hex) || counting || is_blank_in_hex(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_real_tables_are_no_facts() {
        for junk in [
            "",
            "   ",
            "To Be Filled By O.E.M.",
            "To be filled by O.E.M",
            "Not Specified",
            "NO DIMM",
            "Default string",
            "Unknown",
            "UNKNOWN",
            "....................",
            "0000000000",
            "00",
            "--",
            "[Empty]",
            "(none)",
            "None",
            "N/A",
            "Not Set",
            "TBD by OEM",
            "Fill By OEM",
            "System Product Name",
            "SKU Number",
            "Manufacturer07",
            "ModulePartNumber01",
            "Dimm3_Manufacturer_Name_String",
            "ChannelA_Dimm2_PartNum",
            "A1_AssetTagNum0",
            "Type2 - Board Serial Number",
            "OEM Chassis Serial Number",
            "xx",
            "NULL",
            "No Asset Information",
            "<BAD INDEX>",
            "????????",
            "Default",
            "Not Assigned",
            "No Serial Number",
            "Base Board Serial Number",
            "\0\0",
            "\u{202e}",
        ] {
            assert_eq!(fact(junk), None, "{junk:?}");
        }
        for junk in [
            "FFFFFFFF",
            "0x00000000",
            "XXXXXXX",
            ".XXXXXXX.XXXXXXXXXXXXXX.",
            "1234567890.",
            "01234567",
            "ATN12345678901234567",
        ] {
            assert_eq!(serial(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn zero_is_a_valid_place_but_not_a_serial_number() {
        assert_eq!(place("0").as_deref(), Some("0"));
        assert_eq!(place("NO DIMM"), None);
        assert_eq!(place("Not Installed"), None);
        assert_eq!(place("To be filled by O.E.M."), None);
        assert_eq!(place("Reserved for SAS").as_deref(), Some("Reserved for SAS"));
        assert_eq!(place("PSU1").as_deref(), Some("PSU1"));
        assert_eq!(serial("0"), None);
    }

    #[test]
    fn facts_that_look_odd_stay() {
        for real in [
            "Super Server",
            "42",
            "0100",
            "4242",
            "Dell Inc.",
            "SKU=0627;ModelName=PowerEdge R630",
            ".790H8D2.CN7475162M0382.",
            "00AD00B300AD",
            "P1-DIMMA1",
            "OEM-R 720xd",
            "M393B5270CH0-CH9",
            "Rev B",
            "F-18.05.100",
            "DIMM 1",
            "DIMM_A1",
            "1.0",
            "Other World",
        ] {
            assert_eq!(serial(real).as_deref(), Some(real));
        }
        assert_eq!(
            fact("  PowerEdge 6450/550         ").as_deref(),
            Some("PowerEdge 6450/550")
        );
        assert_eq!(fact("a\u{1b}[31mb\nc").as_deref(), Some("a[31mbc"));
        assert_eq!(text(&"x".repeat(5000)).unwrap().len(), FACT_LIMIT);
    }
}
