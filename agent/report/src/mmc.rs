//! MMC hosts without a disk: a card without its driver, or a host without a card. The disks are in
//! [`super::disks`].

use super::Problems;
use super::roots::{Roots, attribute, names};

const HOST_LIMIT: usize = 64;

/// Notes each host without a block device.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) {
    let folder = roots.sys("class/mmc_host");
    for host in names(&folder).into_iter().take(HOST_LIMIT) {
        // "mmc0:4567": the card at that address.
        let mut cards = names(&folder.join(&host));
        cards.retain(|name| name.starts_with(&format!("{host}:")));
        if cards.is_empty() {
            problems.note(format_args!(
                "{host}: this SD or eMMC host has no card, or one that does not answer"
            ));
        }
        for card in cards {
            let place = folder.join(&host).join(&card);
            let kind = attribute(&place.join("type")).unwrap_or_default();
            let is_storage = matches!(kind.as_str(), "SD" | "MMC" | "");
            if is_storage && names(&place.join("block")).is_empty() {
                problems.note(format_args!(
                    "{card}: this {} card has no block device: the driver mmc_block is not loaded, or it cannot read the card",
                    if kind.is_empty() { "SD or eMMC" } else { &kind }
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_card_without_a_block_device_and_a_host_without_a_card() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = dir.path().join("sys/class/mmc_host");
        for path in [
            "mmc0/mmc0:4567",
            "mmc1/mmc1:0001/block/mmcblk1",
            "mmc2/power",
            "mmc3/mmc3:0001",
        ] {
            fs::create_dir_all(hosts.join(path)).unwrap();
        }
        fs::write(hosts.join("mmc0/mmc0:4567/type"), "SD\n").unwrap();
        // A radio, not a disk.
        fs::write(hosts.join("mmc3/mmc3:0001/type"), "SDIO\n").unwrap();
        let mut problems = Problems::new("mmc");
        collect(&Roots::under(dir.path()), &mut problems);
        let said: Vec<&str> = problems
            .found
            .iter()
            .map(|problem| problem.detail.as_str())
            .collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with("mmc0:4567: this SD card has no block device"),
            "{said:?}"
        );
        assert!(
            said[1].starts_with("mmc2: this SD or eMMC host has no card"),
            "{said:?}"
        );
    }
}
