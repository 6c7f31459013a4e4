//! Sample values for tests of all crates (feature `sample`).

use std::str::FromStr;

use crate::deploy::{Account, CronJob, NicConfig, Script, ScriptRun};
use crate::image::{BootFiles, ImageManifest};
use crate::plan::{
    DiskTarget, ImageChannel, ImageSource, InstallPlan, Mount, PLAN_SCHEMA, Partition, PartitionRole, Step,
};
use crate::report::FirmwareMode;
use crate::{Mac, Sha256Digest, UnixMs};

fn id<T: FromStr>(text: &str) -> T {
    match text.parse() {
        Ok(id) => id,
        Err(_) => unreachable!("{text} is an id"),
    }
}

/// The NIC that booted.
pub const NIC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// A user account with every field.
pub fn account() -> Account {
    Account {
        name: "alice".into(),
        uid: Some(1500),
        full_name: Some("Alice".into()),
        shell: Some("/bin/bash".into()),
        groups: vec!["operators".into()],
        sudo: true,
        ssh_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 alice".into()],
        password_hash: Some("$6$salt$hash".into()),
    }
}

/// A cron job.
pub fn job() -> CronJob {
    CronJob {
        name: "trim".into(),
        schedule: "17 3 * * 0".into(),
        user: "root".into(),
        command: "fstrim -a".into(),
    }
}

/// A first-boot script.
pub fn script() -> Script {
    Script {
        name: "setup".into(),
        content: "#!/bin/sh\n".into(),
        run: ScriptRun::FirstBoot,
        path: None,
        everyone: false,
    }
}

/// The mount of the root file system.
pub fn root_mount() -> Mount {
    Mount {
        device: "UUID=0a".into(),
        path: "/".into(),
        kind: "ext4".into(),
        options: "defaults".into(),
        pass: 1,
    }
}

/// A plan with one step of each kind that both firmware modes have.
pub fn plan() -> InstallPlan {
    let partition = Partition {
        number: 3,
        name: "root".into(),
        role: PartitionRole::Root,
        guid: "0b".into(),
        first_lba: 1_052_672,
        last_lba: 12_580_863,
    };
    let source = ImageSource {
        path: "/images/ab".into(),
        channel: ImageChannel::Http,
        sha256: Sha256Digest([0xab; 32]),
        compressed_bytes: 1,
        content_sha256: Sha256Digest([0xcd; 32]),
        content_bytes: 2,
    };
    let nic = NicConfig {
        mac: Some(NIC),
        addresses: vec!["10.0.0.7/24".into()],
        gateway: Some("10.0.0.1".into()),
        dns: vec!["10.0.0.1".into()],
    };
    InstallPlan {
        schema: PLAN_SCHEMA,
        id: id("p-0123456789abcdef"),
        machine: id("m-0123456789ab"),
        made_at: UnixMs(1_790_000_000_000),
        image: "debian-12".into(),
        image_version: "1".into(),
        hostname: "web-1".into(),
        disk: DiskTarget {
            serial: Some("S1".into()),
            wwn: Some("naa.5".into()),
            model: Some("Disk".into()),
            size_bytes: 6_442_450_944,
            block_bytes: 512,
            removable: false,
        },
        steps: vec![
            Step::EraseDisk {},
            Step::Partition {
                disk_guid: "0c".into(),
                partitions: vec![partition],
            },
            Step::MakeFat {
                partition: 2,
                volume_id: "1A2B-3C4D".into(),
                label: "ESP".into(),
            },
            Step::WriteImage {
                partition: 3,
                source,
                uuid: "0a".into(),
            },
            Step::Bootloader {
                bios_partition: 1,
                esp_partition: 2,
                root_partition: 3,
                root_uuid: "0a".into(),
                kernel_args: vec!["quiet".into()],
            },
            Step::Fstab {
                mounts: vec![root_mount()],
            },
            Step::Hostname {
                hostname: "web-1".into(),
            },
            Step::Network { nics: vec![nic] },
            Step::Accounts {
                accounts: vec![account()],
            },
            Step::Cron { jobs: vec![job()] },
            Step::Scripts {
                scripts: vec![script()],
            },
            Step::Agent {},
            Step::Finish {},
        ],
    }
}

/// An image of 1 GiB for both firmware modes.
pub fn image() -> ImageManifest {
    ImageManifest {
        name: "debian-12".into(),
        version: "1".into(),
        os: "Debian GNU/Linux 12 (bookworm)".into(),
        architecture: "x86_64".into(),
        file: "image.zst".into(),
        sha256: Sha256Digest([1; 32]),
        compressed_bytes: 100,
        content_sha256: Sha256Digest([2; 32]),
        content_bytes: 1 << 30,
        boot: BootFiles {
            kernel_release: "6.1.0".into(),
            kernel: "/vmlinuz".into(),
            initrd: "/initrd.img".into(),
            firmware: vec![FirmwareMode::Bios, FirmwareMode::Uefi],
        },
        built_at: UnixMs(0),
        public: true,
        recipe_sha256: None,
    }
}
