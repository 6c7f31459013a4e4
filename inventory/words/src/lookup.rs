//! What was found under a typed or scanned text, in a sentence.

use inventory_api::MachineId;
use inventory_api::lookup::Lookup;

use crate::text::listed;

/// What `key` stands for.
pub fn sentence(key: &str, found: &Lookup) -> String {
    match found {
        Lookup::Machine { id } => format!("{key} is machine {id}."),
        Lookup::Machines { ids } => format!(
            "{} machines reported {key}: {}. Name one by its id or MAC.",
            ids.len(),
            names(ids)
        ),
        Lookup::Place { place } => format!("{key} has not reported yet. It belongs in {}.", place.name()),
        Lookup::Part { seen_in, .. } if seen_in.is_empty() => {
            format!("{key} is a part, not a machine. No machine has it now.")
        }
        Lookup::Part { seen_in, .. } => {
            format!("{key} is a part, not a machine. It is in {}.", names(seen_in))
        }
        Lookup::Unknown => format!("{key} is of a kind that this version does not know: update slipway."),
    }
}

fn names(ids: &[MachineId]) -> String {
    listed(&ids.iter().map(MachineId::as_str).collect::<Vec<_>>(), "")
}

#[cfg(test)]
mod tests {
    use inventory_api::delivery::Placement;
    use inventory_api::parts::PartKind;

    use super::*;

    #[test]
    fn each_kind_has_its_sentence() {
        let id = |n: u8| format!("m-0000000000{n:02}").parse::<MachineId>().unwrap();
        let part = |seen_in| Lookup::Part {
            part: PartKind::Disk,
            serial: "S3Z8".to_owned(),
            seen_in,
        };
        let place = Placement {
            room: "R1".to_owned(),
            rack: "A07".to_owned(),
            unit: 12,
            node: Some("2".to_owned()),
            ..Placement::default()
        };
        let table = [
            (Lookup::Machine { id: id(1) }, format!("K is machine {}.", id(1))),
            (
                Lookup::Machines {
                    ids: vec![id(1), id(2)],
                },
                format!(
                    "2 machines reported K: {}, {}. Name one by its id or MAC.",
                    id(1),
                    id(2)
                ),
            ),
            (
                Lookup::Place { place },
                "K has not reported yet. It belongs in R1 A07 unit 12 node 2.".to_owned(),
            ),
            (
                part(vec![]),
                "K is a part, not a machine. No machine has it now.".to_owned(),
            ),
            (
                part(vec![id(2)]),
                format!("K is a part, not a machine. It is in {}.", id(2)),
            ),
        ];
        for (found, expected) in table {
            assert_eq!(sentence("K", &found), expected);
        }
    }
}
