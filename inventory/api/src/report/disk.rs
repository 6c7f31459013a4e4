//! Disks and their controllers.

use serde::{Deserialize, Serialize};

use crate::words::wire_word;

/// One whole disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskFacts {
    /// The kernel's name, e.g. "nvme0n1". It does not identify the disk.
    pub name: String,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World wide name or EUI/NGUID as in sysfs `wwid`, e.g. "naa.5000c500a1b2c3d4", "eui.0025385...".
    pub wwn: Option<String>,
    /// Capacity in bytes.
    pub size_bytes: Option<u64>,
    /// Logical block size in bytes.
    pub logical_block_bytes: Option<u32>,
    /// Physical block size in bytes.
    pub physical_block_bytes: Option<u32>,
    /// Whether it spins.
    pub rotational: Option<bool>,
    /// How it is attached.
    pub transport: Option<Transport>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// PCI address of the controller, e.g. "0000:00:04.0".
    pub pci: Option<String>,
    /// Removable medium (USB sticks, virtual media).
    pub removable: Option<bool>,
    /// Read-only.
    pub read_only: Option<bool>,
    /// Bay or slot of an enclosure as reported by the kernel, e.g. "Slot 03"; for NVMe the PCI slot.
    pub bay: Option<String>,
    /// Enclosure of the bay: its SES logical identifier ("5000ccab05000000"), else the address of its
    /// expander. Two shelves can number their bays alike.
    pub shelf: Option<String>,
    /// Path from the controller as in udev's by-path: "pci-0000:00:1f.2-ata-1".
    pub path: Option<String>,
    /// Partitions that the kernel sees on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// Revolutions per minute; 0 or absent if it does not spin or does not tell.
    pub rpm: Option<u32>,
    /// Whether it is a volume of a RAID controller.
    pub raid_volume: Option<bool>,
    /// Further paths to the same disk, other than `name` and `path`: dual-ported SAS, two HBAs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<DiskPath>,
    /// Further NVMe namespaces of the same disk, other than `name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<DiskNamespace>,
    /// Health.
    pub health: Option<DiskHealth>,
}

impl DiskFacts {
    /// Bytes of all namespaces together, which is what was bought. `size_bytes` covers only `name`, which a
    /// plan writes to.
    pub fn capacity_bytes(&self) -> Option<u64> {
        let namespaces = self
            .namespaces
            .iter()
            .filter_map(|namespace| namespace.size_bytes);
        self.size_bytes
            .map(|first| namespaces.fold(first, u64::saturating_add))
    }
}

/// Another block device for the same disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskPath {
    /// The kernel's name, e.g. "sdc".
    pub name: String,
    /// Path from the controller as in udev's by-path.
    pub path: Option<String>,
    /// PCI address of the controller.
    pub pci: Option<String>,
}

/// Another namespace of the same NVMe disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskNamespace {
    /// The kernel's name, e.g. "nvme0n2".
    pub name: String,
    /// EUI-64 or NGUID of the namespace.
    pub wwn: Option<String>,
    /// Capacity in bytes.
    pub size_bytes: Option<u64>,
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// SATA or parallel ATA.
    Sata,
    /// SAS.
    Sas,
    /// Other SCSI (virtual SCSI, RAID volumes).
    Scsi,
    /// NVMe.
    Nvme,
    /// virtio-blk.
    Virtio,
    /// USB.
    Usb,
    /// eMMC, soldered to the board.
    Mmc,
    /// SD card.
    Sd,
    /// Fibre Channel: a LUN of a storage array.
    FibreChannel,
    /// iSCSI: a LUN of a storage array.
    Iscsi,
    /// NVMe over fabrics: a namespace of another machine.
    NvmeOf,
    /// A namespace of persistent memory.
    Pmem,
    /// Sent by a newer agent.
    #[serde(other)]
    Unknown,
}

wire_word!(Transport);

impl Transport {
    /// As people write it.
    pub fn words(self) -> &'static str {
        match self {
            Transport::Sata => "SATA",
            Transport::Sas => "SAS",
            Transport::Scsi => "SCSI",
            Transport::Nvme => "NVMe",
            Transport::Virtio => "virtio",
            Transport::Usb => "USB",
            Transport::Mmc => "eMMC",
            Transport::Sd => "SD",
            Transport::FibreChannel => "Fibre Channel",
            Transport::Iscsi => "iSCSI",
            Transport::NvmeOf => "NVMe over fabrics",
            Transport::Pmem => "persistent memory",
            Transport::Unknown => "other",
        }
    }

    /// Whether it is a volume of a storage array or of another machine, not a part of this one.
    pub fn is_remote(self) -> bool {
        matches!(
            self,
            Transport::FibreChannel | Transport::Iscsi | Transport::NvmeOf
        )
    }
}

impl DiskFacts {
    /// The block devices of the disk that can be written independently: the disk, and each further NVMe
    /// namespace, which has the disk's serial number and its own WWN.
    pub fn block_devices(&self) -> Vec<DiskFacts> {
        let first = DiskFacts {
            namespaces: Vec::new(),
            ..self.clone()
        };
        let others = self.namespaces.iter().map(|n| DiskFacts {
            name: n.name.clone(),
            wwn: n.wwn.clone(),
            size_bytes: n.size_bytes,
            paths: Vec::new(),
            ..first.clone()
        });
        std::iter::once(first.clone()).chain(others).collect()
    }

    /// How it is attached. The udev by-path name is more exact than older agents, which call network and USB
    /// disks "scsi" or "sata".
    pub fn attachment(&self) -> Option<Transport> {
        let path = self.path.as_deref().unwrap_or_default();
        let by_path = [
            ("-fc-", Transport::FibreChannel),
            ("-iscsi-", Transport::Iscsi),
            ("-usb-", Transport::Usb),
        ];
        let told = by_path.into_iter().find(|(part, _)| path.contains(part));
        match self.transport {
            // The agent already knows that it is not built in.
            Some(Transport::Sd | Transport::Pmem | Transport::NvmeOf) => self.transport,
            transport => told.map(|(_, by_path)| by_path).or(transport),
        }
    }

    /// How it is attached if it is not built in: "by USB", "by iSCSI". `None`: built in, as far as known. A
    /// disk that is not built in counts neither as an ordered disk nor as a disk to install on, unless it is
    /// named.
    pub fn not_built_in(&self) -> Option<&'static str> {
        match self.attachment() {
            Some(Transport::Usb) => Some("by USB"),
            Some(Transport::Sd) => Some("an SD card"),
            Some(Transport::FibreChannel) => Some("by Fibre Channel"),
            Some(Transport::Iscsi) => Some("by iSCSI"),
            Some(Transport::NvmeOf) => Some("by NVMe over fabrics"),
            Some(Transport::Pmem) => Some("persistent memory"),
            Some(Transport::Unknown) => Some("attached in a way that this server does not know"),
            Some(
                Transport::Sata
                | Transport::Sas
                | Transport::Scsi
                | Transport::Nvme
                | Transport::Virtio
                | Transport::Mmc,
            )
            | None => (self.removable == Some(true)).then_some("a removable medium"),
        }
    }
}

/// Health as reported by the disk (ATA SMART, NVMe health log).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskHealth {
    /// The overall verdict of the disk.
    pub passed: Option<bool>,
    /// Temperature, degrees Celsius.
    pub temperature_c: Option<i32>,
    /// Hours powered on.
    pub power_on_hours: Option<u64>,
    /// Times powered on.
    pub power_cycles: Option<u64>,
    /// Life used, percent; can exceed 100 (NVMe "percentage used", inverted ATA wear levelling).
    pub used_percent: Option<u32>,
    /// Spare blocks left, percent (NVMe).
    pub spare_percent: Option<u32>,
    /// Warning threshold for spare blocks, percent (NVMe).
    pub spare_threshold_percent: Option<u32>,
    /// Reallocated sectors (ATA attribute 5).
    pub reallocated_sectors: Option<u64>,
    /// Sectors waiting to be reallocated (ATA attribute 197).
    pub pending_sectors: Option<u64>,
    /// Uncorrectable errors (ATA attribute 198 or 187; NVMe media errors).
    pub uncorrectable_errors: Option<u64>,
    /// Errors on the cable (ATA attribute 199).
    pub link_errors: Option<u64>,
    /// Critical warning bits (NVMe health log byte 0); 0 is healthy.
    pub critical_warning: Option<u8>,
    /// Unsafe shutdowns (NVMe).
    pub unsafe_shutdowns: Option<u64>,
    /// Bytes written by the host.
    pub written_bytes: Option<u64>,
    /// Bytes read by the host.
    pub read_bytes: Option<u64>,
    /// The newest self-test in words: "passed", "failed", "running 40 %", "aborted".
    pub self_test: Option<String>,
}

/// A PCI storage controller. If `raid` is true, the disks behind it may be hidden from the kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageController {
    /// PCI address.
    pub pci: String,
    /// PCI vendor and device id, "1000:005d".
    pub pci_id: Option<String>,
    /// Kernel driver.
    pub driver: Option<String>,
    /// "raid", "sas", "sata", "nvme", "scsi", "ide" or the PCI class in hex.
    pub kind: Option<String>,
    /// Whether it presents volumes instead of disks.
    pub raid: Option<bool>,
    /// Model according to the driver or the volumes, e.g. "PERC H730P".
    pub model: Option<String>,
    /// Firmware version, if the driver reports it.
    pub firmware: Option<String>,
    /// Physical disks behind it that the kernel does not show, as listed by the controller. `name` is the
    /// controller's name for a disk, e.g. "enclosure 32 slot 4".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskFacts>,
}
