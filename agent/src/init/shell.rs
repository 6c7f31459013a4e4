//! The rescue system: each console asks for the password and then runs a shell. The server checks the
//! password ([`Rescue`]); this module handles the terminals.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, InputFlags, LocalFlags, OutputFlags, SetArg};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::console::Console;
use crate::plain::plain;
use crate::session::{Exit, Rescue};

/// Longest password line.
const LINE: usize = 128;
const BUSYBOX: &str = "/bin/busybox";
/// Tools that must call the kernel directly, because the agent is PID 1 and ignores signals.
const ENDS: [&str; 3] = ["reboot", "poweroff", "halt"];

// asm-generic/ioctls.h
nix::ioctl_write_int_bad!(controlling_terminal, nix::libc::TIOCSCTTY);

/// What the consoles share.
struct Shared {
    rescue: Rescue,
    machine: String,
    /// When the machine reboots, no matter what.
    until: Mutex<Instant>,
    /// Shells that run.
    open: AtomicUsize,
    runtime: Handle,
    /// Set when the server has ended the rescue.
    over: mpsc::UnboundedSender<Exit>,
}

/// Offers the shell until it times out or the server ends it; returns why the machine reboots.
pub async fn offer(rescue: Rescue, console: &Arc<dyn Console>) -> String {
    let first = match rescue.begin().await {
        Ok(first) => first,
        Err(exit) => return exit.to_string(),
    };
    let busybox = match rescue.shell().await {
        Ok(busybox) => busybox,
        Err(exit) => return format!("FAILED: the rescue system has no shell: {exit}"),
    };
    if let Err(why) = install(Path::new("/"), &busybox).and_then(|()| install_links()) {
        return format!("FAILED: the rescue system has no shell: {why}");
    }
    console.line(&format!(
        "rescue: this is machine {}; {}",
        first.machine,
        plain(&first.message)
    ));
    let (over, mut ended) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        rescue,
        machine: first.machine.to_string(),
        until: Mutex::new(Instant::now() + Duration::from_secs(first.seconds_left)),
        open: AtomicUsize::new(0),
        runtime: Handle::current(),
        over,
    });
    let mut consoles = 0;
    for name in super::console::names("tty1") {
        let shared = Arc::clone(&shared);
        let spawned = std::thread::Builder::new()
            .name(format!("rescue-{name}"))
            .spawn(move || serve(&name, &shared));
        consoles += usize::from(spawned.is_ok());
    }
    if consoles == 0 {
        return "FAILED: there is no console for the rescue system".to_owned();
    }
    let why = loop {
        let until = shared.until();
        tokio::select! {
            Some(exit) = ended.recv() => break exit.to_string(),
            () = tokio::time::sleep_until(until.into()) => {
                // A correct password has extended it meanwhile.
                if shared.until() <= Instant::now() {
                    break "rescue: timed out".to_owned();
                }
            }
        }
    };
    // If this call is lost, the next boot script ends the rescue too.
    let _ = tokio::time::timeout(Duration::from_secs(5), shared.rescue.end()).await;
    why
}

impl Shared {
    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Installs the shell and its tools below `root`.
fn install(root: &Path, busybox: &[u8]) -> Result<(), String> {
    let program = |path: &str, bytes: &[u8]| {
        let path = root.join(path.trim_start_matches('/'));
        let said = |e: io::Error| format!("{}: {e}", path.display());
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).map_err(said)?;
        fs::write(&path, bytes).map_err(said)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(said)
    };
    fs::create_dir_all(root.join("root")).map_err(|e| format!("/root: {e}"))?;
    program(BUSYBOX, busybox)?;
    for name in ENDS {
        let script = format!("#!{BUSYBOX} sh\nsync\nexec {BUSYBOX} {name} -f\n");
        program(&format!("/usr/local/bin/{name}"), script.as_bytes())?;
    }
    Ok(())
}

/// Creates links for busybox's tools.
fn install_links() -> Result<(), String> {
    let made = Command::new(BUSYBOX).args(["--install", "-s", "/bin"]).status();
    match made {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{BUSYBOX} --install: {status}")),
        Err(error) => Err(format!("{BUSYBOX}: {error}")),
    }
}

/// One console, until the rescue is over.
fn serve(name: &str, shared: &Shared) {
    loop {
        // A missing serial port fails here or at the first byte.
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NOCTTY)
            .open(format!("/dev/{name}"));
        let Ok(terminal) = opened else { return };
        match attend(&terminal, shared) {
            Ok(()) => {}
            Err(Ended::Terminal) => return,
            Err(Ended::Rescue(exit)) => {
                let _ = shared.over.send(exit);
                return;
            }
        }
    }
}

enum Ended {
    /// A terminal error means that nobody is there.
    Terminal,
    Rescue(Exit),
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Ended {
        Ended::Terminal
    }
}

/// Asks for one password and, if it is right, runs one shell.
fn attend(mut terminal: &File, shared: &Shared) -> Result<(), Ended> {
    line_mode(terminal, false)?;
    write!(terminal, "\r\nSlipway rescue of {}. Password: ", shared.machine)?;
    let typed = read_line(terminal)?;
    write!(terminal, "\r\n")?;
    if typed.is_empty() {
        return Ok(());
    }
    let asked = shared.runtime.block_on(shared.rescue.try_password(typed));
    let answer = asked.map_err(Ended::Rescue)?;
    *shared.until.lock().unwrap_or_else(PoisonError::into_inner) =
        Instant::now() + Duration::from_secs(answer.seconds_left);
    if !answer.open {
        write!(terminal, "Slipway rescue: {}\r\n", plain(&answer.message))?;
        // The server limits guesses too; waiting here saves useless ones.
        std::thread::sleep(Duration::from_secs(answer.wait_seconds.min(120)));
        // Input typed during the wait is not a password.
        let _ = termios::tcflush(terminal, termios::FlushArg::TCIFLUSH);
        return Ok(());
    }
    write!(
        terminal,
        "A shell of the mini-os, as root. Nothing is mounted; the disks are untouched. `exit` leaves it, `reboot` reboots.\r\n"
    )?;
    line_mode(terminal, true)?;
    shared.open.fetch_add(1, Ordering::SeqCst);
    let left = shell(terminal);
    // Leaving the last shell ends the rescue and voids its ticket.
    if shared.open.fetch_sub(1, Ordering::SeqCst) == 1 {
        let _ = shared.runtime.block_on(shared.rescue.end());
        let why = match left {
            Ok(()) => "rescue: the shell was closed".to_owned(),
            Err(error) => format!("rescue: the shell failed: {error}"),
        };
        return Err(Ended::Rescue(Exit::Reboot { message: why }));
    }
    Ok(())
}

/// Line mode, with or without echo.
fn line_mode(terminal: &File, echo: bool) -> io::Result<()> {
    let mut modes = termios::tcgetattr(terminal)?;
    modes.input_flags.insert(InputFlags::ICRNL);
    modes.output_flags.insert(OutputFlags::OPOST | OutputFlags::ONLCR);
    modes.local_flags.insert(LocalFlags::ICANON | LocalFlags::ISIG);
    let echoes = LocalFlags::ECHO | LocalFlags::ECHOE | LocalFlags::ECHOK;
    modes.local_flags.set(echoes, echo);
    termios::tcsetattr(terminal, SetArg::TCSANOW, &modes)?;
    Ok(())
}

/// One line without its terminator, truncated at the longest password.
fn read_line(mut terminal: &File) -> io::Result<String> {
    let mut line = Vec::new();
    let mut buffer = [0u8; 256];
    loop {
        let mut ready = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::NONE)?;
        let read = terminal.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = buffer[..read].iter().position(|b| matches!(b, b'\n' | b'\r'));
        let part = &buffer[..end.unwrap_or(read)];
        let room = LINE.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        if end.is_some() {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

/// Runs a shell with this terminal as its controlling terminal, until it exits.
fn shell(terminal: &File) -> io::Result<()> {
    let file = || terminal.try_clone().map(Stdio::from);
    let mut command = Command::new(BUSYBOX);
    command
        .args(["sh", "-l"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/bin")
        .env("HOME", "/root")
        .env("TERM", "linux")
        .env("PS1", "rescue:\\w# ")
        .current_dir("/root")
        .stdin(file()?)
        .stdout(file()?)
        .stderr(file()?);
    let descriptor = terminal.as_raw_fd();
    // SAFETY: setsid and ioctl are async-signal-safe, and nothing else runs between fork and exec.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            // 1: take it from its current owner.
            controlling_terminal(descriptor, 1)?;
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    match child.wait() {
        // PID 1's reaper has already collected it.
        Err(error) if error.raw_os_error() == Some(nix::libc::ECHILD) => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_and_the_reboot_tools_are_executable() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), b"busybox").unwrap();
        // A second rescue finds the files of the first.
        install(root.path(), b"busybox of today").unwrap();
        let file = |path: &str| root.path().join(path);
        assert_eq!(fs::read(file("bin/busybox")).unwrap(), b"busybox of today");
        for path in [
            "bin/busybox",
            "usr/local/bin/reboot",
            "usr/local/bin/poweroff",
            "usr/local/bin/halt",
        ] {
            let mode = fs::metadata(file(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755, "{path}");
        }
        let script = fs::read_to_string(file("usr/local/bin/halt")).unwrap();
        assert_eq!(script, "#!/bin/busybox sh\nsync\nexec /bin/busybox halt -f\n");
        assert!(file("root").is_dir());
    }
}
