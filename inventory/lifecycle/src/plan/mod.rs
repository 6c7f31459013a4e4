//! The install plan: report + image + request -> plan, or the missing fact.

mod disk;
mod request;

pub use request::check_request;

use inventory_api::agent::VerifyRequest;
use inventory_api::deploy::DeployRequest;
use inventory_api::image::ImageManifest;
use inventory_api::plan::{
    ImageChannel, ImageSource, InstallPlan, Mount, PLAN_SCHEMA, Partition, PartitionRole, Step,
};
use inventory_api::report::{AssetReport, FirmwareMode, distinct};
use inventory_api::valid::Invalid;
use inventory_api::{MachineId, PlanId, UnixMs};

const MIB: u64 = 1 << 20;
/// Space before the first and after the last partition: both GPT copies fit in it with any block size.
const EDGE_BYTES: u64 = MIB;
const BIOS_BOOT_BYTES: u64 = MIB;
/// FAT32 needs 65,525 clusters: with 4 KiB blocks, more than 260 MiB.
const ESP_BYTES: u64 = 512 * MIB;
/// The decompressor's window (at most 128 MiB), the blocks on their way to the disk (24 MiB) and the mini-os
/// itself.
const LEAST_MEMORY: u64 = 384 * MIB;

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// The machine.
    pub machine: &'a MachineId,
    /// Its newest report.
    pub report: &'a AssetReport,
    /// The image.
    pub image: &'a ImageManifest,
    /// The request.
    pub request: &'a DeployRequest,
    /// Id of the plan.
    pub id: &'a PlanId,
    /// New GUIDs.
    pub ids: &'a FreshIds,
    /// The server's clock.
    pub now: UnixMs,
}

/// Identifiers that must be new for each plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshIds {
    /// GPT disk GUID.
    pub disk: String,
    /// GPT partition GUIDs: BIOS boot, ESP, root.
    pub partitions: [String; 3],
    /// UUID of the root file system.
    pub root: String,
    /// FAT volume id of the ESP, "1A2B-3C4D".
    pub esp: String,
}

impl FreshIds {
    /// Version 4 UUIDs (RFC 9562 section 5.4) from random bytes.
    pub fn from_random(bytes: &[u8; 84]) -> FreshIds {
        let uuid = |at: usize| {
            let mut b = [0; 16];
            b.copy_from_slice(&bytes[at..at + 16]);
            uuid::Builder::from_random_bytes(b).into_uuid().to_string()
        };
        FreshIds {
            disk: uuid(0),
            partitions: [uuid(16), uuid(32), uuid(48)],
            root: uuid(64),
            esp: format!(
                "{:02X}{:02X}-{:02X}{:02X}",
                bytes[80], bytes[81], bytes[82], bytes[83]
            ),
        }
    }
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The report lists no disk that could be installed on.
    #[error("the machine reported no disk that an operating system can be installed on{}", and_found(.found))]
    NoDisk {
        /// The disks in words, each with the reason why it is not used; empty if there is none.
        found: String,
    },
    /// The only possible disk cannot be installed on or booted from.
    #[error("disk {disk} {why}")]
    DiskUnusable {
        /// The disk in words.
        disk: String,
        /// Why, and what to do.
        why: String,
    },
    /// Too little memory to stream an image.
    #[error(
        "the kernel has {found} bytes of memory, and an installation needs {needed}: add memory, or find out why the kernel sees so little"
    )]
    TooLittleMemory {
        /// What the report shows.
        found: u64,
        /// What is needed.
        needed: u64,
    },
    /// No disk matches the request.
    #[error("no disk matches {wanted}; the machine has: {found}")]
    DiskNotFound {
        /// The choice in words.
        wanted: String,
        /// The disks in words.
        found: String,
    },
    /// More than one disk remains.
    #[error("several disks match: {found}. Name one by serial number or WWN")]
    DiskAmbiguous {
        /// The disks in words.
        found: String,
    },
    /// The disk has nothing that identifies it.
    #[error(
        "disk {name} has neither serial number nor WWN (or shares them with another disk): it cannot be named safely"
    )]
    DiskNoIdentity {
        /// Kernel name.
        name: String,
    },
    /// The image does not fit.
    #[error("disk {name} has {size} bytes, image {image} needs {needed}")]
    DiskTooSmall {
        /// Kernel name.
        name: String,
        /// Its size.
        size: u64,
        /// What is needed.
        needed: u64,
        /// The image.
        image: String,
    },
    /// A value of the request is invalid.
    #[error(transparent)]
    BadRequest(#[from] Invalid),
    /// The request names no NIC for the network, and the report does not say which one booted.
    #[error("the report does not say which NIC booted: name the NIC by its MAC in `network`")]
    NoBootNic,
    /// A NIC of the request is not in the machine.
    #[error("the machine has no NIC {mac}")]
    NicNotFound {
        /// Its MAC.
        mac: String,
    },
    /// The image does not boot on this firmware.
    #[error("image {image} does not boot on {firmware} firmware")]
    Firmware {
        /// The image.
        image: String,
        /// "bios" or "uefi".
        firmware: String,
    },
}

impl PlanError {
    /// The stable short code.
    pub fn code(&self) -> &'static str {
        match self {
            PlanError::NoDisk { .. } => "no-disk",
            PlanError::DiskUnusable { .. } => "disk-unusable",
            PlanError::TooLittleMemory { .. } => "too-little-memory",
            PlanError::DiskNotFound { .. } => "disk-not-found",
            PlanError::DiskAmbiguous { .. } => "disk-ambiguous",
            PlanError::DiskNoIdentity { .. } => "disk-no-identity",
            PlanError::DiskTooSmall { .. } => "disk-too-small",
            PlanError::BadRequest(_) => "bad-request",
            PlanError::NoBootNic => "no-boot-nic",
            PlanError::NicNotFound { .. } => "nic-not-found",
            PlanError::Firmware { .. } => "firmware",
        }
    }
}

fn and_found(found: &str) -> String {
    match found {
        "" => ": it has none that the mini-os can see".to_owned(),
        found => format!(": {found}"),
    }
}

/// Makes the plan.
pub fn plan(input: PlanInput<'_>) -> Result<InstallPlan, PlanError> {
    let (machine, ids) = (input.machine, input.ids);
    let (report, image, request) = (input.report, input.image, input.request);
    can_run(image, report)?;
    check_request(request)?;
    let hostname = request::hostname(request.hostname.as_deref(), machine, report)?;
    let nics = request::nics(&request.network, report)?;
    let needed = 2 * EDGE_BYTES + BIOS_BOOT_BYTES + ESP_BYTES + image.content_bytes.next_multiple_of(MIB);
    let needs = disk::Needs {
        bytes: needed,
        image: &image.name,
        firmware: report.boot.mode,
    };
    // Reports of older agents list each path to a disk separately.
    let disks = distinct(report.clone()).disks;
    let disk = disk::choose(request.disk.as_ref(), &disks, &needs)?;
    let partitions = layout(disk.size_bytes, disk.block_bytes, ids);
    let kernel_args = request::kernel_args(request)?;
    let mut steps = vec![
        Step::EraseDisk {},
        Step::Partition {
            disk_guid: ids.disk.clone(),
            partitions,
        },
        Step::MakeFat {
            partition: 2,
            volume_id: ids.esp.clone(),
            label: "ESP".into(),
        },
        Step::WriteImage {
            partition: 3,
            source: source(image),
            uuid: ids.root.clone(),
        },
        Step::Bootloader {
            bios_partition: 1,
            esp_partition: 2,
            root_partition: 3,
            root_uuid: ids.root.clone(),
            kernel_args,
        },
        Step::Fstab { mounts: mounts(ids) },
        Step::Hostname {
            hostname: hostname.clone(),
        },
        Step::Network { nics },
        Step::Accounts {
            accounts: request.accounts.clone(),
        },
        Step::Cron {
            jobs: request.cron.clone(),
        },
        Step::Scripts {
            scripts: request.scripts.clone(),
        },
        Step::Agent {},
    ];
    if report.boot.mode == Some(FirmwareMode::Uefi) {
        steps.push(Step::BootOrder { esp_partition: 2 });
    }
    steps.push(Step::Finish {});
    Ok(InstallPlan {
        schema: PLAN_SCHEMA,
        id: input.id.clone(),
        machine: machine.clone(),
        made_at: input.now,
        image: image.name.clone(),
        image_version: image.version.clone(),
        hostname,
        disk,
        steps,
    })
}

/// Whether the machine can install and boot the image at all.
fn can_run(image: &ImageManifest, report: &AssetReport) -> Result<(), PlanError> {
    if let Some(mode) = report.boot.mode
        && !image.boot.firmware.contains(&mode)
    {
        return Err(PlanError::Firmware {
            image: image.name.clone(),
            firmware: format!("{mode:?}").to_lowercase(),
        });
    }
    match report.memory.usable_bytes {
        Some(found) if found < LEAST_MEMORY => Err(PlanError::TooLittleMemory {
            found,
            needed: LEAST_MEMORY,
        }),
        Some(_) | None => Ok(()),
    }
}

fn source(image: &ImageManifest) -> ImageSource {
    let (channel, folder) = match image.public {
        true => (ImageChannel::Http, "/images"),
        false => (ImageChannel::MutualTls, "/agent/v1/images"),
    };
    ImageSource {
        path: format!("{folder}/{}", image.sha256),
        channel,
        sha256: image.sha256,
        compressed_bytes: image.compressed_bytes,
        content_sha256: image.content_sha256,
        content_bytes: image.content_bytes,
    }
}

fn mounts(ids: &FreshIds) -> Vec<Mount> {
    vec![
        Mount {
            device: format!("UUID={}", ids.root),
            path: "/".into(),
            kind: "ext4".into(),
            options: "defaults,errors=remount-ro".into(),
            pass: 1,
        },
        Mount {
            device: format!("UUID={}", ids.esp),
            path: "/boot/efi".into(),
            kind: "vfat".into(),
            options: "umask=0077,nofail".into(),
            pass: 2,
        },
    ]
}

/// What the resident agent has to verify for a plan.
pub fn verify_request(plan: &InstallPlan) -> VerifyRequest {
    let mut expect = VerifyRequest {
        hostname: plan.hostname.clone(),
        ..Default::default()
    };
    for step in &plan.steps {
        match step {
            Step::Fstab { mounts } => expect.mounts = mounts.clone(),
            Step::Accounts { accounts } => expect.accounts = accounts.clone(),
            Step::Cron { jobs } => expect.cron = jobs.clone(),
            Step::Scripts { scripts } => expect.scripts = scripts.clone(),
            Step::EraseDisk {}
            | Step::Partition { .. }
            | Step::MakeFat { .. }
            | Step::WriteImage { .. }
            | Step::Bootloader { .. }
            | Step::Hostname { .. }
            | Step::Network { .. }
            | Step::Agent {}
            | Step::BootOrder { .. }
            | Step::Finish {} => {}
        }
    }
    expect
}

/// BIOS boot, ESP, and root on the rest, all on MiB boundaries.
fn layout(size_bytes: u64, block_bytes: u32, ids: &FreshIds) -> Vec<Partition> {
    let lba = |byte: u64| byte / u64::from(block_bytes);
    let bios = EDGE_BYTES;
    let esp = bios + BIOS_BOOT_BYTES;
    let root = esp + ESP_BYTES;
    let end = (size_bytes - EDGE_BYTES) / MIB * MIB;
    let part = |number: u32, name: &str, role, from: u64, to: u64| Partition {
        number,
        name: name.to_owned(),
        role,
        guid: ids.partitions[number as usize - 1].clone(),
        first_lba: lba(from),
        last_lba: lba(to) - 1,
    };
    vec![
        part(1, "bios-boot", PartitionRole::BiosBoot, bios, esp),
        part(2, "esp", PartitionRole::Esp, esp, root),
        part(3, "root", PartitionRole::Root, root, end),
    ]
}

#[cfg(test)]
mod tests;
