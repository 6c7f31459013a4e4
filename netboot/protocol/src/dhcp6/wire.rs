//! Options on the wire: code and length, two bytes each (RFC 8415, 21.1).

/// Codes of the options we read or write.
pub(crate) mod code {
    pub(crate) const CLIENT_ID: u16 = 1;
    pub(crate) const SERVER_ID: u16 = 2;
    pub(crate) const IA_NA: u16 = 3;
    pub(crate) const IA_ADDRESS: u16 = 5;
    pub(crate) const OPTION_REQUEST: u16 = 6;
    pub(crate) const PREFERENCE: u16 = 7;
    pub(crate) const ELAPSED: u16 = 8;
    pub(crate) const RELAY_MESSAGE: u16 = 9;
    pub(crate) const STATUS: u16 = 13;
    pub(crate) const RAPID_COMMIT: u16 = 14;
    pub(crate) const USER_CLASS: u16 = 15;
    pub(crate) const VENDOR_CLASS: u16 = 16;
    pub(crate) const INTERFACE_ID: u16 = 18;
    pub(crate) const DNS: u16 = 23;
    pub(crate) const FQDN: u16 = 39;
    pub(crate) const BOOT_FILE_URL: u16 = 59;
    pub(crate) const BOOT_FILE_PARAMETERS: u16 = 60;
    pub(crate) const ARCHITECTURE: u16 = 61;
    pub(crate) const CLIENT_LINK_ADDRESS: u16 = 79;
}

/// Iterates over options; a truncated last one is dropped.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some((value, rest)) = rest.split_at_checked(length) else {
            self.0 = &[];
            return None;
        };
        self.0 = rest;
        Some((u16::from_be_bytes([head[0], head[1]]), value))
    }
}

impl<'a> Options<'a> {
    /// The first option with this code.
    pub(crate) fn get(self, code: u16) -> Option<&'a [u8]> {
        { self }.find_map(|(other, value)| (other == code).then_some(value))
    }
}

/// The first text of a user class (15) or vendor class; each has a two-byte length.
pub(crate) fn first_text(value: &[u8]) -> Option<&[u8]> {
    let (head, rest) = value.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*head)))
}

/// Appends an option. A value longer than an option can hold is cut off; ours never are.
pub(crate) fn put(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend(code.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend(&value[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_option_ends_the_list_and_keeps_earlier_ones() {
        let mut bytes = Vec::new();
        put(&mut bytes, 1, b"one");
        put(&mut bytes, 2, b"");
        let whole = bytes.len();
        put(&mut bytes, 3, b"three");
        let all: Vec<_> = Options(&bytes).collect();
        assert_eq!(all, [(1, &b"one"[..]), (2, b""), (3, b"three")]);
        for cut in whole..bytes.len() {
            assert_eq!(Options(&bytes[..cut]).count(), 2, "cut at {cut}");
        }
        assert_eq!(Options(&bytes).get(3), Some(&b"three"[..]));
        assert_eq!(Options(&bytes).get(4), None);
    }

    #[test]
    fn texts() {
        assert_eq!(first_text(b"\0\x04iPXE\0\x01x"), Some(&b"iPXE"[..]));
        assert_eq!(first_text(b"\0\x05iPXE"), None);
        assert_eq!(first_text(b"\0"), None);
    }
}
