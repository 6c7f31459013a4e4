//! The data directory: private to its owner, and used by one server at a time.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::{AppError, io};

pub(crate) fn store_file(data_dir: &Path) -> PathBuf {
    data_dir.join("slipway.db")
}

/// Creates the data directory with mode 0700. Refuses one that belongs to another user or that others can
/// write to: it holds keys, and whoever can write to it can plant a link in place of one of our files.
pub(crate) fn make_data_dir(path: &Path) -> Result<(), AppError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io(format!(
            "make the data directory {} (data_dir)",
            path.display()
        )))?;
    let found = fs::metadata(path).map_err(io(format!("look at the data directory {}", path.display())))?;
    let (owner, us) = (found.uid(), nix::unistd::geteuid().as_raw());
    let refused = |why: String| AppError::DataDir {
        path: path.to_owned(),
        why,
    };
    if owner != us {
        return Err(refused(format!(
            "it belongs to user {owner}, and this is user {us}: chown it, or start slipway as its owner"
        )));
    }
    if found.mode() & 0o022 != 0 {
        return Err(refused(format!(
            "others may write to it (mode {:03o}): chmod go-w it, and check that everything in it is yours",
            found.mode() & 0o777
        )));
    }
    Ok(())
}

/// Writes a secret to a new file that only its owner can read.
///
/// # Errors
/// The file already exists or cannot be written.
pub fn write_secret(path: &Path, text: &str) -> Result<(), AppError> {
    use std::io::Write as _;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(io(format!("write {}", path.display())))
}

/// Creates the data directory and locks it, for as long as the returned file is open.
pub(crate) fn open_data_dir(path: &Path) -> Result<File, AppError> {
    make_data_dir(path)?;
    let lock_path = path.join("lock");
    let lock = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&lock_path)
        .map_err(io(format!("write {}", lock_path.display())))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(AppError::Locked(path.to_owned())),
        Err(fs::TryLockError::Error(e)) => Err(io(format!("lock {}", lock_path.display()))(e)),
    }
}
