//! The demo's output: a line for each event and, on a terminal, a last line that is redrawn.

use std::io::{IsTerminal, Write};

/// Width of the column of stages.
const STAGE: usize = 11;
/// Characters of a progress bar.
const BAR: usize = 28;

/// Stdout, with colours and a redrawn line if it is a terminal.
pub struct Screen {
    terminal: bool,
    live: bool,
    tenths: u64,
}

impl Screen {
    pub fn new() -> Screen {
        let dumb = std::env::var_os("NO_COLOR").is_some() || std::env::var("TERM").as_deref() == Ok("dumb");
        Screen {
            terminal: std::io::stdout().is_terminal() && !dumb,
            live: false,
            tenths: 0,
        }
    }

    /// An event, `seconds` after power-on.
    pub fn line(&mut self, seconds: f64, stage: &str, text: &str) {
        let colour = match stage {
            "failed" | "problem" => "31;1",
            "verified" | "deployed" | "verdict" => "32;1",
            "console" => "2",
            _ => "36",
        };
        let stage = format!("{stage:<STAGE$}");
        let time = format!("{seconds:7.1} s");
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        self.print(&format!(
            "{}  {}  {first}",
            self.style("2", &time),
            self.style(colour, &stage)
        ));
        for more in lines {
            self.print(&format!("{:9}  {:STAGE$}  {more}", "", ""));
        }
    }

    /// Plain text.
    pub fn print(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.live) {
            "\r\x1b[K"
        } else {
            ""
        };
        let mut out = std::io::stdout().lock();
        // A reader that has gone away is no reason to leave machines behind; the signal or the end comes
        // soon.
        let _ = writeln!(out, "{clear}{text}");
        let _ = out.flush();
    }

    /// What is going on now. Prints nothing without a terminal.
    pub fn now(&mut self, seconds: f64, text: &str) {
        if !self.terminal {
            return;
        }
        self.live = true;
        // A wrapped line could not be redrawn.
        let line: String = format!("{seconds:7.1} s  {text}")
            .chars()
            .take(self.columns() - 1)
            .collect();
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "\r\x1b[K{}", self.style("33", &line));
        let _ = out.flush();
    }

    /// Progress of a long step: redrawn on a terminal, otherwise a line for every tenth.
    pub fn progress(&mut self, seconds: f64, what: &str, done: u64, total: u64) {
        if total == 0 {
            return;
        }
        let done = done.min(total);
        let text = format!(
            "{what}  {} {:3} %  {} of {}",
            bar(done, total),
            done * 100 / total,
            bytes(done),
            bytes(total)
        );
        if self.terminal {
            return self.now(seconds, &format!("{:<STAGE$}  {text}", "install"));
        }
        let tenths = done * 10 / total;
        if tenths > self.tenths {
            self.line(seconds, "install", &text);
        }
        self.tenths = tenths;
    }

    fn style(&self, code: &str, text: &str) -> String {
        if self.terminal {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn columns(&self) -> usize {
        let mut size: nix::libc::winsize = unsafe { std::mem::zeroed() };
        // SAFETY: TIOCGWINSZ writes one winsize.
        let answer = unsafe { nix::libc::ioctl(1, nix::libc::TIOCGWINSZ, &mut size) };
        if answer == 0 && size.ws_col > 20 {
            usize::from(size.ws_col)
        } else {
            80
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.live {
            self.print("");
        }
    }
}

fn bar(done: u64, total: u64) -> String {
    let full = (done as usize * BAR)
        .checked_div(total as usize)
        .unwrap_or(0)
        .min(BAR);
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

/// A number of bytes in words.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_progress_bar_has_one_length() {
        for done in 0..=100 {
            assert_eq!(bar(done, 100).len(), BAR + 2);
        }
        assert!(bar(0, 100).starts_with("[."));
        assert!(bar(100, 100).ends_with("#]"));
        assert_eq!(bar(0, 0), bar(0, 1));
    }

    #[test]
    fn bytes_are_short() {
        assert_eq!(bytes(70_123), "70 kB");
        assert_eq!(bytes(8_247_232), "8.2 MB");
        assert_eq!(bytes(6 << 30), "6.4 GB");
    }
}
