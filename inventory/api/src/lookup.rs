//! What a typed or scanned text stands for: `GET /v1/lookup/{key}`.

use serde::{Deserialize, Serialize};

use crate::delivery::Placement;
use crate::id::MachineId;
use crate::parts::PartKind;

/// What a text stands for. Nothing at all is the problem `lookup-nothing` (404).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Lookup {
    /// One machine.
    Machine {
        /// The machine.
        id: MachineId,
    },
    /// Several machines that reported it, at most 20.
    Machines {
        /// The machines.
        ids: Vec<MachineId>,
    },
    /// A place of the rack plan whose machine has not reported yet.
    Place {
        /// The place.
        place: Placement,
    },
    /// One part, or several that show the same serial number.
    Part {
        /// What it is.
        part: PartKind,
        /// Serial number; for a NIC its permanent MAC.
        serial: String,
        /// The machines whose newest reports show it.
        seen_in: Vec<MachineId>,
    },
    /// Sent by a newer server.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_a_newer_server_is_read() {
        let read: Lookup = serde_json::from_str(r#"{"kind":"cable","end":"x"}"#).unwrap();
        assert_eq!(read, Lookup::Unknown);
    }
}
