//! What a person in front of the machine reads.

use inventory_api::text::tame;

use crate::screen::Poster;

/// Where the agent says in plain sentences what it does: the consoles of a machine, or a test's list.
pub trait Console: Send + Sync {
    /// Shows one line. It has passed [`plain`], and never holds a secret.
    fn line(&self, text: &str);

    /// Shows the verdict, large where there is a screen; it stays there until [`Console::end_poster`].
    fn poster(&self, poster: &Poster<'_>) {
        for line in poster.lines() {
            self.line(&line);
        }
    }

    /// The verdict has been there long enough: lines scroll again.
    fn end_poster(&self) {}

    /// Waits until what was said has left the machine, but not for a terminal that takes nothing.
    fn drain(&self) {}
}

/// Longest line that is shown, in characters.
const LINE_LIMIT: usize = 240;

/// A text from elsewhere as one harmless line: a terminal obeys control characters.
pub fn plain(text: &str) -> String {
    tame(text, LINE_LIMIT)
}

/// A console that writes to standard output, for a service under systemd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout;

impl Console for Stdout {
    fn line(&self, text: &str) {
        use std::io::Write;
        // Nobody reads: that must not stop the work.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_harmless() {
        assert_eq!(plain("a\x1b[2Jb\nc"), "a[2Jb c");
        assert_eq!(plain("a\u{202e}b"), "ab");
        let long = plain(&"é".repeat(500));
        assert!(long.ends_with("...") && long.chars().count() == LINE_LIMIT);
    }
}
