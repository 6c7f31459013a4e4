//! The machine's consoles: the screen, the serial port, and whatever else the kernel writes to.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::spcr;
use crate::console::Console;
use crate::screen::Poster;

/// Longest time that one line may take on one console: a blocked serial port must not block the agent.
const PATIENCE: Duration = Duration::from_millis(500);

/// Longest wait for output to drain: a serial port's buffer (4 KiB) takes 4 s at 9600 baud.
const DRAINED_WITHIN: Duration = Duration::from_secs(5);

/// Writes each line to all consoles, with the time since boot.
pub struct Consoles {
    open: Mutex<Vec<One>>,
}

struct One {
    name: String,
    file: Arc<File>,
    /// A virtual terminal, which has a size and can be cleared.
    screen: bool,
    /// A verdict is shown: new lines overwrite the last row.
    poster: bool,
}

// asm-generic/ioctls.h
nix::ioctl_read_bad!(window_size, nix::libc::TIOCGWINSZ, nix::libc::winsize);

impl Consoles {
    /// Opens `/dev/tty0`, `/dev/ttyS0`, those that `/sys/class/tty/console/active` names, and the firmware's
    /// own console. Missing ones are skipped; if none exists, `/dev/console` is used.
    pub fn open() -> Consoles {
        let one = |name: &str| {
            Some(One {
                name: name.to_owned(),
                file: Arc::new(terminal(name).ok()?),
                screen: name.strip_prefix("tty").is_some_and(|n| n.parse::<u8>().is_ok()),
                poster: false,
            })
        };
        let mut files: Vec<One> = names("tty0").iter().filter_map(|n| one(n)).collect();
        if files.is_empty() {
            files.extend(one("console"));
        }
        if let Some((name, Some(baud))) = spcr::console()
            && !active().split_ascii_whitespace().any(|known| known == name)
            && let Some(port) = files.iter().find(|one| one.name == name)
        {
            set_speed(&port.file, baud);
        }
        Consoles {
            open: Mutex::new(files),
        }
    }

    /// After an error a console is reopened, because the kernel hangs up the terminal when a rescue shell
    /// ends. If it fails again (a missing port), it is given up.
    fn each(&self, text: impl Fn(&mut One) -> String) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain_mut(|one| {
            let text = text(one);
            write(&one.file, text.as_bytes())
                || terminal(&one.name).is_ok_and(|file| {
                    one.file = Arc::new(file);
                    write(&one.file, text.as_bytes())
                })
        });
    }
}

/// The consoles the kernel writes to.
fn active() -> String {
    std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default()
}

/// The console terminals: those the kernel writes to, the screen, the first serial port and the firmware's
/// own.
pub fn names(screen: &str) -> BTreeSet<String> {
    let firmware = spcr::console().map(|(name, _)| name);
    chosen(&active(), screen, firmware.as_deref())
}

fn chosen(active: &str, screen: &str, firmware: Option<&str>) -> BTreeSet<String> {
    let active = active.split_ascii_whitespace();
    let names = firmware.into_iter().chain([screen, "ttyS0"]).chain(active);
    names
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric()))
        // tty0 is whichever terminal is in the foreground.
        .map(|name| if name == "tty0" { screen } else { name }.to_owned())
        .take(8)
        .collect()
}

fn terminal(name: &str) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK)
        .open(format!("/dev/{name}"))
}

/// A port that is not on the kernel command line has a slow default speed. If it cannot be set it stays as it
/// is.
fn set_speed(port: &File, baud: u32) {
    use nix::sys::termios::{BaudRate, SetArg, cfsetspeed, tcgetattr, tcsetattr};
    let rate = match baud {
        9600 => BaudRate::B9600,
        19_200 => BaudRate::B19200,
        57_600 => BaudRate::B57600,
        _ => BaudRate::B115200,
    };
    if let Ok(mut settings) = tcgetattr(port)
        && cfsetspeed(&mut settings, rate).is_ok()
    {
        let _ = tcsetattr(port, SetArg::TCSANOW, &settings);
    }
}

fn stamped(text: &str) -> String {
    format!("[{:5.1} s] {text}\n", uptime().as_secs_f64())
}

impl Console for Consoles {
    fn line(&self, text: &str) {
        let line = stamped(text);
        self.each(|one| match one.poster {
            true => {
                let (columns, rows) = one.size();
                let cut: String = line.trim_end().chars().take(columns - 1).collect();
                format!("\x1b[{rows};1H\x1b[2K{cut}")
            }
            false => line.clone(),
        });
    }

    fn poster(&self, poster: &Poster<'_>) {
        let lines: String = poster.lines().iter().map(|l| stamped(l)).collect();
        self.each(|one| match one.screen {
            true => {
                one.poster = true;
                let (columns, rows) = one.size();
                poster.screen(columns, rows)
            }
            false => lines.clone(),
        });
    }

    fn end_poster(&self) {
        self.each(|one| match std::mem::take(&mut one.poster) {
            true => format!("\x1b[{};1H\n", one.size().1),
            false => String::new(),
        });
    }

    fn drain(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let ports: Vec<Arc<File>> = open.iter().map(|one| Arc::clone(&one.file)).collect();
        drop(open);
        all_within(DRAINED_WITHIN, ports, |port| {
            // After an error there is nothing to wait for.
            let _ = nix::sys::termios::tcdrain(port);
        });
    }
}

/// Runs `work` on all items at once and waits for them, up to a limit: tcdrain(3) itself has none, and a
/// blocked terminal never drains. False if one did not finish.
fn all_within<T: Send + 'static>(limit: Duration, each: Vec<T>, work: fn(T)) -> bool {
    let (done, heard) = mpsc::channel();
    let mut count = 0;
    for one in each {
        let done = done.clone();
        let spawned = std::thread::Builder::new().spawn(move || {
            work(one);
            let _ = done.send(());
        });
        count += usize::from(spawned.is_ok());
    }
    let end = Instant::now() + limit;
    (0..count).all(|_| {
        heard
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .is_ok()
    })
}

impl One {
    /// Columns and rows; VGA text mode where the terminal does not report them.
    fn size(&self) -> (usize, usize) {
        let mut size = nix::libc::winsize {
            ws_row: 0,
            ws_col: 0,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the argument points to a winsize that outlives the call; the descriptor is open.
        let known = unsafe { window_size(self.file.as_raw_fd(), &mut size) };
        match (known, size.ws_col, size.ws_row) {
            (Ok(_), columns, rows) if columns > 0 && rows > 0 => (columns.into(), rows.into()),
            _ => (80, 25),
        }
    }
}

/// False when the console does not work.
fn write(mut file: &File, mut bytes: &[u8]) -> bool {
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

/// Time since boot.
pub fn uptime() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_console_does_not_block_the_agent() {
        assert!(all_within(Duration::from_secs(60), vec![1, 2, 3], drop));
        let (never, held) = mpsc::channel::<()>();
        let all = all_within(Duration::from_millis(30), vec![held], |held| {
            let _ = held.recv();
        });
        assert!(!all);
        drop(never);
    }

    #[test]
    fn the_firmwares_own_console_gets_lines_and_the_rescue_prompt() {
        let names = |screen: &str| Vec::from_iter(chosen("ttyS0 tty0\n", screen, Some("ttyS1")));
        assert_eq!(names("tty0"), ["tty0", "ttyS0", "ttyS1"]);
        assert_eq!(names("tty1"), ["tty1", "ttyS0", "ttyS1"]);
        assert_eq!(Vec::from_iter(chosen("../sda", "tty0", None)), ["tty0", "ttyS0"]);
    }
}
