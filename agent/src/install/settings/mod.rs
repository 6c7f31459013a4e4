//! What the installed system gets beside its image: texts made by pure functions, put below the mounted root.
//!
//! Each file has functions that make the texts, and `apply`. What a text may hold is checked before anything is written:
//! `inventory_api::valid`.

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
/// A value that a message may quote: short, on one line.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

/// `systemctl enable` for a unit the image has: a symlink in each target's wants. False when it has no such unit.
fn enable(root: &Root, unit: &str, wanted_by: &[&str]) -> Result<bool, StepError> {
    let found = [
        "/etc/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]
    .into_iter()
    .map(|dir| format!("{dir}/{unit}"))
    .find(|path| root.exists(path));
    let Some(path) = found else { return Ok(false) };
    for target in wanted_by {
        root.symlink(&path, &format!("/etc/systemd/system/{target}.wants/{unit}"))?;
    }
    Ok(true)
}

/// Writes a text file of root's that all may read.
fn write_text(root: &Root, path: &str, text: &str) -> Result<(), StepError> {
    root.write(path, text.as_bytes(), 0o644, ROOT)
}
