//! An install plan, readable before it runs. Password hashes are never shown.

use inventory_api::deploy::ScriptRun;
use inventory_api::plan::{DiskTarget, InstallPlan, Partition, Step};

use words::text::plan as plan_words;
use words::text::{disk_size, tame};

/// An install plan.
pub struct PlanView {
    /// The plan itself. Templates must not show its password hashes.
    pub plan: InstallPlan,
    /// The disk in words.
    pub disk: String,
    /// Identity of the disk: lets the server check that the confirmed disk is still the planned one.
    pub disk_key: String,
    /// Cron jobs and scripts with their content.
    pub files: Vec<FileView>,
}

/// A cron job or script that is put on the machine.
pub struct FileView {
    /// Name.
    pub title: String,
    /// Where it is put, or when it runs.
    pub note: String,
    /// Its content.
    pub content: String,
}

/// Stable identity of a disk: serial number, WWN and size.
pub fn disk_key(disk: &DiskTarget) -> String {
    format!(
        "{}|{}|{}",
        disk.serial.as_deref().unwrap_or_default(),
        disk.wwn.as_deref().unwrap_or_default(),
        disk.size_bytes
    )
}

/// "ssh-ed25519 …k3Jq alice@laptop": enough to recognise one's own key.
pub fn short_key(key: &str) -> String {
    let mut words = key.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let Some(body) = words.next() else {
        return tame(key, 60);
    };
    let tail: String = body
        .chars()
        .skip(body.chars().count().saturating_sub(8))
        .collect();
    let comment: Vec<&str> = words.collect();
    tame(&format!("{kind} …{tail} {}", comment.join(" ")), 90)
        .trim_end()
        .to_owned()
}

impl PlanView {
    /// Describes a plan.
    pub fn new(plan: &InstallPlan) -> PlanView {
        let mut files = Vec::new();
        for step in &plan.steps {
            match step {
                Step::Cron { jobs } => files.extend(jobs.iter().map(|j| FileView {
                    title: format!("Cron job {}", j.name),
                    note: format!("/etc/cron.d/{}", j.name),
                    content: format!("{} {} {}", j.schedule, j.user, j.command),
                })),
                Step::Scripts { scripts } => files.extend(scripts.iter().map(|s| {
                    FileView {
                        title: format!("Script {}", s.name),
                        note: match s.run {
                            ScriptRun::FirstBoot => "runs once, on the first boot from disk".into(),
                            ScriptRun::Kept => s
                                .path
                                .clone()
                                .unwrap_or_else(|| format!("/usr/local/sbin/{}", s.name)),
                        },
                        content: s.content.clone(),
                    }
                })),
                _ => {}
            }
        }
        PlanView {
            plan: plan.clone(),
            disk: plan_words::disk(&plan.disk),
            disk_key: disk_key(&plan.disk),
            files,
        }
    }

    /// Size of a partition: "1.5 GB".
    pub fn size(&self, partition: &Partition) -> String {
        disk_size(plan_words::partition_bytes(partition, self.plan.disk.block_bytes))
    }
}
