//! What a wipe must prove, and whether a later report supports it.

use inventory_api::agent::{ByteRange, WIPE_ENDS, WipedDisk};
use inventory_api::plan::DiskTarget;
use inventory_api::report::{AssetReport, distinct};
use inventory_api::text::counted;

/// Whether the agent's proof covers each disk to be wiped: both ends overwritten and read back. Returns a
/// sentence about the first one that is missing. The proof is only as good as the machine's certificate: see
/// docs/security.md.
pub fn proven(asked: &[DiskTarget], wiped: &[WipedDisk]) -> Result<(), String> {
    for disk in asked {
        let name = disk.serial.as_deref().or(disk.wwn.as_deref()).unwrap_or_default();
        let mut own = wiped
            .iter()
            .filter(|w| (&w.serial, &w.wwn) == (&disk.serial, &disk.wwn));
        let (Some(proof), None) = (own.next(), own.next()) else {
            return Err(format!(
                "the agent says that the wipe is done, but not what it did to disk {name}: boot the mini-os of this server and try again"
            ));
        };
        let size = disk.size_bytes;
        let end = WIPE_ENDS.min(size);
        let ends = [(0, end), (size - end, size)];
        if proof.size_bytes != size || !ends.iter().all(|(from, to)| covered(&proof.zeroed, *from, *to)) {
            return Err(format!(
                "the agent did not read back zeros at both ends of disk {name}: its partition tables may still be there"
            ));
        }
    }
    match wiped.len() == asked.len() {
        true => Ok(()),
        false => Err(format!(
            "the agent wiped {} disks instead of {}",
            wiped.len(),
            asked.len()
        )),
    }
}

/// Whether one of the ranges covers all bytes from `from` to `to`.
fn covered(zeroed: &[ByteRange], from: u64, to: u64) -> bool {
    zeroed.iter().any(|r| r.from <= from && to <= r.to)
}

/// What contradicts the wipe in a report of a mini-os booted after it: partitions on a disk that was cleared.
pub fn doubted(wiped: &[WipedDisk], report: &AssetReport) -> Option<String> {
    let disks = distinct(report.clone()).disks;
    let devices: Vec<_> = disks.iter().flat_map(|d| d.block_devices()).collect();
    wiped.iter().find_map(|w| {
        let disk = devices.iter().find(|d| (&d.serial, &d.wwn) == (&w.serial, &w.wwn))?;
        let partitions = disk.partitions.filter(|n| *n > 0)?;
        Some(format!(
            "disk {} with serial {} was reported as wiped and has {} now: either the wipe was not done, or the disk was written to since",
            disk.name,
            w.serial.as_deref().unwrap_or("unknown"),
            counted(partitions, "partition")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::report::DiskFacts;

    const SIZE: u64 = 1 << 30;

    fn asked() -> DiskTarget {
        DiskTarget {
            serial: Some("S1".into()),
            wwn: None,
            model: None,
            size_bytes: SIZE,
            block_bytes: 512,
            removable: false,
        }
    }

    fn proof(zeroed: &[(u64, u64)]) -> WipedDisk {
        WipedDisk {
            serial: Some("S1".into()),
            size_bytes: SIZE,
            zeroed: zeroed
                .iter()
                .map(|(from, to)| ByteRange { from: *from, to: *to })
                .collect(),
            ..WipedDisk::default()
        }
    }

    #[test]
    fn a_wipe_is_proven_for_each_disk_and_both_ends() {
        let good = proof(&[(0, WIPE_ENDS), (SIZE - WIPE_ENDS, SIZE)]);
        assert_eq!(proven(&[asked()], std::slice::from_ref(&good)), Ok(()));
        let other = WipedDisk {
            serial: Some("S2".into()),
            ..good.clone()
        };
        for bad in [
            vec![],
            vec![other.clone()],
            vec![good.clone(), good.clone()],
            vec![good.clone(), other],
            vec![proof(&[])],
            vec![proof(&[(0, WIPE_ENDS)])],
            vec![proof(&[(0, WIPE_ENDS - 1), (SIZE - WIPE_ENDS, SIZE)])],
            vec![WipedDisk {
                size_bytes: SIZE / 2,
                ..good.clone()
            }],
        ] {
            assert!(proven(&[asked()], &bad).is_err(), "{bad:?}");
        }
        // A disk smaller than both ends together is covered by one range.
        let tiny = DiskTarget {
            size_bytes: 4 << 20,
            ..asked()
        };
        let all = WipedDisk {
            size_bytes: 4 << 20,
            ..proof(&[(0, 4 << 20)])
        };
        assert_eq!(proven(&[tiny], &[all]), Ok(()));
    }

    #[test]
    fn the_text_of_a_wipe_says_what_was_done() {
        let mut disk = proof(&[(0, WIPE_ENDS), (SIZE - WIPE_ENDS, SIZE)]);
        disk.partitions = 3;
        let said = disk.in_words();
        assert!(
            said.contains("of its 3 partitions are cleared, 32 MiB were read back"),
            "{said}"
        );
        assert!(said.contains("data blocks are still there, 1040 MB"), "{said}");
        disk.discarded = true;
        assert!(disk.in_words().contains("All its blocks were discarded"));
    }

    #[test]
    fn partitions_on_a_wiped_disk_are_reported() {
        let report = |partitions: Option<u32>| AssetReport {
            disks: vec![DiskFacts {
                name: "sda".into(),
                serial: Some("S1".into()),
                partitions,
                ..DiskFacts::default()
            }],
            ..AssetReport::default()
        };
        let wiped = [proof(&[])];
        assert_eq!(doubted(&wiped, &report(None)), None);
        assert_eq!(doubted(&wiped, &report(Some(0))), None);
        let said = doubted(&wiped, &report(Some(2))).unwrap();
        assert!(
            said.contains("sda with serial S1") && said.contains("2 partitions"),
            "{said}"
        );
    }
}
