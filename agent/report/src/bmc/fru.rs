//! The FRU inventory (IPMI Platform Management FRU Information Storage Definition 1.0). Pure.

use inventory_api::report::FruFacts;

use super::super::clean;
use super::super::parse::{sum, until_zero};

/// Maximum bytes read of one inventory; real ones use 256 to 512.
pub(super) const LIMIT: usize = 1024;
/// Offsets and lengths of areas are in units of eight bytes (chapter 8).
const UNIT: usize = 8;
/// The type/length byte that ends an area's fields.
const END_OF_FIELDS: u8 = 0xc1;
/// Maximum number of fields in an area.
const FIELD_LIMIT: usize = 32;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fru {
    pub facts: FruFacts,
    /// Capacity of a power supply, watts (multirecord type 00h).
    pub watts: Option<u32>,
}

/// Parses an inventory as far as it is valid; the caller fills in the name. None if it is not an inventory
/// (an empty EEPROM).
pub(super) fn parse(bytes: &[u8]) -> Option<Fru> {
    let header = bytes.get(..UNIT)?;
    if header[0] & 0x0f != 1 || sum(header) != 0 {
        return None;
    }
    // The header holds the offset of each area; 0 means absent.
    let area = |n: usize| match usize::from(header[n]) * UNIT {
        0 => &[][..],
        at => bytes.get(at..).unwrap_or_default(),
    };
    let chassis = fields(area(2), 3);
    let board = fields(area(3), 6);
    let product = fields(area(4), 3);
    let field = |fields: &[Option<String>], n: usize| fields.get(n).cloned().flatten();
    // Product: maker, name, part, version, serial, asset tag. Board: maker, name, serial, part. Chassis:
    // part, serial.
    let facts = FruFacts {
        name: String::new(),
        manufacturer: field(&product, 0).or(field(&board, 0)),
        product: field(&product, 1).or(field(&board, 1)),
        part: field(&product, 2).or(field(&board, 3)).or(field(&chassis, 0)),
        serial: field(&product, 4).or(field(&board, 2)).or(field(&chassis, 1)),
        asset_tag: field(&product, 5),
    };
    let watts = capacity(area(5));
    (facts != FruFacts::default() || watts.is_some()).then_some(Fru { facts, watts })
}

/// The fields of an area, starting at `first`. The checksum is ignored: it is wrong in many correct
/// inventories.
fn fields(area: &[u8], first: usize) -> Vec<Option<String>> {
    let length = area.get(1).map_or(0, |units| usize::from(*units) * UNIT);
    let mut rest = area.get(first..length.min(area.len())).unwrap_or_default();
    let mut found = Vec::new();
    while let [kind, after @ ..] = rest {
        let Some(value) = after.get(..usize::from(kind & 0x3f)) else {
            break;
        };
        if *kind == END_OF_FIELDS || found.len() == FIELD_LIMIT {
            break;
        }
        found.push(clean::serial(&text(*kind, value)));
        rest = &after[value.len()..];
    }
    found
}

/// Decodes a text by the upper two bits of its type/length byte (13.1, and IPMI 2.0, 43.15).
pub(super) fn text(kind: u8, bytes: &[u8]) -> String {
    const BCD: &[u8; 16] = b"0123456789 -.   ";
    match kind >> 6 {
        // BCD plus.
        1 => bytes
            .iter()
            .flat_map(|b| [b >> 4, b & 0xf])
            .map(|digit| char::from(BCD[usize::from(digit)]))
            .collect(),
        // Six bits per letter, the first in the low bits.
        2 => {
            let bits: Vec<u8> = bytes
                .iter()
                .flat_map(|b| (0..8).map(move |n| b >> n & 1))
                .collect();
            bits.chunks_exact(6)
                .map(|six| char::from(0x20 + six.iter().rev().fold(0, |letter, bit| letter << 1 | bit)))
                .collect()
        }
        // Binary, but some makers write letters there.
        0 if !bytes.iter().all(|b| matches!(b, 0 | b' '..=b'~')) => hex::encode(bytes),
        _ => until_zero(bytes).iter().map(|b| char::from(*b)).collect(),
    }
}

/// The capacity in the power supply information record (18.1), in watts. Each record has a five-byte header;
/// bit 7 of the second byte marks the last.
fn capacity(mut records: &[u8]) -> Option<u32> {
    for _ in 0..FIELD_LIMIT {
        let [kind, flags, length, _, _, after @ ..] = records else {
            return None;
        };
        if *kind == 0 {
            let [low, high, ..] = after else { return None };
            let watts = u32::from(u16::from_le_bytes([*low, *high]) & 0x0fff);
            return (*length >= 2 && !matches!(watts, 0 | 0xfff)).then_some(watts);
        }
        if flags & 0x80 != 0 {
            return None;
        }
        records = after.get(usize::from(*length)..)?;
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn area(head: &[u8], fields: &[&str]) -> Vec<u8> {
        let mut area = head.to_vec();
        for field in fields {
            area.push(0xc0 | field.len() as u8);
            area.extend(field.bytes());
        }
        area.push(END_OF_FIELDS);
        area.resize(area.len().next_multiple_of(UNIT), 0);
        area[1] = (area.len() / UNIT) as u8;
        area
    }

    /// A power supply as written by Supermicro: board and product areas and the capacity record.
    pub fn supply(serial: &str) -> Vec<u8> {
        let board = area(
            &[1, 0, 25, 1, 2, 3],
            &["SUPERMICRO", "PWS-920P-SQ", "BOARD1", "PB"],
        );
        let product = area(
            &[1, 0, 25],
            &["SUPERMICRO", "PWS-920P-SQ", "PWS-920P", "1.1", serial, ""],
        );
        let at = |bytes: usize| (bytes / UNIT) as u8;
        let mut header = vec![
            1,
            0,
            0,
            1,
            1 + at(board.len()),
            1 + at(board.len() + product.len()),
            0,
        ];
        header.push(header.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte)));
        let other = [0x02, 0x02, 1, 0, 0, 9];
        let watts = [0x00, 0x82, 24, 0, 0, 0x98, 0x03];
        [&header[..], &board, &product, &other, &watts].concat()
    }

    #[test]
    fn a_power_supply_with_its_capacity() {
        let fru = parse(&supply("P9201CH123")).unwrap();
        let expected = FruFacts {
            name: String::new(),
            manufacturer: Some("SUPERMICRO".to_owned()),
            product: Some("PWS-920P-SQ".to_owned()),
            part: Some("PWS-920P".to_owned()),
            serial: Some("P9201CH123".to_owned()),
            asset_tag: None,
        };
        assert_eq!((fru.facts, fru.watts), (expected, Some(920)));
        // Without the product area the board area is used; truncation anywhere loses facts but does not
        // panic.
        let whole = supply("P9201CH123");
        for end in 0..whole.len() {
            parse(&whole[..end]);
        }
        assert_eq!(parse(&[0xff; 256]), None);
        assert_eq!(parse(&[0; 256]), None);
    }

    #[test]
    fn texts_of_every_encoding_are_decoded() {
        assert_eq!(text(0xc4, b"Dell"), "Dell");
        assert_eq!(text(0xc4, b"Del\xe9"), "Delé");
        assert_eq!(text(0x42, &[0x12, 0xab]), "12 -");
        // IPMI 2.0, 43.16: "IPMI" is 29 DC A6.
        assert_eq!(text(0x83, &[0x29, 0xdc, 0xa6]), "IPMI");
        assert_eq!(text(0x02, &[0x01, 0xfe]), "01fe");
        assert_eq!(text(0x02, b"AB"), "AB");
    }
}
