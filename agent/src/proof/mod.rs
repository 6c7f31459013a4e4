//! Verifies the installed system. Runs the first-boot scripts and removes them; changes nothing else.

mod accounts;
mod files;
mod first_boot;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use inventory_api::PlanId;
use inventory_api::agent::{VerifiedItem, VerifyRequest};
use inventory_api::deploy::{CronJob, Script, ScriptRun};
use inventory_api::plan::Mount;
use inventory_api::valid::script_path;

use crate::console::Console;
use crate::install;
use accounts::Databases;
pub(crate) use files::read_bounded;
use files::{is_name, owner_and_mode, read_text, under};
pub use first_boot::FirstBoot;

/// Largest file read, in bytes.
const LIMIT: u64 = 4 << 20;

/// Runs the first-boot scripts of `plan` that have not run yet, then checks everything in the request, under
/// `root`. One item per check; no result contains a secret.
pub(crate) async fn verify(
    root: &Path,
    plan: &PlanId,
    expect: &VerifyRequest,
    first_boot: &FirstBoot,
    console: &dyn Console,
) -> Vec<VerifiedItem> {
    let mut items = vec![hostname(root, &expect.hostname)];
    for script in expect.scripts.iter().filter(|s| s.run == ScriptRun::FirstBoot) {
        let found = match first_boot::ended(root, plan, script) {
            Some(verdict) => verdict,
            None => match script_in_place(root, script) {
                Ok(file) => first_boot::once(root, plan, script, &file, first_boot, console).await,
                Err(why) => Err(why),
            },
        };
        // A script may contain a secret and is no longer needed.
        let found = match first_boot::ended(root, plan, script) {
            Some(_) => found.and_then(|how| remove(root, script).map(|()| how)),
            None => found,
        };
        items.push(item(format!("script {}", script.name), found));
    }
    // Check accounts after the scripts, which could have changed them.
    let databases = Databases::read(root);
    items.extend(expect.accounts.iter().map(|account| {
        let wrong = match &databases {
            Ok(databases) => databases.differences(root, account).join("; "),
            Err(why) => why.clone(),
        };
        let found = if wrong.is_empty() {
            Ok("as asked".to_owned())
        } else {
            Err(wrong)
        };
        item(format!("account {}", account.name), found)
    }));
    for job in &expect.cron {
        items.push(item(format!("cron {}", job.name), cron(root, job)));
    }
    for script in expect.scripts.iter().filter(|s| s.run == ScriptRun::Kept) {
        let found = script_in_place(root, script).map(|_| "in place".to_owned());
        items.push(item(format!("script {}", script.name), found));
    }
    let mounted = mounts(root);
    for mount in &expect.mounts {
        items.push(item(format!("mount {}", mount.path), is_mounted(&mounted, mount)));
    }
    items.extend(guard(root));
    items
}

/// Whether only root can reach the boot service. Reported, but not a failure: an image may lack nftables.
fn guard(root: &Path) -> Option<VerifiedItem> {
    let there = |path: &str| root.join(path.trim_start_matches('/')).exists();
    let found = match (there(install::NFT), there(install::GUARD_MARK)) {
        _ if !there(install::GUARD_PATH) => return None,
        (_, true) => "only root".to_owned(),
        (true, false) => "every user: slipway-guard.service is not active".to_owned(),
        (false, false) => format!("every user: the image has no {} (package nftables)", install::NFT),
    };
    Some(item("who reaches the boot service".into(), Ok(found)))
}

fn item(what: String, found: Result<String, String>) -> VerifiedItem {
    let ok = found.is_ok();
    let found = found.unwrap_or_else(|why| why).chars().take(1000).collect();
    VerifiedItem { what, ok, found }
}

/// The running kernel's own view; a simulated machine has only the file.
fn live_or_file(root: &Path, live: &str, file: &str) -> PathBuf {
    let live = root.join(live);
    if live.exists() { live } else { root.join(file) }
}

fn hostname(root: &Path, asked: &str) -> VerifiedItem {
    let path = live_or_file(root, "proc/sys/kernel/hostname", "etc/hostname");
    let found = match read_text(&path, 4096) {
        Ok(name) if name.trim() == asked => Ok(asked.to_owned()),
        Ok(name) => Err(format!("{:?} instead of {asked:?}", name.trim())),
        Err(e) => Err(format!("{}: {e}", path.display())),
    };
    item("hostname".into(), found)
}

fn cron(root: &Path, job: &CronJob) -> Result<String, String> {
    if !is_name(&job.name) {
        return Err("its name cannot be a file in /etc/cron.d".into());
    }
    let place = install::cron_path(job);
    let path = under(root, &place).ok_or("its name cannot be a file name")?;
    let text = read_text(&path, LIMIT).map_err(|e| format!("{place}: {e}"))?;
    if text != install::cron_text(job) {
        return Err(format!("{place} differs from the plan"));
    }
    let meta = path.metadata().map_err(|e| e.to_string())?;
    // cron ignores a file that root does not own or others can write.
    if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return Err(owner_and_mode(&meta));
    }
    Ok(format!("{} {}", job.schedule, job.user))
}

/// Deletes a first-boot script that has ended.
fn remove(root: &Path, script: &Script) -> Result<(), String> {
    let place = script_path(script);
    let path = under(root, &place).ok_or_else(|| format!("{place:?} is not an absolute path"))?;
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{place} cannot be removed: {e}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The script's file, if it has the requested content and can be run.
fn script_in_place(root: &Path, script: &Script) -> Result<PathBuf, String> {
    if !is_name(&script.name) {
        return Err("its name cannot be a file name".into());
    }
    let place = script_path(script);
    let path = under(root, &place).ok_or_else(|| format!("{place:?} is not an absolute path"))?;
    let bytes = read_bounded(&path, LIMIT).map_err(|e| format!("{place}: {e}"))?;
    if bytes != script.content.as_bytes() {
        return Err(format!("{place} differs from the plan"));
    }
    let meta = path.metadata().map_err(|e| format!("{place}: {e}"))?;
    let others = if script.everyone { 0o022 } else { 0o077 };
    if meta.mode() & 0o100 == 0 || meta.mode() & others != 0 {
        return Err(format!("{place}: {}", owner_and_mode(&meta)));
    }
    Ok(path)
}

/// The mounts (device, path, type) from the kernel; on a simulated machine from fstab.
fn mounts(root: &Path) -> Result<Vec<Mounted>, String> {
    let path = live_or_file(root, "proc/self/mounts", "etc/fstab");
    let text = read_text(&path, LIMIT).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(parse_mounts(&text))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mounted {
    device: String,
    path: String,
    kind: String,
}

fn parse_mounts(text: &str) -> Vec<Mounted> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let device = words.next().filter(|d| !d.starts_with('#'))?;
            Some(Mounted {
                device: unescape(device),
                path: unescape(words.next()?),
                kind: words.next()?.to_owned(),
            })
        })
        .collect()
}

/// The kernel and fstab escape blanks in names as `\040` (fstab(5)).
fn unescape(word: &str) -> String {
    word.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\134", "\\")
}

fn is_mounted(mounted: &Result<Vec<Mounted>, String>, asked: &Mount) -> Result<String, String> {
    let mounted = mounted.as_ref().map_err(Clone::clone)?;
    // Swap has no mount point.
    if asked.kind == "swap" {
        return Ok("not checked".into());
    }
    // A later mount covers earlier ones.
    match mounted.iter().rev().find(|m| m.path == asked.path) {
        None => Err("not mounted".into()),
        Some(m) if m.kind != asked.kind => Err(format!("{} instead of {}", m.kind, asked.kind)),
        Some(m) => Ok(format!("{} {}", m.device, m.kind)),
    }
}

#[cfg(test)]
mod tests;
