//! Two enrolments with one identity: side by side, and what a person decides.

use std::collections::BTreeSet;

use inventory_api::conflict::{Conflict, ConflictField, ConflictResolution, Conflicts, ResolveConflict};
use inventory_api::{MachineId, Problem};
use lifecycle::Event;
use lifecycle::identity::{Field, compare};

use super::turn::Turn;
use super::{Actor, Service};
use crate::advance::after_commit;
use crate::problem::problem;
use store::ConflictRow;

impl Service {
    /// The conflicts of a machine, open ones first: who claims its identity, and whose identity it claims.
    pub async fn conflicts(&self, key: &str) -> Result<Conflicts, Problem> {
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
    ) -> Result<Conflicts, Problem> {
        let id = self.find(key).await?.id;
        let mut change = self.core.store.begin().await?;
        let open: Vec<ConflictRow> = change
            .conflicts(&id)
            .await?
            .into_iter()
            .filter(|c| c.resolved.is_none())
            .collect();
        let mut turn = Turn {
            core: &self.core,
            change: &mut change,
            actor,
            now: self.core.clock.now(),
            done: Vec::new(),
        };
        match decision {
            ResolveConflict::Different { with } => {
                let meant: Vec<_> = open
                    .iter()
                    .filter(|c| with.as_ref().is_none_or(|w| *w == c.machine || *w == c.other))
                    .collect();
                if meant.is_empty() {
                    return Err(no_conflict(&id));
                }
                for row in meant {
                    turn.different(row).await?;
                }
            }
            ResolveConflict::Same { retire } => {
                let row = open
                    .iter()
                    .find(|c| c.machine == *retire || c.other == *retire)
                    .ok_or_else(|| no_conflict(retire))?;
                turn.same(row, retire).await?;
            }
        }
        let done = turn.done;
        change.commit().await?;
        for advanced in &done {
            after_commit(&self.core, advanced);
        }
        self.conflicts(id.as_str()).await
    }
}

/// Carries out the decision.
impl Turn<'_> {
    /// Records the decision on a machine, which is released when no conflict of it is left open.
    async fn tell(&mut self, id: &MachineId, other: &MachineId, detail: &str) -> Result<(), Problem> {
        let rows = self.change.conflicts(id).await?;
        let event = Event::ConflictResolved {
            other: other.clone(),
            detail: detail.to_owned(),
            open: rows.iter().filter(|c| c.resolved.is_none()).count() as u32,
        };
        Ok(self.bring(id, event).await?)
    }

    async fn close(&mut self, row: &ConflictRow, resolution: &str) -> Result<(), Problem> {
        let decided = self
            .change
            .resolve_conflict(row.id, resolution, self.now, self.actor.as_str());
        Ok(decided.await?)
    }

    async fn different(&mut self, row: &ConflictRow) -> Result<(), Problem> {
        self.close(row, "different").await?;
        if row.machine == row.other {
            // The NIC is in another machine now, which its next boot enrolls.
            if let Some(mac) = row.boot_mac {
                self.change.remove_mac(&row.machine, mac).await?;
            }
            let detail = "A person found that the report was another machine's.";
            return self.tell(&row.machine, &row.machine, detail).await;
        }
        for field in compare(&row.known, &row.seen).agree {
            let known: BTreeSet<_> = row.known.keys(field).into_iter().collect();
            for value in row.seen.keys(field).iter().filter(|v| known.contains(*v)) {
                self.change
                    .add_shared_value(field, value, self.now, self.actor.as_str())
                    .await?;
            }
        }
        for (id, other) in [(&row.machine, &row.other), (&row.other, &row.machine)] {
            let detail = format!("A person found that {other} is another machine: both are kept.");
            self.tell(id, other, &detail).await?;
        }
        Ok(())
    }

    async fn same(&mut self, row: &ConflictRow, retire: &MachineId) -> Result<(), Problem> {
        self.close(row, "same").await?;
        let updated = row.known.clone().updated(&row.seen);
        if row.machine == row.other {
            self.change.put_identity(&row.machine, &updated, self.now).await?;
            let detail = "A person found that the report is right: this is what the machine is now.";
            return self.tell(&row.machine, &row.machine, detail).await;
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
        self.fold(retire, keep, folded, found).await?;
        self.change.put_identity(keep, &updated, self.now).await?;
        // Other open conflicts of the retired enrolment have lost their subject.
        for rest in self.change.conflicts(retire).await? {
            if rest.resolved.is_some() {
                continue;
            }
            self.close(&rest, "same").await?;
            let peer = if rest.machine == *retire {
                &rest.other
            } else {
                &rest.machine
            };
            if peer != retire && peer != keep {
                let detail = format!("{retire}, which shared its identity, was folded into {keep}.");
                self.tell(peer, retire, &detail).await?;
            }
        }
        let detail = format!("A person found that {retire} is this machine.");
        self.tell(keep, retire, &detail).await
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
    problem(
        404,
        "no-conflict",
        "No such conflict",
        format!("nothing open is known of {id}: GET /v1/machines/{id}/conflict shows what is"),
    )
}
