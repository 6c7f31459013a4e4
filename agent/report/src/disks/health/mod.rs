//! The health of disks: pure decoders of a disk's answers; `ask` makes the queries.

pub(super) mod ata;
pub(super) mod ata_logs;
pub(super) mod nvme;
pub(super) mod scsi;
#[cfg(test)]
mod tests;

/// A little-endian number of `count` bytes, saturated to 64 bits.
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

/// Parses any bytes as each log of a disk, as they are and with a corrected checksum.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(bytes: &[u8]) -> Option<inventory_api::report::DiskHealth> {
    let mut sealed = bytes.to_vec();
    if let Some(page) = sealed.get_mut(..512) {
        page[511] = 0;
        page[511] = page.iter().fold(0, |sum, b| sum.wrapping_sub(*b));
    }
    let mut health = nvme::health(bytes).unwrap_or_default();
    for bytes in [bytes, &sealed] {
        if let Some(smart) = ata::Smart::parse(bytes) {
            let _ = smart.passed(bytes);
            for model in ["SAMSUNG MZ7", "Micron_5300", "INTEL SSDSC2", "ST4000"] {
                health = smart.health(model);
            }
        }
        let _ = (
            ata::return_status(bytes),
            ata_logs::general(bytes),
            ata_logs::used_percent(bytes),
        );
        let _ = (ata_logs::statistics_pages(bytes), ata_logs::has_statistics(bytes));
        health.self_test = ata_logs::self_test(bytes).or(nvme::self_test(bytes));
        health.reallocated_sectors = scsi::grown_defects(bytes).or(health.reallocated_sectors);
        for page in scsi::PAGES {
            scsi::add(page, bytes, &mut health);
            let mut named = bytes.to_vec();
            if let Some(first) = named.first_mut() {
                *first = page;
            }
            scsi::add(page, &named, &mut health);
        }
    }
    Some(health)
}
