//! Unnamed network namespaces: they live as long as a descriptor or a process is in them, so nothing is left
//! over however a test ends.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace, kept alive by a descriptor.
pub struct NetNs {
    descriptor: OwnedFd,
}

impl NetNs {
    /// Makes an empty one with loopback up. Needs CAP_SYS_ADMIN.
    pub fn new() -> Result<NetNs> {
        // On a separate thread: unshare changes the calling thread, which must stay where it is.
        std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("unshare(CLONE_NEWNET)")?;
            ip("link set lo up")?;
            NetNs::of_this_thread()
        })
        .join()
        .map_err(|_| anyhow::anyhow!("the thread that makes a network namespace panicked"))?
    }

    /// The calling thread's namespace.
    pub fn of_this_thread() -> Result<NetNs> {
        let file = File::open("/proc/thread-self/ns/net").context("opening /proc/thread-self/ns/net")?;
        Ok(NetNs {
            descriptor: file.into(),
        })
    }

    /// Moves the calling thread, and what it starts from now on, into it.
    pub fn enter(&self) -> Result<()> {
        setns(&self.descriptor, CloneFlags::CLONE_NEWNET).context("setns")
    }

    /// Runs `work` on a thread inside. Sockets that it makes stay inside, wherever they are used later.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter()?;
                work()
            });
            inside
                .join()
                .map_err(|_| anyhow::anyhow!("work inside a network namespace panicked"))?
        })
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let raw = self.descriptor.as_raw_fd();
        // SAFETY: setns is async-signal-safe. The descriptor outlives the fork: it is closed only on drop of
        // self, and spawn() runs on a borrow of the caller.
        unsafe {
            command.pre_exec(move || {
                let descriptor = std::os::fd::BorrowedFd::borrow_raw(raw);
                setns(descriptor, CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)
            });
        }
        command
    }

    /// This namespace as `ip link set ... netns` takes it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.descriptor.as_raw_fd())
    }
}

/// Runs `ip` with these words in the calling thread's namespace.
pub fn ip(words: &str) -> Result<String> {
    let output = Command::new("ip")
        .args(words.split_ascii_whitespace())
        .output()
        .context("running ip: is the package iproute2 installed?")?;
    if !output.status.success() {
        bail!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
