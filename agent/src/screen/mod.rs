//! The poster on the machine's own screen while it waits for a person: a verdict readable from the aisle,
//! serial number, rack place, what to fix, and a QR code of the machine's page. Pure: text in, text out.

mod letters;

use inventory_api::check::{CheckResult, Finding, Severity, Verdict};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::plain::plain;

/// Maximum number of findings on the serial console.
const FINDINGS_SHOWN: usize = 10;
/// Minimum number of columns for the text left of the QR code.
const TEXT_COLUMNS: usize = 34;

/// What is shown.
#[derive(Clone, Debug, Default)]
pub struct Poster<'a> {
    /// The check; None if there is no expectation for this machine.
    pub check: Option<&'a CheckResult>,
    /// System serial number.
    pub serial: Option<&'a str>,
    /// Maker and model.
    pub model: Option<&'a str>,
    /// Rack place, as text.
    pub place: Option<&'a str>,
    /// Address of the machine's page.
    pub page: Option<&'a str>,
}

impl Poster<'_> {
    fn word(&self) -> (&'static str, &'static str) {
        match self.check.map(|c| c.verdict) {
            Some(Verdict::Pass) => ("PASS", "the hardware is as expected"),
            Some(Verdict::Warn) => ("WARN", "as expected, with warnings"),
            Some(Verdict::Fail) => ("FAIL", "the hardware is NOT as expected, no disk is touched"),
            None => ("HOLD", "no expectation is known for this machine"),
        }
    }

    fn findings(&self) -> &[Finding] {
        self.check.map_or(&[], |c| &c.findings)
    }

    fn facts(&self) -> Vec<String> {
        let shown = |text: Option<&str>, none: &str| text.map_or(none.to_owned(), ascii);
        vec![
            format!("serial  {}", shown(self.serial, "not reported")),
            format!("model   {}", shown(self.model, "not reported")),
            format!("place   {}", shown(self.place, "not in the rack plan")),
        ]
    }

    /// Plain lines, for a serial console.
    pub fn lines(&self) -> Vec<String> {
        let (word, meaning) = self.word();
        let mut lines = vec![format!("verdict: {word}: {meaning}")];
        lines.extend(self.facts().into_iter().map(|f| format!("verdict: {f}")));
        let findings = self.findings();
        for finding in findings.iter().take(FINDINGS_SHOWN) {
            lines.push(format!(
                "verdict: {}: {}",
                grade(finding),
                ascii(&finding.sentence)
            ));
        }
        if findings.len() > FINDINGS_SHOWN {
            lines.push(format!("verdict: and {} more", findings.len() - FINDINGS_SHOWN));
        }
        if let Some(page) = self.page {
            lines.push(format!("verdict: see {}", ascii(page)));
        }
        lines
    }

    /// A full screen for a Linux console: cleared, with the last row free. At least 40 by 20 cells.
    pub fn screen(&self, columns: usize, rows: usize) -> String {
        let (columns, rows) = (columns.clamp(40, 240), rows.clamp(20, 100) - 1);
        let wide = |code: &Vec<String>| code.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let fits = |code: &Vec<String>| code.len() <= rows && wide(code) + 1 + TEXT_COLUMNS <= columns;
        let code = self.page.and_then(qr).filter(fits);
        let code_columns = code.as_ref().map_or(0, wide);
        let width = match code {
            Some(_) => columns - code_columns - 1,
            None => columns,
        };
        let left = self.left(width, rows);
        let colour = match self.check.map(|c| c.verdict) {
            Some(Verdict::Pass) => "\x1b[1;32m",
            Some(Verdict::Warn) => "\x1b[1;33m",
            Some(Verdict::Fail) => "\x1b[1;31m",
            None => "\x1b[1;36m",
        };
        // Clear, cursor home, no line wrap.
        let mut out = String::from("\x1b[0m\x1b[2J\x1b[H\x1b[?7l");
        for row in 0..rows {
            let text = left.get(row).map_or("", String::as_str);
            let big = row < letters::HEIGHT;
            out.push_str(if big { colour } else { "\x1b[0m" });
            out.push_str(text);
            if let Some(line) = code.as_ref().and_then(|c| c.get(row)) {
                // Placed by column number, so that the width of the text does not matter.
                out.push_str(&format!("\x1b[{}G\x1b[0;37m{line}", columns - code_columns + 1));
            }
            out.push_str("\x1b[0m\n");
        }
        out.push_str("\x1b[?7h");
        out
    }

    /// The text rows, cut to the screen; findings that do not fit are counted.
    fn left(&self, width: usize, rows: usize) -> Vec<String> {
        let (word, meaning) = self.word();
        let mut left = letters::large(word);
        left.push(String::new());
        left.extend(wrapped(meaning, width));
        left.push(String::new());
        left.extend(self.facts().iter().flat_map(|f| wrapped(f, width)));
        left.push(String::new());
        let page = self.page.map(|p| wrapped(&ascii(p), width)).unwrap_or_default();
        let room = rows.saturating_sub(page.len() + 1);
        let findings = self.findings();
        for (index, finding) in findings.iter().enumerate() {
            let lines = wrapped(&format!("* {}", ascii(&finding.sentence)), width);
            // Keep a row for "and more" unless this is the last finding.
            let kept = usize::from(index + 1 < findings.len());
            if left.len() + lines.len() + kept > room {
                left.push(format!("and {} more: see the page", findings.len() - index));
                break;
            }
            left.extend(lines);
        }
        left.truncate(room);
        left.resize(rows.saturating_sub(page.len()), String::new());
        left.extend(page);
        left
    }
}

fn grade(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Error => "fix",
        Severity::Warning => "look at",
        Severity::Info => "note",
    }
}

/// A console font has little beyond ASCII, and terminals obey control characters.
fn ascii(text: &str) -> String {
    plain(text).replace(|c: char| !c.is_ascii(), "?")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let lines = textwrap::wrap(text, textwrap::Options::new(width).subsequent_indent("  "));
    lines.into_iter().map(|line| line.into_owned()).collect()
}

/// The code with its quiet zone. Colours are swapped, because "dark" means ink, which is bright on a console,
/// and a camera needs dark on light. Half blocks are in CP437, which every VGA font has.
fn qr(text: &str) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    Some(drawn.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
