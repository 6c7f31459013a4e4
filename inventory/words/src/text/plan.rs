//! An install plan in words.

use inventory_api::deploy::{Account, NicConfig, ScriptRun};
use inventory_api::plan::{DiskTarget, ImageChannel, InstallPlan, Partition, PartitionRole, Step};

use super::{counted, disk_size};

/// "QEMU HARDDISK, serial S1, 11 GB": a disk by what its label shows.
pub fn disk(disk: &DiskTarget) -> String {
    let mut words = Vec::new();
    if let Some(model) = &disk.model {
        words.push(model.clone());
    }
    if let Some(serial) = &disk.serial {
        words.push(format!("serial {serial}"));
    }
    if let Some(wwn) = &disk.wwn {
        words.push(format!("WWN {wwn}"));
    }
    words.push(disk_size(disk.size_bytes));
    words.join(", ")
}

/// Size of a partition in bytes: both LBAs are inclusive.
pub fn partition_bytes(partition: &Partition, block_bytes: u32) -> u64 {
    (partition.last_lba.saturating_sub(partition.first_lba))
        .saturating_add(1)
        .saturating_mul(u64::from(block_bytes))
}

/// The purpose of a partition.
pub fn role(role: PartitionRole) -> &'static str {
    match role {
        PartitionRole::BiosBoot => "BIOS boot (GRUB)",
        PartitionRole::Esp => "EFI system partition",
        PartitionRole::Root => "root file system",
    }
}

/// The partitions that a plan makes.
pub fn partitions(plan: &InstallPlan) -> &[Partition] {
    plan.steps
        .iter()
        .find_map(|step| match step {
            Step::Partition { partitions, .. } => Some(partitions.as_slice()),
            _ => None,
        })
        .unwrap_or(&[])
}

/// The accounts that a plan makes.
pub fn accounts(plan: &InstallPlan) -> &[Account] {
    plan.steps
        .iter()
        .find_map(|step| match step {
            Step::Accounts { accounts } => Some(accounts.as_slice()),
            _ => None,
        })
        .unwrap_or(&[])
}

/// Title of a step, by its stable name; an unknown name is returned unchanged.
pub fn step_title(name: &str) -> &str {
    match name {
        "erase-disk" => "Erase the disk",
        "partition" => "Partition the disk",
        "make-fat" => "Make the EFI file system",
        "write-image" => "Write the image",
        "bootloader" => "Install the boot loader",
        "fstab" => "Write fstab",
        "hostname" => "Set the host name",
        "network" => "Configure the network",
        "accounts" => "Make the accounts",
        "cron" => "Add cron jobs",
        "scripts" => "Put scripts in place",
        "agent" => "Install the agent",
        "boot-order" => "Set the boot order",
        "finish" => "Flush and read back",
        "plan" => "The plan as a whole",
        "wipe" => "Wipe the disk",
        other => other,
    }
}

/// What a step will do, in detail but without password hashes.
pub fn step_detail(step: &Step, plan: &InstallPlan) -> String {
    match step {
        Step::EraseDisk {} => format!(
            "Everything on {} is lost. Signatures of old and new partitions are cleared at both ends.",
            disk(&plan.disk)
        ),
        Step::Partition { partitions, .. } => {
            let list: Vec<String> = partitions
                .iter()
                .map(|p| {
                    let size = disk_size(partition_bytes(p, plan.disk.block_bytes));
                    format!("{} {} ({size})", p.number, role(p.role))
                })
                .collect();
            format!("GPT: {}", list.join(", "))
        }
        Step::MakeFat { partition, label, .. } => {
            format!("FAT32 on partition {partition}, labelled {label}")
        }
        Step::WriteImage {
            partition, source, ..
        } => format!(
            "{} {} to partition {partition}: {} read over {}, {} written; SHA-256 {}…",
            plan.image,
            plan.image_version,
            disk_size(source.compressed_bytes),
            match source.channel {
                ImageChannel::Http => "HTTP, checked by digest",
                ImageChannel::MutualTls => "mutual TLS",
            },
            disk_size(source.content_bytes),
            &source.sha256.to_string()[..12],
        ),
        Step::Bootloader { kernel_args, .. } if kernel_args.is_empty() => "GRUB for BIOS and UEFI".to_owned(),
        Step::Bootloader { kernel_args, .. } => format!(
            "GRUB for BIOS and UEFI; kernel arguments {}",
            kernel_args.join(" ")
        ),
        Step::Fstab { mounts } => {
            let list: Vec<String> = mounts
                .iter()
                .map(|m| format!("{} ({})", m.path, m.kind))
                .collect();
            list.join(", ")
        }
        Step::Hostname { hostname } => hostname.clone(),
        Step::Network { nics } => nics.iter().map(nic).collect::<Vec<_>>().join("; "),
        Step::Accounts { accounts } => accounts.iter().map(account).collect::<Vec<_>>().join("; "),
        Step::Cron { jobs } => {
            let list: Vec<String> = jobs
                .iter()
                .map(|j| format!("{}: {} as {}", j.name, j.schedule, j.user))
                .collect();
            list.join("; ")
        }
        Step::Scripts { scripts } => {
            let list: Vec<String> = scripts
                .iter()
                .map(|s| match (s.run, &s.path) {
                    (ScriptRun::FirstBoot, _) => format!("{} (once, on first boot)", s.name),
                    (ScriptRun::Kept, Some(path)) => format!("{} (kept as {path})", s.name),
                    (ScriptRun::Kept, None) => format!("{} (kept as /usr/local/sbin/{})", s.name, s.name),
                })
                .collect();
            list.join("; ")
        }
        Step::Agent {} => "slipway-agent as a systemd service, with this machine's identity".to_owned(),
        Step::BootOrder { .. } => "UEFI boot order: network first, then this disk".to_owned(),
        Step::Finish {} => "Partition table and file system are read back before the reboot".to_owned(),
    }
}

/// Network settings of one NIC in words.
pub fn nic(nic: &NicConfig) -> String {
    let who = nic
        .mac
        .map_or_else(|| "boot NIC".to_owned(), |mac| mac.to_string());
    if nic.addresses.is_empty() {
        return format!("{who}: DHCP");
    }
    let mut text = format!("{who}: {}", nic.addresses.join(", "));
    if let Some(gateway) = &nic.gateway {
        text.push_str(&format!(", gateway {gateway}"));
    }
    if !nic.dns.is_empty() {
        text.push_str(&format!(", DNS {}", nic.dns.join(", ")));
    }
    text
}

/// An account in words: name, rights, number of SSH keys. Never the hash.
pub fn account(account: &Account) -> String {
    let mut parts = Vec::new();
    if account.sudo {
        parts.push("sudo".to_owned());
    }
    if !account.groups.is_empty() {
        parts.push(format!("groups {}", account.groups.join(", ")));
    }
    parts.push(match account.ssh_keys.len() {
        0 => "no SSH key".to_owned(),
        n => counted(n as u64, "SSH key"),
    });
    format!("{} ({})", account.name, parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_title() {
        let plan = inventory_api::sample::plan();
        let mut steps = plan.steps.clone();
        steps.push(Step::BootOrder { esp_partition: 2 });
        for step in &steps {
            let (name, title) = (step.name(), step_title(step.name()));
            assert!(
                title != name && title.starts_with(char::is_uppercase),
                "{name}: {title}"
            );
            assert!(step_detail(step, &plan).len() > 2, "{name}");
        }
        assert_eq!(step_title("boot-order"), "Set the boot order");
    }
}
