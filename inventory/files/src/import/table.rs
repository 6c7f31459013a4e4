//! CSV: a heading line, and rows whose cells are read by column name.

use std::rc::Rc;

use inventory_api::Mac;
use inventory_api::text::{cleaned, is_invisible};

use super::values::MAX_TEXT;
use super::{Fault, Faults, MAX_ROWS};

pub(super) struct Row {
    /// The line it begins in, from 1.
    pub(super) line: u64,
    columns: Rc<Vec<String>>,
    record: csv::StringRecord,
}

/// Reads a file and adds the faults of its form: heading, number of cells, bytes that are not UTF-8.
/// Columns in `needed` must exist; `known` says which ones may.
pub(super) fn rows(
    bytes: &[u8],
    needed: &[&str],
    known: impl Fn(&str) -> bool,
    faults: &mut Faults,
) -> Vec<Row> {
    let (separator, bytes) = named_separator(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    // The `sep=` line counts as a line of the file.
    let above = u64::from(separator.is_some());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator.unwrap_or_else(|| delimiter(bytes)))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut rows = Vec::new();
    let name = |heading: &str| cleaned(heading).to_lowercase().replace([' ', '-'], "_");
    let columns: Rc<Vec<String>> = match reader.headers() {
        Ok(headings) => Rc::new(headings.iter().map(name).collect()),
        Err(e) => {
            faults.add(not_csv(&e, bytes, above + 1, above));
            return rows;
        }
    };
    check_heading(&columns, above + 1, needed, known, faults);
    if !faults.is_empty() {
        return rows;
    }
    let mut lines = Lines {
        bytes,
        counted: 0,
        last: 1,
    };
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                faults.add(not_csv(&e, bytes, above + lines.last + 1, above));
                return rows;
            }
        };
        let row = Row {
            line: above + lines.of(&record),
            columns: columns.clone(),
            record,
        };
        if row.record.iter().all(|raw| cell_text(raw).is_empty()) {
            continue;
        }
        if let Some(fault) = row.misshapen() {
            faults.add(fault);
            continue;
        }
        if rows.len() >= MAX_ROWS {
            let detail = format!("a file can have {MAX_ROWS} rows: split it");
            faults.add(Fault::new(row.line, 0, "", detail));
            return rows;
        }
        rows.push(row);
    }
    if rows.is_empty() && faults.is_empty() {
        faults.add(Fault::new(above + 1, 0, "", "the file has no rows"));
    }
    rows
}

fn check_heading(
    columns: &[String],
    line: u64,
    needed: &[&str],
    known: impl Fn(&str) -> bool,
    faults: &mut Faults,
) {
    for (i, column) in columns.iter().enumerate() {
        let detail = match column.as_str() {
            // A column without a heading is ignored as long as it is empty; the rows are checked later.
            "" => continue,
            unknown if !known(unknown) => {
                format!("there is no column {column:?}; required: {}", needed.join(", "))
            }
            _ if columns[..i].contains(column) => format!("duplicate column {column:?}"),
            _ => continue,
        };
        faults.add(Fault::new(line, i as u64 + 1, "heading", detail));
    }
    let is_missing = |needed: &&str| !columns.iter().any(|c| c == needed);
    let missing: Vec<&str> = needed.iter().copied().filter(is_missing).collect();
    if !missing.is_empty() {
        let detail = format!("the heading lacks: {}", missing.join(", "));
        faults.add(Fault::new(line, 0, "heading", detail));
    }
}

/// Counts the lines of a file: the csv reader's own count is wrong if lines end in CR LF.
struct Lines<'a> {
    bytes: &'a [u8],
    counted: usize,
    last: u64,
}

impl Lines<'_> {
    /// The line that a record begins in, from 1.
    fn of(&mut self, record: &csv::StringRecord) -> u64 {
        let begin = record.position().map_or(self.counted as u64, csv::Position::byte) as usize;
        let line_end = |b: &&u8| matches!(b, b'\r' | b'\n');
        let begin = begin + self.bytes.iter().skip(begin).take_while(line_end).count();
        let passed = self.bytes.get(self.counted..begin).unwrap_or_default();
        self.last += passed.iter().filter(|b| **b == b'\n').count() as u64;
        self.counted = self.counted.max(begin);
        self.last
    }
}

/// The separator that the heading has most of: spreadsheets write semicolons in many countries.
fn delimiter(bytes: &[u8]) -> u8 {
    let heading = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|d| heading.iter().filter(|b| *b == d).count())
        .filter(|d| heading.contains(d))
        .unwrap_or(b',')
}

/// Excel's first line "sep=;": the separator it names, and the bytes after the line.
fn named_separator(bytes: &[u8]) -> (Option<u8>, &[u8]) {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (line, rest) = (
        bytes[..end].trim_ascii_end(),
        bytes.get(end + 1..).unwrap_or_default(),
    );
    match line {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator] => (Some(*separator), rest),
        // A tab is white space, so it was trimmed.
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'='] if bytes.get(4) == Some(&b'\t') => (Some(b'\t'), rest),
        _ => (None, bytes),
    }
}

/// The intended text of a cell: to keep leading zeros, spreadsheets write `="000123"` and people `'000123`.
fn cell_text(raw: &str) -> String {
    let text = cleaned(raw);
    let formula = text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    let quoted = text
        .strip_prefix('\'')
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    match formula.filter(|inner| !inner.contains('"')).or(quoted) {
        Some(inner) => inner.trim().to_owned(),
        None => text,
    }
}

/// Why a text looks like one that a spreadsheet converted, so that the original is lost; `None`: it does not.
fn mangled(text: &str) -> Option<&'static str> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let lower = text.to_ascii_lowercase();
    if let Some((mantissa, exponent)) = lower.split_once("e+") {
        let (whole, part) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
        if digits(whole, 1) && digits(part, 15) && digits(exponent, 3) {
            return Some(
                "looks like a number that a spreadsheet rounded: format the column as text and enter it again",
            );
        }
    }
    let parts: Vec<&str> = lower.split('-').collect();
    let is_date = match parts.as_slice() {
        [a, b] => (digits(a, 2) && MONTHS.contains(b)) || (MONTHS.contains(a) && digits(b, 2)),
        [a, b, c] => digits(a, 2) && MONTHS.contains(b) && (digits(c, 2) || digits(c, 4)),
        _ => false,
    };
    if is_date {
        return Some(
            "looks like a date that a spreadsheet made of something like 3-12: format the column as text and enter it again",
        );
    }
    let is_error =
        ["#n/a", "#name?", "#ref!", "#value!", "#num!", "#null!", "#div/0!"].contains(&lower.as_str());
    if is_error || (text.len() > 2 && text.bytes().all(|b| b == b'#')) {
        return Some("is a spreadsheet's error, not a value: fix the formula, or widen the column");
    }
    None
}

/// The fault for an error of the csv reader. `line`: where the reader stopped. For a byte that is not UTF-8,
/// the line is counted here instead: the reader's own count is wrong if lines end in CR LF.
fn not_csv(error: &csv::Error, bytes: &[u8], line: u64, above: u64) -> Fault {
    let (line, detail) = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => {
            let good = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len);
            let lines = bytes[..good].iter().filter(|b| **b == b'\n').count() as u64;
            let detail = "the row is not UTF-8: save the file as UTF-8".to_owned();
            (above + lines + 1, detail)
        }
        other => (line, format!("the row cannot be read as CSV: {other:?}")),
    };
    Fault::new(line, 0, "", detail)
}

impl Row {
    /// Why its cells do not fit the heading; `None`: they do.
    fn misshapen(&self) -> Option<Fault> {
        let (has, expected) = (self.record.len(), self.columns.len());
        let mut cells = self.record.iter().map(cell_text).enumerate();
        let heading = |i: usize| self.columns.get(i).map_or("", String::as_str);
        let unnamed = cells.find(|(i, cell)| heading(*i).is_empty() && !cell.is_empty());
        let (at, detail) = match unnamed {
            Some((i, cell)) if i < expected => (i, format!("{cell:?} is in a column without a heading")),
            None if has >= expected => return None,
            _ => (
                has.min(expected),
                format!("the row has {has} cells, the heading has {expected}"),
            ),
        };
        Some(Fault::new(self.line, at as u64 + 1, "", detail))
    }

    fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| c == column)
    }

    /// A fault in a cell of this row.
    pub(super) fn fault(&self, column: &str, detail: impl Into<String>) -> Fault {
        let at = self.position(column).map_or(0, |i| i as u64 + 1);
        Fault::new(self.line, at, column, detail)
    }

    fn raw(&self, column: &str) -> &str {
        self.position(column)
            .and_then(|i| self.record.get(i))
            .unwrap_or_default()
    }

    /// A cell; `None`: it is empty. `Err`: it is too long, has control characters or was mangled by a
    /// spreadsheet.
    pub(super) fn optional(&self, column: &str) -> Result<Option<String>, Fault> {
        let text = cell_text(self.raw(column));
        if text.chars().count() > MAX_TEXT {
            return Err(self.fault(column, format!("is longer than {MAX_TEXT} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(self.fault(column, "has control characters"));
        }
        // Free text may look like anything.
        let free = matches!(column, "description" | "value");
        if let Some(why) = mangled(&text).filter(|_| !free) {
            return Err(self.fault(column, format!("{text:?} {why}")));
        }
        Ok((!text.is_empty()).then_some(text))
    }

    /// A serial number or asset tag. White space other than plain spaces is removed, such as no-break spaces
    /// copied from a web page.
    pub(super) fn key(&self, column: &str) -> Result<Option<String>, Fault> {
        let text = self.optional(column)?;
        let raw = self.raw(column);
        let odd = |c: char| c.is_whitespace() && c != ' ';
        if !raw.chars().any(odd) {
            return Ok(text);
        }
        let kept: String = raw.chars().filter(|c| !odd(*c) && !is_invisible(*c)).collect();
        let kept = kept.trim();
        Ok((!kept.is_empty()).then(|| kept.to_owned()))
    }

    /// A cell whose column has two names. `Err`: both are filled in.
    pub(super) fn one_of(&self, column: &str, other: &str) -> Result<Option<String>, Fault> {
        match (self.optional(column)?, self.optional(other)?) {
            (Some(_), Some(_)) => {
                Err(self.fault(other, format!("means the same as {column}: leave one empty")))
            }
            (first, second) => Ok(first.or(second)),
        }
    }

    /// A network port: its name, or its MAC in any spelling, returned in ours. `Err`: it looks like a MAC but
    /// is none.
    pub(super) fn nic(&self, column: &str) -> Result<Option<String>, Fault> {
        let Some(text) = self.optional(column)? else {
            return Ok(None);
        };
        if let Ok(mac) = text.parse::<Mac>() {
            return Ok(Some(mac.to_string()));
        }
        let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
        let separators: Vec<char> = text.chars().filter(|c| !c.is_ascii_hexdigit()).collect();
        let one_kind = separators.windows(2).all(|pair| pair[0] == pair[1]);
        let like = (10..=14).contains(&digits)
            && separators.len() >= 2
            && one_kind
            && matches!(separators[0], ':' | '-' | '.');
        if like {
            let detail = format!("{text:?} looks like a MAC but is not one: write it as 52:54:00:12:34:56");
            return Err(self.fault(column, detail));
        }
        Ok(Some(text))
    }

    /// A cell that must not be empty.
    pub(super) fn required(&self, column: &str) -> Result<String, Fault> {
        self.optional(column)?
            .ok_or_else(|| self.fault(column, "is empty"))
    }

    /// A whole number; `None`: the cell is empty.
    pub(super) fn optional_number(&self, column: &str, min: u32, max: u32) -> Result<Option<u32>, Fault> {
        let Some(text) = self.optional(column)? else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|n| (min..=max).contains(n));
        let detail = || format!("{text:?} is not a whole number from {min} to {max}");
        number.map(Some).ok_or_else(|| self.fault(column, detail()))
    }

    /// A whole number.
    pub(super) fn number(&self, column: &str, min: u32, max: u32) -> Result<u32, Fault> {
        let detail = || format!("is empty; expected a whole number from {min} to {max}");
        self.optional_number(column, min, max)?
            .ok_or_else(|| self.fault(column, detail()))
    }
}
