//! Serial numbers that more than one part of the fleet claims.

use std::collections::{BTreeMap, BTreeSet};

use super::text::normal;

/// Shorter serial numbers are slot numbers and such.
const SHORTEST: usize = 4;
/// A serial number that one machine has in so many places is its firmware's filler.
const FILLER: usize = 3;

/// One part of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetPart {
    /// The machine it is in.
    pub machine: String,
    /// Kind of part: "dimm", "disk", "psu", ...
    pub kind: String,
    /// Slot, bay or port.
    pub place: String,
    /// Maker, where it is known.
    pub maker: Option<String>,
    /// Part number or model, where it is known.
    pub part: Option<String>,
    /// Serial number.
    pub serial: String,
}

/// A serial number that several parts claim: one of them is mislabelled or forged, or a part was counted in two machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateSerial {
    /// Kind of part.
    pub kind: String,
    /// Part number or model, where it is known.
    pub part: Option<String>,
    /// The serial number as the first of them writes it.
    pub serial: String,
    /// Machine and place of each, sorted.
    pub holders: Vec<(String, String)>,
}

/// Duplicate serial numbers among the parts of a fleet, by kind and serial number. Parts of other makers or models may have
/// the same one. One disk that one machine sees twice (multipath, namespaces) is one disk.
pub fn duplicate_serials(parts: &[FleetPart]) -> Vec<DuplicateSerial> {
    let mut claims: BTreeMap<(String, String, String), Vec<&FleetPart>> = BTreeMap::new();
    for part in parts {
        let serial = normal(&part.serial);
        if serial.chars().count() >= SHORTEST {
            let make = part.part.as_deref().or(part.maker.as_deref()).map(normal);
            let key = (part.kind.clone(), serial, make.unwrap_or_default());
            claims.entry(key).or_default().push(part);
        }
    }
    claims
        .into_values()
        .filter_map(|parts| {
            let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for part in &parts {
                places
                    .entry(part.machine.as_str())
                    .or_default()
                    .insert(part.place.as_str());
            }
            let first = parts.first()?;
            if first.kind == "disk" {
                for there in places.values_mut() {
                    *there = there.iter().take(1).copied().collect();
                }
            }
            let filler = places.values().any(|there| there.len() >= FILLER);
            let holders: Vec<(String, String)> = places
                .iter()
                .flat_map(|(machine, there)| {
                    there
                        .iter()
                        .map(|place| ((*machine).to_owned(), (*place).to_owned()))
                })
                .collect();
            (holders.len() > 1 && !filler).then(|| DuplicateSerial {
                kind: first.kind.clone(),
                part: first.part.clone(),
                serial: first.serial.clone(),
                holders,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(machine: &str, kind: &str, place: &str, model: &str, serial: &str) -> FleetPart {
        FleetPart {
            machine: machine.into(),
            kind: kind.into(),
            place: place.into(),
            maker: None,
            part: Some(model.into()),
            serial: serial.into(),
        }
    }

    #[test]
    fn one_serial_in_two_machines_or_slots_is_found() {
        let found = duplicate_serials(&[
            part("m-1", "dimm", "A1", "M393", "9C3A12F0"),
            part("m-2", "dimm", "B4", "M393", "9c3a12f0 "),
            part("m-2", "dimm", "B5", "M393", "9C3A12F1"),
            part("m-3", "dimm", "A1", "M393", "77777777"),
            part("m-3", "dimm", "A2", "M393", "77777777"),
        ]);
        let told: Vec<_> = found
            .iter()
            .map(|d| (d.serial.as_str(), d.holders.len()))
            .collect();
        assert_eq!(told, [("77777777", 2), ("9C3A12F0", 2)]);
        assert_eq!(
            found[1].holders,
            [("m-1".into(), "A1".into()), ("m-2".into(), "B4".into())]
        );
    }

    #[test]
    fn what_only_looks_alike_is_none() {
        let found = duplicate_serials(&[
            part("m-1", "dimm", "A1", "M393", "9C3A12F0"),
            // Another make, another kind.
            part("m-2", "dimm", "A1", "HMA8", "9C3A12F0"),
            part("m-2", "disk", "sda", "M393", "9C3A12F0"),
            // Two paths to one disk.
            part("m-3", "disk", "sda", "ST4000", "Z1Z2Z3Z4"),
            part("m-3", "disk", "sdb", "ST4000", "Z1Z2Z3Z4"),
            // What firmware writes into every slot.
            part("m-4", "dimm", "A1", "M393", "DIMMSER"),
            part("m-4", "dimm", "A2", "M393", "DIMMSER"),
            part("m-4", "dimm", "A3", "M393", "DIMMSER"),
            part("m-5", "dimm", "A3", "M393", "DIMMSER"),
            part("m-5", "psu", "1", "P", "1"),
            part("m-6", "psu", "1", "P", "1"),
        ]);
        assert_eq!(found, []);
    }
}
