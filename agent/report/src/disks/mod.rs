//! Whole disks, from sysfs; a live SCSI or ATA disk is queried for what sysfs does not show.

mod ask;
mod ask_all;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod health;
pub(super) mod identity;
mod place;
mod self_test;
#[cfg(test)]
mod tests;
mod transport;

use std::path::{Path, PathBuf};

use inventory_api::report::{DiskFacts, DiskPath, Transport, is_emmc_area};

use self::ask::{Questions, Speaks};
use self::identity::{AtaIdentity, Rotation};
pub use self::self_test::{SelfTest, SelfTestError, disk_self_test};
use self::transport::{rotational, transport};
use super::roots::{Roots, attribute, bytes, file_name, flag, names, number, read_names, serial, text};
use super::{Problems, pci};

/// Maximum number of disks; a storage server with four shelves has a few hundred.
const DISK_LIMIT: usize = 1024;
/// The kernel counts sizes in 512-byte sectors, whatever the disk's block size.
const SECTOR: u64 = 512;
/// A VPD page has at most 64 KiB; those read here have less than 1 KiB.
const PAGE_LIMIT: u64 = 4096;

/// Names of block devices that are not disks, for captures without device paths.
const NOT_DISKS: [&str; 13] = [
    "loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "rbd", "drbd", "bcache", "mtdblock", "zd",
];

/// How much to query of a live disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only what the kernel knows; the disk is not queried.
    Kernel,
    /// Its identity.
    Identity,
    /// Identity and health.
    Health,
}

/// Every whole disk, sorted by name.
pub(super) fn collect(roots: &Roots, depth: Depth, problems: &mut Problems) -> Vec<DiskFacts> {
    let mut disks: Vec<Disk> = entries(roots, problems)
        .into_iter()
        .filter_map(|(name, block)| Disk::find(roots, name, block))
        .collect();
    problems.keep(&mut disks, DISK_LIMIT, roots.sys("block").display(), "disks");
    let seen: Vec<Seen> = disks.iter().map(|disk| disk.look(roots, depth)).collect();
    let answers = ask_all::ask_all(roots, &seen, problems);
    let mut disks = Vec::with_capacity(seen.len());
    for (seen, answer) in seen.into_iter().zip(answers) {
        let has_no_size = seen.has_no_size;
        let disk = seen.join(answer);
        if has_no_size && disk.size_bytes.is_none() {
            problems.note_as(
                "disk-size",
                format_args!(
                    "the kernel gives {} no size: sectors other than 512 or 4096 bytes, or a fault",
                    disk.name
                ),
            );
        }
        disks.push(disk);
    }
    disks
}

/// Names and folders of block devices, without partitions. Some captures have only the classes.
fn entries(roots: &Roots, problems: &mut Problems) -> Vec<(String, PathBuf)> {
    let mut below = |folder: PathBuf| -> Vec<(String, PathBuf)> {
        let names = problems.names(&folder).into_iter();
        names.map(|name| (name.clone(), folder.join(name))).collect()
    };
    let folder = roots.sys("block");
    if folder.exists() {
        return below(folder);
    }
    let mut found = below(roots.sys("class/block"));
    found.retain(|(_, block)| !block.join("partition").exists());
    for class in ["class/nvme-subsystem", "class/nvme"] {
        for (_, holder) in below(roots.sys(class)) {
            let is_namespace =
                |name: &String| name.starts_with("nvme") && holder.join(name).join("size").is_file();
            for name in names(&holder).into_iter().filter(is_namespace) {
                if found.iter().all(|(known, _)| *known != name) {
                    found.push((name.clone(), holder.join(name)));
                }
            }
        }
    }
    found
}

/// A disk in /sys/block.
struct Disk {
    name: String,
    /// The entry.
    block: PathBuf,
    /// Real path below sys, if the capture has links.
    path: Option<PathBuf>,
}

impl Disk {
    fn find(roots: &Roots, name: String, block: PathBuf) -> Option<Disk> {
        let path = roots.device(&block);
        let at = path.as_deref().and_then(Path::to_str).unwrap_or_default();
        let kind = number::<u8>(&block.join("device/type"));
        let is_other = NOT_DISKS.iter().any(|prefix| name.starts_with(prefix))
            || is_emmc_area(&name)
            // NVMe multipath: "nvme0c1n1" is one path of a disk that has its own name.
            || flag(&block.join("hidden")) == Some(true)
            || name.strip_prefix("nvme").is_some_and(|numbers| numbers.contains('c'))
            // The disk of NVMe multipath is virtual; no other virtual block device is a disk.
            || (at.starts_with("devices/virtual/") && !name.starts_with("nvme"))
            // SCSI peripheral types (SPC-6): 5 is optical, 7 optical memory, 13 enclosure.
            || matches!(kind, Some(5 | 7 | 13));
        (!is_other).then_some(Disk { name, block, path })
    }

    fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.block.join(name))
    }

    fn fact(&self, name: &str) -> Option<String> {
        serial(&self.block.join(name))
    }

    fn page(&self, number: &str) -> Option<Vec<u8>> {
        bytes(&self.block.join(format!("device/vpd_pg{number}")), PAGE_LIMIT)
    }

    fn transport(&self, roots: &Roots, is_ata: bool, controllers: &[PathBuf]) -> Option<Transport> {
        let path = self.path.as_deref();
        match transport(&self.name, path, is_ata) {
            Some(Transport::Nvme) if is_over_fabrics(roots, path, controllers) => Some(Transport::NvmeOf),
            Some(Transport::Mmc) if text(&self.block.join("device/type")).as_deref() == Some("SD") => {
                Some(Transport::Sd)
            }
            other => other,
        }
    }

    fn disk_path(&self, roots: &Roots, (name, path): (String, PathBuf)) -> DiskPath {
        DiskPath {
            name,
            pci: pci::address(&path),
            path: place::by_path(roots, &path, &self.block),
        }
    }

    /// Facts from sysfs, and what remains to be queried.
    fn look(&self, roots: &Roots, depth: Depth) -> Seen {
        let is_ata = self.attribute("device/vendor").as_deref() == Some("ATA");
        let path = self.path.as_deref();
        let controllers = path.map_or(Vec::new(), |path| subsystem_controllers(roots, path));
        let transport = self.transport(roots, is_ata, &controllers);
        let speaks = transport.and_then(Speaks::of);
        let is_scsi = matches!(speaks, Some(Speaks::Ata | Speaks::Scsi));
        let ata = self.page("89").as_deref().and_then(AtaIdentity::from_page);
        let mut serial = self.fact("serial").or_else(|| self.fact("device/serial"));
        if serial.is_none() && is_scsi {
            serial = self.page("80").as_deref().and_then(identity::serial_page);
        }
        let wwids: Vec<String> = ["wwid", "device/wwid"]
            .into_iter()
            .filter_map(|name| self.attribute(name))
            .collect();
        let rotation = self.page("b1").as_deref().and_then(identity::rotation_page);
        let model = self.fact("device/model");
        let raid_volume = is_scsi
            .then(|| self.raid_volume(roots, model.as_deref()))
            .flatten();
        let size = number(&self.block.join("size")).and_then(|sectors: u64| sectors.checked_mul(SECTOR));
        let removable = flag(&self.block.join("removable"));
        let block = |name: &str| number(&self.block.join(name)).filter(|bytes| *bytes > 0);
        // A drive without a medium has no size.
        let has_no_size = size == Some(0) && removable != Some(true);
        let questions = speaks.map(|speaks| Questions {
            speaks,
            identity: speaks == Speaks::Ata && is_ata && ata.is_none(),
            serial: speaks != Speaks::Nvme && serial.is_none(),
            capacity: speaks == Speaks::Scsi && transport != Some(Transport::Usb) && has_no_size,
            // A RAID volume has no health of its own.
            health: depth == Depth::Health && raid_volume != Some(true) && has_health(transport, is_ata),
        });
        let mut ways = self.ways(&controllers);
        let controller = (!ways.is_empty()).then(|| ways.remove(0)).map(|(_, path)| path);
        let facts = DiskFacts {
            name: self.name.clone(),
            model: model.or_else(|| self.mmc("device/name")),
            serial,
            wwn: wwids
                .iter()
                .find_map(|text| identity::wwn(text))
                .or_else(|| self.page("83").as_deref().and_then(identity::naming_page)),
            size_bytes: size.filter(|bytes| *bytes > 0),
            logical_block_bytes: block("queue/logical_block_size"),
            physical_block_bytes: block("queue/physical_block_size"),
            transport,
            firmware: self
                .fact("device/firmware_rev")
                .or_else(|| self.fact("device/rev"))
                .or_else(|| self.mmc("device/fwrev")),
            pci: controller.as_deref().and_then(pci::address),
            removable,
            partitions: self.partitions(),
            read_only: flag(&self.block.join("ro")),
            bay: place::bay(roots, path, &self.block),
            shelf: place::shelf(roots, path, &self.block),
            path: controller.and_then(|path| place::by_path(roots, &path, &self.block)),
            raid_volume,
            paths: ways.into_iter().map(|way| self.disk_path(roots, way)).collect(),
            ..DiskFacts::default()
        };
        Seen {
            kernel_rotational: flag(&self.block.join("queue/rotational")),
            has_no_size,
            made_up: wwids.iter().find_map(|text| identity::made_up(text)),
            rotation,
            ata,
            questions: questions.filter(|q| {
                roots.is_live()
                    && depth != Depth::Kernel
                    && (q.identity || q.serial || q.capacity || q.health)
            }),
            facts,
        }
    }

    /// Partitions below the disk's entry.
    fn partitions(&self) -> Option<u32> {
        let mut entries = read_names(&self.block).ok()?;
        entries.retain(|name| self.block.join(name).join("partition").exists());
        Some(entries.len() as u32)
    }

    fn raid_volume(&self, roots: &Roots, model: Option<&str>) -> Option<bool> {
        let path = self.path.as_deref();
        let driver = path.and_then(|path| place::host_driver(roots, path));
        place::raid_volume(
            driver.as_deref(),
            path.and_then(place::Scsi::of),
            text(&self.block.join("device/raid_level")).as_deref(),
            model.unwrap_or_default(),
        )
    }

    /// Attributes that have this meaning only on SD and eMMC.
    fn mmc(&self, name: &str) -> Option<String> {
        self.name.starts_with("mmcblk").then(|| self.fact(name)).flatten()
    }

    /// The paths to the disk: name and path below each controller. The disk of NVMe multipath is virtual and
    /// links to its controllers; its path is given as if it were below each of them.
    fn ways(&self, controllers: &[PathBuf]) -> Vec<(String, PathBuf)> {
        let Some(path) = self.path.as_deref() else {
            return Vec::new();
        };
        let hidden = |controller: &Path| {
            // "nvme0n1" through controller nvme3 is the hidden "nvme0c3n1".
            let (subsystem, namespace) = self.name.strip_prefix("nvme")?.split_once('n')?;
            let number = file_name(controller).strip_prefix("nvme")?;
            Some(format!("nvme{subsystem}c{number}n{namespace}"))
        };
        let below: Vec<(String, PathBuf)> = controllers
            .iter()
            .filter(|controller| pci::address(controller).is_some())
            .filter_map(|controller| Some((hidden(controller)?, controller.join(&self.name))))
            .collect();
        if below.is_empty() || pci::address(path).is_some() {
            vec![(self.name.clone(), path.to_owned())]
        } else {
            below
        }
    }
}

/// The controllers of an NVMe multipath disk.
fn subsystem_controllers(roots: &Roots, disk: &Path) -> Vec<PathBuf> {
    let Some(subsystem) = disk
        .parent()
        .filter(|path| file_name(path).starts_with("nvme-subsys"))
    else {
        return Vec::new();
    };
    let subsystem = roots.sys(subsystem);
    names(&subsystem)
        .iter()
        .filter(|name| name.starts_with("nvme"))
        .filter_map(|name| roots.device(&subsystem.join(name)))
        .collect()
}

/// Whether a namespace is remote: its own path, or all controllers of its subsystem, use fabrics.
fn is_over_fabrics(roots: &Roots, path: Option<&Path>, controllers: &[PathBuf]) -> bool {
    let over = |controller: &Path| {
        let transport = attribute(&roots.sys(controller).join("transport")).unwrap_or_default();
        controller.starts_with("devices/virtual/nvme-fabrics")
            || matches!(transport.as_str(), "tcp" | "rdma" | "fc" | "loop")
    };
    // Links of namespaces resolve to the subsystem itself and do not count.
    let mut controllers = controllers
        .iter()
        .filter(|c| !c.starts_with("devices/virtual/nvme-subsystem"))
        .peekable();
    path.is_some_and(|path| over(path) || path.parent().is_some_and(over))
        || (controllers.peek().is_some() && controllers.all(|controller| over(controller)))
}

/// Whether to query health. USB bridges often handle these commands badly.
fn has_health(transport: Option<Transport>, is_ata: bool) -> bool {
    match transport {
        Some(Transport::Sata) => is_ata,
        Some(Transport::Sas | Transport::Scsi | Transport::Nvme) => true,
        _ => false,
    }
}

/// A disk as described by sysfs.
struct Seen {
    facts: DiskFacts,
    /// The kernel sees it but cannot use it.
    has_no_size: bool,
    kernel_rotational: Option<bool>,
    made_up: Option<String>,
    rotation: Option<Rotation>,
    ata: Option<AtaIdentity>,
    questions: Option<Questions>,
}

impl Seen {
    /// Adds the disk's answers, which win over the kernel's facts. SCSI has 16 characters for a model and 4
    /// for a revision; ATA has more.
    fn join(self, answer: ask::Answer) -> DiskFacts {
        let mut facts = self.facts;
        let ata = self.ata.or(answer.ata).unwrap_or_default();
        let rotation = self.rotation.or(ata.rotation);
        facts.model = ata.model.or(facts.model);
        facts.serial = ata.serial.or(facts.serial).or(answer.serial);
        facts.firmware = ata.firmware.or(facts.firmware);
        facts.wwn = facts.wwn.or(ata.wwn).or(self.made_up);
        facts.rotational = rotational(facts.transport, self.kernel_rotational, rotation);
        facts.rpm = match rotation {
            Some(Rotation::Spins(rate)) => Some(u32::from(rate)),
            _ => None,
        };
        facts.health = answer.health;
        if let Some(capacity) = answer.capacity.filter(|capacity| !capacity.kernel_can()) {
            facts.size_bytes = capacity.bytes();
            facts.logical_block_bytes = Some(capacity.block_bytes);
            facts.physical_block_bytes = None;
        } else if self.has_no_size {
            // A kernel default, not from the disk.
            facts.logical_block_bytes = None;
            facts.physical_block_bytes = None;
        }
        facts
    }
}
