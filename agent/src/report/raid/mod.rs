//! Disks behind RAID controllers that show only their volumes to the kernel: the controller is asked which disks it has.
//! What PCI and sysfs tell of a controller is [`super::controllers`].

mod megaraid;
mod smart_array;

use std::time::{Duration, Instant};

use inventory_api::report::{AssetReport, DiskFacts, StorageController};

use super::roots::{Roots, attribute, names};
use super::{Problems, clean, pci};

/// Disks asked for at one controller.
const DISK_LIMIT: usize = 512;
/// Time for all controllers; one that does not answer at all is left behind with the collector.
const TIME: Duration = Duration::from_secs(15);

/// The disks, as controllers with nothing but their PCI address; the report joins them. Only on the running system.
pub(super) fn collect(roots: &Roots, problems: &mut Problems, report: &mut AssetReport) {
    if !roots.is_live() {
        return;
    }
    let end = Instant::now() + TIME;
    let folder = roots.sys("class/scsi_host");
    for host in names(&folder).unwrap_or_default() {
        let Some(address) = roots
            .device(&folder.join(&host))
            .as_deref()
            .and_then(pci::address)
        else {
            continue;
        };
        // A card of several hosts is asked once.
        if report
            .controllers
            .iter()
            .any(|controller| controller.pci == address)
        {
            continue;
        }
        let driver = attribute(&folder.join(&host).join("proc_name")).unwrap_or_default();
        let disks = match driver.trim() {
            "megaraid_sas" => megaraid::disks(roots, &host, end),
            "hpsa" | "smartpqi" => smart_array::disks(roots, &host, end),
            _ => continue,
        };
        match disks {
            Ok((disks, left_out)) => {
                if left_out > 0 {
                    problems.note(format_args!(
                        "{address}: {left_out} disks behind the controller gave no answer"
                    ));
                }
                report.controllers.push(StorageController {
                    pci: address,
                    disks,
                    ..StorageController::default()
                });
            }
            Err(e) => problems.note(format_args!(
                "{address}: the disks behind the controller ({}): {e}",
                driver.trim()
            )),
        }
    }
}

/// Takes out those that the kernel shows too: in HBA mode and beside volumes a controller passes single disks through.
pub(super) fn without_shown(report: &mut AssetReport) {
    let shown = |disk: &DiskFacts| {
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        report
            .disks
            .iter()
            .any(|other| same(&other.serial, &disk.serial) || same(&other.wwn, &disk.wwn))
    };
    for controller in &mut report.controllers {
        controller.disks.retain(|disk| !shown(disk));
    }
}

/// Bytes of text, padded with blanks or zeros.
fn text(bytes: &[u8]) -> Option<String> {
    clean::serial(&bytes.iter().map(|b| char::from(*b)).collect::<String>())
}

/// A text and an error for an answer that ends too early.
fn short(what: &str) -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        format!("{what}: the answer is too short"),
    )
}

/// Any bytes as every answer of a controller.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(bytes: &[u8]) {
    let mut disks: Vec<DiskFacts> = Vec::new();
    disks.extend(megaraid::disk(bytes));
    disks.extend(smart_array::disk(bytes));
    megaraid::list(bytes);
    smart_array::list(bytes);
    super::fuzz::assert_harmless(&AssetReport {
        controllers: vec![StorageController {
            disks,
            ..StorageController::default()
        }],
        ..AssetReport::default()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_the_kernel_shows_is_there_once() {
        let disk = |serial: &str| DiskFacts {
            serial: Some(serial.to_owned()),
            ..DiskFacts::default()
        };
        let mut report = AssetReport {
            disks: vec![disk("A")],
            controllers: vec![StorageController {
                disks: vec![disk("A"), disk("B"), DiskFacts::default()],
                ..StorageController::default()
            }],
            ..AssetReport::default()
        };
        without_shown(&mut report);
        assert_eq!(report.controllers[0].disks, [disk("B"), DiskFacts::default()]);
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            fuzz(&bytes);
        }
    }
}
