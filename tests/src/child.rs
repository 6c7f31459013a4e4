//! A child process that does not outlive its owner.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use nix::sys::prctl;
use nix::sys::signal::Signal;

/// A process that is killed on drop, and by the kernel when the thread that started it dies.
pub struct Owned {
    child: Child,
    name: String,
}

impl Owned {
    /// Starts it with stdout and stderr in the file `log` and no stdin.
    pub fn start(mut command: Command, log: &Path) -> Result<Owned> {
        let name = command.get_program().to_string_lossy().into_owned();
        let out = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(|| prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from));
        }
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Owned { child, name })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status; `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("waiting for {}", self.name))
    }

    /// Sends SIGKILL and waits.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.kill();
    }
}
