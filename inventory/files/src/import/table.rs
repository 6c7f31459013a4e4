//! CSV: a heading line, and rows whose cells are read by column name.

use inventory_api::Mac;
use inventory_api::text::{cleaned, is_invisible};

use super::values::MAX_TEXT;
use super::{Fault, Faults, MAX_ROWS};

pub(super) struct Table {
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    /// The line it begins in, from 1.
    pub(super) line: u64,
    columns: std::rc::Rc<Vec<String>>,
    cells: Vec<String>,
    raw: Vec<String>,
}

impl Table {
    /// Reads a file and adds the faults of its form: heading, number of cells, bytes that are not UTF-8.
    /// Columns in `needed` must exist; `known` says which ones may.
    pub(super) fn read(
        bytes: &[u8],
        needed: &[&str],
        known: impl Fn(&str) -> bool,
        faults: &mut Faults,
    ) -> Table {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let (separator, rest) = named_separator(bytes);
        // The `sep=` line counts as a line of the file.
        let above = u64::from(separator.is_some());
        let bytes = rest;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator.unwrap_or_else(|| delimiter(bytes)))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut table = Table { rows: Vec::new() };
        let columns: Vec<String> = match reader.headers() {
            Ok(heading) => heading
                .iter()
                .map(|c| cleaned(c).to_lowercase().replace([' ', '-'], "_"))
                .collect(),
            Err(e) => {
                faults.add(not_csv(&e, bytes, above + 1, above));
                return table;
            }
        };
        for (i, column) in columns.iter().enumerate() {
            // A column without a heading is ignored as long as it is empty; the rows are checked below.
            let detail = if column.is_empty() {
                continue;
            } else if !known(column) {
                format!("there is no column {column:?}; needed are: {}", needed.join(", "))
            } else if columns[..i].contains(column) {
                format!("the column {column:?} is there twice")
            } else {
                continue;
            };
            faults.add(Fault::new(above + 1, i as u64 + 1, "heading", detail));
        }
        let missing: Vec<&str> = needed
            .iter()
            .copied()
            .filter(|n| !columns.iter().any(|c| c == n))
            .collect();
        if !missing.is_empty() {
            let detail = format!("the heading lacks: {}", missing.join(", "));
            faults.add(Fault::new(above + 1, 0, "heading", detail));
        }
        if !faults.named.is_empty() {
            return table;
        }
        let columns = std::rc::Rc::new(columns);
        // Count lines here: the csv reader's own count is wrong if lines end in CR LF.
        let (mut counted, mut last) = (0, 1);
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(e) => {
                    faults.add(not_csv(&e, bytes, above + last + 1, above));
                    return table;
                }
            };
            let begin = record.position().map_or(counted as u64, csv::Position::byte) as usize;
            let begin = begin
                + bytes
                    .iter()
                    .skip(begin)
                    .take_while(|b| matches!(b, b'\r' | b'\n'))
                    .count();
            let passed = bytes.get(counted..begin).unwrap_or_default();
            last += passed.iter().filter(|b| **b == b'\n').count() as u64;
            counted = counted.max(begin);
            let line = above + last;
            let cells: Vec<String> = record.iter().map(cell_text).collect();
            if cells.iter().all(String::is_empty) {
                continue;
            }
            let unnamed = (0..cells.len())
                .find(|i| columns.get(*i).is_none_or(String::is_empty) && !cells[*i].is_empty());
            if let Some(i) = unnamed.filter(|i| *i < columns.len()) {
                let detail = format!("{:?} stands in a column that has no heading", cells[i]);
                faults.add(Fault::new(line, i as u64 + 1, "", detail));
                continue;
            }
            if record.len() < columns.len() || unnamed.is_some() {
                let (has, should) = (record.len(), columns.len());
                let detail = format!("the row has {has} cells, the heading has {should}");
                faults.add(Fault::new(line, has.min(should) as u64 + 1, "", detail));
                continue;
            }
            if table.rows.len() >= MAX_ROWS {
                let detail = format!("a file may have {MAX_ROWS} rows: split it");
                faults.add(Fault::new(line, 0, "", detail));
                return table;
            }
            table.rows.push(Row {
                line,
                columns: columns.clone(),
                cells,
                raw: record.iter().map(str::to_owned).collect(),
            });
        }
        if table.rows.is_empty() && faults.named.is_empty() {
            faults.add(Fault::new(above + 1, 0, "", "the file has no rows"));
        }
        table
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
        return Some("is a spreadsheet's error, not a value: mend the formula, or widen the column");
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
    /// A fault in a cell of this row.
    pub(super) fn fault(&self, column: &str, detail: String) -> Fault {
        let at = self.columns.iter().position(|c| c == column);
        Fault::new(self.line, at.map_or(0, |i| i as u64 + 1), column, detail)
    }

    fn cell(&self, column: &str) -> &str {
        let at = self.columns.iter().position(|c| c == column);
        at.and_then(|i| self.cells.get(i)).map_or("", String::as_str)
    }

    fn raw(&self, column: &str) -> &str {
        let at = self.columns.iter().position(|c| c == column);
        at.and_then(|i| self.raw.get(i)).map_or("", String::as_str)
    }

    /// A cell; `None`: it is empty. `Err`: it is too long, has control characters or was mangled by a
    /// spreadsheet.
    pub(super) fn optional(&self, column: &str) -> Result<Option<String>, Fault> {
        let text = self.cell(column);
        if text.chars().count() > MAX_TEXT {
            return Err(self.fault(column, format!("longer than {MAX_TEXT} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(self.fault(column, "has control characters".to_owned()));
        }
        // Free text may look like anything.
        let free = matches!(column, "description" | "value");
        if let Some(why) = mangled(text).filter(|_| !free) {
            return Err(self.fault(column, format!("{text:?} {why}")));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
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
                Err(self.fault(other, format!("stands for the same as {column}: leave one empty")))
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
            return Err(self.fault(
                column,
                format!("{text:?} looks like a MAC and is none: write it as 52:54:00:12:34:56"),
            ));
        }
        Ok(Some(text))
    }

    /// A cell that must not be empty.
    pub(super) fn required(&self, column: &str) -> Result<String, Fault> {
        self.optional(column)?
            .ok_or_else(|| self.fault(column, "is empty".to_owned()))
    }

    /// A whole number; `None`: the cell is empty.
    pub(super) fn optional_number(&self, column: &str, min: u32, max: u32) -> Result<Option<u32>, Fault> {
        let Some(text) = self.optional(column)? else {
            return Ok(None);
        };
        match text.parse::<u32>() {
            Ok(n) if (min..=max).contains(&n) => Ok(Some(n)),
            Ok(_) | Err(_) => Err(self.fault(
                column,
                format!("{text:?} is not a whole number from {min} to {max}"),
            )),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, column: &str, min: u32, max: u32) -> Result<u32, Fault> {
        self.optional_number(column, min, max)?.ok_or_else(|| {
            self.fault(
                column,
                format!("is empty; a whole number from {min} to {max} is needed"),
            )
        })
    }
}
