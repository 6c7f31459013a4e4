//! What the installed system gets on top of its image: texts made by pure functions, written below the
//! mounted root.
//!
//! Each file has functions that make the texts, and `apply`. `inventory_api::valid` checks the values before
//! anything is written.

pub(super) mod accounts;
pub(super) mod agent;
pub(super) mod boot;
pub(super) mod cron;
pub(super) mod databases;
pub(super) mod fstab;
pub(super) mod guard;
pub(super) mod hostname;
pub(super) mod network;
pub(super) mod scripts;

use super::error::StepError;
use super::root::{ROOT, Root};

/// The first line of the files made here.
const HEADER: &str = "# Written by Slipway when the system was installed.\n";

/// A value as quoted in a message: short, on one line.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

/// `systemctl enable` for a unit in the image: a symlink in the target's wants. False if there is no such
/// unit.
fn enable(root: &Root, unit: &str, target: &str) -> Result<bool, StepError> {
    let found = [
        "/etc/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]
    .into_iter()
    .map(|dir| format!("{dir}/{unit}"))
    .find(|path| root.exists(path));
    let Some(path) = found else { return Ok(false) };
    root.symlink(
        &path,
        &format!("/etc/systemd/system/{target}.target.wants/{unit}"),
    )?;
    Ok(true)
}

/// Writes a world-readable text file owned by root.
fn write_text(root: &Root, path: &str, text: &str) -> Result<(), StepError> {
    root.write(path, text.as_bytes(), 0o644, ROOT)
}
