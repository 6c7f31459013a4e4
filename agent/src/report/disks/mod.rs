//! Whole disks, by sysfs; a live SCSI or ATA disk is asked for what sysfs does not show.

mod ask;
mod identity;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use inventory_api::report::{DiskFacts, Transport};

use self::identity::{AtaIdentity, Rotation};
use super::roots::{Roots, attribute, flag, names, number, read_bounded};
use super::{Problems, clean, pci};

/// Disks kept; a storage server with four shelves has some hundreds.
const DISK_LIMIT: usize = 1024;
/// The kernel counts sizes in 512-byte sectors, whatever the disk's own blocks are.
const SECTOR: u64 = 512;
/// A VPD page has at most 64 KiB; those read here have less than one.
const PAGE_LIMIT: u64 = 4096;
/// How long one disk may take to answer; the ioctls inside have shorter limits of their own.
const ANSWER_TIME: Duration = Duration::from_secs(8);

/// Block devices that are no disk, for captures where the device path does not tell.
const NOT_DISKS: [&str; 13] = [
    "loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "rbd", "drbd", "bcache", "mtdblock", "zd",
];

/// How much is asked of a live disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Which disk it is.
    Identity,
    /// How it is, too.
    Health,
}

/// Every whole disk, in the order of names.
pub(super) fn collect(roots: &Roots, _depth: Depth, problems: &mut Problems) -> Vec<DiskFacts> {
    let folder = roots.sys("block");
    let names = names(&folder).unwrap_or_else(|e| {
        problems.note(format_args!("{}: {e}", folder.display()));
        Vec::new()
    });
    let disks: Vec<Disk> = names.iter().filter_map(|name| Disk::find(roots, name)).collect();
    if disks.len() > DISK_LIMIT {
        problems.note(format_args!(
            "{}: {} disks, the first {DISK_LIMIT} are kept",
            folder.display(),
            disks.len()
        ));
    }
    disks
        .iter()
        .take(DISK_LIMIT)
        .map(|disk| disk.facts(roots, problems))
        .collect()
}

/// One entry of /sys/block that is a disk.
struct Disk {
    name: String,
    /// The entry.
    block: PathBuf,
    /// Real path below sys, where the capture has links.
    path: Option<PathBuf>,
}

impl Disk {
    fn find(roots: &Roots, name: &str) -> Option<Disk> {
        let block = roots.sys("block").join(name);
        let path = roots.device(&block);
        let at = path.as_deref().and_then(Path::to_str).unwrap_or_default();
        let kind = number(&block.join("device/type"));
        let is_other = NOT_DISKS.iter().any(|prefix| name.starts_with(prefix))
            // eMMC shows its boot areas as disks.
            || (name.starts_with("mmcblk") && name.contains("boot"))
            // NVMe multipath: one path of a disk that has a name of its own.
            || flag(&block.join("hidden")) == Some(true)
            // The disk itself of NVMe multipath is virtual; nothing else that is virtual is a disk.
            || (at.starts_with("devices/virtual/") && !name.starts_with("nvme"))
            // SCSI peripheral types (SPC-6): 5 is optical, 7 optical memory, 13 enclosure.
            || matches!(kind, Some(5 | 7 | 13));
        (!is_other).then(|| Disk {
            name: name.to_owned(),
            block,
            path,
        })
    }

    fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.block.join(name))
    }

    fn fact(&self, name: &str) -> Option<String> {
        clean::serial(&self.attribute(name)?)
    }

    fn page(&self, number: &str) -> Option<Vec<u8>> {
        Some(
            read_bounded(&self.block.join(format!("device/vpd_pg{number}")), PAGE_LIMIT)
                .ok()?
                .0,
        )
    }

    fn facts(&self, roots: &Roots, problems: &mut Problems) -> DiskFacts {
        let vendor = self.attribute("device/vendor").unwrap_or_default();
        let is_ata = vendor.trim() == "ATA";
        let transport = transport(&self.name, self.path.as_deref(), is_ata);
        let is_scsi = matches!(
            transport,
            Some(Transport::Sata | Transport::Sas | Transport::Scsi | Transport::Usb)
        );

        let mut ata = self.page("89").as_deref().and_then(AtaIdentity::from_page);
        let mut serial = self.fact("serial").or_else(|| self.fact("device/serial"));
        if serial.is_none() && is_scsi {
            serial = self.page("80").as_deref().and_then(identity::serial_page);
        }
        let needs_ata = is_ata && ata.is_none() && transport == Some(Transport::Sata);
        if roots.is_live() && is_scsi && (needs_ata || serial.is_none()) {
            let answer = self.ask(roots, needs_ata, serial.is_none(), problems);
            ata = ata.or(answer.ata);
            serial = serial.or(answer.serial);
        }
        let ata = ata.unwrap_or_default();

        let wwn = ["wwid", "device/wwid"]
            .iter()
            .find_map(|name| identity::wwn(&self.attribute(name)?))
            .or_else(|| self.page("83").as_deref().and_then(identity::naming_page))
            .or(ata.wwn);
        let rotation = self
            .page("b1")
            .as_deref()
            .and_then(identity::rotation_page)
            .or(ata.rotation);
        DiskFacts {
            name: self.name.clone(),
            // SCSI has 16 characters for a model and 4 for a revision; ATA's own are longer.
            model: ata
                .model
                .or_else(|| self.fact("device/model"))
                .or_else(|| self.mmc("device/name")),
            serial: ata.serial.or(serial),
            wwn,
            size_bytes: self
                .number("size")
                .and_then(|n| u64::try_from(n).ok()?.checked_mul(SECTOR))
                .filter(|n| *n > 0),
            logical_block_bytes: self.small("queue/logical_block_size"),
            physical_block_bytes: self.small("queue/physical_block_size"),
            rotational: rotational(transport, flag(&self.block.join("queue/rotational")), rotation),
            transport,
            firmware: ata
                .firmware
                .or_else(|| self.fact("device/firmware_rev"))
                .or_else(|| self.fact("device/rev"))
                .or_else(|| self.mmc("device/fwrev")),
            pci: self.pci(roots),
            removable: flag(&self.block.join("removable")),
            read_only: flag(&self.block.join("ro")),
            ..DiskFacts::default()
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        number(&self.block.join(name))
    }

    fn small(&self, name: &str) -> Option<u32> {
        u32::try_from(self.number(name)?).ok().filter(|n| *n > 0)
    }

    /// Attributes that only mean this on SD and eMMC.
    fn mmc(&self, name: &str) -> Option<String> {
        self.name.starts_with("mmcblk").then(|| self.fact(name)).flatten()
    }

    /// The controller. The disk of NVMe multipath names its controllers by links beside it.
    fn pci(&self, roots: &Roots) -> Option<String> {
        let path = self.path.as_deref()?;
        let of_controller = || {
            let subsystem = roots.sys(path.parent()?);
            let controllers = names(&subsystem).ok()?;
            controllers
                .iter()
                .filter(|name| name.starts_with("nvme"))
                .find_map(|name| pci::address(&roots.device(&subsystem.join(name))?))
        };
        pci::address(path).or_else(of_controller)
    }

    /// Asks the disk in a thread of its own: a dying one does not answer, and must not take the others with it.
    fn ask(&self, roots: &Roots, ata: bool, serial: bool, problems: &mut Problems) -> ask::Answer {
        let device = roots.dev(&self.name);
        let (sender, receiver) = std::sync::mpsc::channel();
        let path = device.clone();
        let started = std::thread::Builder::new()
            .name("report-disk".to_owned())
            .spawn(move || {
                let _ = sender.send(ask::ask(&path, ata, serial));
            });
        let answer = match started {
            Ok(_) => receiver
                .recv_timeout(ANSWER_TIME)
                .map_err(|_| format!("no answer after {} s", ANSWER_TIME.as_secs())),
            Err(e) => Err(format!("no thread to ask it: {e}")),
        };
        match answer.and_then(|answer| answer.map_err(|e| e.to_string())) {
            Ok(answer) => answer,
            Err(e) => {
                problems.note(format_args!("{}: asked for its identity: {e}", device.display()));
                ask::Answer::default()
            }
        }
    }
}

/// By the device path: the same wires have several drivers.
fn transport(name: &str, path: Option<&Path>, is_ata: bool) -> Option<Transport> {
    let parts: Vec<&str> = path
        .into_iter()
        .flat_map(Path::iter)
        .filter_map(|part| part.to_str())
        .collect();
    let numbered = |prefix: &str| {
        parts.iter().any(|part| {
            part.strip_prefix(prefix)
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    let is_scsi = numbered("host");
    if name.starts_with("nvme") {
        Some(Transport::Nvme)
    } else if name.starts_with("mmcblk") {
        Some(Transport::Mmc)
    } else if numbered("usb") {
        Some(Transport::Usb)
    } else if is_ata || numbered("ata") {
        // Behind a SAS controller too: it is a SATA disk.
        Some(Transport::Sata)
    } else if parts.iter().any(|part| part.starts_with("end_device-")) {
        Some(Transport::Sas)
    } else if is_scsi {
        Some(Transport::Scsi)
    } else if numbered("virtio") {
        Some(Transport::Virtio)
    } else if name.starts_with("sd") {
        Some(Transport::Scsi)
    } else if name.starts_with("vd") {
        Some(Transport::Virtio)
    } else {
        None
    }
}

/// The disk's own word goes before the kernel's, which says "rotational" when it was told nothing.
fn rotational(transport: Option<Transport>, kernel: Option<bool>, disk: Option<Rotation>) -> Option<bool> {
    match (disk, transport) {
        (Some(Rotation::Spins), _) => Some(true),
        (Some(Rotation::Solid), _) => Some(false),
        (Some(Rotation::NotReported), _) | (None, Some(Transport::Virtio)) => None,
        // RAID volumes, virtual disks and USB bridges keep the kernel's default.
        (None, Some(Transport::Scsi | Transport::Usb) | None) => kernel.filter(|spins| !spins),
        (
            None,
            Some(Transport::Sata | Transport::Sas | Transport::Nvme | Transport::Mmc | Transport::Unknown),
        ) => kernel,
    }
}
