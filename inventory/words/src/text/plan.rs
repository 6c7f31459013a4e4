//! An install plan in words.

use inventory_api::deploy::{Account, NicConfig, ScriptRun};
use inventory_api::plan::{DiskTarget, ImageChannel, InstallPlan, Partition, PartitionRole, Step};

use super::{counted, disk_size, if_any};

/// "QEMU HARDDISK, serial S1, 11 GB": a disk by what its label shows.
pub fn disk(disk: &DiskTarget) -> String {
    let words = [
        disk.model.clone(),
        disk.serial.as_ref().map(|serial| format!("serial {serial}")),
        disk.wwn.as_ref().map(|wwn| format!("WWN {wwn}")),
        Some(disk_size(disk.size_bytes)),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
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
    let mut steps = plan.steps.iter();
    let found = steps.find_map(|step| match step {
        Step::Partition { partitions, .. } => Some(partitions.as_slice()),
        _ => None,
    });
    found.unwrap_or_default()
}

/// The accounts that a plan makes.
pub fn accounts(plan: &InstallPlan) -> &[Account] {
    let mut steps = plan.steps.iter();
    let found = steps.find_map(|step| match step {
        Step::Accounts { accounts } => Some(accounts.as_slice()),
        _ => None,
    });
    found.unwrap_or_default()
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

fn listed<T>(all: &[T], separator: &str, words: impl Fn(&T) -> String) -> String {
    all.iter().map(words).collect::<Vec<_>>().join(separator)
}

/// What a step will do, in detail but without password hashes.
pub fn step_detail(step: &Step, plan: &InstallPlan) -> String {
    match step {
        Step::EraseDisk {} => format!(
            "Everything on {} is lost. Signatures of old and new partitions are cleared at both ends.",
            disk(&plan.disk)
        ),
        Step::Partition { partitions, .. } => {
            let list = listed(partitions, ", ", |p| {
                let size = disk_size(partition_bytes(p, plan.disk.block_bytes));
                format!("{} {} ({size})", p.number, role(p.role))
            });
            format!("GPT: {list}")
        }
        Step::MakeFat { partition, label, .. } => format!("FAT32 on partition {partition}, labelled {label}"),
        Step::WriteImage {
            partition, source, ..
        } => {
            let channel = match source.channel {
                ImageChannel::Http => "HTTP, checked by digest",
                ImageChannel::MutualTls => "mutual TLS",
            };
            format!(
                "{} {} to partition {partition}: {} read over {channel}, {} written; SHA-256 {}…",
                plan.image,
                plan.image_version,
                disk_size(source.compressed_bytes),
                disk_size(source.content_bytes),
                &source.sha256.to_string()[..12],
            )
        }
        Step::Bootloader { kernel_args, .. } if kernel_args.is_empty() => "GRUB for BIOS and UEFI".to_owned(),
        Step::Bootloader { kernel_args, .. } => {
            format!(
                "GRUB for BIOS and UEFI; kernel arguments {}",
                kernel_args.join(" ")
            )
        }
        Step::Fstab { mounts } => listed(mounts, ", ", |m| format!("{} ({})", m.path, m.kind)),
        Step::Hostname { hostname } => hostname.clone(),
        Step::Network { nics } => listed(nics, "; ", nic),
        Step::Accounts { accounts } => listed(accounts, "; ", account),
        Step::Cron { jobs } => listed(jobs, "; ", |j| {
            format!("{}: {} as {}", j.name, j.schedule, j.user)
        }),
        Step::Scripts { scripts } => listed(scripts, "; ", |s| match (s.run, &s.path) {
            (ScriptRun::FirstBoot, _) => format!("{} (once, on first boot)", s.name),
            (ScriptRun::Kept, Some(path)) => format!("{} (kept as {path})", s.name),
            (ScriptRun::Kept, None) => format!("{} (kept as /usr/local/sbin/{})", s.name, s.name),
        }),
        Step::Agent {} => "slipway-agent as a systemd service, with this machine's credentials".to_owned(),
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
    let gateway = if_any(", gateway ", nic.gateway.as_ref());
    let dns = if_any(", DNS ", (!nic.dns.is_empty()).then(|| nic.dns.join(", ")));
    format!("{who}: {}{gateway}{dns}", nic.addresses.join(", "))
}

/// An account in words: name, rights, number of SSH keys. Never the hash.
pub fn account(account: &Account) -> String {
    let sudo = if account.sudo { "sudo; " } else { "" };
    let groups = match account.groups.as_slice() {
        [] => String::new(),
        groups => format!("groups {}; ", groups.join(", ")),
    };
    let keys = match account.ssh_keys.len() {
        0 => "no SSH key".to_owned(),
        n => counted(n as u64, "SSH key"),
    };
    format!("{} ({sudo}{groups}{keys})", account.name)
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
