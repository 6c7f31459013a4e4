//! PID 1's duties: mounts, orphans, reboot.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::RebootMode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// For file systems that show the kernel's own data.
const KERNEL: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// Mounts the kernel's file systems. Returns a description of each failure.
pub fn mount_all() -> Vec<String> {
    let no_devices = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let mut failures = Vec::new();
    for (kind, at, flags, options) in [
        ("proc", "/proc", KERNEL, None),
        ("sysfs", "/sys", KERNEL, None),
        ("devtmpfs", "/dev", MsFlags::MS_NOSUID, Some("mode=0755")),
        ("tmpfs", "/run", no_devices, Some("mode=0755")),
        ("tmpfs", "/tmp", no_devices, Some("mode=1777")),
    ] {
        if let Err(why) = mount_one(kind, at, flags, options) {
            failures.push(why);
        }
    }
    for folder in ["/etc", "/mnt"] {
        if let Err(e) = fs::create_dir_all(folder) {
            failures.push(format!("{folder}: {e}"));
        }
    }
    failures
}

/// Mounts efivarfs where the firmware is UEFI; its module must be loaded.
pub fn mount_efivarfs() -> Result<(), String> {
    let at = "/sys/firmware/efi/efivars";
    if !Path::new(at).exists() {
        return Ok(());
    }
    mount_one("efivarfs", at, KERNEL, None)
}

fn mount_one(kind: &str, at: &str, flags: MsFlags, options: Option<&str>) -> Result<(), String> {
    // On sysfs the folders already exist and cannot be created.
    let _ = fs::create_dir_all(at);
    match mount(Some(kind), at, Some(kind), flags, options) {
        // The kernel has mounted /dev by itself (CONFIG_DEVTMPFS_MOUNT).
        Ok(()) | Err(nix::errno::Errno::EBUSY) => Ok(()),
        Err(e) => Err(format!("mounting {kind} on {at}: {}", e.desc())),
    }
}

/// Reaps orphaned zombies; never returns. Children started by this program are awaited by their starter: only
/// a process that is still a zombie after a whole round is an orphan.
pub async fn reap_orphans() -> Infallible {
    let mut seen: Option<Pid> = None;
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let dead = match waitid(Id::All, peek) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => Some(pid),
            _ => None,
        };
        if let Some(pid) = dead
            && seen == dead
        {
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        }
        seen = dead;
    }
}

/// Syncs and reboots; returns only if the kernel refuses.
pub fn reboot() -> String {
    nix::unistd::sync();
    match nix::sys::reboot::reboot(RebootMode::RB_AUTOBOOT) {
        Err(e) => format!("the kernel refuses to reboot: {}", e.desc()),
        Ok(never) => match never {},
    }
}

/// The kernel release, which names the modules folder.
pub fn kernel_release() -> io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(text.trim().to_owned())
}
