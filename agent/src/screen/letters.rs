//! The large letters of a verdict: PASS, WARN, FAIL, HOLD.

pub(super) const HEIGHT: usize = 5;

const FONT: [(char, [&str; HEIGHT]); 12] = [
    ('A', [" #### ", "##  ##", "######", "##  ##", "##  ##"]),
    ('D', ["##### ", "##  ##", "##  ##", "##  ##", "##### "]),
    ('F', ["######", "##    ", "####  ", "##    ", "##    "]),
    ('H', ["##  ##", "##  ##", "######", "##  ##", "##  ##"]),
    ('I', ["######", "  ##  ", "  ##  ", "  ##  ", "######"]),
    ('L', ["##    ", "##    ", "##    ", "##    ", "######"]),
    ('N', ["##   ##", "###  ##", "## # ##", "##  ###", "##   ##"]),
    ('O', [" #### ", "##  ##", "##  ##", "##  ##", " #### "]),
    ('P', ["##### ", "##  ##", "##### ", "##    ", "##    "]),
    ('R', ["##### ", "##  ##", "##### ", "## ## ", "##  ##"]),
    ('S', [" #####", "##    ", " #### ", "    ##", "##### "]),
    ('W', ["##   ##", "##   ##", "## # ##", "#######", " ## ## "]),
];

/// A word in large letters, one string per row. Letters missing from the font are skipped.
pub(super) fn large(word: &str) -> Vec<String> {
    (0..HEIGHT)
        .map(|row| {
            let parts: Vec<&str> = word
                .chars()
                .filter_map(|c| FONT.iter().find(|(letter, _)| *letter == c))
                .map(|(_, rows)| rows[row])
                .collect();
            parts.join("  ").replace('#', "\u{2588}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_all_its_letters() {
        for word in ["PASS", "WARN", "FAIL", "HOLD"] {
            assert!(
                word.chars().all(|c| FONT.iter().any(|(letter, _)| *letter == c)),
                "{word}"
            );
            let rows = large(word);
            let width = rows[0].chars().count();
            assert!(
                rows.iter().all(|r| r.chars().count() == width) && width <= 32,
                "{word}: {rows:?}"
            );
        }
    }
}
