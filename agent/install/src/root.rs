//! Files below the mounted root; never leaves it.
//!
//! The image is not trusted: a symlink to `/` or `..` in it must not make the agent write to the running
//! system. The kernel resolves every path inside the directory (openat2(2), RESOLVE_IN_ROOT), and the last
//! component is never followed: files are created under a fresh name and renamed into place.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, symlinkat, unlinkat};

use super::error::{StepError, Tried, fail};

/// Largest file read whole.
const READ_LIMIT: u64 = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
}

pub(super) const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// A directory that confines every operation.
pub(super) struct Root {
    dir: OwnedFd,
    /// Whether files get their owner: not on FAT, nor in a simulation that may run as any user.
    owners: bool,
    /// Whether files get their mode: not on FAT.
    modes: bool,
}

static FRESH: AtomicU64 = AtomicU64::new(0);

impl Root {
    pub(super) fn open(path: &Path, owners: bool, modes: bool) -> Result<Root, StepError> {
        let file = File::open(path).tried("root-open", format!("open {}", path.display()))?;
        Ok(Root {
            dir: file.into(),
            owners,
            modes,
        })
    }

    /// A descriptor of the root directory itself.
    pub(super) fn dir_file(&self) -> io::Result<File> {
        Ok(File::from(self.dir.try_clone()?))
    }

    fn resolve(&self, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(self.dir.as_fd(), if path.is_empty() { "." } else { path }, how)
    }

    /// As [`Root::resolve`], for reading; `None` if there is nothing.
    fn find(&self, path: &str, flags: OFlag) -> Result<Option<OwnedFd>, StepError> {
        self.found(path, flags)
            .tried("root-read", format!("read {path} of the new system"))
    }

    fn found(&self, path: &str, flags: OFlag) -> nix::Result<Option<OwnedFd>> {
        match self.resolve(path, OFlag::O_RDONLY | flags) {
            Err(Errno::ENOENT) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Opens a regular file for reading; `None` if it does not exist.
    pub(super) fn open_file(&self, path: &str) -> Result<Option<File>, StepError> {
        let what = format!("read {path} of the new system");
        let Some(fd) = self.find(path, OFlag::O_NONBLOCK)? else {
            return Ok(None);
        };
        let file = File::from(fd);
        if !file.metadata().tried("root-read", &what)?.is_file() {
            return fail(
                "root-read",
                format!("{path} of the new system is not a regular file"),
            );
        }
        Ok(Some(file))
    }

    /// The bytes of a small file; `None` if it does not exist.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StepError> {
        let Some(file) = self.open_file(path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(READ_LIMIT + 1)
            .read_to_end(&mut bytes)
            .tried("root-read", format!("read {path} of the new system"))?;
        if bytes.len() as u64 > READ_LIMIT {
            return fail(
                "root-read",
                format!("{path} of the new system is larger than {READ_LIMIT} bytes"),
            );
        }
        Ok(Some(bytes))
    }

    /// The text of a small file; `None` if it does not exist.
    pub(super) fn read_text(&self, path: &str) -> Result<Option<String>, StepError> {
        let text = self.read(path)?.map(String::from_utf8).transpose();
        text.tried("root-read", format!("read {path} of the new system as UTF-8"))
    }

    /// Whether there is anything at `path`, a dangling symlink too.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.resolve(path, OFlag::O_PATH | OFlag::O_NOFOLLOW).is_ok()
    }

    /// Names in a directory; empty if it does not exist.
    pub(super) fn list(&self, path: &str) -> Result<Vec<String>, StepError> {
        let what = format!("list {path} of the new system");
        let Some(fd) = self.find(path, OFlag::O_DIRECTORY)? else {
            return Ok(Vec::new());
        };
        let mut dir = nix::dir::Dir::from_fd(fd).tried("root-read", &what)?;
        let mut names = Vec::new();
        for entry in dir.iter() {
            let entry = entry.tried("root-read", &what)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Owner of `path`, not following a final symlink.
    pub(super) fn owner(&self, path: &str) -> Option<Owner> {
        let fd = self.resolve(path, OFlag::O_PATH | OFlag::O_NOFOLLOW).ok()?;
        let stat = fstat(&fd).ok()?;
        Some(Owner {
            uid: stat.st_uid,
            gid: stat.st_gid,
        })
    }

    /// Creates the missing directories of `path` (mode 0755, owned by root) and returns the last. Symlinks to
    /// directories inside the root are followed.
    fn make_parents(&self, parts: &[&str]) -> Result<OwnedFd, StepError> {
        let mut dir = self.dir.try_clone().tried("root-write", "open the new root")?;
        for (depth, part) in parts.iter().enumerate() {
            let so_far = parts[..=depth].join("/");
            let what = format!("make directory {so_far} of the new system");
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            dir = match self.resolve(&so_far, flags) {
                Ok(found) => found,
                Err(Errno::ENOENT) => {
                    mkdirat(&dir, *part, Mode::from_bits_truncate(0o755)).tried("root-write", &what)?;
                    let made = self.resolve(&so_far, flags).tried("root-write", &what)?;
                    self.own(&made, 0o755, ROOT).tried("root-write", &what)?;
                    made
                }
                Err(e) => return Err(e).tried("root-write", what),
            };
        }
        Ok(dir)
    }

    fn own(&self, fd: &OwnedFd, mode: u32, owner: Owner) -> nix::Result<()> {
        if self.owners {
            fchown(fd, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
        }
        if self.modes {
            fchmod(fd, Mode::from_bits_truncate(mode))?;
        }
        Ok(())
    }

    /// Creates directory `path` if it is missing, and always sets mode and owner. A symlink is refused.
    pub(super) fn make_dir(&self, path: &str, mode: u32, owner: Owner) -> Result<(), StepError> {
        let (parents, name) = parts(path)?;
        let what = format!("make directory {path} of the new system");
        let parent = self.make_parents(&parents)?;
        match mkdirat(&parent, name, Mode::from_bits_truncate(mode & 0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e).tried("root-write", what),
        }
        let dir =
            open_inside(&parent, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY).tried("root-write", &what)?;
        self.own(&dir, mode, owner).tried("root-write", what)
    }

    /// Writes a whole file: afterwards `path` is a regular file with these bytes, mode and owner, whatever
    /// was there before (except a directory). Missing directories are created.
    pub(super) fn write(&self, path: &str, bytes: &[u8], mode: u32, owner: Owner) -> Result<(), StepError> {
        self.write_from(path, &mut &bytes[..], mode, owner)
    }

    /// As [`Root::write`], from a reader.
    pub(super) fn write_from(
        &self,
        path: &str,
        from: &mut dyn Read,
        mode: u32,
        owner: Owner,
    ) -> Result<(), StepError> {
        let what = format!("write {path} of the new system");
        let (parents, name) = parts(path)?;
        let parent = self.make_parents(&parents)?;
        let fresh = fresh_name();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let fd = open_inside(&parent, &fresh, flags).tried("root-write", &what)?;
        let done = (|| {
            self.own(&fd, mode, owner)?;
            let mut file = File::from(fd);
            io::copy(from, &mut file)?;
            file.flush()?;
            renameat(&parent, fresh.as_str(), &parent, name)?;
            io::Result::Ok(())
        })();
        if done.is_err() {
            let _ = unlinkat(&parent, fresh.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        done.tried("root-write", what)
    }

    /// Makes `path` a symlink to `target`, replacing any file there.
    pub(super) fn symlink(&self, target: &str, path: &str) -> Result<(), StepError> {
        let what = format!("make symlink {path} of the new system");
        let (parents, name) = parts(path)?;
        let parent = self.make_parents(&parents)?;
        let fresh = fresh_name();
        symlinkat(target, &parent, fresh.as_str()).tried("root-write", &what)?;
        if self.owners {
            let (uid, gid) = (Some(Uid::from_raw(0)), Some(Gid::from_raw(0)));
            fchownat(&parent, fresh.as_str(), uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)
                .tried("root-write", &what)?;
        }
        renameat(&parent, fresh.as_str(), &parent, name).tried("root-write", what)
    }

    /// Removes a file or symlink; a missing one is fine.
    pub(super) fn remove(&self, path: &str) -> Result<(), StepError> {
        let (parents, name) = parts(path)?;
        let parent = self.found(&parents.join("/"), OFlag::O_DIRECTORY).tried(
            "root-write",
            format!("open the directory of {path} of the new system"),
        )?;
        let Some(parent) = parent else {
            return Ok(());
        };
        match unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(e).tried("root-write", format!("remove {path} of the new system")),
        }
    }

    /// Copies the regular files and directories below `from` to `to` with their modes, owned by `owner`.
    /// Symlinks and special files are skipped.
    pub(super) fn copy_tree(&self, from: &str, to: &str, owner: Owner, depth: u32) -> Result<(), StepError> {
        for name in self.list(from)? {
            let (source, target) = (format!("{from}/{name}"), format!("{to}/{name}"));
            let what = format!("copy {source} of the new system");
            let fd = self
                .resolve(&source, OFlag::O_PATH | OFlag::O_NOFOLLOW)
                .tried("root-read", &what)?;
            let stat = fstat(&fd).tried("root-read", &what)?;
            let mode = stat.st_mode & 0o777;
            match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
                SFlag::S_IFDIR if depth > 0 => {
                    self.make_dir(&target, mode, owner)?;
                    self.copy_tree(&source, &target, owner, depth - 1)?;
                }
                SFlag::S_IFREG if !self.exists(&target) => {
                    if let Some(mut file) = self.open_file(&source)? {
                        self.write_from(&target, &mut file, mode, owner)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A fresh name: created with O_EXCL, so a clash fails instead of overwriting.
fn fresh_name() -> String {
    format!(
        ".slipway-{}-{}",
        std::process::id(),
        FRESH.fetch_add(1, Ordering::Relaxed)
    )
}

/// Opens `name`, a single path component, in `parent`, never through a symlink.
fn open_inside(parent: &OwnedFd, name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    let mut how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    if flags.contains(OFlag::O_CREAT) {
        how = how.mode(Mode::from_bits_truncate(0o600));
    }
    openat2(parent.as_fd(), name, how)
}

/// The components of a path below the root, plain names only: the directories, and the last.
fn parts(path: &str) -> Result<(Vec<&str>, &str), StepError> {
    let bad = || {
        StepError::new(
            "root-write",
            format!("{path:?} is not a plain path below the root"),
        )
    };
    if path.contains('\0') {
        return Err(bad());
    }
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => parts.push(name.to_str().ok_or_else(bad)?),
            Component::ParentDir | Component::Prefix(_) => return Err(bad()),
        }
    }
    let name = parts.pop().ok_or_else(bad)?;
    Ok((parts, name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_hostile_symlink_does_not_lead_outside() {
        let base = tempfile::tempdir().expect("a directory");
        let (inside, outside) = (base.path().join("root"), base.path().join("outside"));
        fs::create_dir_all(inside.join("etc")).expect("made");
        fs::create_dir_all(&outside).expect("made");
        fs::write(outside.join("passwd"), "outside").expect("written");
        symlink(&outside, inside.join("etc/cron.d")).expect("linked");
        symlink(outside.join("passwd"), inside.join("etc/hostname")).expect("linked");
        symlink("../../outside", inside.join("etc/network")).expect("linked");
        let root = Root::open(&inside, false, true).expect("opened");

        root.write("/etc/hostname", b"here", 0o644, ROOT)
            .expect("written");
        assert_eq!(
            fs::read_to_string(inside.join("etc/hostname")).expect("read"),
            "here"
        );
        assert!(root.write("/etc/cron.d/job", b"x", 0o644, ROOT).is_err());
        assert!(root.write("/etc/network/x", b"x", 0o644, ROOT).is_err());
        assert!(root.make_dir("/etc/cron.d", 0o755, ROOT).is_err());
        assert!(root.symlink("/x", "/etc/network/y").is_err());
        assert!(root.write("/etc/../../outside/z", b"x", 0o644, ROOT).is_err());
        root.remove("/etc/network/passwd").expect("nothing there");
        assert_eq!(
            fs::read_to_string(outside.join("passwd")).expect("read"),
            "outside"
        );
        assert_eq!(fs::read_dir(&outside).expect("listed").count(), 1);
    }

    #[test]
    fn symlinks_inside_are_followed_and_modes_are_set() {
        let base = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(base.path().join("usr/lib")).expect("made");
        symlink("usr/lib", base.path().join("lib")).expect("linked");
        symlink("/usr/lib", base.path().join("lib64")).expect("linked");
        let root = Root::open(base.path(), false, true).expect("opened");
        root.write("/lib/a/b", b"1", 0o640, ROOT).expect("written");
        root.write("/lib64/c", b"2", 0o4755, ROOT).expect("written");
        assert_eq!(fs::read(base.path().join("usr/lib/a/b")).expect("read"), b"1");
        let mode = fs::metadata(base.path().join("usr/lib/c"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o4755);
        assert_eq!(root.read_text("/lib/a/b").expect("read").as_deref(), Some("1"));
        assert_eq!(root.read_text("/nothing").expect("read"), None);
    }
}
