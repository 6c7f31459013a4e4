//! Decides whether a report comes from a known machine, a new one, or one of two in conflict.

use std::collections::BTreeSet;
use std::fmt;

use inventory_api::{Mac, MachineId};

use super::facts::{Field, Identity};

/// Weight that claims an identity. It must come from at least two fields; the heaviest field alone does not
/// reach it.
pub const CLAIM: u32 = 60;

/// A known machine.
#[derive(Clone, Debug)]
pub struct Known {
    /// Which.
    pub machine: MachineId,
    /// Its identity.
    pub identity: Identity,
    /// It was heard after the reporting machine started to boot, so the two cannot be one machine.
    pub alive: bool,
}

/// Comparison of two identities. Symmetric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields that are present and equal in both.
    pub agree: Vec<Field>,
    /// Fields that are present in both and differ.
    pub differ: Vec<Field>,
    /// Weight of the equal fields. A text in two fields counts once.
    pub weight: u32,
    /// Number of fields that this weight comes from.
    pub fields: usize,
}

/// A change in a recognised machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another board, which may come with another UUID, TPM, BMC and on-board NICs.
    Board,
    /// The board is in another chassis.
    Chassis,
    /// The system serial was rewritten.
    SystemSerial,
    /// The UUID changed, e.g. by a firmware update.
    Uuid,
    /// Another TPM, or a new key.
    Tpm,
    /// Another MAC of the BMC.
    Bmc,
    /// NICs were added or removed.
    Nics {
        /// Removed.
        gone: Vec<Mac>,
        /// New.
        came: Vec<Mac>,
    },
}

/// Another known machine with common facts: a part was moved, or a value is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub machine: MachineId,
    /// The common fields.
    pub fields: Vec<Field>,
}

/// Who sent a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// A known machine.
    Same {
        /// Which.
        machine: MachineId,
        /// What changed.
        changes: Vec<Change>,
        /// What it shares with other machines: the chassis its board moved into, a card from another machine.
        shares: Vec<Share>,
    },
    /// An unknown machine.
    New {
        /// What it shares with other machines.
        shares: Vec<Share>,
    },
    /// It claims the identity of machines that it cannot or may not be.
    Conflict {
        /// Which, by id.
        with: Vec<MachineId>,
    },
}

enum Pair {
    Different,
    Same,
    Conflict,
}

/// Compares two identities.
pub fn compare(a: &Identity, b: &Identity) -> Comparison {
    let mut comparison = Comparison::default();
    for field in Field::ALL {
        match a.agrees(b, field) {
            Some(true) => {
                let again = comparison.agree.iter().any(|seen| a.same_text(*seen, field));
                if !again {
                    comparison.weight += field.weight();
                    comparison.fields += 1;
                }
                comparison.agree.push(field);
            }
            Some(false) => comparison.differ.push(field),
            None => {}
        }
    }
    comparison
}

impl Comparison {
    /// Whether enough agrees, in at least two fields.
    pub fn claims(&self) -> bool {
        self.weight >= CLAIM && self.fields >= 2
    }

    /// Whether so much differs, in at least two fields, that these are two machines whatever else agrees.
    pub(super) fn tells_apart(&self) -> bool {
        !self.claims() && self.differ.len() >= 2 && self.differing() >= CLAIM
    }

    fn differing(&self) -> u32 {
        self.differ.iter().map(|field| field.weight()).sum()
    }

    /// Whether only facts of the case agree.
    fn only_the_case(&self) -> bool {
        let of_case = |field: &Field| matches!(field, Field::System | Field::Chassis);
        self.agree.iter().all(of_case)
    }

    /// Whether one repair explains the differences: the board side or the case side was replaced, not both.
    fn is_one_repair(&self) -> bool {
        let any = |fields: &[Field]| self.differ.iter().any(|f| fields.contains(f));
        let board = any(&[Field::Board, Field::Uuid, Field::Tpm, Field::Bmc]);
        let case = any(&[Field::System, Field::Chassis]);
        !(board && case) || self.weight > self.differing()
    }

    fn judge(&self, alive: bool) -> Pair {
        // UUID and TPM key are meant to be unique. Two machines with the same one are a case for a user,
        // although it is no reason to consider them one machine.
        let unique = self.agree.iter().any(|f| matches!(f, Field::Uuid | Field::Tpm));
        if !self.claims() {
            return if unique { Pair::Conflict } else { Pair::Different };
        }
        if self.only_the_case() && !self.differ.is_empty() {
            // Nodes of one enclosure share both serials, and a machine keeps both when its board is replaced.
            return if alive { Pair::Different } else { Pair::Same };
        }
        if alive || !self.is_one_repair() {
            Pair::Conflict
        } else {
            Pair::Same
        }
    }
}

/// Decides who sent a report. The order of `known` does not matter.
pub fn recognise(known: &[Known], seen: &Identity) -> Recognition {
    let (mut same, mut conflict, mut shares) = (Vec::new(), BTreeSet::new(), Vec::new());
    for known in known {
        let comparison = compare(&known.identity, seen);
        match comparison.judge(known.alive) {
            Pair::Different if comparison.agree.is_empty() => {}
            Pair::Different => shares.push(Share {
                machine: known.machine.clone(),
                fields: comparison.agree,
            }),
            Pair::Same => same.push((known, comparison)),
            Pair::Conflict => {
                conflict.insert(known.machine.clone());
            }
        }
    }
    shares.sort_by(|a, b| a.machine.cmp(&b.machine));
    match same.as_slice() {
        [] if conflict.is_empty() => Recognition::New { shares },
        [(known, comparison)] if conflict.is_empty() => Recognition::Same {
            machine: known.machine.clone(),
            changes: changes(&known.identity, seen, comparison),
            shares,
        },
        _ => {
            // It cannot be two machines: a board of one in the case of another, or copies.
            conflict.extend(same.iter().map(|(known, _)| known.machine.clone()));
            Recognition::Conflict {
                with: conflict.into_iter().collect(),
            }
        }
    }
}

/// The changes of one machine from one report to the next.
pub fn changed(before: &Identity, after: &Identity) -> Vec<Change> {
    changes(before, after, &compare(before, after))
}

fn changes(before: &Identity, after: &Identity, comparison: &Comparison) -> Vec<Change> {
    let differs = |field| comparison.differ.contains(&field);
    let mut changes = Vec::new();
    let only_the_case = !comparison.agree.is_empty() && comparison.only_the_case();
    let board_side = [Field::Board, Field::Uuid, Field::Bmc]
        .iter()
        .filter(|f| differs(**f))
        .count();
    if differs(Field::Board) || board_side >= 2 || (only_the_case && board_side > 0) {
        changes.push(Change::Board);
    } else {
        for (field, change) in [
            (Field::Uuid, Change::Uuid),
            (Field::Tpm, Change::Tpm),
            (Field::Bmc, Change::Bmc),
        ] {
            if differs(field) {
                changes.push(change);
            }
        }
    }
    if differs(Field::Chassis) {
        changes.push(Change::Chassis);
    } else if differs(Field::System) {
        changes.push(Change::SystemSerial);
    }
    if !before.nics.is_empty() && !after.nics.is_empty() && before.nics != after.nics {
        changes.push(Change::Nics {
            gone: before.nics.difference(&after.nics).copied().collect(),
            came: after.nics.difference(&before.nics).copied().collect(),
        });
    }
    changes
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |macs: &[Mac]| macs.iter().map(Mac::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Change::Board => f.write_str("its board was replaced"),
            Change::Chassis => f.write_str("its board is in another chassis"),
            Change::SystemSerial => f.write_str("its system serial was rewritten"),
            Change::Uuid => f.write_str("its SMBIOS UUID was changed, as firmware updates do"),
            Change::Tpm => f.write_str("its TPM was replaced or given a new key"),
            Change::Bmc => f.write_str("its BMC has another MAC"),
            Change::Nics { gone, came } if gone.is_empty() => write!(f, "NIC added: {}", list(came)),
            Change::Nics { gone, came } if came.is_empty() => write!(f, "NIC removed: {}", list(gone)),
            Change::Nics { gone, came } => {
                write!(f, "NIC swapped: {} in place of {}", list(came), list(gone))
            }
        }
    }
}
