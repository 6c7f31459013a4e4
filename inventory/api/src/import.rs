//! What an import of orders, hardware profiles or racks did: `POST /v1/{orders,profiles,racks}`.

use serde::{Deserialize, Serialize};

/// What an import did. A file is taken whole or not at all: a refused one is a [`crate::Problem`] that names each bad
/// row by line and column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// "orders", "profiles" or "racks".
    pub kind: String,
    /// Entries that were not there before.
    pub added: u32,
    /// Entries that were there and are different now.
    pub changed: u32,
    /// Entries that were there as they are.
    pub unchanged: u32,
    /// The added and changed ones in words, the first hundred.
    pub entries: Vec<ImportedEntry>,
    /// Machines whose newest report was checked again because of it.
    pub rechecked: u32,
    /// Machines that are still to be checked again because of it: `GET /v1/rechecks` tells how many are left.
    #[serde(default)]
    pub pending: u32,
    /// What is odd but no reason to refuse, e.g. an item whose hardware profile is not known yet.
    pub remarks: Vec<String>,
}

/// One entry of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedEntry {
    /// Which, e.g. "PO-7" or "R1 A07 unit 12".
    pub name: String,
    /// What became of it.
    pub what: Imported,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Imported {
    /// New.
    Added,
    /// Different from before.
    Changed,
}

/// What a removal took away: `DELETE /v1/orders/{number}`, `/v1/hardware-profiles/{name}`, `/v1/racks/{room}/{rack}` and
/// `/v1/racks/{room}/{rack}/{unit}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The entries, e.g. "PO-7" or "R1 A07 unit 12".
    pub removed: Vec<String>,
}

/// `GET /v1/rechecks`: machines that are checked again in the background, because what is expected of them changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rechecks {
    /// Machines that are still to be checked again.
    pub left: u32,
}
