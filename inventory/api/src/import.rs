//! Results of importing purchase orders, hardware profiles or racks:
//! `POST /v1/{orders,hardware-profiles,racks}`.

use serde::{Deserialize, Serialize};

/// Result of an import. A file is imported completely or not at all: a refused one is a [`crate::Problem`]
/// that names each bad row by line and column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// "orders", "profiles" or "racks".
    pub kind: String,
    /// New entries.
    pub added: u32,
    /// Entries that changed.
    pub changed: u32,
    /// Entries that were there already.
    pub unchanged: u32,
    /// The first hundred added or changed entries.
    pub entries: Vec<ImportedEntry>,
    /// Machines whose newest report was checked again.
    pub rechecked: u32,
    /// Machines still to be checked again: `GET /v1/rechecks` tells how many are left.
    #[serde(default)]
    pub pending: u32,
    /// Remarks that do not prevent the import, e.g. an item whose hardware profile is not known yet.
    pub remarks: Vec<String>,
}

/// One entry of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedEntry {
    /// Name, e.g. "PO-7" or "R1 A07 unit 12".
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

/// What was removed by `DELETE /v1/orders/{number}`, `/v1/hardware-profiles/{name}`,
/// `/v1/racks/{room}/{rack}` and `/v1/racks/{room}/{rack}/{unit}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The entries, e.g. "PO-7" or "R1 A07 unit 12".
    pub removed: Vec<String>,
}

/// `GET /v1/rechecks`: machines to check again in the background, because their expectation changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rechecks {
    /// Machines still to be checked again.
    pub left: u32,
}

/// Body of `POST /v1/machines/{key}/golden`: makes a hardware profile from the machine's newest report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenProfile {
    /// Name of the profile.
    pub name: String,
    /// Accept a machine that is not healthy; the health rules still apply to machines checked against the
    /// profile.
    #[serde(default)]
    pub accept_unhealthy: bool,
}
