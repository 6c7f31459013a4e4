//! Values that many machines share because nobody filled them in. They never count.
//!
//! Sources: the SMBIOS fixtures, GLPI's list of invalid serial numbers, oshi issue 2417 and its links (UUIDs), and the
//! firmware defaults of AMI, Phoenix and Insyde.

use inventory_api::Mac;

/// Texts that stand as a whole for "nothing", compared as lower-case letters and digits.
const WHOLE: &[&str] = &[
    "123456789000",
    "asset",
    "assettag",
    "empty",
    "eval",
    "iatpass",
    "inuse",
    "invalid",
    "mainboard",
    "none",
    "notset",
    "null",
    "nullstring",
    "number",
    "oemserial",
    "placeholder",
    "reserved",
    "sernum0",
    "serial",
    "standard",
    "system",
    "undefined",
    "unknow",
    "unknown",
    "unspecified",
    "vendor",
];

/// Parts that no serial number and no maker's name holds, compared as lower-case letters and digits.
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

/// Text as it is compared: lower-case letters and digits only.
pub(super) fn bare(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a text says something at all: the maker of a serial number.
pub(super) fn says_something(bare: &str) -> bool {
    bare.len() >= 2 && !WHOLE.contains(&bare) && !PARTS.iter().any(|part| bare.contains(part))
}

/// Whether a serial number can be one machine's own.
pub fn counts_as_serial(text: &str) -> bool {
    counts(text, |digits, whole| whole || digits >= 5)
}

/// Whether a text can be the name by which a person knows one machine. Tags are numbered in sequence, and number 1234
/// comes: only a long run of counting digits is a filling here.
pub fn counts_as_name(text: &str) -> bool {
    counts(text, |digits, _| digits >= 9)
}

/// `long`: whether so many counting digits, after letters or as the whole text, are a filling.
fn counts(text: &str, long: impl Fn(usize, bool) -> bool) -> bool {
    // A text that is too long to be a serial number is an attack or garbage.
    if text.len() > 128 {
        return false;
    }
    let bare = bare(text);
    // Three signs are too few for more than one batch: "1.0", "42", "N/A".
    bare.len() >= 4 && says_something(&bare) && !repeats(bare.as_bytes()) && !counts_up_or_down(&bare, long)
}

/// "0000", "xxxxxx", "4242", "123123123": one to three signs again and again.
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

/// UUIDs that series of boards share. Compared in every byte order.
pub(super) const SERIES_UUIDS: &[&str] = &[
    // AMI's template, as shipped and with the first fields in the other order.
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "00010203-0405-0607-0809-0a0b0c0d0e0f",
    "00112233-4455-6677-8899-aabbccddeeff",
    "01234567-8910-1112-1314-151617181920",
    "11111111-2222-3333-4444-555555555555",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "12345678-1234-5678-1234-567812345678",
    "12345678-1234-1234-1234-123456789abc",
    "12345678-9abc-def0-1234-56789abcdef0",
    "deadbeef-dead-beef-dead-beefdeadbeef",
    // SolidRun LX2160A until 2021 (SolidRun/lx2160a_uefi issue 4).
    "8a95d198-7f46-11e5-bf8b-08002704d48e",
    // The device tree default of several ARM boards, and Award's.
    "30303030-3030-3030-3030-303030303030",
    "ffffffff-ffff-0000-0000-000000000000",
    "01010101-0101-0101-0101-010101010101",
];

/// Whether the sixteen bytes of a UUID are only a filling: one byte or two bytes again and again.
pub(super) fn is_filling(bytes: &[u8; 16]) -> bool {
    bytes.iter().zip(&bytes[1..]).all(|(a, b)| a == b) || bytes.iter().zip(&bytes[2..]).all(|(a, b)| a == b)
}

/// MACs that USB adapters share, and addresses that are a protocol's and no card's.
const SHARED_MACS: &[&[u8]] = &[
    // VRRP for IPv4 and IPv6 (RFC 9568 7.3), HSRP, GLBP.
    &[0x00, 0x00, 0x5e, 0x00, 0x01],
    &[0x00, 0x00, 0x5e, 0x00, 0x02],
    &[0x00, 0x00, 0x0c, 0x07, 0xac],
    &[0x00, 0x00, 0x0c, 0x9f],
    &[0x00, 0x07, 0xb4, 0x00],
    // Written in by nobody: the maker's part is zero, or the example of every manual.
    &[0x00, 0x00, 0x00],
    &[0x00, 0x11, 0x22, 0x33, 0x44],
    &[0x00, 0x01, 0x02, 0x03, 0x04],
    // Defaults of DM9601 and RTL8150 clones, of ASIX adapters without EEPROM, of VMware's host-only adapters.
    &[0x00, 0xe0, 0x4c, 0x53, 0x44, 0x58],
    &[0x00, 0xe0, 0x4c, 0x00, 0x00],
    &[0x00, 0x0e, 0xc6, 0x87, 0x72, 0x01],
    &[0x00, 0x0e, 0xc6, 0x00, 0x00],
    &[0x00, 0x50, 0x56, 0xc0, 0x00],
    // Intel NICs whose EEPROM was never written.
    &[0x00, 0xa0, 0xc9, 0x00, 0x00],
    &[0x88, 0x88, 0x88, 0x88],
];

/// Whether a MAC can be one card's own: not multicast, not locally administered (anybody may set those), not shared.
pub fn counts_as_mac(mac: Mac) -> bool {
    !mac.is_junk() && mac.0[0] & 2 == 0 && !SHARED_MACS.iter().any(|start| mac.0.starts_with(start))
}

/// Drivers of USB network adapters: they are carried from machine to machine, and BMCs show the same one everywhere.
pub(super) const USB_NIC_DRIVERS: &[&str] = &[
    "aqc111",
    "asix",
    "ax88179_178a",
    "cdc_eem",
    "cdc_ether",
    "cdc_mbim",
    "cdc_ncm",
    "cdc_subset",
    "dm9601",
    "ipheth",
    "kaweth",
    "lan78xx",
    "mcs7830",
    "pegasus",
    "r8152",
    "rndis_host",
    "rtl8150",
    "smsc75xx",
    "smsc95xx",
    "sr9700",
    "sr9800",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillings_do_not_count_and_serials_do() {
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

    #[test]
    fn cards_have_macs_of_their_own() {
        let mac = |text: &str| text.parse::<Mac>().unwrap();
        for junk in [
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "02:00:4c:4f:4f:50",
            "52:54:00:12:34:56",
            "00:00:5e:00:01:0a",
            "00:e0:4c:53:44:58",
            "00:11:22:33:44:55",
            "00:00:00:00:00:01",
        ] {
            assert!(!counts_as_mac(mac(junk)), "{junk}");
        }
        assert!(counts_as_mac(mac("9c:b6:54:88:2d:b0")) && counts_as_mac(mac("00:25:90:eb:96:28")));
    }
}
