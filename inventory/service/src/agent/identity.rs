//! Who sent a report, and what follows if it is not the machine of its certificate.
//! [`lifecycle::identity::standing`] decides; this gathers the facts and carries out the decision in the
//! report's transaction.

use std::collections::BTreeSet;

use inventory_api::agent::{ReportRequest, RunsOn};
use inventory_api::report::AssetReport;
use inventory_api::{Mac, MachineId, Problem, UnixMs};
use lifecycle::identity::{
    CLAIM, Candidate, Change as Changed, Field, Identity, Share, Situation, Standing, settles, standing,
};
use lifecycle::{Event, IDENTITY_CONFLICT};

use super::report::macs_of;
use crate::advance::Advanced;
use crate::core::Core;
use crate::problem::problem;
use crate::turn::Turn;
use inventory_api::machine::Actor;
use store::{Change, ConflictRow, MachineRow, StoreError};

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
pub(super) async fn identify(
    core: &Core,
    change: &mut Change,
    row: &MachineRow,
    sent: &ReportRequest,
    now: UnixMs,
) -> Result<(Sender, Vec<Advanced>), Problem> {
    let seen = Identity::of(&sent.report);
    let gathered = gather(core, change, row, sent, &seen).await?;
    let situation = Situation {
        own: gathered.own.as_ref(),
        seen: &gathered.seen,
        candidates: &gathered.candidates,
        booted: row.booted_at.filter(|_| sent.runs_on != RunsOn::Installed),
        now,
        silence_seconds: core.config.boot.silence_seconds,
    };
    let turn = Turn {
        core,
        change,
        actor: &Actor::Agent,
        now,
        done: Vec::new(),
    };
    let mut work = Work { turn, row, seen };
    let sender = match standing(&situation) {
        Standing::Undecided { machine } => return Err(undecided(&row.id, &machine)),
        Standing::Itself { changes, shares } => {
            work.itself(&changes, &shares, &sent.report).await?;
            Sender::Itself
        }
        Standing::Another { machine, changes } => work.another(machine, &changes).await?,
        Standing::Provisional { machine } => {
            work.provisional(&machine).await?;
            Sender::Held(machine)
        }
        Standing::Conflict { with } => {
            work.conflict(&with).await?;
            Sender::Conflict
        }
        Standing::Mismatch => {
            work.mismatch().await?;
            Sender::Mismatch
        }
    };
    Ok((sender, work.turn.done))
}

struct Gathered {
    /// As stored, without shared values.
    own: Option<Identity>,
    /// Without shared values.
    seen: Identity,
    candidates: Vec<Candidate>,
}

async fn gather(
    core: &Core,
    change: &mut Change,
    row: &MachineRow,
    sent: &ReportRequest,
    seen: &Identity,
) -> Result<Gathered, StoreError> {
    let shared = change.shared_values().await?;
    let own = change.identity(&row.id).await?.map(|i| i.without(&shared));
    let seen = seen.without(&shared);
    let mut listed = BTreeSet::new();
    for mac in macs_of(&sent.report) {
        listed.extend(change.machine_of_mac(mac).await?);
    }
    let (claimed, in_common): (Vec<_>, Vec<_>) = change
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
    others.extend(listed.iter().cloned());
    others.remove(&row.id);
    // Do not report a conflict again with each report while it waits for a person.
    for open in change
        .conflicts(&row.id)
        .await?
        .iter()
        .filter(|c| c.resolved.is_none())
    {
        others.remove(&open.machine);
        others.remove(&open.other);
    }
    let mut candidates = Vec::new();
    for machine in others {
        let Some(other) = change.machine(&machine).await? else {
            continue;
        };
        if other.state == lifecycle::State::Retired {
            continue;
        }
        let heard = [
            core.memory.session(&machine).last_seen,
            other.last_seen,
            other.booted_at,
        ];
        candidates.push(Candidate {
            identity: change.identity(&machine).await?.map(|i| i.without(&shared)),
            heard: heard.into_iter().flatten().max(),
            lists_its_mac: listed.contains(&machine),
            lists_ours: change.reported_any(&machine, &row.macs).await?,
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

struct Work<'a> {
    turn: Turn<'a>,
    row: &'a MachineRow,
    seen: Identity,
}

impl Work<'_> {
    async fn keep_facts(&mut self, id: &MachineId) -> Result<(), Problem> {
        let before = self.turn.change.identity(id).await?.unwrap_or_default();
        let facts = before.updated(&self.seen);
        Ok(self.turn.change.put_identity(id, &facts, self.turn.now).await?)
    }

    async fn itself(
        &mut self,
        changes: &[Changed],
        shares: &[Share],
        report: &AssetReport,
    ) -> Result<(), Problem> {
        let id = self.row.id.clone();
        self.settle(report).await?;
        let first = self.turn.change.identity(&id).await?.is_none();
        // Record what it shares with other machines only once.
        let words = change_words(changes, if first { shares } else { &[] });
        if !words.is_empty() {
            let detail = words.join("; ");
            self.turn.bring(&id, Event::IdentityChanged { detail }).await?;
        }
        self.keep_facts(&id).await
    }

    /// A newcomer claimed to be this machine, which has now booted from a MAC of its own. If its report lists
    /// the newcomer's NIC, the two are one and the conflict is over.
    async fn settle(&mut self, report: &AssetReport) -> Result<(), Problem> {
        let id = self.row.id.clone();
        let listed: Vec<Mac> = macs_of(report).collect();
        for open in self.turn.change.conflicts(&id).await? {
            if open.resolved.is_some() || open.other != id || open.machine == id {
                continue;
            }
            let lists_its_mac = open.boot_mac.is_some_and(|mac| listed.contains(&mac));
            let lists_ours = self.turn.change.reported_any(&open.machine, &self.row.macs).await;
            if !settles(&self.seen, &open.seen, lists_its_mac, lists_ours?) {
                continue;
            }
            let event = Event::Folded {
                into: id.clone(),
                detail: "that machine booted again and reported the NIC that this one had booted from."
                    .to_owned(),
            };
            let newcomer = self.turn.change.machine(&open.machine).await?;
            let limits = &self.turn.core.config.limits;
            if newcomer
                .is_none_or(|m| lifecycle::transition(&m.state, &event, limits, self.turn.now).is_err())
            {
                continue;
            }
            self.turn
                .fold(
                    &open.machine,
                    &id,
                    event,
                    "it booted from another NIC of this machine.",
                )
                .await?;
            self.turn
                .change
                .resolve_conflict(open.id, "same", self.turn.now, Actor::Agent.as_str())
                .await?;
        }
        Ok(())
    }

    async fn another(&mut self, machine: MachineId, changes: &[Changed]) -> Result<Sender, Problem> {
        let id = self.row.id.clone();
        let words = change_words(changes, &[]);
        let changed = if words.is_empty() {
            "nothing else changed".to_owned()
        } else {
            words.join("; ")
        };
        let detail = format!(
            "what it reports agrees, and each has reported a NIC of the other, or both have one TPM key; {changed}."
        );
        let event = Event::Folded {
            into: machine.clone(),
            detail: detail.clone(),
        };
        let limits = &self.turn.core.config.limits;
        if lifecycle::transition(&self.row.state, &event, limits, self.turn.now).is_err() {
            self.conflict(&[machine]).await?;
            return Ok(Sender::Conflict);
        }
        self.turn.fold(&id, &machine, event, &detail).await?;
        // The known machine's identity stays as it is: it reports again after its next boot.
        self.turn
            .change
            .put_identity(&id, &self.seen, self.turn.now)
            .await?;
        Ok(Sender::Another(machine))
    }

    /// Stops only the newcomer: whoever merely read a label must not be able to stop the known machine.
    async fn provisional(&mut self, other: &MachineId) -> Result<(), Problem> {
        let id = self.row.id.clone();
        let known = self.turn.change.identity(other).await?;
        let known = known.unwrap_or_default();
        let mac = self.row.macs.first().map(Mac::to_string).unwrap_or_default();
        let sentence = format!(
            "{id} says that it is {other} under another NIC, {mac}{}. Is it? It is held until {other} boots from a NIC it is \
             known by and reports {mac}, or until a person decides.",
            agreeing(&known, &self.seen)
        );
        self.open(other, known, &sentence).await?;
        let detail = format!("{id} says that it is this machine under another NIC, {mac}; it is held.");
        self.turn.bring(other, Event::IdentityChanged { detail }).await?;
        self.turn.bring(&id, alarm(&sentence)).await?;
        self.keep_facts(&id).await
    }

    async fn conflict(&mut self, with: &[MachineId]) -> Result<(), Problem> {
        let id = self.row.id.clone();
        for other in with {
            let known = self.turn.change.identity(other).await?.unwrap_or_default();
            let sentence = format!(
                "{id} reports what {other} is known by{}. It may be a copy, or the same machine with another NIC.",
                agreeing(&known, &self.seen)
            );
            self.open(other, known, &sentence).await?;
            self.turn.bring(other, alarm(&sentence)).await?;
        }
        let list: Vec<_> = with.iter().map(MachineId::to_string).collect();
        let detail = format!("It claims the identity of {}.", list.join(" and "));
        self.turn.bring(&id, alarm(&detail)).await?;
        self.keep_facts(&id).await
    }

    async fn mismatch(&mut self) -> Result<(), Problem> {
        let id = self.row.id.clone();
        let open = self.turn.change.conflicts(&id).await?;
        if open
            .iter()
            .any(|c| c.resolved.is_none() && c.machine == id && c.other == id)
        {
            return Ok(());
        }
        let known = self.turn.change.identity(&id).await?.unwrap_or_default();
        let sentence =
            "A report in its name shows another machine. A NIC or a disk of it may have been moved there.";
        self.open(&id, known, sentence).await?;
        Ok(self.turn.bring(&id, alarm(sentence)).await?)
    }

    async fn open(&mut self, other: &MachineId, known: Identity, sentence: &str) -> Result<(), Problem> {
        tracing::error!(machine = %self.row.id, %other, sentence, "ALARM: one identity is claimed by two");
        let boot_mac: Option<Mac> = self.row.macs.first().copied();
        let row = ConflictRow {
            id: 0,
            machine: self.row.id.clone(),
            other: other.clone(),
            at: self.turn.now,
            sentence: sentence.to_owned(),
            boot_mac,
            seen: self.seen.clone(),
            known,
            resolved: None,
        };
        Ok(self.turn.change.add_conflict(&row).await?)
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

fn change_words(changes: &[Changed], shares: &[Share]) -> Vec<String> {
    let shared = shares.iter().map(|share| {
        let fields: Vec<_> = share.fields.iter().map(|f| f.words()).collect();
        format!("it has the {} of {}", fields.join(" and the "), share.machine)
    });
    changes.iter().map(Changed::to_string).chain(shared).collect()
}

fn undecided(id: &MachineId, other: &MachineId) -> Problem {
    problem(
        503,
        "identity-undecided",
        "Not clear yet which machine this is",
        format!(
            "{id} may be machine {other}, which was heard moments ago: send the report again, until it is clear whether \
             that one lives"
        ),
    )
}
