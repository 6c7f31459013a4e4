//! A disk's identity: SCSI VPD pages and ATA IDENTIFY DEVICE data. Pure.

use super::super::clean;
use super::super::parse::{big_endian, page_body};

/// IDENTIFY DEVICE data, 256 words (ACS-4, 7.12).
const IDENTIFY_BYTES: usize = 512;
/// Its offset in VPD page 89h (SAT-4, 12.4.2).
const IDENTIFY_IN_PAGE: usize = 60;

/// Medium rotation rate, if the disk reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Revolutions per minute.
    Spins(u16),
    Solid,
    /// The field is present but empty, as in virtual disks.
    NotReported,
}

impl Rotation {
    /// SBC-4 table 238 and ACS-4 word 217 have the same values.
    fn decode(rate: u16) -> Option<Rotation> {
        match rate {
            0 => Some(Rotation::NotReported),
            1 => Some(Rotation::Solid),
            0x0401..=0xfffe => Some(Rotation::Spins(rate)),
            _ => None,
        }
    }
}

/// The facts of IDENTIFY DEVICE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtaIdentity {
    pub model: Option<String>,
    pub serial: Option<String>,
    pub firmware: Option<String>,
    pub wwn: Option<String>,
    pub rotation: Option<Rotation>,
    /// General purpose logging: READ LOG EXT is supported.
    pub has_logs: bool,
}

impl AtaIdentity {
    /// From VPD page 89h.
    pub fn from_page(page: &[u8]) -> Option<AtaIdentity> {
        AtaIdentity::parse(vpd_body(page, 0x89)?.get(IDENTIFY_IN_PAGE - 4..)?)
    }

    /// From the 512 bytes of IDENTIFY DEVICE. None if too short or empty.
    pub fn parse(data: &[u8]) -> Option<AtaIdentity> {
        let data = data.get(..IDENTIFY_BYTES)?;
        if data.iter().all(|b| *b == 0) {
            return None;
        }
        let word = |n: usize| u16::from_le_bytes([data[2 * n], data[2 * n + 1]]);
        // Each word of a text has its first letter in the high byte.
        let text = |from: usize, to: usize| {
            let bytes: Vec<u8> = (from..to).flat_map(|n| word(n).to_be_bytes()).collect();
            clean::ascii(&bytes)
        };
        let wwn = (108..112).fold(0_u64, |wwn, n| wwn << 16 | u64::from(word(n)));
        // Word 87 bit 8: a WWN is present; its first digit is the NAA.
        let has_wwn = word(87) & 0xc100 == 0x4100 && wwn >> 60 == 5;
        Some(AtaIdentity {
            model: text(27, 47),
            serial: text(10, 20),
            firmware: text(23, 27),
            wwn: has_wwn.then(|| format!("naa.{wwn:016x}")),
            rotation: Rotation::decode(word(217)),
            // Words 84 and 87, bit 5; bits 15 and 14 mark a valid word.
            has_logs: [84, 87].iter().any(|n| word(*n) & 0xc020 == 0x4020),
        })
    }
}

/// SERVICE ACTION IN (16), service action 10h, 32 bytes.
pub(crate) const READ_CAPACITY: [u8; 16] = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];

/// Size by READ CAPACITY (16) (SBC-4, 5.21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub blocks: u64,
    pub block_bytes: u32,
}

impl Capacity {
    /// From the parameter data: address of the last block, then block length. None if too short or
    /// implausible.
    pub fn parse(data: &[u8]) -> Option<Capacity> {
        let capacity = Capacity {
            blocks: big_endian(data.get(..8)?).checked_add(1)?,
            block_bytes: big_endian(data.get(8..12)?) as u32,
        };
        (256..=65536).contains(&capacity.block_bytes).then_some(capacity)
    }

    pub fn bytes(self) -> Option<u64> {
        self.blocks.checked_mul(u64::from(self.block_bytes))
    }

    /// Whether Linux supports blocks of this length (drivers/scsi/sd.c); otherwise it reports no size.
    pub fn kernel_can(self) -> bool {
        matches!(self.block_bytes, 256 | 512 | 1024 | 2048 | 4096)
    }
}

/// The content of a VPD page. None if it is another page.
fn vpd_body(page: &[u8], number: u8) -> Option<&[u8]> {
    (page.get(1) == Some(&number)).then(|| page_body(page))
}

/// Page 80h, unit serial number.
pub(crate) fn serial_page(page: &[u8]) -> Option<String> {
    clean::ascii(vpd_body(page, 0x80)?)
}

/// Page B1h, block device characteristics.
pub(crate) fn rotation_page(page: &[u8]) -> Option<Rotation> {
    let body = vpd_body(page, 0xb1)?;
    Rotation::decode(u16::from_be_bytes([*body.first()?, *body.get(1)?]))
}

/// Page 83h, device identification: the logical unit's NAA or EUI-64 name.
pub(crate) fn naming_page(page: &[u8]) -> Option<String> {
    let mut rest = vpd_body(page, 0x83)?;
    let mut eui = None;
    while let [_, kind, _, length, after @ ..] = rest {
        let id = after.get(..usize::from(*length))?;
        rest = &after[id.len()..];
        // Association 0: the logical unit, not a port or a target.
        if kind >> 4 & 0x3 != 0 {
            continue;
        }
        match kind & 0xf {
            3 if matches!(id.len(), 8 | 16) => {
                if let Some(naa) = wwn(&format!("naa.{}", hex::encode(id))) {
                    return Some(naa);
                }
            }
            2 if matches!(id.len(), 8 | 12 | 16) => eui = wwn(&format!("eui.{}", hex::encode(id))),
            _ => {}
        }
    }
    eui
}

/// Names that the kernel or the disk composes from maker, model and serial: weaker than a WWN, but all that
/// some disks have.
pub(super) fn made_up(text: &str) -> Option<String> {
    let text = clean::text(text)?;
    let (kind, rest) = text.split_once('.')?;
    let sound = matches!(kind, "t10" | "nvme" | "scsi")
        && rest.bytes().any(|b| b.is_ascii_alphanumeric() && b != b'0');
    sound.then_some(text)
}

/// A globally unique name: "naa.", "eui." or "uuid.", and not zero.
pub(super) fn wwn(text: &str) -> Option<String> {
    let text = clean::text(text)?.to_lowercase();
    let (kind, id) = text.split_once('.')?;
    let digits = || id.bytes().filter(|b| *b != b'-');
    let sound = matches!(kind, "naa" | "eui" | "uuid")
        && digits().all(|b| b.is_ascii_hexdigit())
        && digits().count() >= 16
        && digits().any(|b| b != b'0')
        && digits().any(|b| b != b'f');
    sound.then_some(text)
}
