//! Images and deployment profiles, and the words and colours of history entries and boot events.

use askama::Template;
use inventory_api::boot::{BootEventKind, TftpEnd};
use inventory_api::deploy::{DeployRequest, DiskChoice};
use inventory_api::image::ImageManifest;
use inventory_api::loader::NicLoaders;
use inventory_api::machine::{HistoryEntry, Profile};

use super::{Shell, state_color};
use words::text::{counted, disk_size, listed, plan as plan_words, timestamp};

/// The images page.
#[derive(Template)]
#[template(path = "images.html")]
pub struct ImagesPage<'a> {
    /// Page frame.
    pub shell: Shell,
    /// Their manifests.
    pub images: &'a [ImageManifest],
}

/// "BIOS, UEFI": what the image can boot with.
fn firmware(image: &ImageManifest) -> String {
    let words: Vec<&str> = image.boot.firmware.iter().map(|mode| mode.words()).collect();
    words.join(", ")
}

/// The deployment profiles page.
#[derive(Template)]
#[template(path = "profiles.html")]
pub struct ProfilesPage {
    /// Page frame.
    pub shell: Shell,
    /// One card each.
    pub profiles: Vec<ProfileCard>,
}

/// One deployment profile.
pub struct ProfileCard {
    /// Name.
    pub name: String,
    /// Image.
    pub image: String,
    /// Counts in one line.
    pub summary: String,
    /// Label and value of every setting.
    pub facts: Vec<(&'static str, String)>,
}

impl ProfilesPage {
    /// The page.
    pub fn new(shell: Shell, profiles: &[Profile]) -> ProfilesPage {
        ProfilesPage {
            shell,
            profiles: profiles.iter().map(ProfileCard::new).collect(),
        }
    }
}

fn disk_choice(choice: Option<&DiskChoice>) -> String {
    let Some(c) = choice else {
        return "the only one that can hold the image".into();
    };
    let mut words = Vec::new();
    for (label, value) in [("serial", &c.serial), ("WWN", &c.wwn), ("model with", &c.model)] {
        if let Some(value) = value {
            words.push(format!("{label} {value}"));
        }
    }
    if let Some(min) = c.min_bytes {
        words.push(format!("at least {}", disk_size(min)));
    }
    if let Some(max) = c.max_bytes {
        words.push(format!("at most {}", disk_size(max)));
    }
    if c.smallest {
        words.push("the smallest".into());
    }
    listed(&words, "the only one that can hold the image")
}

impl ProfileCard {
    /// Describes a profile.
    pub fn new(profile: &Profile) -> ProfileCard {
        let r: &DeployRequest = &profile.request;
        let mut facts = vec![
            (
                "Host name",
                r.hostname.clone().unwrap_or_else(|| "the machine's id".into()),
            ),
            ("Disk", disk_choice(r.disk.as_ref())),
            (
                "Network",
                if r.network.is_empty() {
                    "DHCP on the boot NIC".into()
                } else {
                    r.network
                        .iter()
                        .map(plan_words::nic)
                        .collect::<Vec<_>>()
                        .join("; ")
                },
            ),
        ];
        let mut summary = Vec::new();
        let mut list = |label: &'static str, noun: &str, items: Vec<String>| {
            if !items.is_empty() {
                summary.push(counted(items.len() as u64, noun));
                facts.push((label, items.join("; ")));
            }
        };
        list(
            "Accounts",
            "account",
            r.accounts.iter().map(plan_words::account).collect(),
        );
        list(
            "Cron jobs",
            "cron job",
            r.cron
                .iter()
                .map(|j| format!("{} ({})", j.name, j.schedule))
                .collect(),
        );
        list(
            "Scripts",
            "script",
            r.scripts.iter().map(|s| s.name.clone()).collect(),
        );
        if !r.kernel_args.is_empty() {
            facts.push(("Kernel arguments", r.kernel_args.join(" ")));
        }
        facts.push((
            "Hardware check",
            if r.expected.is_some() {
                "before any disk is touched"
            } else {
                "nothing is expected"
            }
            .into(),
        ));
        ProfileCard {
            name: profile.name.clone(),
            image: r.image.clone(),
            summary: summary.join(", "),
            facts,
        }
    }
}

/// The state that an entry led to, and its colour.
pub fn state_after(entry: &HistoryEntry) -> (String, &'static str) {
    (entry.state.replace('/', ": "), state_color(&entry.reached().0))
}

/// Colour of a boot event.
pub fn event_color(what: &BootEventKind) -> &'static str {
    match what {
        BootEventKind::Dhcp { .. } => "azure",
        BootEventKind::Tftp {
            end: TftpEnd::SizeAsked,
            ..
        } => "teal",
        BootEventKind::Tftp { complete: false, .. } | BootEventKind::Connection { .. } => "red",
        BootEventKind::Agent { status, .. } if *status >= 400 => "red",
        BootEventKind::Http { status, .. } if *status >= 400 => "red",
        BootEventKind::Tftp { .. } | BootEventKind::Http { .. } => "teal",
        BootEventKind::Chosen { refused: Some(_), .. } => "red",
        BootEventKind::Script { .. } | BootEventKind::Chosen { .. } => "purple",
        BootEventKind::Agent { .. } => "green",
    }
}

/// "ipxe.efi works; snponly.efi failed (NIC 8086:1533)".
pub fn loader_words(nic: &Option<NicLoaders>) -> String {
    let Some(nic) = nic else {
        return String::new();
    };
    let worked = nic.worked.iter().map(|loader| format!("{loader} works"));
    let failed = nic.failed.iter().map(|f| match f.reason.as_str() {
        "refused" => format!("{} was refused (Secure Boot)", f.loader),
        _ => format!("{} failed", f.loader),
    });
    let words: Vec<String> = worked.chain(failed).collect();
    match &nic.model {
        Some(model) => format!("{} (NIC {model})", words.join("; ")),
        None => words.join("; "),
    }
}
