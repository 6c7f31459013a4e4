//! Disks behind RAID controllers that show the kernel only their volumes: queried from the controller. PCI
//! and sysfs facts of controllers are in [`super::controllers`].

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod megaraid;
mod smart_array;

use std::time::{Duration, Instant};

use inventory_api::report::{AssetReport, DiskFacts, StorageController};

use super::roots::{Roots, attribute, names};
use super::{Problems, pci};

/// Maximum number of disks per controller.
const DISK_LIMIT: usize = 512;
/// Both kinds of firmware return lists with a header and entries.
const LIST_HEAD: usize = 8;
const LIST_ENTRY: usize = 24;
const LIST_BYTES: usize = LIST_HEAD + DISK_LIMIT * LIST_ENTRY;
/// Time limit for all controllers; if one does not answer at all, the collector is abandoned.
const TIME: Duration = Duration::from_secs(15);

/// The disks, as controllers with only a PCI address; the report merges them. Only on the running system.
pub(super) fn collect(roots: &Roots, problems: &mut Problems, report: &mut AssetReport) {
    if !roots.is_live() {
        return;
    }
    let end = Instant::now() + TIME;
    let folder = roots.sys("class/scsi_host");
    for host in names(&folder) {
        let Some(address) = pci::of_link(roots, &folder.join(&host)) else {
            continue;
        };
        // Query a card with several hosts once.
        if report.controllers.iter().any(|known| known.pci == address) {
            continue;
        }
        let driver = attribute(&folder.join(&host).join("proc_name")).unwrap_or_default();
        let disks = match driver.as_str() {
            "megaraid_sas" => megaraid::disks(roots, &host, end),
            "hpsa" | "smartpqi" => smart_array::disks(roots, &host, end),
            _ => continue,
        };
        match disks {
            Ok((disks, left_out)) => {
                if left_out > 0 {
                    problems.note(format_args!(
                        "{address}: {left_out} disks behind the controller did not answer"
                    ));
                }
                report.controllers.push(StorageController {
                    pci: address,
                    disks,
                    ..StorageController::default()
                });
            }
            Err(e) => problems.note(format_args!(
                "{address}: the disks behind the controller ({driver}): {e}"
            )),
        }
    }
}

/// Removes disks that the kernel shows too: in HBA mode, or beside volumes, a controller passes single disks
/// through.
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

/// The entries of a list with a stated `count`.
fn entries(list: &[u8], count: usize) -> impl Iterator<Item = &[u8]> {
    let entries = list.get(LIST_HEAD..).unwrap_or_default();
    entries.chunks_exact(LIST_ENTRY).take(DISK_LIMIT.min(count))
}

/// The disks of a list, and how many did not answer by `end`.
fn ask_each(
    list: &[u16],
    end: Instant,
    ask: impl FnMut(&u16) -> Option<DiskFacts>,
) -> (Vec<DiskFacts>, usize) {
    let in_time = list.iter().take_while(|_| Instant::now() < end);
    let found: Vec<DiskFacts> = in_time.filter_map(ask).collect();
    let left_out = list.len() - found.len();
    (found, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_the_kernel_shows_too_is_listed_once() {
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
            super::fuzz::door(&bytes);
        }
    }
}
