//! The structure of a DHCP message, parsed defensively.
//!
//! dhcproto 0.15 reads and writes the fields. This file guards it, because it panics for `hlen` > 16, drops
//! every option after a malformed one, keeps only the first architecture of option 93, ignores overload
//! (option 52) and cannot return option 82 byte for byte (measured).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dhcproto::v4::{MAGIC, borrowed};

use crate::codes::Unanswered;
use crate::dhcp4::code;

/// Shortest message: header and magic cookie (RFC 2131, section 2).
const MIN_BYTES: usize = 240;
/// Longest message accepted. Over Ethernet nothing longer arrives unfragmented.
pub const MAX_BYTES: usize = 1500;

/// Raw options by code. The parts of a split or repeated option are joined in order (RFC 3396).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawOptions(BTreeMap<u8, Vec<u8>>);

impl RawOptions {
    /// The options of a field, or the sub-options of an encapsulated option (43, 82, 175).
    pub fn of(field: &[u8]) -> RawOptions {
        let mut options = RawOptions::default();
        options.read(field);
        options
    }

    /// An option's bytes; `None` if absent.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    /// An option that holds one address.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        let bytes: [u8; 4] = self.get(code)?.get(..4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes))
    }

    /// An option that holds one 16-bit number.
    pub fn u16(&self, code: u8) -> Option<u16> {
        let bytes: [u8; 2] = self.get(code)?.get(..2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    /// Reads an option field up to its end marker; a truncated last option is dropped.
    fn read(&mut self, mut field: &[u8]) {
        while let [code, rest @ ..] = field {
            match code {
                0 => field = rest,
                255 => return,
                _ => {
                    let [len, rest @ ..] = rest else { return };
                    let Some((value, rest)) = rest.split_at_checked(usize::from(*len)) else {
                        return;
                    };
                    self.0.entry(*code).or_default().extend_from_slice(value);
                    field = rest;
                }
            }
        }
    }
}

/// A well-formed BOOTREQUEST from an Ethernet NIC: its header, and its options, including those in overloaded
/// `file` and `sname` fields.
pub(crate) fn parse(bytes: &[u8]) -> Result<(borrowed::Message<'_>, RawOptions), Unanswered> {
    if bytes.len() < MIN_BYTES {
        return Err(Unanswered::TooShort);
    }
    if bytes.len() > MAX_BYTES {
        return Err(Unanswered::TooLong);
    }
    if bytes[0] != 1 {
        return Err(Unanswered::NotRequest);
    }
    if bytes[1] != 1 || bytes[2] != 6 {
        return Err(Unanswered::HardwareType);
    }
    if bytes[236..240] != MAGIC {
        return Err(Unanswered::BadCookie);
    }
    // From here on dhcproto's accessors cannot panic: there are at least 240 bytes, and hlen is 6.
    let header = borrowed::Message::new(bytes).map_err(|_| Unanswered::TooShort)?;
    let mut options = RawOptions::of(&bytes[MIN_BYTES..]);
    let overload = options
        .get(code::OVERLOAD)
        .and_then(|value| value.first().copied());
    for (bit, field) in [(1, 108..236), (2, 44..108)] {
        if overload.is_some_and(|overload| overload & bit != 0) {
            options.read(&bytes[field]);
        }
    }
    Ok((header, options))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A DISCOVER with these options, for tests.
    pub(crate) fn discover(options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..3].copy_from_slice(&[1, 1, 6]);
        bytes[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
        bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
        bytes.extend(MAGIC);
        for (code, value) in options {
            bytes.extend([*code, value.len() as u8]);
            bytes.extend(*value);
        }
        bytes.push(255);
        bytes
    }

    #[test]
    fn refusals_have_their_reason() {
        let good = discover(&[(53, &[1])]);
        assert!(parse(&good).is_ok());
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            parse(&bytes).unwrap_err()
        };
        assert_eq!(parse(&[]).unwrap_err(), Unanswered::TooShort);
        assert_eq!(parse(&good[..239]).unwrap_err(), Unanswered::TooShort);
        assert_eq!(parse(&vec![1; 1501]).unwrap_err(), Unanswered::TooLong);
        assert_eq!(with(0, 2), Unanswered::NotRequest);
        assert_eq!(with(1, 6), Unanswered::HardwareType);
        assert_eq!(
            with(2, 255),
            Unanswered::HardwareType,
            "dhcproto alone panics on this one"
        );
        assert_eq!(with(236, 0), Unanswered::BadCookie);
    }

    #[test]
    fn options_survive_truncation_and_are_joined() {
        let mut bytes = discover(&[
            (53, &[1]),
            (82, &[1, 2, 9, 9]),
            (12, b"b\xe9b\xe9"),
            (82, &[2, 1, 7]),
        ]);
        bytes.pop();
        bytes.extend([60, 200, b'P']);
        let (_, options) = parse(&bytes).unwrap();
        assert_eq!(options.get(53), Some(&[1][..]));
        assert_eq!(options.get(82), Some(&[1, 2, 9, 9, 2, 1, 7][..]));
        assert_eq!(
            options.get(12),
            Some(&b"b\xe9b\xe9"[..]),
            "not UTF-8, kept as it came"
        );
        assert_eq!(options.get(60), None);
    }

    #[test]
    fn overloaded_fields_are_read() {
        let mut bytes = discover(&[(52, &[3])]);
        bytes[108..112].copy_from_slice(&[53, 1, 1, 255]);
        bytes[44..48].copy_from_slice(&[93, 2, 0, 7]);
        let (_, options) = parse(&bytes).unwrap();
        assert_eq!(options.get(53), Some(&[1][..]));
        assert_eq!(options.u16(93), Some(7));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = parse(&bytes);
            let _ = RawOptions::of(&bytes);
            let mut with_header = discover(&[]);
            with_header.pop();
            with_header.extend(bytes);
            with_header.truncate(MAX_BYTES);
            prop_assert!(parse(&with_header).is_ok());
        }
    }
}
