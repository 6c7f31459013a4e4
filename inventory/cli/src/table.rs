//! Tables for a terminal: aligned by display width, without colour or frame.

use unicode_width::UnicodeWidthStr as _;

use words::text::tame;

/// Longer cells are cut to this length.
const MAX_CELL: usize = 100;

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
    pub(crate) fn of<T, C: IntoIterator<Item: AsRef<str>>>(
        heading: &[&str],
        things: impl IntoIterator<Item = T>,
        cells: impl Fn(T) -> C,
    ) -> Table {
        let mut table = Table::new(heading);
        things.into_iter().for_each(|thing| table.row(cells(thing)));
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
            self.rows
                .iter()
                .filter_map(|r| r.get(column))
                .map(|c| c.width())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width - cell.width() + 2));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}
