//! What the installed system gets beside its image: texts made by pure functions, put below the mounted root.
//!
//! Each file has `check` (is it safe; before anything is written), functions that make the texts, and `apply`.

pub(super) mod accounts;
pub(super) mod agent;
pub(super) mod boot;
pub(super) mod cron;
mod databases;
pub(super) mod fstab;
pub(super) mod hostname;
pub(super) mod network;
pub(super) mod scripts;

use super::error::StepError;
use super::root::{ROOT, Root};

/// A file name that cron, run-parts and people can do with.
fn file_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
}

/// useradd's rule for names of users and groups.
fn user_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 32
        && bytes.next().is_some_and(|c| c.is_ascii_lowercase() || c == b'_')
        && bytes.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-')
}

fn one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// An absolute path of plain names, without white space or control characters.
fn plain_path(path: &str) -> bool {
    path.len() <= 512
        && path.starts_with('/')
        && path
            .split('/')
            .skip(1)
            .all(|part| !matches!(part, "" | "." | ".."))
        && !path
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == ':')
}

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
