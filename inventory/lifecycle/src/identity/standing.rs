//! What follows from a report for the enrolment it came through. Everything in a report is a claim: a
//! stranger can send the serial number, the UUID and the MACs of any machine. So a report alone never puts
//! its sender in another machine's place. Two enrolments are one machine if each booted from a MAC that the
//! other's report lists, or if both have the same TPM key, which is on no label and in no packet. Otherwise a
//! user decides.

use inventory_api::{MachineId, UnixMs};

use super::recognise::{Change, Known, Recognition, Share, changed, compare, recognise};
use super::{Field, Identity};

/// Another machine that the report may come from: it shares a value with the report, or has one of its MACs.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which.
    pub machine: MachineId,
    /// Its identity; `None` if it booted but never reported.
    pub identity: Option<Identity>,
    /// When its boot or its agent was last heard.
    pub heard: Option<UnixMs>,
    /// The report lists a MAC from which this machine fetched a boot script.
    pub lists_its_mac: bool,
    /// This machine's newest report lists a MAC from which the sender fetched its boot script.
    pub lists_ours: bool,
}

impl Candidate {
    /// Whether each booted from a NIC that the other reports.
    fn mutual(&self) -> bool {
        self.lists_its_mac && self.lists_ours
    }
}

/// What is known when a report arrives.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// Earlier identity of the enrolment; `None` for its first report.
    pub own: Option<&'a Identity>,
    /// Identity in this report.
    pub seen: &'a Identity,
    /// Other machines.
    pub candidates: &'a [Candidate],
    /// When the reporting system started to boot; `None` if unknown (it runs from its disk).
    pub booted: Option<UnixMs>,
    /// Now.
    pub now: UnixMs,
    /// A running machine is heard at least once within this many seconds, which is longer than an agent's
    /// long poll.
    pub silence_seconds: u64,
}

/// Who the sender of a report is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The machine of its certificate, or a new one.
    Itself {
        /// What changed in it.
        changes: Vec<Change>,
        /// What it shares with other machines.
        shares: Vec<Share>,
    },
    /// A known machine, booted from another NIC, which its own report named.
    Another {
        /// Which.
        machine: MachineId,
        /// What changed in it.
        changes: Vec<Change>,
    },
    /// It claims to be a known machine, booted from a NIC which that one never reported. It is held until
    /// that one boots from a known MAC and reports the new NIC, or until a user decides. The known machine is
    /// not touched.
    Provisional {
        /// Which.
        machine: MachineId,
    },
    /// It claims the identity of others.
    Conflict {
        /// Which others.
        with: Vec<MachineId>,
    },
    /// It is not the machine whose NIC or certificate it uses.
    Mismatch,
    /// It is not yet known whether the other one is running.
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
            // A machine is silent while it boots.
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
    // A machine that never reported takes its identity from its first report.
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
            // Without serial numbers, naming each other's NIC is enough if nothing else differs.
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

/// Whether a known machine's report proves that a held newcomer (see [`Standing::Provisional`]) is this
/// machine under another NIC: it lists the MAC that the newcomer booted from, the newcomer's report listed
/// one of its MACs, and their identities still agree. `identity` is the newcomer's.
pub fn settles(seen: &Identity, identity: &Identity, lists_its_mac: bool, lists_ours: bool) -> bool {
    lists_its_mac && lists_ours && compare(identity, seen).claims()
}
