//! What disks say of their health. Pure decoders of the bytes that a disk sent; who asks for them is `ask`.

pub(super) mod ata;
pub(super) mod ata_logs;
pub(super) mod nvme;
pub(super) mod scsi;
#[cfg(test)]
mod tests;

/// `count` bytes, the least first, as a number; more than 64 bits are cut to the most.
fn little_endian(bytes: &[u8]) -> u64 {
    if bytes.iter().skip(8).any(|b| *b != 0) {
        return u64::MAX;
    }
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |sum, b| sum << 8 | u64::from(*b))
}
