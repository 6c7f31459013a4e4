//! The decision: the same machine, a new one, or two that claim one identity.

use std::collections::BTreeSet;
use std::fmt;

use inventory_api::{Mac, MachineId};

use super::facts::{Field, Identity};

/// Weight that claims an identity; it has to come from two fields at least. The heaviest field alone does not reach it.
pub const CLAIM: u32 = 60;

/// A machine that is known.
#[derive(Clone, Debug)]
pub struct Known {
    /// Which.
    pub machine: MachineId,
    /// Who it said it was.
    pub identity: Identity,
    /// It has been heard since the one that reports began to boot: they cannot be one machine.
    pub alive: bool,
}

/// Two identities side by side. The same from both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields that both have and that are equal.
    pub agree: Vec<Field>,
    /// Fields that both have and that differ.
    pub differ: Vec<Field>,
    /// Weight of what agrees. A text that stands in two fields counts once.
    pub weight: u32,
    /// How many fields that weight comes from.
    pub fields: usize,
}

/// What changed in a machine that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another board: with it the UUID, TPM, BMC and on-board NICs may be others.
    Board,
    /// The board is in another chassis.
    Chassis,
    /// The system serial was written anew.
    SystemSerial,
    /// The UUID was changed, as firmware updates do.
    Uuid,
    /// Another TPM, or one that was given a new key.
    Tpm,
    /// Another MAC of the BMC.
    Bmc,
    /// NICs came and went.
    Nics {
        /// No longer there.
        gone: Vec<Mac>,
        /// New.
        came: Vec<Mac>,
    },
}

/// A known machine that has something in common with one that is not it: a part was moved, or a value is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub machine: MachineId,
    /// What they have in common.
    pub fields: Vec<Field>,
}

/// What a report says of who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// A known machine.
    Same {
        /// Which.
        machine: MachineId,
        /// What is not as it was.
        changes: Vec<Change>,
        /// What comes from other machines: the chassis a board was moved into, a card that was in another machine.
        shares: Vec<Share>,
    },
    /// A machine that is not known.
    New {
        /// What comes from other machines.
        shares: Vec<Share>,
    },
    /// It claims the identity of machines that it cannot be, or may not be.
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

/// Puts two identities side by side.
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
    /// Enough agrees, from two fields at least.
    pub fn claims(&self) -> bool {
        self.weight >= CLAIM && self.fields >= 2
    }

    /// So much differs, in two fields at least, that what agrees does not matter: these are two machines.
    pub fn tells_apart(&self) -> bool {
        !self.claims() && self.differ.len() >= 2 && self.differing() >= CLAIM
    }

    fn differing(&self) -> u32 {
        self.differ.iter().map(|field| field.weight()).sum()
    }

    /// Nothing agrees but what a case has.
    fn only_the_case(&self) -> bool {
        let of_case = |field: &Field| matches!(field, Field::System | Field::Chassis);
        self.agree.iter().all(of_case)
    }

    /// Whether one repair explains what differs: the board side or the case side was replaced, not both.
    fn is_one_repair(&self) -> bool {
        let any = |fields: &[Field]| self.differ.iter().any(|f| fields.contains(f));
        let board = any(&[Field::Board, Field::Uuid, Field::Tpm, Field::Bmc]);
        let case = any(&[Field::System, Field::Chassis]);
        !(board && case) || self.weight > self.differing()
    }

    fn judge(&self, alive: bool) -> Pair {
        // A UUID and a TPM key are made to be unique: two that have one cannot be told apart by it any more, which is for a
        // person to look at, though it is no reason to take them for one machine.
        let unique = self.agree.iter().any(|f| matches!(f, Field::Uuid | Field::Tpm));
        if !self.claims() {
            return if unique { Pair::Conflict } else { Pair::Different };
        }
        if self.only_the_case() && !self.differ.is_empty() {
            // Nodes of one enclosure share both serials; a machine whose board was replaced keeps both.
            return if alive { Pair::Different } else { Pair::Same };
        }
        if alive || !self.is_one_repair() {
            Pair::Conflict
        } else {
            Pair::Same
        }
    }
}

/// Who sent a report. The order of `known` does not matter.
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

/// What changed in one machine from one report to the next.
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
            Change::SystemSerial => f.write_str("its system serial was written anew"),
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
