//! Which boot loaders worked on which NICs.

use serde::{Deserialize, Serialize};

use crate::id::Mac;

/// `GET /v1/loaders`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderOverview {
    /// By NIC model: PCI ids first, then OUIs.
    pub models: Vec<LoaderModel>,
    /// NICs on which the first loader of the list failed; bounded.
    pub nics: Vec<NicLoaders>,
}

/// Results of the loaders on NICs of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderModel {
    /// PCI vendor and device, "8086:10d3"; or the first three bytes of the MAC, "52:54:00".
    pub model: String,
    /// "pci" or "oui".
    pub kind: String,
    /// Loaders with results.
    pub loaders: Vec<LoaderTally>,
}

/// On how many NICs a loader worked and failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderTally {
    /// Name of its file.
    pub loader: String,
    /// NICs that boot with it.
    pub worked: u32,
    /// NICs that fetched it completely and got no further.
    pub failed: u32,
}

/// Results of the loaders on one NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicLoaders {
    /// The NIC.
    pub mac: Mac,
    /// PCI vendor and device, once reported.
    pub model: Option<String>,
    /// File of the loader that got it to its boot script.
    pub worked: Option<String>,
    /// Loaders that failed; empty once one worked.
    pub failed: Vec<LoaderFailure>,
    /// A sentence, if the outcome is unusual.
    pub sentence: Option<String>,
}

/// A loader that is not offered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderFailure {
    /// Name of its file.
    pub loader: String,
    /// "refused" (fetched completely, then the firmware asked again at once, as with Secure Boot) or
    /// "no-progress".
    pub reason: String,
}
