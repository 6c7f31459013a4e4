//! Numbers and texts in bytes from firmware and devices. Pure.

/// A big-endian number of any length, saturated to 64 bits.
pub fn big_endian(bytes: &[u8]) -> u64 {
    let (high, low) = bytes.split_at(bytes.len().saturating_sub(8));
    match high.iter().any(|b| *b != 0) {
        true => u64::MAX,
        false => low.iter().fold(0, |number, b| number << 8 | u64::from(*b)),
    }
}

/// A little-endian number of any length, saturated to 64 bits.
pub fn little_endian(bytes: &[u8]) -> u64 {
    let mut reversed = bytes.to_vec();
    reversed.reverse();
    big_endian(&reversed)
}

/// The sum of all bytes, modulo 256; 0 where the last byte is a checksum.
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, b| sum.wrapping_add(*b))
}

/// The bytes before the first zero.
pub fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

/// What follows the four-byte header of a SCSI page, whose last two bytes are the length (SPC-6, 7.3 and
/// 7.7).
pub fn page_body(page: &[u8]) -> &[u8] {
    let [_, _, high, low, body @ ..] = page else {
        return &[];
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    &body[..length.min(body.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_read_and_saturate() {
        assert_eq!((big_endian(&[]), big_endian(&[1, 2])), (0, 0x0102));
        assert_eq!(little_endian(&[1, 2]), 0x0201);
        assert_eq!(big_endian(&[0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), 1 << 56);
        assert_eq!(big_endian(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), u64::MAX);
        assert_eq!(little_endian(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), u64::MAX);
    }

    #[test]
    fn a_page_ends_at_its_length_or_its_last_byte() {
        assert_eq!(page_body(&[0, 0, 0, 1, 7, 8]), [7]);
        assert_eq!(page_body(&[0, 0, 0xff, 0xff, 7, 8]), [7, 8]);
        assert_eq!(page_body(&[0, 0, 0]), [0; 0]);
    }
}
