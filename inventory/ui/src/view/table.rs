//! Tables of the hardware tab: the heading of each column and the text of its cells.

use super::or_dash;

/// A table.
pub struct TableView {
    /// Id of its section, for links.
    pub anchor: &'static str,
    /// Heading.
    pub title: &'static str,
    /// Remark beside the heading; by default the number of rows.
    pub note: String,
    /// Column headings.
    pub columns: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<TableRow>,
    /// Text shown if there are no rows.
    pub empty: &'static str,
}

/// A row of texts.
pub struct TableRow {
    /// Whether it is shown dim, such as an empty slot or a port without link.
    pub dim: bool,
    cells: Vec<String>,
}

impl TableRow {
    /// Each cell with the heading of its column.
    pub fn cells<'a>(&'a self, columns: &[&'static str]) -> Vec<(&'static str, &'a String)> {
        columns.iter().copied().zip(&self.cells).collect()
    }
}

/// A heading, and the function that makes its cells.
type Column<T> = (&'static str, fn(&T) -> String);

impl TableView {
    /// One row per thing.
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

    /// Sets which rows are dim.
    pub(super) fn dim(mut self, dim: impl Iterator<Item = bool>) -> TableView {
        for (row, dim) in self.rows.iter_mut().zip(dim) {
            row.dim = dim;
        }
        self
    }
}

/// The text; a dash if absent.
pub(super) fn text(value: &Option<String>) -> String {
    or_dash(value.as_ref())
}

/// `yes` or `no`; a dash if absent.
pub(super) fn word(value: Option<bool>, yes: &str, no: &str) -> String {
    or_dash(value.map(|value| if value { yes } else { no }))
}
