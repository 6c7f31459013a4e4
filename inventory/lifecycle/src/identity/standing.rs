//! What follows from a report for the enrolment that it came through. Everything in a report is a claim: a stranger may
//! send the serial number, the UUID and the MACs of any machine. So a report never gives its sender another machine's place by
//! itself. Two enrolments are one machine when each was heard by a MAC that the other's report lists, or when both have the
//! same TPM key, which stands on no label and in no packet. Otherwise a person decides.

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
    /// The report lists a MAC by which this machine fetched a boot script.
    pub lists_its_mac: bool,
    /// This machine's own newest report lists a MAC by which the sender fetched its boot script.
    pub lists_ours: bool,
}

impl Candidate {
    /// Each has been heard by a NIC that the other says it has.
    fn mutual(&self) -> bool {
        self.lists_its_mac && self.lists_ours
    }
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
    },
    /// A machine that is known, under another NIC of it, which its own report named.
    Another {
        /// Which.
        machine: MachineId,
        /// What changed in it.
        changes: Vec<Change>,
    },
    /// It says that it is a machine that is known, under a NIC which that one has never reported. It is held until that one boots
    /// by a MAC it is known by and its report lists the new NIC, or until a person decides. The known machine is not touched.
    Provisional {
        /// Which.
        machine: MachineId,
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
    // Who never reported says by its own report who it is.
    let reported: Vec<(&Candidate, &Identity, Presence)> = situation
        .candidates
        .iter()
        .filter_map(|c| Some((c, c.identity.as_ref()?, situation.presence(c))))
        .collect();
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
        Recognition::New { shares } => {
            // Machines without serial numbers: that both name each other's NIC is enough where nothing else differs.
            let nameless = reported.iter().find(|(candidate, identity, presence)| {
                own.is_none()
                    && candidate.mutual()
                    && *presence != Presence::Alive
                    && compare(identity, seen).differ.iter().all(|f| *f == Field::Nics)
            });
            match nameless {
                Some((candidate, _, Presence::Unsure)) => Standing::Undecided {
                    machine: candidate.machine.clone(),
                },
                Some((candidate, identity, _)) => Standing::Another {
                    machine: candidate.machine.clone(),
                    changes: changed(identity, seen),
                },
                None => Standing::Itself {
                    changes: own.map(|own| changed(own, seen)).unwrap_or_default(),
                    shares,
                },
            }
        }
        Recognition::Conflict { with } => Standing::Conflict { with },
        Recognition::Same { machine, changes, .. } => {
            let known = reported
                .iter()
                .find(|(candidate, ..)| candidate.machine == machine);
            let proven = known.is_some_and(|(candidate, identity, _)| {
                candidate.mutual() || compare(identity, seen).agree.contains(&Field::Tpm)
            });
            match known {
                Some(_) if own.is_none() && proven => Standing::Another { machine, changes },
                Some((candidate, ..)) if own.is_none() && candidate.lists_its_mac => {
                    Standing::Provisional { machine }
                }
                Some(_) | None => Standing::Conflict { with: vec![machine] },
            }
        }
    }
}

/// Whether a known machine's report settles that a held newcomer (see [`Standing::Provisional`]) is this machine under another
/// NIC: it lists the MAC that the newcomer booted from, the newcomer's report listed one of its own, and who they say they are
/// still agrees. `identity` is the newcomer's.
pub fn settles(seen: &Identity, identity: &Identity, lists_its_mac: bool, lists_ours: bool) -> bool {
    lists_its_mac && lists_ours && compare(identity, seen).claims()
}
