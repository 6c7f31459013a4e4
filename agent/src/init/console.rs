//! The machine's consoles: the screen, the serial line, and whatever else the kernel writes to.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::console::Console;

/// Longest time that one line may take on one console: a serial line whose other end holds it back must not hold us.
const PATIENCE: Duration = Duration::from_millis(500);

/// All consoles at once, each line with the time since the kernel started.
pub struct Consoles {
    open: Mutex<Vec<File>>,
}

impl Consoles {
    /// Opens `/dev/tty0`, `/dev/ttyS0` and what `/sys/class/tty/console/active` names. Those that are not there are
    /// left out; if none is, `/dev/console`.
    pub fn open() -> Consoles {
        let active = std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
        let names: BTreeSet<&str> = active
            .split_ascii_whitespace()
            .chain(["tty0", "ttyS0"])
            .filter(|n| n.bytes().all(|b| b.is_ascii_alphanumeric()))
            .take(8)
            .collect();
        let open = |name: &str| {
            OpenOptions::new()
                .write(true)
                .custom_flags(nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK)
                .open(format!("/dev/{name}"))
        };
        let mut files: Vec<File> = names.iter().filter_map(|n| open(n).ok()).collect();
        if files.is_empty() {
            files.extend(open("console"));
        }
        Consoles {
            open: Mutex::new(files),
        }
    }
}

impl Console for Consoles {
    fn line(&self, text: &str) {
        let line = format!("[{:5.1} s] {text}\n", uptime().as_secs_f64());
        let mut files = match self.open.lock() {
            Ok(files) => files,
            Err(poisoned) => poisoned.into_inner(),
        };
        // A console that gives an error (a port that is not there) is not tried again.
        files.retain_mut(|file| write(file, line.as_bytes()));
    }
}

/// False when the console does not work.
fn write(file: &mut File, mut bytes: &[u8]) -> bool {
    let started = Instant::now();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if started.elapsed() > PATIENCE {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(_) => return false,
        }
    }
    true
}

/// Time since the kernel started.
pub fn uptime() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}
