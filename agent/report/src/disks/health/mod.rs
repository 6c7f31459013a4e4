//! The health of disks: pure decoders of a disk's answers; `ask` makes the queries.

pub(super) mod ata;
pub(super) mod ata_logs;
pub(super) mod nvme;
pub(super) mod scsi;
#[cfg(test)]
mod tests;
