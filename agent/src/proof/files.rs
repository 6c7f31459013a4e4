//! Reading files of the installed system.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::report;

/// The whole file, if it is a regular file of at most `limit` bytes.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    match report::read_bounded(path, limit)? {
        (bytes, false) => Ok(bytes),
        (_, true) => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {limit} bytes"),
        )),
    }
}

/// The file as text; invalid UTF-8 is replaced.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read_bounded(path, limit)?).into_owned())
}

/// `path` of the installed system under `root`. Only absolute paths without `..`.
pub fn under(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.strip_prefix('/')?);
    relative
        .components()
        .all(|c| matches!(c, Component::Normal(_)))
        .then(|| root.join(relative))
}

/// Whether the installer accepts this name as a file name.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Owner and mode as text: "owner 0:0 mode 0644".
pub fn owner_and_mode(meta: &Metadata) -> String {
    format!(
        "owner {}:{} mode {:04o}",
        meta.uid(),
        meta.gid(),
        meta.mode() & 0o7777
    )
}
