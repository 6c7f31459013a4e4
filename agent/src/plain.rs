//! Foreign text made safe for a terminal.

use inventory_api::text::tame;

/// Longest line shown, in characters.
const LINE_LIMIT: usize = 240;

/// A foreign text as one harmless line of bounded length: a terminal obeys control characters.
pub fn plain(text: &str) -> String {
    tame(text, LINE_LIMIT)
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
