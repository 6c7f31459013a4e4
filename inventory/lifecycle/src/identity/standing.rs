//! What follows from a report for the enrolment that it came through. Everything in a report is a claim: a stranger may
//! send the serial number and UUID of any machine. So a report never gives its sender another machine's place, unless the
//! sender knows what already gives that place to whoever boots: one of its MACs (or the TPM key, which is not on any label).

use inventory_api::{MachineId, UnixMs};

use super::recognise::{Change, Known, Recognition, Share, changed, compare, recognise};
use super::{Field, Identity};

/// Another machine that a report may come from: it shares a value with it, or has one of its MACs.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which.
    pub machine: MachineId,
    /// Who it said it was; `None`: it booted and has never reported.
    pub identity: Option<Identity>,
    /// When it was heard last: its boot, its agent.
    pub heard: Option<UnixMs>,
    /// The report lists a MAC that this machine booted from or reported.
    pub lists_its_mac: bool,
}

/// What is known when a report comes.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// Who the enrolment said it was before; `None`: its first report.
    pub own: Option<&'a Identity>,
    /// Who this report says it is.
    pub seen: &'a Identity,
    /// The others.
    pub candidates: &'a [Candidate],
    /// When the system that sent the report began to boot; `None`: not known (it runs from its disk).
    pub booted: Option<UnixMs>,
    /// Now.
    pub now: UnixMs,
    /// A machine that lives is heard at least once in so many seconds: longer than agents hold a question.
    pub silence_seconds: u64,
}

/// Who the sender of a report is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The machine that its certificate says, or a new one.
    Itself {
        /// What changed in it.
        changes: Vec<Change>,
        /// What it has from other machines.
        shares: Vec<Share>,
        /// Enrolments that are this machine under another NIC: they booted, never reported, and are silent.
        other_nics: Vec<MachineId>,
    },
    /// A machine that is known, under a NIC that it had not booted from before.
    Another {
        /// Which.
        machine: MachineId,
        /// What changed in it.
        changes: Vec<Change>,
    },
    /// It claims who others are.
    Conflict {
        /// Which others.
        with: Vec<MachineId>,
    },
    /// It is not the machine whose NIC or certificate it uses.
    Mismatch,
    /// Whether the other one lives is known a moment later.
    Undecided {
        /// Which other.
        machine: MachineId,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Alive,
    Unsure,
    Silent,
}

impl Situation<'_> {
    fn presence(&self, candidate: &Candidate) -> Presence {
        let Some(heard) = candidate.heard else {
            return Presence::Silent;
        };
        let recent = self.now.since(heard) < self.silence_seconds.saturating_mul(1000);
        match self.booted {
            // One machine does not speak while it boots.
            Some(booted) if heard > booted => Presence::Alive,
            Some(_) if recent => Presence::Unsure,
            None if recent => Presence::Alive,
            Some(_) | None => Presence::Silent,
        }
    }
}

/// Decides who sent a report.
pub fn standing(situation: &Situation<'_>) -> Standing {
    let seen = situation.seen;
    let own = situation.own.filter(|own| !own.is_empty());
    if own.is_some_and(|own| compare(own, seen).tells_apart()) {
        return Standing::Mismatch;
    }
    let mut other_nics = Vec::new();
    let mut reported = Vec::new();
    for candidate in situation.candidates {
        let presence = situation.presence(candidate);
        match &candidate.identity {
            Some(identity) => reported.push((candidate, identity, presence)),
            None if !candidate.lists_its_mac => {}
            None => match presence {
                Presence::Silent => other_nics.push(candidate.machine.clone()),
                Presence::Unsure => {
                    return Standing::Undecided {
                        machine: candidate.machine.clone(),
                    };
                }
                // Its own report will say who it is.
                Presence::Alive => {}
            },
        }
    }
    let ask = |unsure_lives: bool| {
        let known: Vec<Known> = reported
            .iter()
            .map(|(candidate, identity, presence)| Known {
                machine: candidate.machine.clone(),
                identity: (*identity).clone(),
                alive: match presence {
                    Presence::Alive => true,
                    Presence::Unsure => unsure_lives,
                    Presence::Silent => false,
                },
            })
            .collect();
        recognise(&known, seen)
    };
    let recognition = ask(false);
    if recognition != ask(true)
        && let Some((candidate, ..)) = reported.iter().find(|(.., p)| *p == Presence::Unsure)
    {
        return Standing::Undecided {
            machine: candidate.machine.clone(),
        };
    }
    match recognition {
        Recognition::New { shares } => Standing::Itself {
            changes: own.map(|own| changed(own, seen)).unwrap_or_default(),
            shares,
            other_nics,
        },
        Recognition::Conflict { with } => Standing::Conflict { with },
        Recognition::Same { machine, changes, .. } => {
            let knows_its_place = reported.iter().any(|(candidate, identity, _)| {
                candidate.machine == machine
                    && (candidate.lists_its_mac || compare(identity, seen).agree.contains(&Field::Tpm))
            });
            if own.is_none() && knows_its_place {
                Standing::Another { machine, changes }
            } else {
                Standing::Conflict { with: vec![machine] }
            }
        }
    }
}
