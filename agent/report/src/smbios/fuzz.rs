//! Any bytes as a table.

use super::super::Problems;
use super::super::harmless::assert_harmless;
use super::entry::{Announced, EntryPoint};
use super::fill;
use super::table::Table;

/// A table alone, a 2.x table with an announced size, and a table after its own entry point.
pub(crate) fn door(bytes: &[u8]) {
    let announced = Announced {
        bytes: bytes.len(),
        structures: 40,
    };
    let legacy = EntryPoint {
        version: Some((2, 7)),
        announced: Some(announced),
        most: None,
        ends_at_marker: false,
    };
    let mut entries = vec![(EntryPoint::NONE, bytes), (legacy, bytes)];
    if let Some((head, table)) = bytes.split_at_checked(0x20)
        && let Ok(entry) = EntryPoint::parse(head)
    {
        entries.push((entry, table));
    }
    for (entry, bytes) in entries {
        let mut problems = Problems::new("smbios");
        let table = Table::parse(bytes, entry, &mut problems);
        assert_harmless(|report| fill(&table, &mut problems, report));
    }
}
