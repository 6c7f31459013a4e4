//! Foreign text made safe for a terminal.

use inventory_api::text::is_invisible;

/// Longest line shown, in characters.
const LINE_LIMIT: usize = 240;

/// A foreign text as one harmless line of bounded length, without control characters (terminals obey them)
/// and without invisible or direction-changing characters.
pub fn plain(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| match c.is_control() || is_invisible(c) {
            true => ' ',
            false => c,
        })
        .take(LINE_LIMIT + 1)
        .collect();
    if line.chars().count() > LINE_LIMIT {
        line = line.chars().take(LINE_LIMIT - 3).collect();
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_harmless() {
        assert_eq!(plain("a\x1b[2Jb\nc"), "a [2Jb c");
        assert_eq!(plain("a\u{202e}b"), "a b");
        let long = plain(&"é".repeat(500));
        assert!(long.ends_with("...") && long.chars().count() == LINE_LIMIT);
    }
}
