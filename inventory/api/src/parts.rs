//! Parts and their history: `GET /v1/parts/{serial}`.

use serde::{Deserialize, Serialize};

use crate::id::{MachineId, UnixMs};
use crate::words::wire_word;

/// What kind of thing a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// The chassis.
    Chassis,
    /// The base board.
    Board,
    /// A processor.
    Cpu,
    /// A memory module.
    Dimm,
    /// A disk.
    Disk,
    /// A network port; its serial is its permanent MAC.
    Nic,
    /// A GPU or another accelerator.
    Gpu,
    /// A power supply.
    Psu,
    /// Sent by a newer server.
    #[serde(other)]
    Unknown,
}

wire_word!(PartKind);

impl PartKind {
    /// Whether it can be replaced while the machine runs.
    pub fn hot_pluggable(self) -> bool {
        matches!(self, PartKind::Disk | PartKind::Psu)
    }
}

/// One part that has a serial number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartLife {
    /// What it is.
    pub kind: PartKind,
    /// Serial number as reported; for a NIC its permanent MAC.
    pub serial: String,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Part number or model.
    pub model: Option<String>,
    /// Where the newest reports show it; two entries if two machines show the same serial number.
    pub seen_in: Vec<PartPlace>,
    /// Two machines show it at once: one part or the serial number is not genuine.
    pub duplicate: bool,
    /// Its history, newest first, bounded.
    pub events: Vec<PartEvent>,
}

/// Where a part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartPlace {
    /// The machine.
    pub machine: MachineId,
    /// Slot, bay or port.
    pub place: String,
    /// Since when it has been there without interruption.
    pub since: UnixMs,
    /// When a report last showed it there.
    pub seen_at: UnixMs,
}

/// One event in a part's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEvent {
    /// When the report arrived.
    pub at: UnixMs,
    /// The machine.
    pub machine: MachineId,
    /// What happened.
    pub what: PartEventKind,
    /// Where it is now, or was when it was removed.
    pub place: String,
    /// Where it was before, if it moved inside its machine.
    pub from_place: Option<String>,
    /// The machine it was last seen in, if that was another one.
    pub from_machine: Option<MachineId>,
    /// Nonce of the report that showed it.
    pub report: String,
}

/// What happened to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartEventKind {
    /// Seen in this machine for the first time.
    Installed,
    /// In another slot of the same machine.
    Moved,
    /// No longer in this machine.
    Removed,
    /// Back in a machine it had been removed from.
    Returned,
    /// Seen while it was also in another machine.
    Duplicate,
    /// Sent by a newer server.
    #[serde(other)]
    Unknown,
}

wire_word!(PartEventKind);

/// A part of this machine that is also in another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicatePart {
    /// What it is.
    pub kind: PartKind,
    /// Serial number.
    pub serial: String,
    /// Where it is in this machine.
    pub place: String,
    /// The other machine.
    pub other: MachineId,
    /// Where it is there.
    pub other_place: String,
}
