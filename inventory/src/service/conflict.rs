//! Two that claim one identity: side by side, and what a person decides.

use std::collections::BTreeSet;

use inventory_api::conflict::{Conflict, ConflictField, ConflictResolution, Conflicts, ResolveConflict};
use inventory_api::{MachineId, Problem, UnixMs};
use lifecycle::Event;
use lifecycle::identity::{Field, compare};

use super::{Actor, Service};
use crate::advance::{Advanced, advance_in, after_commit};
use crate::problem::{of_advance, of_store, problem};
use crate::store::{Change, ConflictRow, StoreError};

impl Service {
    /// What claims the identity of a machine, or whose identity it claims.
    pub async fn conflicts(&self, key: &str) -> Result<Conflicts, Problem> {
        let row = self.find(key).await?;
        let rows = self.core.store.conflicts(&row.id).await.map_err(of_store)?;
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
                resolution: row.resolved.map(|(at, resolution, actor)| ConflictResolution {
                    resolution,
                    actor,
                    at,
                }),
            });
        }
        // Stable: the newest first in each half.
        conflicts.sort_by_key(|c| c.resolution.is_some());
        Ok(Conflicts {
            machine: self.summary(row).await?,
            conflicts,
        })
    }

    /// A person has looked. Answers as [`Service::conflicts`].
    pub async fn resolve_conflict(
        &self,
        key: &str,
        decision: &ResolveConflict,
        actor: &Actor,
    ) -> Result<Conflicts, Problem> {
        let id = self.find(key).await?.id;
        let mut change = self.core.store.begin().await.map_err(of_store)?;
        let open: Vec<ConflictRow> = change
            .conflicts(&id)
            .await
            .map_err(of_store)?
            .into_iter()
            .filter(|c| c.resolved.is_none())
            .collect();
        let now = self.core.clock.now();
        let mut work = Work {
            service: self,
            change,
            actor,
            now,
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
                    work.different(row).await?;
                }
            }
            ResolveConflict::Same { retire } => {
                let row = open
                    .iter()
                    .find(|c| c.machine == *retire || c.other == *retire)
                    .ok_or_else(|| no_conflict(retire))?;
                work.same(row, retire).await?;
            }
        }
        let Work { change, done, .. } = work;
        change.commit().await.map_err(of_store)?;
        for advanced in &done {
            after_commit(&self.core, advanced);
        }
        self.conflicts(id.as_str()).await
    }
}

struct Work<'a> {
    service: &'a Service,
    change: Change,
    actor: &'a Actor,
    now: UnixMs,
    done: Vec<Advanced>,
}

impl Work<'_> {
    async fn bring(&mut self, id: &MachineId, event: Event) -> Result<(), Problem> {
        let core = &self.service.core;
        let advanced = advance_in(core, &mut self.change, id, event, &self.actor.0, self.now)
            .await
            .map_err(of_advance)?;
        self.done.push(advanced);
        Ok(())
    }

    async fn still_open(&mut self, id: &MachineId) -> Result<u32, StoreError> {
        let rows = self.change.conflicts(id).await?;
        Ok(rows.iter().filter(|c| c.resolved.is_none()).count() as u32)
    }

    /// Tells a machine what was decided; its last open conflict lets it go.
    async fn tell(&mut self, id: &MachineId, other: &MachineId, detail: &str) -> Result<(), Problem> {
        let open = self.still_open(id).await.map_err(of_store)?;
        let event = Event::ConflictResolved {
            other: other.clone(),
            detail: detail.to_owned(),
            open,
        };
        self.bring(id, event).await
    }

    async fn close(&mut self, row: &ConflictRow, resolution: &str) -> Result<(), Problem> {
        self.change
            .resolve_conflict(row.id, resolution, self.now, &self.actor.0)
            .await
            .map_err(of_store)
    }

    async fn different(&mut self, row: &ConflictRow) -> Result<(), Problem> {
        self.close(row, "different").await?;
        if row.machine == row.other {
            // The NIC is in another machine now: its next boot enrols that one.
            if let Some(mac) = row.boot_mac {
                self.change
                    .remove_mac(&row.machine, mac)
                    .await
                    .map_err(of_store)?;
            }
            let detail = "A person found that the report was another machine's.";
            return self.tell(&row.machine, &row.machine, detail).await;
        }
        for field in compare(&row.known, &row.seen).agree {
            let known: BTreeSet<_> = row.known.keys(field).into_iter().collect();
            for value in row.seen.keys(field).iter().filter(|v| known.contains(*v)) {
                self.change
                    .add_shared_value(field, value, self.now, &self.actor.0)
                    .await
                    .map_err(of_store)?;
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
            self.change
                .put_facts(&row.machine, &updated, self.now)
                .await
                .map_err(of_store)?;
            let detail = "A person found that the report is right: this is what the machine is now.";
            return self.tell(&row.machine, &row.machine, detail).await;
        }
        let keep = if row.machine == *retire {
            &row.other
        } else {
            &row.machine
        };
        let folded = Event::Folded {
            into: keep.clone(),
            detail: "a person found that both are one machine.".to_owned(),
        };
        let macs = self
            .change
            .machine(retire)
            .await
            .map_err(of_store)?
            .map(|m| m.macs);
        self.bring(retire, folded).await?;
        self.change.fold(retire, keep).await.map_err(of_store)?;
        for mac in macs.into_iter().flatten() {
            self.service.core.memory.owned(mac, keep);
        }
        self.change
            .put_facts(keep, &updated, self.now)
            .await
            .map_err(of_store)?;
        let absorbed = Event::Absorbed {
            other: retire.clone(),
            detail: "a person found that both are one machine.".to_owned(),
        };
        self.bring(keep, absorbed).await?;
        // Whatever else was open about the enrolment that went has nothing to be about any more.
        for rest in self.change.conflicts(retire).await.map_err(of_store)? {
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
