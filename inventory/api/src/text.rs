//! Text that people and machines wrote.

/// Whether a character shows nothing, or makes a page or a terminal show something else than what is there: bidirectional and
/// zero-width characters, and what stands for a byte that could not be read.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
}

/// Without invisible characters, and with a plain space for each other kind of space (web pages and word processors have no-break
/// spaces); trimmed. Control characters stay: who reads a file of people says that they are there.
pub fn cleaned(raw: &str) -> String {
    let kept: String = raw
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| {
            if c.is_whitespace() && !c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_goes_and_every_space_is_one() {
        for (raw, clean) in [
            ("\u{200b}SNX2", "SNX2"),
            ("SNX3\u{a0}", "SNX3"),
            ("a\u{a0}b\u{2009}c\u{3000}d", "a b c d"),
            ("\u{feff}\u{202e}x\u{2069}", "x"),
            ("Gerät\nß", "Gerät\nß"),
            ("", ""),
        ] {
            assert_eq!(cleaned(raw), clean, "{raw:?}");
        }
    }
}
