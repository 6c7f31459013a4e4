//! An install plan, readable before it runs. Password hashes are never shown.

use inventory_api::deploy::ScriptRun;
use inventory_api::plan::{DiskTarget, InstallPlan, Step};

use crate::text::plan as words;
use crate::text::{disk_size, tame, timestamp};

/// A plan.
pub struct PlanView {
    /// Its name.
    pub id: String,
    /// When it was made.
    pub made: String,
    /// Image and version.
    pub image: String,
    /// Host name.
    pub hostname: String,
    /// The disk in words.
    pub disk: String,
    /// The disk by its identity: what a person confirmed is compared with what is planned then.
    pub disk_key: String,
    /// Partitions.
    pub partitions: Vec<PartitionView>,
    /// Steps.
    pub steps: Vec<StepView>,
    /// Accounts.
    pub accounts: Vec<AccountView>,
    /// Cron jobs and scripts with their text.
    pub files: Vec<FileView>,
}

/// A partition.
pub struct PartitionView {
    /// Number.
    pub number: u32,
    /// GPT name.
    pub name: String,
    /// What it is for.
    pub role: &'static str,
    /// Size in words.
    pub size: String,
    /// First and last LBA.
    pub lba: String,
}

/// A step.
pub struct StepView {
    /// From 1.
    pub number: usize,
    /// What.
    pub title: String,
    /// With what.
    pub detail: String,
}

/// An account, without its hash.
pub struct AccountView {
    /// Login name.
    pub name: String,
    /// Full name or empty.
    pub full_name: String,
    /// Groups.
    pub groups: String,
    /// Whether it may become root.
    pub rights: &'static str,
    /// SSH keys: kind, the end of the key, comment.
    pub keys: Vec<String>,
}

/// A text that the machine gets.
pub struct FileView {
    /// Name.
    pub title: String,
    /// When it runs.
    pub note: String,
    /// The text.
    pub content: String,
}

/// What names a disk for good: serial, WWN and size.
pub fn disk_key(disk: &DiskTarget) -> String {
    format!(
        "{}|{}|{}",
        disk.serial.as_deref().unwrap_or_default(),
        disk.wwn.as_deref().unwrap_or_default(),
        disk.size_bytes
    )
}

/// "ssh-ed25519 …k3Jq alice@laptop": enough to know one's own key.
fn short_key(key: &str) -> String {
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
    /// How a plan reads.
    pub fn new(plan: &InstallPlan) -> PlanView {
        let mut accounts = Vec::new();
        let mut files = Vec::new();
        for step in &plan.steps {
            match step {
                Step::Accounts { accounts: list } => accounts.extend(list.iter().map(|a| AccountView {
                    name: a.name.clone(),
                    full_name: a.full_name.clone().unwrap_or_default(),
                    groups: if a.groups.is_empty() {
                        "–".into()
                    } else {
                        a.groups.join(", ")
                    },
                    rights: if a.sudo { "everything (sudo)" } else { "ordinary" },
                    keys: a.ssh_keys.iter().map(|k| short_key(k)).collect(),
                })),
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
            id: plan.id.to_string(),
            made: timestamp(plan.made_at),
            image: format!("{} {}", plan.image, plan.image_version),
            hostname: plan.hostname.clone(),
            disk: words::disk(&plan.disk),
            disk_key: disk_key(&plan.disk),
            partitions: words::partitions(plan)
                .iter()
                .map(|p| PartitionView {
                    number: p.number,
                    name: p.name.clone(),
                    role: words::role(p.role),
                    size: disk_size(words::partition_bytes(p, plan.disk.block_bytes)),
                    lba: format!("{} to {}", p.first_lba, p.last_lba),
                })
                .collect(),
            steps: plan
                .steps
                .iter()
                .enumerate()
                .map(|(i, step)| StepView {
                    number: i + 1,
                    title: words::step_title(step.name()).to_owned(),
                    detail: words::step_detail(step, plan),
                })
                .collect(),
            accounts,
            files,
        }
    }
}
