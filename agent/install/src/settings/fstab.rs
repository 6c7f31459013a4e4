//! /etc/fstab.

use inventory_api::plan::Mount;
use inventory_api::valid::plain_path;

use super::super::error::StepError;
use super::super::root::{ROOT, Root};
use super::{HEADER, quoted, write_text};

/// Checks that every field is a single word.
pub(crate) fn check(mounts: &[Mount]) -> Result<(), String> {
    for m in mounts {
        let word = |text: &str| {
            !text.is_empty() && text.len() <= 256 && text.bytes().all(|c| c.is_ascii_graphic() && c != b'#')
        };
        if !word(&m.device) || !word(&m.kind) || !word(&m.options) {
            return Err(format!("mount {}: its fields must be words", quoted(&m.path)));
        }
        if !(m.path == "/" || m.path == "none" || plain_path(&m.path)) || !word(&m.path) {
            return Err(format!("{} is not a mount point", quoted(&m.path)));
        }
    }
    Ok(())
}

fn text(mounts: &[Mount]) -> String {
    let mut text = HEADER.to_owned();
    for Mount {
        device,
        path,
        kind,
        options,
        pass,
    } in mounts
    {
        text += &format!("{device} {path} {kind} {options} 0 {pass}\n");
    }
    text
}

pub(crate) fn apply(root: &Root, mounts: &[Mount]) -> Result<(), StepError> {
    for m in mounts
        .iter()
        .filter(|m| plain_path(&m.path) && !root.exists(&m.path))
    {
        root.make_dir(&m.path, 0o755, ROOT)?;
    }
    write_text(root, "/etc/fstab", &text(mounts))
}
