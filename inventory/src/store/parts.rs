//! The lives of parts.

use inventory_api::parts::{DuplicatePart, PartEvent, PartEventKind, PartKind, PartLife, PartPlace};
use inventory_api::{MachineId, UnixMs};
use lifecycle::parts::{Held, Part, Stretch, at_once};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Change, Store, StoreError, from_json, parse};

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
        let rows = sqlx::query("SELECT * FROM parts WHERE serial_key = $1 ORDER BY kind, key LIMIT $2")
            .bind(lifecycle::expectation::name_key(serial))
            .bind(SHOWN_PARTS)
            .fetch_all(&self.read)
            .await?;
        let mut lives = Vec::with_capacity(rows.len());
        for row in &rows {
            lives.push(self.life(row).await?);
        }
        Ok(lives)
    }

    async fn life(&self, row: &SqliteRow) -> Result<PartLife, StoreError> {
        let key: &str = row.try_get("key")?;
        let places = sqlx::query(
            "SELECT machine, place, since, seen_at FROM part_places WHERE part = $1 ORDER BY seen_at DESC LIMIT 100",
        )
        .bind(key)
        .fetch_all(&self.read)
        .await?;
        let seen_in = places
            .iter()
            .map(|row| {
                Ok(PartPlace {
                    machine: parse("machine id", row.try_get("machine")?)?,
                    place: row.try_get("place")?,
                    since: UnixMs(row.try_get("since")?),
                    seen_at: UnixMs(row.try_get("seen_at")?),
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let events = sqlx::query("SELECT * FROM part_events WHERE part = $1 ORDER BY id DESC LIMIT $2")
            .bind(key)
            .bind(SHOWN_EVENTS)
            .fetch_all(&self.read)
            .await?;
        let stretch = |p: &PartPlace| Stretch {
            since: p.since,
            until: p.seen_at,
        };
        Ok(PartLife {
            kind: word("part kind", row.try_get("kind")?)?,
            serial: row.try_get("serial")?,
            manufacturer: row.try_get("manufacturer")?,
            model: row.try_get("model")?,
            duplicate: seen_in
                .iter()
                .enumerate()
                .any(|(i, a)| seen_in[..i].iter().any(|b| at_once(stretch(a), stretch(b)))),
            seen_in,
            events: events.iter().map(event).collect::<Result<_, _>>()?,
        })
    }

    /// The parts of a machine that another machine shows at the same time, at most `limit`.
    pub async fn duplicates(&self, id: &MachineId, limit: u32) -> Result<Vec<DuplicatePart>, StoreError> {
        let rows = sqlx::query(
            "SELECT p.kind, p.serial, a.place AS place, b.machine AS other, b.place AS other_place
             FROM part_places a JOIN part_places b ON b.part = a.part AND b.machine <> a.machine
             JOIN parts p ON p.key = a.part
             WHERE a.machine = $1 AND max(a.since, b.since) <= min(a.seen_at, b.seen_at)
             ORDER BY p.kind, a.place LIMIT $2",
        )
        .bind(id.as_str())
        .bind(limit)
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(DuplicatePart {
                    kind: word("part kind", row.try_get("kind")?)?,
                    serial: row.try_get("serial")?,
                    place: row.try_get("place")?,
                    other: parse("machine id", row.try_get("other")?)?,
                    other_place: row.try_get("other_place")?,
                })
            })
            .collect()
    }
}

impl Change {
    /// The parts that a machine had by its report before.
    pub async fn held_parts(&mut self, id: &MachineId) -> Result<Vec<Held>, StoreError> {
        let rows = sqlx::query(
            "SELECT part, kind, place FROM part_places JOIN parts ON key = part WHERE machine = $1",
        )
        .bind(id.as_str())
        .fetch_all(self.connection())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Held {
                    key: row.try_get("part")?,
                    kind: word("part kind", row.try_get("kind")?)?,
                    place: row.try_get("place")?,
                })
            })
            .collect()
    }

    /// All parts of a machine that are still there were seen again.
    pub async fn parts_seen(&mut self, id: &MachineId, at: UnixMs) -> Result<(), StoreError> {
        sqlx::query("UPDATE part_places SET seen_at = max(seen_at, $2) WHERE machine = $1")
            .bind(id.as_str())
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// A part is in a machine, in this place, from now on or still.
    pub async fn put_part(&mut self, id: &MachineId, part: &Part, at: UnixMs) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO parts (key, kind, serial, serial_key, manufacturer, model) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (key) DO UPDATE SET manufacturer = coalesce(excluded.manufacturer, manufacturer),
                model = coalesce(excluded.model, model)",
        )
        .bind(&part.key)
        .bind(part.kind.name())
        .bind(&part.serial)
        .bind(lifecycle::expectation::name_key(&part.serial))
        .bind(&part.manufacturer)
        .bind(&part.model)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "INSERT INTO part_places (part, machine, place, since, seen_at) VALUES ($1, $2, $3, $4, $4)
             ON CONFLICT (part, machine) DO UPDATE SET place = excluded.place, seen_at = excluded.seen_at",
        )
        .bind(&part.key)
        .bind(id.as_str())
        .bind(&part.place)
        .bind(at.0)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// A part is no longer in a machine.
    pub async fn drop_part(&mut self, id: &MachineId, key: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM part_places WHERE part = $1 AND machine = $2")
            .bind(key)
            .bind(id.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds an event to a part's life.
    pub async fn add_part_event(&mut self, key: &str, event: &PartEvent) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO part_events (part, at, machine, what, place, from_place, from_machine, report)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(key)
        .bind(event.at.0)
        .bind(event.machine.as_str())
        .bind(event.what.name())
        .bind(&event.place)
        .bind(&event.from_place)
        .bind(event.from_machine.as_ref().map(MachineId::as_str))
        .bind(&event.report)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The oldest events of a machine beyond the limit go, and the parts that nothing is known of any more.
    pub async fn trim_part_events(&mut self, id: &MachineId) -> Result<(), StoreError> {
        let deleted = sqlx::query(
            "DELETE FROM part_events WHERE machine = $1 AND id <=
                (SELECT id FROM part_events WHERE machine = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
        )
        .bind(id.as_str())
        .bind(KEPT_PART_EVENTS)
        .execute(self.connection())
        .await?;
        if deleted.rows_affected() > 0 {
            sqlx::query(
                "DELETE FROM parts WHERE NOT EXISTS (SELECT 1 FROM part_places WHERE part = key)
                    AND NOT EXISTS (SELECT 1 FROM part_events WHERE part = key)",
            )
            .execute(self.connection())
            .await?;
        }
        Ok(())
    }

    /// The newest event of a part, if it has any.
    pub async fn last_part_event(&mut self, key: &str) -> Result<Option<PartEvent>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM part_events WHERE part = $1 AND what <> 'duplicate' ORDER BY id DESC LIMIT 1",
        )
        .bind(key)
        .fetch_optional(self.connection())
        .await?;
        row.as_ref().map(event).transpose()
    }

    /// Whether a part was in this machine before.
    pub async fn was_in(&mut self, key: &str, id: &MachineId) -> Result<bool, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM (SELECT 1 FROM part_events WHERE part = $1 AND machine = $2 AND what = 'removed' LIMIT 1)",
        )
        .bind(key)
        .bind(id.as_str())
        .fetch_one(self.connection())
        .await?;
        Ok(count > 0)
    }

    /// The parts of this machine that other machines show too, by the part's key, at most `limit`.
    pub async fn shared_parts(
        &mut self,
        id: &MachineId,
        limit: u32,
    ) -> Result<Vec<(String, PartKind, Stretch, OtherPlace, bool)>, StoreError> {
        let rows = sqlx::query(
            "SELECT a.part, p.kind, a.since, a.seen_at, a.alarmed, b.machine, b.place, b.since AS other_since,
                b.seen_at AS other_seen
             FROM part_places a JOIN part_places b ON b.part = a.part AND b.machine <> a.machine
             JOIN parts p ON p.key = a.part WHERE a.machine = $1 ORDER BY a.part, b.machine LIMIT $2",
        )
        .bind(id.as_str())
        .bind(limit)
        .fetch_all(self.connection())
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get("part")?,
                    word("part kind", row.try_get("kind")?)?,
                    Stretch {
                        since: UnixMs(row.try_get("since")?),
                        until: UnixMs(row.try_get("seen_at")?),
                    },
                    OtherPlace {
                        machine: parse("machine id", row.try_get("machine")?)?,
                        place: row.try_get("place")?,
                        stretch: Stretch {
                            since: UnixMs(row.try_get("other_since")?),
                            until: UnixMs(row.try_get("other_seen")?),
                        },
                    },
                    row.try_get::<i64, _>("alarmed")? == 1,
                ))
            })
            .collect()
    }

    /// A part cannot have left a machine before this moment.
    pub async fn part_still_in(&mut self, key: &str, id: &MachineId, at: UnixMs) -> Result<(), StoreError> {
        sqlx::query("UPDATE part_places SET seen_at = max(seen_at, $3) WHERE part = $1 AND machine = $2")
            .bind(key)
            .bind(id.as_str())
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// That a part is in two machines was told, in both.
    pub async fn part_alarmed(
        &mut self,
        key: &str,
        one: &MachineId,
        two: &MachineId,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE part_places SET alarmed = 1 WHERE part = $1 AND machine IN ($2, $3)")
            .bind(key)
            .bind(one.as_str())
            .bind(two.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

/// A word of the wire that is stored as it is.
fn word<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    from_json(what, &format!("\"{text}\""))
}

fn event(row: &SqliteRow) -> Result<PartEvent, StoreError> {
    let from_machine: Option<&str> = row.try_get("from_machine")?;
    Ok(PartEvent {
        at: UnixMs(row.try_get("at")?),
        machine: parse("machine id", row.try_get("machine")?)?,
        what: word::<PartEventKind>("part event", row.try_get("what")?)?,
        place: row.try_get("place")?,
        from_place: row.try_get("from_place")?,
        from_machine: from_machine.map(|id| parse("machine id", id)).transpose()?,
        report: row.try_get("report")?,
    })
}
