//! Two enrolments with one identity: side by side, and what a person decides.

use std::collections::BTreeSet;

use inventory_api::conflict::{Conflict, ConflictField, ConflictResolution, Conflicts, ResolveConflict};
use inventory_api::{MachineId, Problem};
use lifecycle::Event;
use lifecycle::identity::{Field, compare};

use crate::problem::{NO_CONFLICT, Result};
use crate::{Actor, AdvanceError, Service, Turn};
use store::{ConflictRow, StoreError};

impl Service {
    /// The conflicts of a machine, open ones first: who claims its identity, and whose identity it claims.
    pub async fn conflicts(&self, key: &str) -> Result<Conflicts> {
        let row = self.find(key).await?;
        let rows = self.core.store.conflicts(&row.id).await?;
        let mut conflicts = Vec::with_capacity(rows.len());
        for row in rows {
            let newcomer = self.summary(self.row(&row.machine).await?).await?;
            let known = self.summary(self.row(&row.other).await?).await?;
            conflicts.push(Conflict {
                id: row.id,
                at: row.at,
                fields: fields(&row),
                sentence: row.sentence,
                newcomer,
                known,
                resolution: row.resolved.map(|r| ConflictResolution {
                    resolution: r.resolution,
                    actor: r.actor,
                    at: r.at,
                }),
            });
        }
        // The sort is stable: newest first in each half.
        conflicts.sort_by_key(|c| c.resolution.is_some());
        Ok(Conflicts {
            machine: self.summary(row).await?,
            conflicts,
        })
    }

    /// Resolves conflicts as a person decided. Answers like [`Service::conflicts`].
    pub async fn resolve_conflict(
        &self,
        key: &str,
        decision: &ResolveConflict,
        actor: &Actor,
    ) -> Result<Conflicts> {
        let id = self.find(key).await?.id;
        let (decision, service) = (decision.clone(), self.clone());
        let work = async move |mut turn: Turn| {
            let open = turn.open_conflicts_of(&id).await?;
            match decision {
                ResolveConflict::Different { with } => {
                    let meant =
                        |c: &&ConflictRow| with.as_ref().is_none_or(|w| *w == c.machine || *w == c.other);
                    if !open.iter().any(|row| meant(&row)) {
                        return Err(no_conflict(&id));
                    }
                    for row in open.iter().filter(meant) {
                        turn.different(row).await?;
                    }
                }
                ResolveConflict::Same { retire } => {
                    let row = open.iter().find(|c| c.machine == retire || c.other == retire);
                    turn.same(row.ok_or_else(|| no_conflict(&retire))?, &retire)
                        .await?;
                }
            }
            turn.commit().await?;
            service.conflicts(id.as_str()).await
        };
        self.turn(actor, work).await
    }
}

/// Carries out the decision.
impl Turn {
    pub(crate) async fn open_conflicts_of(&self, id: &MachineId) -> Result<Vec<ConflictRow>, StoreError> {
        let mut rows = self.conflicts(id).await?;
        rows.retain(|row| row.resolved.is_none());
        Ok(rows)
    }

    /// Merges two enrolments of one machine. `event` is applied to the one that is retired; `how` goes to the
    /// history of the one that stays.
    pub(crate) async fn merge(
        &mut self,
        from: &MachineId,
        into: &MachineId,
        event: Event,
        how: &str,
    ) -> Result<(), AdvanceError> {
        let macs = self.machine(from).await?.map(|m| m.macs).unwrap_or_default();
        self.advance(from, event).await?;
        self.fold(from, into).await?;
        let absorbed = Event::Absorbed {
            other: from.clone(),
            detail: how.to_owned(),
        };
        self.advance(into, absorbed).await?;
        tracing::info!(machine = %into, folded = %from, "two enrolments are one machine");
        let into = into.clone();
        self.then(move |core| {
            for mac in macs {
                core.memory.journeys.owned(mac, &into);
            }
        });
        Ok(())
    }

    /// Records the decision on a machine, which is released when no conflict of it is left open.
    async fn decided(&mut self, id: &MachineId, other: &MachineId, detail: &str) -> Result<()> {
        let event = Event::ConflictResolved {
            other: other.clone(),
            detail: detail.to_owned(),
            open: self.open_conflicts_of(id).await?.len() as u32,
        };
        self.advance(id, event).await?;
        Ok(())
    }

    pub(crate) async fn close(&mut self, row: &ConflictRow, resolution: &str) -> Result<(), StoreError> {
        let (now, actor) = (self.now, self.actor.clone());
        self.resolve_conflict(row.id, resolution, now, actor.as_str())
            .await
    }

    async fn different(&mut self, row: &ConflictRow) -> Result<()> {
        self.close(row, "different").await?;
        if row.machine == row.other {
            // The NIC is in another machine now, which its next boot enrolls.
            if let Some(mac) = row.boot_mac {
                self.remove_mac(&row.machine, mac).await?;
            }
            let detail = "A person found that the report was another machine's.";
            return self.decided(&row.machine, &row.machine, detail).await;
        }
        let (now, actor) = (self.now, self.actor.clone());
        for field in compare(&row.known, &row.seen).agree {
            let known: BTreeSet<_> = row.known.keys(field).into_iter().collect();
            for value in row.seen.keys(field).iter().filter(|v| known.contains(*v)) {
                self.add_shared_value(field, value, now, actor.as_str()).await?;
            }
        }
        for (id, other) in [(&row.machine, &row.other), (&row.other, &row.machine)] {
            let detail = format!("A person found that {other} is another machine: both are kept.");
            self.decided(id, other, &detail).await?;
        }
        Ok(())
    }

    async fn same(&mut self, row: &ConflictRow, retire: &MachineId) -> Result<()> {
        self.close(row, "same").await?;
        let (now, updated) = (self.now, row.known.clone().updated(&row.seen));
        if row.machine == row.other {
            self.put_identity(&row.machine, &updated, now).await?;
            let detail = "A person found that the report is right: this is what the machine is now.";
            return self.decided(&row.machine, &row.machine, detail).await;
        }
        let keep = if row.machine == *retire {
            &row.other
        } else {
            &row.machine
        };
        let found = "a person found that both are one machine.";
        let folded = Event::Folded {
            into: keep.clone(),
            detail: found.to_owned(),
        };
        self.merge(retire, keep, folded, found).await?;
        self.put_identity(keep, &updated, now).await?;
        // Other open conflicts of the retired enrolment have lost their subject.
        for rest in self.open_conflicts_of(retire).await? {
            self.close(&rest, "same").await?;
            let peer = if rest.machine == *retire {
                &rest.other
            } else {
                &rest.machine
            };
            if peer != retire && peer != keep {
                let detail = format!("{retire}, which shared its identity, was folded into {keep}.");
                self.decided(peer, retire, &detail).await?;
            }
        }
        let detail = format!("A person found that {retire} is this machine.");
        self.decided(keep, retire, &detail).await
    }
}

fn fields(row: &ConflictRow) -> Vec<ConflictField> {
    let comparison = compare(&row.known, &row.seen);
    Field::ALL
        .into_iter()
        .filter_map(|field| {
            let (newcomer, known) = (row.seen.shown(field), row.known.shown(field));
            (newcomer.is_some() || known.is_some()).then(|| ConflictField {
                field: field.name().to_owned(),
                name: field.words().to_owned(),
                agrees: if comparison.agree.contains(&field) {
                    Some(true)
                } else {
                    comparison.differ.contains(&field).then_some(false)
                },
                newcomer,
                known,
            })
        })
        .collect()
}

fn no_conflict(id: &MachineId) -> Problem {
    NO_CONFLICT.because(format!(
        "{id} has no open conflict: GET /v1/machines/{id}/conflict shows all"
    ))
}
