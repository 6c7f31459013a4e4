//! The errors in a file, each with its place.

use std::fmt;

/// Faults listed per file; there may be one per row.
pub(super) const MAX_FAULTS: usize = 50;

/// An error in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: u64,
    /// Cell of a CSV file or character of a JSON file, from 1. 0: the whole line.
    pub column: u64,
    /// Name of the column or field; may be empty.
    pub field: String,
    /// What is wrong and what was expected.
    pub detail: String,
}

impl Fault {
    /// See the fields.
    pub fn new(line: u64, column: u64, field: impl Into<String>, detail: impl Into<String>) -> Fault {
        Fault {
            line,
            column,
            field: field.into(),
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if self.column > 0 {
            write!(f, ", column {}", self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, " ({})", self.field)?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// The faults of a file: at most [`MAX_FAULTS`], and the number of the rest.
#[derive(Default)]
pub(super) struct Faults {
    named: Vec<Fault>,
    more: usize,
}

impl Faults {
    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    pub(super) fn add(&mut self, fault: Fault) {
        if self.named.len() < MAX_FAULTS {
            self.named.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// The value of a cell. If it has a fault, records that and returns the default.
    pub(super) fn take<T: Default>(&mut self, cell: Result<T, Fault>) -> T {
        cell.unwrap_or_else(|fault| {
            self.add(fault);
            T::default()
        })
    }

    pub(super) fn or<T>(self, value: T) -> Result<T, Vec<Fault>> {
        let mut named = self.named;
        named.sort_by_key(|f| (f.line, f.column));
        let Some(last) = named.last_mut() else {
            return Ok(value);
        };
        if self.more > 0 {
            last.detail.push_str(&format!(" (and {} more errors)", self.more));
        }
        Err(named)
    }
}
