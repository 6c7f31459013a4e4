//! Which loaders worked on which NICs.

use serde::{Deserialize, Serialize};

use crate::id::Mac;

/// `GET /v1/loaders`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderOverview {
    /// What is known by model of NIC: PCI ids first, then OUIs.
    pub models: Vec<LoaderModel>,
    /// NICs on which the first loader of the list did not do; bounded.
    pub nics: Vec<NicLoaders>,
}

/// What became of the loaders on NICs of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderModel {
    /// PCI vendor and device, "8086:10d3"; or the first three bytes of the MAC, "52:54:00".
    pub model: String,
    /// "pci" or "oui".
    pub kind: String,
    /// Each loader of which something is known.
    pub loaders: Vec<LoaderTally>,
}

/// On how many NICs a loader worked, and on how many it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderTally {
    /// Name of its file.
    pub loader: String,
    /// NICs that boot with it.
    pub worked: u32,
    /// NICs that had it whole and did not come further.
    pub failed: u32,
}

/// What became of the loaders on one NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicLoaders {
    /// The NIC.
    pub mac: Mac,
    /// PCI vendor and device, once reported.
    pub model: Option<String>,
    /// File of the loader that brought it to its boot script.
    pub worked: Option<String>,
    /// Loaders that did not; empty after one worked.
    pub failed: Vec<LoaderFailure>,
    /// In a sentence, where it is not as usual.
    pub sentence: Option<String>,
}

/// A loader that is not given again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderFailure {
    /// Name of its file.
    pub loader: String,
    /// "refused" (fetched whole, and the firmware asked again at once, as Secure Boot does) or "no-progress".
    pub reason: String,
}
