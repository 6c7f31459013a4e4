//! The install plan: what the server decided, readable before it runs. The agent verifies it against the live
//! machine and executes it step by step. The agent refuses a plan with anything unknown in it.

use serde::{Deserialize, Serialize};

use crate::deploy::{Account, CronJob, NicConfig, Script};
use crate::id::{MachineId, PlanId, Sha256Digest, UnixMs};
use crate::named;

/// The schema number that this build writes to [`InstallPlan::schema`], and the only one it accepts.
pub const PLAN_SCHEMA: u32 = 1;

/// One installation of one image on one disk of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallPlan {
    /// See [`PLAN_SCHEMA`].
    pub schema: u32,
    /// Its id.
    pub id: PlanId,
    /// The machine it is for.
    pub machine: MachineId,
    /// When it was made.
    pub made_at: UnixMs,
    /// Image name, for people.
    pub image: String,
    /// Image version, for people.
    pub image_version: String,
    /// Host name of the installed system.
    pub hostname: String,
    /// The only disk that may be written.
    pub disk: DiskTarget,
    /// Steps in order. The first one already writes.
    pub steps: Vec<Step>,
}

/// A disk, identified by what does not change between boots. At least one of serial and WWN is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskTarget {
    /// Serial number.
    pub serial: Option<String>,
    /// WWN.
    pub wwn: Option<String>,
    /// Model, for people.
    pub model: Option<String>,
    /// Exact capacity in bytes.
    pub size_bytes: u64,
    /// Logical block size: LBAs in the plan count these.
    pub block_bytes: u32,
    /// The disk is removable: it was named by serial number or WWN.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removable: bool,
}

impl DiskTarget {
    /// Whether a disk has the serial number and the WWN of this target, as far as the target has them. Blank
    /// ones match nothing.
    pub fn names(&self, serial: Option<&str>, wwn: Option<&str>) -> bool {
        let given = |text: Option<&str>| text.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        let (own_serial, own_wwn) = (given(self.serial.as_deref()), given(self.wwn.as_deref()));
        let same =
            |planned: &Option<String>, found: Option<&str>| planned.is_none() || *planned == given(found);
        (own_serial.is_some() || own_wwn.is_some()) && same(&own_serial, serial) && same(&own_wwn, wwn)
    }
}

named! {
    /// One step. The steps as a whole are idempotent: an interrupted plan starts again from its first step.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", deny_unknown_fields)]
    pub enum Step {
        /// Discards the whole disk if it supports that, and always overwrites its first and last MiB with
        /// zeros.
        EraseDisk {} = "erase-disk",
        /// Writes protective MBR and GPT, primary and backup.
        Partition {
            /// Disk GUID, lower case.
            disk_guid: String,
            /// Partitions in order of number.
            partitions: Vec<Partition>,
        } = "partition",
        /// Makes a FAT32 file system.
        MakeFat {
            /// Partition number.
            partition: u32,
            /// Volume id as in fstab, e.g. "1A2B-3C4D".
            volume_id: String,
            /// Volume label, at most 11 characters.
            label: String,
        } = "make-fat",
        /// Streams a zstd-compressed ext4 image to a partition. The digests of the compressed and of the
        /// decompressed bytes are checked, then the file system gets its UUID and grows to the partition.
        WriteImage {
            /// Partition number.
            partition: u32,
            /// The image.
            source: ImageSource,
            /// UUID for the file system, lower case.
            uuid: String,
        } = "write-image",
        /// Installs the boot loader for BIOS (MBR and BIOS boot partition) and UEFI (ESP) from the image's
        /// /usr/lib/slipway/boot.
        Bootloader {
            /// Number of the BIOS boot partition.
            bios_partition: u32,
            /// Number of the ESP.
            esp_partition: u32,
            /// Number of the root partition.
            root_partition: u32,
            /// UUID of the root file system.
            root_uuid: String,
            /// Kernel arguments after `root=UUID=... ro`.
            kernel_args: Vec<String>,
        } = "bootloader",
        /// Writes /etc/fstab.
        Fstab {
            /// Lines.
            mounts: Vec<Mount>,
        } = "fstab",
        /// Writes host name and /etc/hosts, and has machine id and SSH host keys made on the first boot.
        Hostname {
            /// Host name.
            hostname: String,
        } = "hostname",
        /// Writes systemd-networkd files.
        Network {
            /// One entry per NIC; every entry names its MAC.
            nics: Vec<NicConfig>,
        } = "network",
        /// Creates accounts, groups, sudo rules and SSH keys.
        Accounts {
            /// Accounts.
            accounts: Vec<Account>,
        } = "accounts",
        /// Writes files in /etc/cron.d.
        Cron {
            /// Jobs.
            jobs: Vec<CronJob>,
        } = "cron",
        /// Writes first-boot and kept scripts.
        Scripts {
            /// Scripts.
            scripts: Vec<Script>,
        } = "scripts",
        /// Installs the running agent as a systemd service, with the machine's credentials and the server's
        /// address.
        Agent {} = "agent",
        /// UEFI only: keeps the boot entry that this machine booted from first and adds an entry for the ESP
        /// behind it. If the firmware refuses, that is logged and not a failure: the machine boots without
        /// it, only later.
        BootOrder {
            /// Number of the ESP.
            esp_partition: u32,
        } = "boot-order",
        /// Flushes, reads back the partition table and the first MiB of the root file system, unmounts.
        Finish {} = "finish",
    }
}

/// One GPT partition. LBAs are inclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Number from 1.
    pub number: u32,
    /// GPT name.
    pub name: String,
    /// Its role, which decides the type GUID.
    pub role: PartitionRole,
    /// Unique partition GUID, lower case.
    pub guid: String,
    /// First LBA.
    pub first_lba: u64,
    /// Last LBA.
    pub last_lba: u64,
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionRole {
    /// 21686148-6449-6e6f-744e-656564454649: room for GRUB's core image on BIOS machines.
    BiosBoot,
    /// c12a7328-f81f-11d2-ba4b-00a0c93ec93b: EFI system partition.
    Esp,
    /// 4f68bce3-e8cd-4db1-96e7-fbcaf984b709: root file system, x86-64.
    Root,
}

impl PartitionRole {
    /// The GPT type GUID, lower case.
    pub fn type_guid(self) -> &'static str {
        match self {
            PartitionRole::BiosBoot => "21686148-6449-6e6f-744e-656564454649",
            PartitionRole::Esp => "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
            PartitionRole::Root => "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
        }
    }
}

/// Where an image comes from, and its digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// Path on the server; see `channel`.
    pub path: String,
    /// How it is fetched.
    pub channel: ImageChannel,
    /// Digest of the compressed bytes.
    pub sha256: Sha256Digest,
    /// Compressed size in bytes.
    pub compressed_bytes: u64,
    /// Digest of the decompressed file system image.
    pub content_sha256: Sha256Digest,
    /// Size of the decompressed file system image in bytes.
    pub content_bytes: u64,
}

/// How an image is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageChannel {
    /// Plain HTTP from the boot service, for images without secrets. The digest comes over mutual TLS.
    Http,
    /// Mutual TLS with the machine certificate.
    MutualTls,
}

/// One line of /etc/fstab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// `UUID=...`.
    pub device: String,
    /// Mount point.
    pub path: String,
    /// File system type.
    pub kind: String,
    /// Options.
    pub options: String,
    /// fsck pass.
    pub pass: u8,
}
