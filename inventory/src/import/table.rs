//! CSV: a heading line and rows whose cells are asked for by name.

use super::values::MAX_TEXT;
use super::{Fault, Faults, MAX_ROWS};

/// A file of rows.
pub(super) struct Table<'a> {
    pub(super) rows: Vec<Row<'a>>,
}

/// One row.
pub(super) struct Row<'a> {
    /// Line it begins in.
    pub(super) line: u64,
    columns: std::rc::Rc<Vec<String>>,
    cells: Vec<String>,
    _of: std::marker::PhantomData<&'a ()>,
}

impl Table<'_> {
    /// Reads a file. Faults of the form (heading, number of cells, bytes that are not UTF-8) are added.
    pub(super) fn read<'a>(
        bytes: &'a [u8],
        needed: &[&str],
        known: impl Fn(&str) -> bool,
        faults: &mut Faults,
    ) -> Table<'a> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter(bytes))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut table = Table { rows: Vec::new() };
        let columns: Vec<String> = match reader.headers() {
            Ok(heading) => heading
                .iter()
                .map(|c| c.to_lowercase().replace([' ', '-'], "_"))
                .collect(),
            Err(e) => {
                faults.add(not_csv(&e, 1));
                return table;
            }
        };
        for (i, column) in columns.iter().enumerate() {
            let detail = if column.is_empty() || !known(column) {
                format!("there is no column {column:?}; needed are: {}", needed.join(", "))
            } else if columns[..i].contains(column) {
                format!("the column {column:?} is there twice")
            } else {
                continue;
            };
            faults.add(Fault {
                line: 1,
                column: i as u64 + 1,
                field: "heading".to_owned(),
                detail,
            });
        }
        let missing: Vec<&str> = needed
            .iter()
            .copied()
            .filter(|n| !columns.iter().any(|c| c == n))
            .collect();
        if !missing.is_empty() {
            faults.add(Fault {
                line: 1,
                column: 0,
                field: "heading".to_owned(),
                detail: format!("the heading lacks: {}", missing.join(", ")),
            });
        }
        if !faults.named.is_empty() {
            return table;
        }
        let columns = std::rc::Rc::new(columns);
        // Counted here: the reader's own count is off where lines end in CR LF.
        let (mut counted, mut last) = (0, 1);
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(e) => {
                    faults.add(not_csv(&e, last + 1));
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
            let line = last;
            if record.iter().all(str::is_empty) {
                continue;
            }
            if record.len() != columns.len() {
                faults.add(Fault {
                    line,
                    column: record.len().min(columns.len()) as u64 + 1,
                    field: String::new(),
                    detail: format!(
                        "the row has {} cells, the heading has {}",
                        record.len(),
                        columns.len()
                    ),
                });
                continue;
            }
            if table.rows.len() >= MAX_ROWS {
                faults.add(Fault {
                    line,
                    column: 0,
                    field: String::new(),
                    detail: format!("a file may have {MAX_ROWS} rows: split it"),
                });
                return table;
            }
            table.rows.push(Row {
                line,
                columns: columns.clone(),
                cells: record.iter().map(str::to_owned).collect(),
                _of: std::marker::PhantomData,
            });
        }
        if table.rows.is_empty() {
            faults.add(Fault {
                line: 1,
                column: 0,
                field: String::new(),
                detail: "the file has no rows".to_owned(),
            });
        }
        table
    }
}

/// Spreadsheets of many countries write semicolons.
fn delimiter(bytes: &[u8]) -> u8 {
    let heading = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|d| heading.iter().filter(|b| *b == d).count())
        .filter(|d| heading.contains(d))
        .unwrap_or(b',')
}

fn not_csv(error: &csv::Error, line: u64) -> Fault {
    let line = error.position().map_or(line, csv::Position::line);
    let detail = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8: save the file as UTF-8".to_owned(),
        other => format!("the row cannot be read as CSV: {other:?}"),
    };
    Fault {
        line,
        column: 0,
        field: String::new(),
        detail,
    }
}

impl Row<'_> {
    /// A fault of a cell of this row.
    pub(super) fn fault(&self, column: &str, detail: String) -> Fault {
        let at = self.columns.iter().position(|c| c == column);
        Fault {
            line: self.line,
            column: at.map_or(0, |i| i as u64 + 1),
            field: column.to_owned(),
            detail,
        }
    }

    fn cell(&self, column: &str) -> &str {
        let at = self.columns.iter().position(|c| c == column);
        at.and_then(|i| self.cells.get(i)).map_or("", String::as_str)
    }

    /// A cell that may be empty.
    pub(super) fn optional(&self, column: &str) -> Result<Option<String>, Fault> {
        let text = self.cell(column);
        if text.chars().count() > MAX_TEXT {
            return Err(self.fault(column, format!("longer than {MAX_TEXT} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(self.fault(column, "has control characters".to_owned()));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// A cell that must have something in it.
    pub(super) fn required(&self, column: &str) -> Result<String, Fault> {
        self.optional(column)?
            .ok_or_else(|| self.fault(column, "is empty".to_owned()))
    }

    /// A whole number, or nothing.
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
