//! CSV for spreadsheets. Text from machines and people must not become a formula there.

use inventory_api::delivery::OrderDelivery;

/// A cell that no spreadsheet takes for a formula: text that begins like one gets a leading apostrophe
/// (OWASP, "CSV Injection"). Control characters become spaces.
pub fn cell(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if clean.trim_start().starts_with(['=', '+', '-', '@', '|', '%']) {
        format!("'{clean}")
    } else {
        clean
    }
}

/// One row per machine of an order that has a rack place, with its status. Then one row per item that has
/// machines without a place.
pub fn delivery(order: &OrderDelivery) -> String {
    let mut out = Sheet::new(&[
        "order",
        "item",
        "room",
        "rack",
        "unit",
        "node",
        "serial",
        "asset_tag",
        "machine",
        "status",
        "findings",
        "first_finding",
    ]);
    let number = &order.order.number;
    for m in &order.machines {
        let p = &m.placement;
        out.row(&[
            number,
            p.item.as_deref().unwrap_or_default(),
            &p.room,
            &p.rack,
            &p.unit.to_string(),
            p.node.as_deref().unwrap_or_default(),
            p.serial.as_deref().unwrap_or_default(),
            p.asset_tag.as_deref().unwrap_or_default(),
            m.machine.as_ref().map_or("", |id| id.as_str()),
            &m.receipt.to_string(),
            &m.findings.to_string(),
            m.finding.as_deref().unwrap_or_default(),
        ]);
    }
    for item in &order.items {
        let placed = order
            .machines
            .iter()
            .filter(|m| m.placement.item.as_deref() == Some(&item.item))
            .count() as u32;
        let unplaced = item.tally.ordered.saturating_sub(placed);
        if unplaced > 0 {
            let note = format!("{unplaced} machines of this item have no place in the rack plan");
            out.row(&[
                number, &item.item, "", "", "", "", "", "", "", "missing", "0", &note,
            ]);
        }
    }
    out.text()
}

struct Sheet {
    writer: csv::Writer<Vec<u8>>,
}

impl Sheet {
    fn new(heading: &[&str]) -> Sheet {
        let mut sheet = Sheet {
            writer: csv::WriterBuilder::new()
                .terminator(csv::Terminator::CRLF)
                .from_writer(Vec::new()),
        };
        sheet.row(heading);
        sheet
    }

    fn row(&mut self, cells: &[&str]) {
        // Writing into memory cannot fail, and every row is as long as the heading.
        let _ = self.writer.write_record(cells.iter().map(|c| cell(c)));
    }

    fn text(self) -> String {
        let bytes = self.writer.into_inner().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Response headers for [`delivery`].
pub const CSV_HEADERS: [(&str, &str); 3] = [
    ("content-type", "text/csv; charset=utf-8"),
    ("content-disposition", "attachment; filename=\"delivery.csv\""),
    ("x-content-type-options", "nosniff"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for evil in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            " =cmd|' /C calc'!A0",
            "\r=1",
            "|x",
            "%0a",
        ] {
            let safe = cell(evil);
            assert!(safe.starts_with('\''), "{evil:?} -> {safe:?}");
            assert!(!safe.chars().any(char::is_control));
        }
        assert_eq!(cell("7XK03Q3"), "7XK03Q3");
        assert_eq!(cell("DIMM A1: 64 GB - gone"), "DIMM A1: 64 GB - gone");
    }
}
