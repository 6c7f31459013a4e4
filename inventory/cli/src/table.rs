//! Tables for a terminal: aligned by display width, without colour or frame.

use unicode_width::UnicodeWidthStr as _;

use words::text::tame;

/// Longer cells are cut to this length.
const MAX_CELL: usize = 100;

/// The heading of a column, and its cell for an item.
pub(crate) type Column<'a, T> = (&'a str, &'a dyn Fn(&T) -> String);

/// The cell of a value that may be absent.
pub(crate) fn cell<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(T::to_string).unwrap_or_default()
}

/// Rows of cells under a heading.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(heading: &[&str]) -> Table {
        Table {
            rows: vec![heading.iter().map(|h| (*h).to_owned()).collect()],
        }
    }

    /// A table with one row per item.
    pub(crate) fn of<T>(things: impl IntoIterator<Item = T>, columns: &[Column<T>]) -> Table {
        let heading: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
        let mut table = Table::new(&heading);
        for thing in things {
            table.row(columns.iter().map(|(_, cell)| cell(&thing)));
        }
        table
    }

    /// Adds a row; an empty cell is shown as "-".
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells = cells.into_iter().map(|c| match c.as_ref() {
            "" => "-".to_owned(),
            text => tame(text, MAX_CELL),
        });
        self.rows.push(cells.collect());
    }

    /// The table after an empty line, or nothing if it has no rows.
    pub(crate) fn part(&self, indent: usize) -> String {
        match self.rows.len() {
            0 | 1 => String::new(),
            _ => format!("\n{}", self.text(indent)),
        }
    }

    /// The table, each line indented by `indent` spaces, without trailing spaces.
    pub fn text(&self, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max()
        };
        let widths: Vec<usize> = (0..columns).filter_map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths);
            let padded = cells.map(|(cell, width)| cell.to_owned() + &" ".repeat(width - cell.width() + 2));
            let line = " ".repeat(indent) + &padded.collect::<String>();
            out += &format!("{}\n", line.trim_end());
        }
        out
    }
}
