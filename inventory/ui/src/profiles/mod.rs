//! The deployment profiles of the configuration.

use askama::Template;
use inventory_api::deploy::{DeployRequest, DiskChoice};
use inventory_api::machine::Profile;

use super::page::{Page, Shell, html};
use super::session::SignedIn;
use words::text::{counted, disk_size, listed, plan};

#[derive(Template)]
#[template(path = "profiles/profiles.html")]
pub(crate) struct ProfilesPage<'a> {
    pub(crate) shell: Shell,
    pub(crate) profiles: &'a [Profile],
}

pub(crate) async fn page(at: SignedIn) -> Page {
    Ok(html(ProfilesPage {
        shell: at.shell("Profiles", "Profiles"),
        profiles: &at.service.profiles(),
    }))
}

fn disk(choice: &Option<DiskChoice>) -> String {
    let c = choice.clone().unwrap_or_default();
    let words = [
        c.serial.map(|serial| format!("serial {serial}")),
        c.wwn.map(|wwn| format!("WWN {wwn}")),
        c.model.map(|model| format!("model with {model}")),
        c.min_bytes.map(|min| format!("at least {}", disk_size(min))),
        c.max_bytes.map(|max| format!("at most {}", disk_size(max))),
        c.smallest.then(|| "the smallest".to_owned()),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    listed(&words, "the only one that can hold the image")
}

fn network(request: &DeployRequest) -> String {
    let nics: Vec<String> = request.network.iter().map(plan::nic).collect();
    match nics.is_empty() {
        true => "DHCP on the boot NIC".to_owned(),
        false => nics.join("; "),
    }
}

/// What the profile puts on a machine: label, noun and the things; only what it has.
fn contents(request: &DeployRequest) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let cron = request.cron.iter();
    let scripts = request.scripts.iter();
    let mut all = vec![
        (
            "Accounts",
            "account",
            request.accounts.iter().map(plan::account).collect(),
        ),
        (
            "Cron jobs",
            "cron job",
            cron.map(|j| format!("{} ({})", j.name, j.schedule)).collect(),
        ),
        ("Scripts", "script", scripts.map(|s| s.name.clone()).collect()),
    ];
    all.retain(|(.., things): &(_, _, Vec<String>)| !things.is_empty());
    all
}

/// "debian-12 · 2 accounts, 1 script".
pub(crate) fn summary(request: &DeployRequest) -> String {
    let counts: Vec<String> = contents(request)
        .iter()
        .map(|(_, noun, things)| counted(things.len() as u64, noun))
        .collect();
    match counts.is_empty() {
        true => request.image.clone(),
        false => format!("{} · {}", request.image, counts.join(", ")),
    }
}
