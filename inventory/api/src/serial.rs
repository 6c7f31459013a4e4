//! Whether a text can be a serial number, or is only a placeholder.
//!
//! Sources: the SMBIOS fixtures, GLPI's list of invalid serial numbers, and the firmware defaults of AMI,
//! Phoenix and Insyde.

/// What firmware makers leave where a fact should be; seen in real tables. Lower case, without blanks and
/// most punctuation.
const PLACEHOLDERS: &[&str] = &[
    "asset",
    "assettag",
    "badindex",
    "basebboardassettag",
    "baseboardserialnumber",
    "boardserialnumber",
    "chassisassettag",
    "chassismanufacturer",
    "chassisserialnumber",
    "chassisversion",
    "default",
    "defaultassettag",
    "defaultserialnumber",
    "defaultstring",
    "empty",
    "invalid",
    "manufacturer",
    "motherboardserialnumber",
    "n/a",
    "na",
    "noasset",
    "noassetinformation",
    "noassettag",
    "nodimm",
    "noenclosure",
    "noinformation",
    "nomodule",
    "nomoduleinstalled",
    "noname",
    "none",
    "nopartnumber",
    "noserialnumber",
    "null",
    "nullstring",
    "oem",
    "oemchassismanufacturer",
    "oemchassisserialnumber",
    "oemchassisversion",
    "oemdefault",
    "oemserialnumber",
    "outofspec",
    "partnum",
    "partnumber",
    "productname",
    "productserialnumber",
    "reserved",
    "serialnumber",
    "sernum",
    "skunumber",
    "sn",
    "socketdesignation",
    "string",
    "systemmanufacturer",
    "systemproductname",
    "systemserial",
    "systemserialnumber",
    "systemversion",
    "tbd",
    "tbdbyoem",
    "tobedefined",
    "type2boardassettag",
    "type2boardproductname1",
    "type2boardserialnumber",
    "type2boardvendorname1",
    "type2boardversion",
    "unassigned",
    "undefined",
    "unknow",
    "unknown",
    "unkown",
    "unspecified",
    "version",
    "xx",
    "xxxxx",
];

/// More words that are no serial number and no maker, although they can be another fact.
const NO_SERIAL: &[&str] = &[
    "123456789000",
    "eval",
    "iatpass",
    "inuse",
    "mainboard",
    "notset",
    "number",
    "oemserial",
    "placeholder",
    "sernum0",
    "serial",
    "standard",
    "system",
    "vendor",
];

/// Words that no serial number and no maker's name contains, compared as lower-case letters and digits.
const PARTS: &[&str] = &[
    "chassisserial",
    "defaultstring",
    "empty",
    "filledby",
    "notapplicable",
    "notavailable",
    "notpresent",
    "notprovided",
    "notsettable",
    "notspecified",
    "noasset",
    "oemchassis",
    "oemdefault",
    "serialnumber",
    "systemmanufacturer",
    "systemproduct",
    "systemserial",
    "tobefilled",
    "type2board",
    "chassismanufacturer",
    "boardmanufacturer",
    "boardvendor",
    "boardserial",
    "servicetag",
];

/// The text reduced to lower-case letters and digits.
pub fn bare(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a text (in lower case, without blanks and most punctuation) is only a placeholder.
pub fn is_placeholder(text: &str) -> bool {
    PLACEHOLDERS.contains(&text)
}

/// Whether a reduced text carries information, e.g. as the maker of a serial number.
pub fn says_something(bare: &str) -> bool {
    bare.len() >= 2
        && !is_placeholder(bare)
        && !NO_SERIAL.contains(&bare)
        && !PARTS.iter().any(|part| bare.contains(part))
}

/// Whether a serial number can belong to one machine alone.
pub fn counts_as_serial(text: &str) -> bool {
    counts(text, |digits, whole| whole || digits >= 5)
}

/// Whether a text can be the tag by which people know one machine. Tags are numbered in sequence, so 1234 is
/// a real one: only a long run of counting digits is a filler.
pub fn counts_as_name(text: &str) -> bool {
    counts(text, |digits, _| digits >= 9)
}

/// `long`: whether this many counting digits, after letters or as the whole text, are a filler.
fn counts(text: &str, long: impl Fn(usize, bool) -> bool) -> bool {
    // Too long for a serial number: an attack or garbage.
    if text.len() > 128 {
        return false;
    }
    let bare = bare(text);
    // Three characters do not identify anything: "1.0", "42", "N/A".
    bare.len() >= 4 && says_something(&bare) && !repeats(bare.as_bytes()) && !counts_up_or_down(&bare, long)
}

/// "0000", "xxxxxx", "4242", "123123123": one to three characters repeated.
fn repeats(bytes: &[u8]) -> bool {
    (1..=3).any(|unit| bytes.len() >= 2 * unit && bytes.iter().zip(&bytes[unit..]).all(|(a, b)| a == b))
}

/// "0123456789", "SYS-1234567890", "BSN12345678901234567", "9876543210".
fn counts_up_or_down(bare: &str, long: impl Fn(usize, bool) -> bool) -> bool {
    let digits = bare
        .trim_start_matches(|c: char| c.is_ascii_lowercase())
        .as_bytes();
    let steps = |step: u8| {
        digits.windows(2).all(|w| {
            w[0].is_ascii_digit() && w[1].is_ascii_digit() && (w[0] - b'0' + step) % 10 == w[1] - b'0'
        })
    };
    long(digits.len(), digits.len() == bare.len())
        && (steps(1) && matches!(digits[0], b'0' | b'1') || steps(9) && matches!(digits[0], b'9' | b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_do_not_count_and_serial_numbers_do() {
        for junk in [
            "",
            ".",
            "..........",
            " ",
            "To Be Filled By O.E.M.",
            "To be filled by O.E.M",
            "TO_BE_FILLED_BY_OEM",
            "Default string",
            "Default_string",
            "System Serial Number",
            "Chassis Serial Number",
            "Base Board Serial Number",
            "OEM Chassis Serial Number",
            "Type2 - Board Serial Number",
            "0123456789",
            "1234567890",
            "1234567890.",
            "12345",
            "123456789000",
            "SYS-1234567890",
            "SYS-9876543210",
            "SN-12345",
            "BSN12345678901234567",
            "0000000000",
            "00000000-0000",
            "111111",
            "XXXXXXX",
            "xxxxxxxxxxx",
            ".XXXXXXX.XXXXXXXXXXXXXX.",
            "4242",
            "4343",
            "42",
            "None",
            "N/A",
            "NA",
            "null",
            "(null string)",
            "Unknown",
            "INVALID",
            "Not Specified",
            "Not Available",
            "Not Applicable",
            "Not Present",
            "1.0",
            "1.2.3",
            "EVAL",
            "IATPASS",
            "SerNum0",
            "Empty",
            "--",
            "\u{0}\u{1}",
            "NNNNNNN",
            "4242-SERVICE_TAG",
        ] {
            assert!(!counts_as_serial(junk), "{junk:?} counts");
        }
        assert!(!counts_as_serial(&"A7".repeat(100)));
        for serial in [
            "CZ3404YWNN",
            "790H8D2",
            ".790H8D2.CN7475162M0382.",
            "E09626824801435",
            "9000116105",
            "BN1004GH10075",
            "1519-7810-4472-8775-7272-8851-12",
            "VMware-56 4d e2 c3 c3 c0 e1 e2-46 22 55 4d c5 eb 6b a1",
            "R86W27P",
            "VM147S018307",
            "CQ571000415",
            "SIM-0001",
            "SIM-0123",
            "SIM-1234x",
            "BOARD-1",
            "CHASSIS-1",
        ] {
            assert!(counts_as_serial(serial), "{serial:?} does not count");
        }
    }

    #[test]
    fn a_tag_that_happens_to_count_is_still_a_name() {
        for name in ["SRV-01234", "SN-12345", "1234", "12345678", "A0123"] {
            assert!(counts_as_name(name), "{name:?} is no name");
        }
        for junk in [
            "0123456789",
            "SYS-1234567890",
            "123456789",
            "0000000",
            "Default string",
            "",
        ] {
            assert!(!counts_as_name(junk), "{junk:?} is a name");
        }
    }
}
