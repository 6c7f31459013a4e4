//! The entry point: the table's stated version and length (DSP0134, 5.2).

use super::super::parse::{little_endian, sum};

/// The table as the entry point describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryPoint {
    pub version: Option<(u8, u8)>,
    /// Exact bytes and structures of the table (32-bit and legacy entry points; the 64-bit one has a
    /// maximum).
    pub announced: Option<Announced>,
    /// Maximum bytes of the table (64-bit entry point).
    pub most: Option<usize>,
    /// Whether the table ends at its end-of-table structure. In a 2.x table the announced count decides, and
    /// dmidecode reads on.
    pub ends_at_marker: bool,
}

/// Size of a 2.x table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub bytes: usize,
    pub structures: usize,
}

impl EntryPoint {
    /// No entry point: walk the table to its end.
    pub const NONE: EntryPoint = EntryPoint {
        version: None,
        announced: None,
        most: None,
        ends_at_marker: true,
    };

    /// `_SM3_`, `_SM_` or `_DMI_`. A 32-bit entry point may precede 3.x content (seen in the field).
    ///
    /// # Errors
    /// Why the bytes are not a trustworthy entry point.
    pub fn parse(bytes: &[u8]) -> Result<EntryPoint, String> {
        if bytes.starts_with(b"_SM3_") {
            let entry = sized(bytes, 6, 0x18)?;
            return Ok(EntryPoint {
                version: Some((entry[7], entry[8])),
                most: Some(little_endian(&entry[0x0c..0x10]) as usize).filter(|most| *most != 0),
                ..EntryPoint::NONE
            });
        }
        if bytes.starts_with(b"_SM_") {
            // 0x1e: a mistake in specification 2.1 that some firmware followed.
            let entry = sized(bytes, 5, 0x1e)?;
            let legacy = bytes.get(0x10..0x1f).ok_or("it is shorter than 31 bytes")?;
            if !legacy.starts_with(b"_DMI_") || sum(legacy) != 0 {
                return Err("its second checksum is wrong".to_owned());
            }
            return Ok(EntryPoint {
                version: Some(corrected((entry[6], entry[7]))),
                announced: Some(Announced::at(bytes, 0x16, 0x1c)),
                ends_at_marker: false,
                ..EntryPoint::NONE
            });
        }
        if bytes.starts_with(b"_DMI_") {
            let entry = checked(bytes.get(..0x0f).ok_or("it is shorter than 15 bytes")?)?;
            return Ok(EntryPoint {
                version: Some((entry[0x0e] >> 4, entry[0x0e] & 0x0f)),
                announced: Some(Announced::at(bytes, 0x06, 0x0c)),
                ends_at_marker: false,
                ..EntryPoint::NONE
            });
        }
        Err("it does not begin with _SM3_, _SM_ or _DMI_".to_owned())
    }
}

impl Announced {
    /// Both words lie within the length checked above.
    fn at(bytes: &[u8], length: usize, count: usize) -> Announced {
        let word = |at: usize| little_endian(bytes.get(at..at + 2).unwrap_or_default()) as usize;
        Announced {
            bytes: word(length),
            structures: word(count),
        }
    }
}

/// The entry point's bytes, with the length in the byte at `at`, if they sum to zero.
fn sized(bytes: &[u8], at: usize, least: usize) -> Result<&[u8], String> {
    let length = bytes.get(at).copied().map_or(0, usize::from);
    if length < least {
        return Err(format!(
            "its stated length is {length} bytes, the minimum is {least}"
        ));
    }
    let there = bytes.len();
    let entry = bytes.get(..length);
    checked(entry.ok_or_else(|| format!("its stated length is {length} bytes, only {there} are there"))?)
}

fn checked(entry: &[u8]) -> Result<&[u8], String> {
    match sum(entry) {
        0 => Ok(entry),
        _ => Err("its checksum is wrong".to_owned()),
    }
}

/// Wrong versions in some firmware and their meaning, as in dmidecode 3.6.
fn corrected(version: (u8, u8)) -> (u8, u8) {
    match version {
        (2, 31 | 33) => (2, 3),
        (2, 51) => (2, 6),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 32-bit entry point with right checksums.
    fn sm(version: (u8, u8), bytes: u16, structures: u16) -> Vec<u8> {
        let mut entry = vec![0; 0x1f];
        entry[..4].copy_from_slice(b"_SM_");
        entry[5] = 0x1f;
        (entry[6], entry[7]) = version;
        entry[0x10..0x15].copy_from_slice(b"_DMI_");
        entry[0x16..0x18].copy_from_slice(&bytes.to_le_bytes());
        entry[0x1c..0x1e].copy_from_slice(&structures.to_le_bytes());
        entry[0x15] = 0_u8.wrapping_sub(sum(&entry[0x10..]));
        entry[4] = 0_u8.wrapping_sub(sum(&entry));
        entry
    }

    #[test]
    fn versions_as_dmidecode_corrects_them() {
        let version = |major, minor| {
            EntryPoint::parse(&sm((major, minor), 100, 5))
                .map(|entry| entry.version)
                .unwrap()
        };
        assert_eq!(version(2, 31), Some((2, 3)));
        assert_eq!(version(2, 51), Some((2, 6)));
        assert_eq!(version(3, 2), Some((3, 2)));
        let mut sm3 = b"_SM3_\0\x18\x03\x02\0\x01\0\0\x10\0\0\0\0\0\0\0\0\0\0".to_vec();
        sm3[5] = 0_u8.wrapping_sub(sum(&sm3));
        assert_eq!(
            EntryPoint::parse(&sm3),
            Ok(EntryPoint {
                version: Some((3, 2)),
                most: Some(4096),
                ..EntryPoint::NONE
            })
        );
    }

    #[test]
    fn a_legacy_entry_point_has_its_version_in_one_byte() {
        let mut dmi = b"_DMI_\0\x64\0\0\0\0\0\x05\0\x24".to_vec();
        dmi[5] = 0_u8.wrapping_sub(sum(&dmi));
        let entry = EntryPoint::parse(&dmi).unwrap();
        assert_eq!(entry.version, Some((2, 4)));
        assert_eq!(
            entry.announced,
            Some(Announced {
                bytes: 100,
                structures: 5
            })
        );
    }

    #[test]
    fn a_damaged_entry_point_is_not_trusted() {
        let sound = sm((2, 8), 100, 5);
        for at in 0..sound.len() {
            for bit in 0..8 {
                let mut damaged = sound.clone();
                damaged[at] ^= 1 << bit;
                assert!(EntryPoint::parse(&damaged).is_err(), "byte {at} bit {bit}");
            }
        }
        for cut in 0..sound.len() {
            assert!(EntryPoint::parse(&sound[..cut]).is_err(), "cut at {cut}");
        }
    }
}
