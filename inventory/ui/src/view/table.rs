//! Tables of the hardware tab: what each column is called and how a cell of it reads.

use super::or_dash;

/// A table.
pub struct TableView {
    /// Section.
    pub anchor: &'static str,
    /// Heading.
    pub title: &'static str,
    /// A sum.
    pub note: String,
    /// Column headings.
    pub columns: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<TableRow>,
    /// What stands there without rows.
    pub empty: &'static str,
}

/// A row; dim for what is not there.
pub struct TableRow {
    /// Not populated.
    pub dim: bool,
    cells: Vec<String>,
}

impl TableRow {
    /// Each cell with the heading of its column.
    pub fn cells<'a>(&'a self, columns: &[&'static str]) -> Vec<(&'static str, &'a String)> {
        columns.iter().copied().zip(&self.cells).collect()
    }
}

/// A heading, and how the cell below it reads.
type Column<T> = (&'static str, fn(&T) -> String);

impl TableView {
    /// A row for each of these things.
    pub(super) fn new<T>(
        anchor: &'static str,
        title: &'static str,
        things: impl IntoIterator<Item = T>,
        columns: &[Column<T>],
    ) -> TableView {
        let row = |thing| TableRow {
            dim: false,
            cells: columns.iter().map(|(_, cell)| cell(&thing)).collect(),
        };
        let rows: Vec<TableRow> = things.into_iter().map(row).collect();
        TableView {
            anchor,
            title,
            note: rows.len().to_string(),
            columns: columns.iter().map(|(heading, _)| *heading).collect(),
            rows,
            empty: "",
        }
    }

    /// Which of the rows are dim.
    pub(super) fn dim(mut self, dim: impl Iterator<Item = bool>) -> TableView {
        for (row, dim) in self.rows.iter_mut().zip(dim) {
            row.dim = dim;
        }
        self
    }
}

/// A text, or a dash.
pub(super) fn text(value: &Option<String>) -> String {
    or_dash(value.as_ref())
}

/// One word or the other, or a dash.
pub(super) fn word(value: Option<bool>, yes: &str, no: &str) -> String {
    or_dash(value.map(|value| if value { yes } else { no }))
}
