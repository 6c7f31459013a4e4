//! Who sent a report, and what follows if it is not the machine of its certificate.
//! [`lifecycle::identity::standing`] decides; this gathers the facts and carries out the decision in the
//! report's transaction.

use std::collections::BTreeSet;

use inventory_api::agent::{ReportRequest, RunsOn};
use inventory_api::{Mac, MachineId, Problem};
use lifecycle::identity::{
    CLAIM, Candidate, Change, Field, Identity, Share, Situation, Standing, settles, standing,
};
use lifecycle::{Event, IDENTITY_CONFLICT, State};

use crate::Turn;
use crate::machines::facts::macs_of;
use crate::problem::{IDENTITY_UNDECIDED, Result};
use store::{ConflictRow, MachineRow, StoreError};

/// Partial matches with more machines than this come from a filler value, not from parts that were moved.
const PARTS_OF: usize = 5;

/// Who sent the report, and what was done about it.
pub(super) enum Sender {
    /// The machine of its certificate, or a new one: its report is processed.
    Itself,
    /// A known machine under another NIC: it boots again as that machine.
    Another(MachineId),
    /// Perhaps a known machine under another NIC: held until that machine's report confirms it or a person
    /// decides.
    Held(MachineId),
    /// It claims the identity of others. If its state stopped for that, nothing follows from the report.
    Conflict,
    /// Not the machine of its certificate: the report must not replace that machine's own.
    Mismatch,
}

/// Identifies the sender of a report and records what follows.
pub(super) async fn identify(turn: &mut Turn, row: &MachineRow, sent: &ReportRequest) -> Result<Sender> {
    let listed = macs_of(&sent.report);
    let seen = Identity::of(&sent.report);
    let gathered = gather(turn, row, &listed, &seen).await?;
    let situation = Situation {
        own: gathered.own.as_ref(),
        seen: &gathered.seen,
        candidates: &gathered.candidates,
        booted: row.booted_at.filter(|_| sent.runs_on != RunsOn::Installed),
        now: turn.now,
        silence_seconds: turn.core.config.boot.silence_seconds,
    };
    let standing = standing(&situation);
    let mut case = Case {
        turn,
        row,
        listed,
        seen,
    };
    Ok(match standing {
        Standing::Undecided { machine } => return Err(undecided(&row.id, &machine)),
        Standing::Itself { changes, shares } => {
            case.itself(&changes, &shares).await?;
            Sender::Itself
        }
        Standing::Another { machine, changes } => case.another(machine, &changes).await?,
        Standing::Provisional { machine } => {
            case.provisional(&machine).await?;
            Sender::Held(machine)
        }
        Standing::Conflict { with } => {
            case.conflict(&with).await?;
            Sender::Conflict
        }
        Standing::Mismatch => {
            case.mismatch().await?;
            Sender::Mismatch
        }
    })
}

struct Gathered {
    /// As stored, without shared values.
    own: Option<Identity>,
    /// Without shared values.
    seen: Identity,
    candidates: Vec<Candidate>,
}

async fn gather(
    turn: &Turn,
    row: &MachineRow,
    listed: &[Mac],
    seen: &Identity,
) -> Result<Gathered, StoreError> {
    let shared = turn.shared_values().await?;
    let own = turn.identity(&row.id).await?.map(|i| i.without(&shared));
    let seen = seen.without(&shared);
    let mut owners = BTreeSet::new();
    for mac in listed {
        owners.extend(turn.machine_of_mac(*mac).await?);
    }
    let (claimed, in_common): (Vec<_>, Vec<_>) = turn
        .sharers(&seen)
        .await?
        .into_iter()
        .partition(|(_, fields)| may_claim(fields));
    let mut others: BTreeSet<MachineId> = claimed.into_iter().map(|(machine, _)| machine).collect();
    // Partial matches with a few machines may be parts that were moved; with many, a filler that is not known
    // as one yet.
    if in_common.len() <= PARTS_OF {
        others.extend(in_common.into_iter().map(|(machine, _)| machine));
    }
    others.extend(owners.iter().cloned());
    others.remove(&row.id);
    // Do not report a conflict again with each report while it waits for a person.
    for open in turn.open_conflicts_of(&row.id).await? {
        others.remove(&open.machine);
        others.remove(&open.other);
    }
    let mut candidates = Vec::new();
    for machine in others {
        let Some(other) = turn.machine(&machine).await? else {
            continue;
        };
        if other.state == State::Retired {
            continue;
        }
        let heard = [
            turn.core.memory.sessions.get(&machine).last_seen,
            other.last_seen,
            other.booted_at,
        ];
        candidates.push(Candidate {
            identity: turn.identity(&machine).await?.map(|i| i.without(&shared)),
            heard: heard.into_iter().flatten().max(),
            lists_its_mac: owners.contains(&machine),
            lists_ours: turn.reported_any(&machine, &row.macs).await?,
            machine,
        });
    }
    Ok(Gathered {
        own,
        seen,
        candidates,
    })
}

/// Whether the shared fields may be a claim: enough weight for [`lifecycle::identity::recognise`], or a value
/// that is meant to be unique.
fn may_claim(fields: &BTreeSet<Field>) -> bool {
    let weight: u32 = fields.iter().map(|f| f.weight()).sum();
    weight >= CLAIM || fields.contains(&Field::Uuid) || fields.contains(&Field::Tpm)
}

/// A report whose sender is identified.
struct Case<'a> {
    turn: &'a mut Turn,
    row: &'a MachineRow,
    /// The MACs in the report.
    listed: Vec<Mac>,
    /// The identity in the report.
    seen: Identity,
}

impl Case<'_> {
    async fn keep_facts(&mut self) -> Result<(), StoreError> {
        let (id, now) = (&self.row.id, self.turn.now);
        let before = self.turn.identity(id).await?.unwrap_or_default();
        self.turn.put_identity(id, &before.updated(&self.seen), now).await
    }

    async fn itself(&mut self, changes: &[Change], shares: &[Share]) -> Result<()> {
        let id = &self.row.id;
        self.settle().await?;
        let first = self.turn.identity(id).await?.is_none();
        // Record what it shares with other machines only once.
        let words = change_words(changes, if first { shares } else { &[] });
        if !words.is_empty() {
            let detail = words.join("; ");
            self.turn.advance(id, Event::IdentityChanged { detail }).await?;
        }
        Ok(self.keep_facts().await?)
    }

    /// A newcomer claimed to be this machine, which has now booted from a MAC of its own. If its report lists
    /// the newcomer's NIC, the two are one and the conflict is over.
    async fn settle(&mut self) -> Result<()> {
        let id = &self.row.id;
        for open in self.turn.open_conflicts_of(id).await? {
            if open.other != *id || open.machine == *id {
                continue;
            }
            let lists_its_mac = open.boot_mac.is_some_and(|mac| self.listed.contains(&mac));
            let lists_ours = self.turn.reported_any(&open.machine, &self.row.macs).await?;
            if !settles(&self.seen, &open.seen, lists_its_mac, lists_ours) {
                continue;
            }
            let event = Event::Folded {
                into: id.clone(),
                detail: "that machine booted again and reported the NIC that this one had booted from."
                    .to_owned(),
            };
            let newcomer = self.turn.machine(&open.machine).await?;
            if newcomer.is_none_or(|newcomer| !self.takes(&newcomer.state, &event)) {
                continue;
            }
            let how = "it booted from another NIC of this machine.";
            self.turn.merge(&open.machine, id, event, how).await?;
            self.turn.close(&open, "same").await?;
        }
        Ok(())
    }

    fn takes(&self, state: &State, event: &Event) -> bool {
        let limits = &self.turn.core.config.limits;
        lifecycle::transition(state, event, limits, self.turn.now).is_ok()
    }

    async fn another(&mut self, machine: MachineId, changes: &[Change]) -> Result<Sender> {
        let id = &self.row.id;
        let mut changed = change_words(changes, &[]).join("; ");
        if changed.is_empty() {
            changed.push_str("nothing else changed");
        }
        let detail = format!(
            "what it reports agrees, and each has reported a NIC of the other, or both have one TPM key; {changed}."
        );
        let event = Event::Folded {
            into: machine.clone(),
            detail: detail.clone(),
        };
        if !self.takes(&self.row.state, &event) {
            self.conflict(&[machine]).await?;
            return Ok(Sender::Conflict);
        }
        self.turn.merge(id, &machine, event, &detail).await?;
        // The known machine's identity stays as it is: it reports again after its next boot.
        let now = self.turn.now;
        self.turn.put_identity(id, &self.seen, now).await?;
        Ok(Sender::Another(machine))
    }

    /// Stops only the newcomer: whoever merely read a label must not be able to stop the known machine.
    async fn provisional(&mut self, other: &MachineId) -> Result<()> {
        let id = &self.row.id;
        let mac = self.row.macs.first().map(Mac::to_string).unwrap_or_default();
        let known = self.known_as(other).await?;
        let sentence = format!(
            "{id} says that it is {other} under another NIC, {mac}{}. Is it? It is held until {other} boots from a NIC it is \
             known by and reports {mac}, or until a person decides.",
            agreeing(&known, &self.seen)
        );
        self.open(other, known, &sentence).await?;
        let detail = format!("{id} claims to be this machine, on another NIC ({mac}); it is held.");
        self.turn
            .advance(other, Event::IdentityChanged { detail })
            .await?;
        self.turn.advance(id, alarm(&sentence)).await?;
        Ok(self.keep_facts().await?)
    }

    async fn conflict(&mut self, with: &[MachineId]) -> Result<()> {
        let id = &self.row.id;
        for other in with {
            let known = self.known_as(other).await?;
            let sentence = format!(
                "{id} reports what {other} is known by{}. It may be a copy, or the same machine with another NIC.",
                agreeing(&known, &self.seen)
            );
            self.open(other, known, &sentence).await?;
            self.turn.advance(other, alarm(&sentence)).await?;
        }
        let list: Vec<_> = with.iter().map(MachineId::to_string).collect();
        let detail = format!("It claims the identity of {}.", list.join(" and "));
        self.turn.advance(id, alarm(&detail)).await?;
        Ok(self.keep_facts().await?)
    }

    async fn mismatch(&mut self) -> Result<()> {
        let id = &self.row.id;
        let open = self.turn.open_conflicts_of(id).await?;
        if open.iter().any(|c| c.machine == *id && c.other == *id) {
            return Ok(());
        }
        let known = self.known_as(id).await?;
        let sentence =
            "A report in its name shows another machine. A NIC or a disk of it may have been moved there.";
        self.open(id, known, sentence).await?;
        self.turn.advance(id, alarm(sentence)).await?;
        Ok(())
    }

    async fn known_as(&self, id: &MachineId) -> Result<Identity, StoreError> {
        Ok(self.turn.identity(id).await?.unwrap_or_default())
    }

    async fn open(&mut self, other: &MachineId, known: Identity, sentence: &str) -> Result<(), StoreError> {
        tracing::error!(machine = %self.row.id, %other, sentence, "ALARM: one identity is claimed by two");
        let row = ConflictRow {
            id: 0,
            machine: self.row.id.clone(),
            other: other.clone(),
            at: self.turn.now,
            sentence: sentence.to_owned(),
            boot_mac: self.row.macs.first().copied(),
            seen: self.seen.clone(),
            known,
            resolved: None,
        };
        self.turn.add_conflict(&row).await
    }
}

fn alarm(detail: &str) -> Event {
    Event::SecurityAlarm {
        code: IDENTITY_CONFLICT.to_owned(),
        detail: detail.to_owned(),
    }
}

fn agreeing(known: &Identity, seen: &Identity) -> String {
    let comparison = lifecycle::identity::compare(known, seen);
    let words: Vec<_> = comparison.agree.iter().map(|f| f.words()).collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(" ({})", words.join(", "))
    }
}

fn change_words(changes: &[Change], shares: &[Share]) -> Vec<String> {
    let shared = shares.iter().map(|share| {
        let fields: Vec<_> = share.fields.iter().map(|f| f.words()).collect();
        format!("it has the {} of {}", fields.join(" and the "), share.machine)
    });
    changes.iter().map(Change::to_string).chain(shared).collect()
}

fn undecided(id: &MachineId, other: &MachineId) -> Problem {
    IDENTITY_UNDECIDED.because(format!(
        "{id} may be machine {other}, which was heard moments ago: send the report again, until it is clear whether \
         that one lives"
    ))
}
