//! What somebody standing in front of the machine reads.

use crate::screen::Poster;

/// Where the agent reports what it does, in sentences: the machine's consoles, or a list in a test.
pub trait Console: Send + Sync {
    /// Shows one line. Foreign text in it has passed [`plain`](crate::plain::plain); it never holds a secret.
    fn line(&self, text: &str);

    /// Shows the verdict, in large letters on a screen, until [`Console::end_poster`].
    fn poster(&self, poster: &Poster<'_>) {
        for line in poster.lines() {
            self.line(&line);
        }
    }

    /// Stops showing the verdict: lines scroll again.
    fn end_poster(&self) {}

    /// Waits until all lines have left the machine, but not for a terminal that is stuck.
    fn drain(&self) {}
}

/// A console that writes to standard output, for a service under systemd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout;

impl Console for Stdout {
    fn line(&self, text: &str) {
        use std::io::Write;
        // A closed standard output must not stop the work.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}
