//! Mounts of the new root and ESP, or the directories that simulate them.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::error::{StepError, Tried};
use super::site::{Place, Site};

/// A mounted file system; unmounted on drop, so that a cancelled run leaves nothing mounted.
pub(super) struct Mounted {
    pub dir: PathBuf,
    real: bool,
}

impl Mounted {
    pub(super) fn kernel(device: &Path, dir: PathBuf, kind: &str) -> Result<Mounted, StepError> {
        fs::create_dir_all(&dir).tried("mount", format!("make {}", dir.display()))?;
        // The mini-os never runs anything from the image, nor opens its device files.
        let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME;
        let what = format!("mount {} ({kind}) at {}", device.display(), dir.display());
        mount(Some(device), &dir, Some(kind), flags, None::<&str>).tried("mount", what)?;
        Ok(Mounted { dir, real: true })
    }

    /// A directory in place of a mount.
    pub(super) fn directory(dir: PathBuf) -> Mounted {
        Mounted { dir, real: false }
    }

    /// Unmounts, which writes everything out.
    pub(super) fn unmount(mut self) -> Result<(), StepError> {
        if std::mem::take(&mut self.real) {
            umount2(&self.dir, MntFlags::empty())
                .tried("unmount", format!("unmount {}", self.dir.display()))?;
        }
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A mount that stays is undone by the next run: `unmount_leftovers`.
        if self.real {
            let _ = umount2(&self.dir, MntFlags::empty());
        }
    }
}

/// Unmounts what an interrupted run of this agent left under our own mount directory.
pub(super) fn unmount_leftovers(site: &Site) -> Result<(), StepError> {
    let Place::Machine { root, mounts } = &site.place else {
        return Ok(());
    };
    let table = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    let points = table.lines().filter_map(|l| l.split(' ').nth(4)).map(Path::new);
    let mut ours: Vec<&Path> = points.filter(|p| p.starts_with(mounts)).collect();
    ours.reverse();
    for point in ours {
        umount2(point, MntFlags::empty()).tried(
            "unmount",
            format!("unmount {}, left by an earlier run", point.display()),
        )?;
    }
    Ok(())
}
