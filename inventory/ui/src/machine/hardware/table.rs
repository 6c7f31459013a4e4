//! Tables of the hardware tab: the heading of each column and the text of its cells.

use std::fmt::Display;

use crate::page::or_dash;

/// Rows shown per table: a report may have thousands.
pub(crate) const MAX_ROWS: usize = 256;

pub(crate) struct TableView {
    /// Id of its section, for links.
    pub(crate) anchor: &'static str,
    pub(crate) title: &'static str,
    /// Remark beside the title; by default the number of rows.
    pub(crate) note: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<TableRow>,
    /// Text shown if there are no rows.
    pub(crate) empty: &'static str,
}

pub(crate) struct TableRow {
    /// Whether it is shown dim, such as an empty slot or a port without link.
    pub(crate) dim: bool,
    cells: Vec<String>,
}

impl TableRow {
    /// Each cell with the heading of its column.
    pub(crate) fn cells<'a>(&'a self, columns: &[&'static str]) -> Vec<(&'static str, &'a String)> {
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

    /// Drops the rows that are too many, and says so.
    pub(super) fn shorten(&mut self) {
        if self.rows.len() > MAX_ROWS {
            self.note = format!("the first {MAX_ROWS} of {} are shown", self.rows.len());
            self.rows.truncate(MAX_ROWS);
        }
    }
}

/// The text; a dash if absent.
pub(super) fn text(value: &Option<String>) -> String {
    or_dash(value.as_ref())
}

/// The first text, else the second, else a dash.
pub(super) fn either(first: &Option<String>, second: &Option<String>) -> String {
    or_dash(first.as_ref().or(second.as_ref()))
}

/// `yes` or `no`; a dash if absent.
pub(super) fn word(value: Option<bool>, yes: &str, no: &str) -> String {
    or_dash(value.map(|value| if value { yes } else { no }))
}

/// The number with its unit; a dash if absent.
pub(super) fn measure(value: Option<impl Display>, unit: &str) -> String {
    or_dash(value.map(|value| format!("{value} {unit}")))
}

/// "NVMe, SSD": the words that are there; a dash for none.
pub(super) fn list<S: AsRef<str>>(words: impl IntoIterator<Item = Option<S>>) -> String {
    let mut all = String::new();
    for word in words.into_iter().flatten() {
        let comma = if all.is_empty() { "" } else { ", " };
        all.extend([comma, word.as_ref()]);
    }
    or_dash(Some(all).filter(|all| !all.is_empty()))
}
