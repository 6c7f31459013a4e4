//! Makers of memory modules. Firmware writes the maker in words or as a JEDEC number (JEP106) in several
//! notations, and some append more. Used by both agent and check.
//!
//! No crate has just the numbers: JEP106 lists 1,700 makers, of which those below make memory modules or
//! their chips.

use crate::serial::bare;

/// Continuation codes before the maker's code, the code with its parity bit, the name.
const JEDEC: &[(u8, u8, &str)] = &[
    (0, 0x04, "Fujitsu"),
    (0, 0x07, "Hitachi"),
    (0, 0x10, "NEC"),
    (0, 0x2c, "Micron"),
    (0, 0x40, "ProMOS"),
    (0, 0x89, "Intel"),
    (0, 0x98, "Toshiba"),
    (0, 0xad, "SK hynix"),
    (0, 0xc1, "Infineon"),
    (0, 0xce, "Samsung"),
    (0, 0xda, "Winbond"),
    (1, 0x40, "Viking"),
    (1, 0x4f, "Transcend"),
    (1, 0x7a, "Apacer"),
    (1, 0x94, "SMART Modular"),
    (1, 0x98, "Kingston"),
    (1, 0xba, "PNY"),
    (2, 0x16, "Netlist"),
    (2, 0x9e, "Corsair"),
    (2, 0xb5, "SpecTek"),
    (2, 0xfe, "Elpida"),
    (3, 0x0b, "Nanya"),
    (3, 0x13, "GeIL"),
    (3, 0x25, "Kingmax"),
    (3, 0x94, "Mushkin"),
    (3, 0xda, "Swissbit"),
    (4, 0x43, "Ramaxel"),
    (4, 0xb0, "OCZ"),
    (4, 0xcb, "A-DATA"),
    (4, 0xcd, "G.Skill"),
    (4, 0xef, "Team Group"),
    (5, 0x02, "Patriot"),
    (5, 0x51, "Qimonda"),
    (5, 0x9b, "Crucial"),
    (5, 0xba, "Virtium"),
    (6, 0x34, "Super Talent"),
    (6, 0xd3, "Silicon Power"),
    (6, 0xf1, "InnoDisk"),
    (10, 0x91, "CXMT"),
];

/// Prefixes of maker names, as lower-case letters and digits.
const WORDS: &[(&str, &str)] = &[
    ("hewlettpackard", "HP"),
    ("hpe", "HP"),
    ("hynix", "SK hynix"),
    ("hyundai", "SK hynix"),
];

/// The maker meant by the text of a table: "Samsung", "Samsung(date:15/24)", "00CE00B300CE", "CE00" and
/// "JEDEC ID:80 CE" are one. A text that is neither a known number nor starts with a known word is compared
/// by its letters and digits.
pub fn memory_maker(text: &str) -> String {
    // Supermicro appends the date in parentheses, others the maker of the chips.
    let words = text.split(['(', '[']).next().unwrap_or_default().trim();
    let words = if words.is_empty() { text } else { words };
    if let Some(name) = by_jedec(words) {
        return name.to_owned();
    }
    let key = bare(words);
    if key == "hp" {
        return "HP".to_owned();
    }
    let word = WORDS.iter().find(|(word, _)| key.starts_with(word));
    let name = JEDEC.iter().find(|(_, _, name)| key.starts_with(&bare(name)));
    match (word, name) {
        (Some((_, name)), _) | (None, Some((_, _, name))) => (*name).to_owned(),
        (None, None) => key,
    }
}

/// The name for a JEDEC number: "0x80AD", "AD00", "JEDEC ID:80 AD", "7F4F000000000000", and Dell's twelve
/// digits, in which the makers of register and chips follow that of the module. `None`: not a number, or not
/// of a memory maker.
pub(super) fn by_jedec(text: &str) -> Option<&'static str> {
    let bytes = hex_bytes(text)?;
    let lookup = |bank: u8, code: u8| {
        // Bit 7 is odd parity; some tables omit it.
        let found = JEDEC
            .iter()
            .find(|(count, known, _)| *count == bank && known & 0x7f == code & 0x7f);
        found.map(|(_, _, name)| *name)
    };
    let continued = bytes.iter().take_while(|byte| **byte == 0x7f).count();
    if continued > 0 {
        return lookup(u8::try_from(continued).ok()?, *bytes.get(continued)?);
    }
    match bytes[..] {
        [code] => lookup(0, code),
        // The count of continuation codes comes first, in some tables last.
        [first, second, ..] => lookup(first & 0x7f, second).or_else(|| lookup(second & 0x7f, first)),
        [] => None,
    }
}

/// The bytes of a text that is only a hexadecimal number: with "0x", with "JEDEC ID:", in pairs, or four to
/// thirty-two digits.
fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().to_ascii_uppercase();
    let named = text.strip_prefix("JEDEC").map(|rest| {
        let rest = rest.trim_start().strip_prefix("ID").unwrap_or(rest);
        rest.trim_start_matches([':', '=', ' '])
    });
    let digits = named.unwrap_or(&text);
    let marked = named.is_some() || digits.starts_with("0X");
    let digits: String = digits
        .strip_prefix("0X")
        .unwrap_or(digits)
        .chars()
        .filter(|c| !matches!(c, ' ' | ':' | '-' | ','))
        .collect();
    let least = if marked { 2 } else { 4 };
    if !digits.len().is_multiple_of(2) || !(least..=32).contains(&digits.len()) {
        return None;
    }
    hex::decode(digits).ok()
}

/// Decodes a part number that a table has as the hex of its letters:
/// "0x4A4D383030514C452D384700000000000000".
pub(super) fn part_in_hex(text: &str) -> Option<String> {
    /// From this many digits on, a text without "0x" can only be the hex of letters.
    const LONG: usize = 20;
    let text = text.trim();
    let (digits, marked) = match text.get(..2) {
        Some("0x" | "0X") => (&text[2..], true),
        _ => (text, false),
    };
    let least = if marked { 8 } else { LONG };
    if !digits.len().is_multiple_of(2) || !(least..=128).contains(&digits.len()) {
        return None;
    }
    let bytes = hex::decode(digits).ok()?;
    let end = bytes.iter().rposition(|byte| !matches!(byte, 0 | b' ' | 0xff))? + 1;
    let letters = &bytes[..end];
    let sound = letters.len() >= 4
        && letters
            .iter()
            .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        && letters.iter().any(u8::is_ascii_alphabetic)
        && letters.iter().any(u8::is_ascii_digit);
    sound.then(|| String::from_utf8_lossy(letters).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_maker_in_many_words_and_numbers() {
        for (name, texts) in [
            (
                "Samsung",
                &[
                    "Samsung",
                    "SAMSUNG",
                    "Samsung(date:15/24)",
                    "Samsung Electronics",
                    "00CE00B300CE",
                    "00CE063200CE",
                    "80CE80B380CE",
                    "80CE000080CE",
                    "CE00",
                    "0xCE00",
                    "0x80CE",
                    "CE00000000000000",
                    "CE00B300CE00",
                    "JEDEC ID:CE",
                    "JEDEC ID:80 CE",
                    "JEDEC ID: 80CE",
                    "80 CE",
                    "80-CE",
                    "00CE00000A06",
                ][..],
            ),
            (
                "SK hynix",
                &[
                    "Hynix",
                    "SK Hynix",
                    "SK hynix",
                    "Hynix Semiconductor",
                    "Hynix/Hyundai",
                    "Hyundai",
                    "00AD00B300AD",
                    "00AD063200AD",
                    "JEDEC ID:80 AD",
                    "AD00",
                    "0x80AD",
                    "80AD000080AD",
                    "AD00000000000000",
                ],
            ),
            (
                "Micron",
                &[
                    "Micron",
                    "Micron Technology",
                    "0x2C00",
                    "802C",
                    "00 2C",
                    "002C069D002C",
                    "2C80",
                ],
            ),
            (
                "Kingston",
                &[
                    "Kingston",
                    "0x0198",
                    "019800970000",
                    "7F98000000000000",
                    "9801",
                    "JEDEC ID:01 98",
                ],
            ),
            ("Transcend", &["Transcend", "0x7F4F000000000000", "014F"]),
            (
                "Nanya",
                &["Nanya", "Nanya Technology", "830B", "030B", "7F7F7F0B00000000"],
            ),
            ("Ramaxel", &["Ramaxel", "0443", "04430000"]),
            ("Crucial", &["Crucial", "Crucial Technology", "859B", "0x059B"]),
            ("InnoDisk", &["InnoDisk", "06F104B306F1", "86F1"]),
            ("HP", &["HP", "HPE", "Hewlett Packard Enterprise"]),
        ] {
            for text in texts {
                assert_eq!(memory_maker(text).to_string(), name, "{text:?}");
            }
        }
    }

    #[test]
    fn an_unknown_number_is_kept_as_text() {
        assert_eq!(memory_maker("Acme Memory"), memory_maker("ACME MEMORY (2024)"));
        assert_ne!(memory_maker("1315"), memory_maker("1316"));
        for text in [
            "",
            "ABC",
            "DEAD BEEF CAFE",
            "Dell",
            "FEED",
            "0000",
            "M393A4K40CB2",
            "(",
            "0x",
            "JEDEC ID:",
            "ÄÖ",
        ] {
            assert_eq!(by_jedec(text), None, "{text:?}");
            memory_maker(text);
        }
    }

    #[test]
    fn part_numbers_in_hex_are_read_and_others_stay() {
        for (hex, part) in [
            ("0x4A4D383030514C452D384700000000000000", "JM800QLE-8G"),
            ("0x4D333933423531373344304000", "M393B5173D0@"),
            ("4D33393342353137334443302D434B30202020", "M393B5173DC0-CK0"),
        ] {
            assert_eq!(part_in_hex(hex).as_deref(), Some(part), "{hex}");
        }
        for real in [
            "M393A4K40CB2-CVF",
            "0x00000000",
            "36ASF4G72PZ-2G6E1",
            "840758-091",
            "9905743-044.A00G",
            "0x",
            "",
            "0xABCD",
            "12345678901234567890",
            "9965600-012.A01G",
            "0x2020202020202020",
        ] {
            assert_eq!(part_in_hex(real), None, "{real}");
        }
    }
}
