//! Any bytes as every page and log of a disk.

use inventory_api::report::{DiskFacts, DiskHealth};

use super::super::harmless::assert_harmless;
use super::health::{ata, ata_logs, nvme, scsi};
use super::identity::{AtaIdentity, Capacity, naming_page, rotation_page, serial_page};

pub(crate) fn door(page: &[u8]) {
    for code in [0x80, 0x83, 0x89, 0xb1] {
        let mut page = page.to_vec();
        if let Some(byte) = page.get_mut(1) {
            *byte = code;
        }
        let identity = AtaIdentity::from_page(&page).unwrap_or_default();
        let disk = DiskFacts {
            model: identity.model,
            serial: identity.serial.or(serial_page(&page)),
            firmware: identity.firmware,
            wwn: identity.wwn.or(naming_page(&page)),
            health: health(&page),
            ..DiskFacts::default()
        };
        let _ = (rotation_page(&page), Capacity::parse(&page));
        assert_harmless(|report| report.disks.push(disk));
    }
}

/// As each log, as they are and with a corrected checksum.
pub(super) fn health(bytes: &[u8]) -> Option<DiskHealth> {
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
