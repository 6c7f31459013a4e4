//! The lives of parts.

use inventory_api::parts::{DuplicatePart, PartEvent, PartKind, PartLife, PartPlace};
use inventory_api::{MachineId, UnixMs};
use lifecycle::expectation::name_key;
use lifecycle::parts::{Held, Part, Stretch, at_once};

use super::sql::{Row, all, count, one, run};
use super::{Change, Store, StoreError};

/// Events that are kept for each machine: a machine that reports other parts each time cannot fill the disk.
pub const KEPT_PART_EVENTS: i64 = 20_000;
/// Events that are shown of one part.
const SHOWN_EVENTS: i64 = 500;
/// Parts that are shown for one serial number.
const SHOWN_PARTS: i64 = 50;

/// A part that another machine shows too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPlace {
    /// The other machine.
    pub machine: MachineId,
    /// Where it is there.
    pub place: String,
    /// From when until when.
    pub stretch: Stretch,
}

impl Store {
    /// The parts with a serial number, most lately changed first.
    pub async fn parts_of_serial(&self, serial: &str) -> Result<Vec<PartLife>, StoreError> {
        let sql = "SELECT * FROM parts WHERE serial_key = $1 ORDER BY kind, key LIMIT $2";
        let known: Vec<(String, PartLife)> =
            all(&self.read, sql, &[&name_key(serial), &SHOWN_PARTS], |row| {
                let life = PartLife {
                    kind: row.word("part kind", "kind")?,
                    serial: row.get("serial")?,
                    manufacturer: row.maybe("manufacturer")?,
                    model: row.maybe("model")?,
                    duplicate: false,
                    seen_in: Vec::new(),
                    events: Vec::new(),
                };
                Ok((row.get("key")?, life))
            })
            .await?;
        let mut lives = Vec::with_capacity(known.len());
        for (key, life) in known {
            lives.push(self.life(&key, life).await?);
        }
        Ok(lives)
    }

    /// Where a part was, and what became of it.
    async fn life(&self, key: &str, life: PartLife) -> Result<PartLife, StoreError> {
        let places = "SELECT machine, place, since, seen_at FROM part_places WHERE part = $1
            ORDER BY seen_at DESC LIMIT 100";
        let seen_in = all(&self.read, places, &[&key], |row| {
            Ok(PartPlace {
                machine: row.get("machine")?,
                place: row.get("place")?,
                since: row.get("since")?,
                seen_at: row.get("seen_at")?,
            })
        })
        .await?;
        let stretch = |p: &PartPlace| Stretch {
            since: p.since,
            until: p.seen_at,
        };
        let events = "SELECT * FROM part_events WHERE part = $1 ORDER BY id DESC LIMIT $2";
        Ok(PartLife {
            duplicate: seen_in
                .iter()
                .enumerate()
                .any(|(i, a)| seen_in[..i].iter().any(|b| at_once(stretch(a), stretch(b)))),
            seen_in,
            events: all(&self.read, events, &[&key, &SHOWN_EVENTS], event).await?,
            ..life
        })
    }

    /// The parts of a machine that another machine shows at the same time, at most `limit`.
    pub async fn duplicates(&self, id: &MachineId, limit: u32) -> Result<Vec<DuplicatePart>, StoreError> {
        let sql = "SELECT p.kind, p.serial, a.place AS place, b.machine AS other, b.place AS other_place
            FROM part_places a JOIN part_places b ON b.part = a.part AND b.machine <> a.machine
            JOIN parts p ON p.key = a.part
            WHERE a.machine = $1 AND max(a.since, b.since) <= min(a.seen_at, b.seen_at)
            ORDER BY p.kind, a.place LIMIT $2";
        all(&self.read, sql, &[id, &limit], |row| {
            Ok(DuplicatePart {
                kind: row.word("part kind", "kind")?,
                serial: row.get("serial")?,
                place: row.get("place")?,
                other: row.get("other")?,
                other_place: row.get("other_place")?,
            })
        })
        .await
    }
}

impl Change {
    /// The parts that a machine had by its report before.
    pub async fn held_parts(&mut self, id: &MachineId) -> Result<Vec<Held>, StoreError> {
        let sql = "SELECT part, kind, place FROM part_places JOIN parts ON key = part WHERE machine = $1";
        all(self.connection(), sql, &[id], |row| {
            Ok(Held {
                key: row.get("part")?,
                kind: row.word("part kind", "kind")?,
                place: row.get("place")?,
            })
        })
        .await
    }

    /// All parts of a machine that are still there were seen again.
    pub async fn parts_seen(&mut self, id: &MachineId, at: UnixMs) -> Result<(), StoreError> {
        let sql = "UPDATE part_places SET seen_at = max(seen_at, $2) WHERE machine = $1";
        self.run(sql, &[id, &at]).await
    }

    /// A part is in a machine, in this place, from now on or still.
    pub async fn put_part(&mut self, id: &MachineId, part: &Part, at: UnixMs) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO parts (key, kind, serial, serial_key, manufacturer, model) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (key) DO UPDATE SET manufacturer = coalesce(excluded.manufacturer, manufacturer),
                model = coalesce(excluded.model, model)",
            &[
                &part.key,
                &part.kind.to_string(),
                &part.serial,
                &name_key(&part.serial),
                &part.manufacturer,
                &part.model,
            ],
        )
        .await?;
        self.run(
            "INSERT INTO part_places (part, machine, place, since, seen_at) VALUES ($1, $2, $3, $4, $4)
            ON CONFLICT (part, machine) DO UPDATE SET place = excluded.place, seen_at = excluded.seen_at",
            &[&part.key, id, &part.place, &at],
        )
        .await
    }

    /// A part is no longer in a machine.
    pub async fn drop_part(&mut self, id: &MachineId, key: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM part_places WHERE part = $1 AND machine = $2";
        self.run(sql, &[&key, id]).await
    }

    /// Adds an event to a part's life.
    pub async fn add_part_event(&mut self, key: &str, event: &PartEvent) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO part_events (part, at, machine, what, place, from_place, from_machine, report)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                &key,
                &event.at,
                &event.machine,
                &event.what.to_string(),
                &event.place,
                &event.from_place,
                &event.from_machine,
                &event.report,
            ],
        )
        .await
    }

    /// The oldest events of a machine beyond the limit go, and the parts that nothing is known of any more.
    pub async fn trim_part_events(&mut self, id: &MachineId) -> Result<(), StoreError> {
        let sql = "DELETE FROM part_events WHERE machine = $1 AND id <=
            (SELECT id FROM part_events WHERE machine = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
        let deleted = run(self.connection(), sql, &[id, &KEPT_PART_EVENTS]).await?;
        if deleted.rows_affected() == 0 {
            return Ok(());
        }
        let unknown = "DELETE FROM parts WHERE NOT EXISTS (SELECT 1 FROM part_places WHERE part = key)
            AND NOT EXISTS (SELECT 1 FROM part_events WHERE part = key)";
        self.run(unknown, &[]).await
    }

    /// The newest event of a part, if it has any.
    pub async fn last_part_event(&mut self, key: &str) -> Result<Option<PartEvent>, StoreError> {
        let sql =
            "SELECT * FROM part_events WHERE part = $1 AND what <> 'duplicate' ORDER BY id DESC LIMIT 1";
        one(self.connection(), sql, &[&key], event).await
    }

    /// Whether a part was in this machine before.
    pub async fn was_in(&mut self, key: &str, id: &MachineId) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM part_events
            WHERE part = $1 AND machine = $2 AND what = 'removed' LIMIT 1)";
        Ok(count(self.connection(), sql, &[&key, id]).await? > 0)
    }

    /// The parts of this machine that other machines show too, by the part's key, at most `limit`.
    pub async fn shared_parts(
        &mut self,
        id: &MachineId,
        limit: u32,
    ) -> Result<Vec<(String, PartKind, Stretch, OtherPlace, bool)>, StoreError> {
        let sql =
            "SELECT a.part, p.kind, a.since, a.seen_at, a.alarmed, b.machine, b.place, b.since AS other_since,
                b.seen_at AS other_seen
            FROM part_places a JOIN part_places b ON b.part = a.part AND b.machine <> a.machine
            JOIN parts p ON p.key = a.part WHERE a.machine = $1 ORDER BY a.part, b.machine LIMIT $2";
        all(self.connection(), sql, &[id, &limit], |row| {
            let stretch = |since, until| {
                Ok::<_, StoreError>(Stretch {
                    since: row.get(since)?,
                    until: row.get(until)?,
                })
            };
            let other = OtherPlace {
                machine: row.get("machine")?,
                place: row.get("place")?,
                stretch: stretch("other_since", "other_seen")?,
            };
            Ok((
                row.get("part")?,
                row.word("part kind", "kind")?,
                stretch("since", "seen_at")?,
                other,
                row.get("alarmed")?,
            ))
        })
        .await
    }

    /// A part cannot have left a machine before this moment.
    pub async fn part_still_in(&mut self, key: &str, id: &MachineId, at: UnixMs) -> Result<(), StoreError> {
        let sql = "UPDATE part_places SET seen_at = max(seen_at, $3) WHERE part = $1 AND machine = $2";
        self.run(sql, &[&key, id, &at]).await
    }

    /// That a part is in two machines was told, in both.
    pub async fn part_alarmed(
        &mut self,
        key: &str,
        one: &MachineId,
        two: &MachineId,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE part_places SET alarmed = 1 WHERE part = $1 AND machine IN ($2, $3)";
        self.run(sql, &[&key, one, two]).await
    }
}

fn event(row: Row<'_>) -> Result<PartEvent, StoreError> {
    Ok(PartEvent {
        at: row.get("at")?,
        machine: row.get("machine")?,
        what: row.word("part event", "what")?,
        place: row.get("place")?,
        from_place: row.maybe("from_place")?,
        from_machine: row.maybe("from_machine")?,
        report: row.get("report")?,
    })
}
