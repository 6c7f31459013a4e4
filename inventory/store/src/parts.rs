//! The lives of parts.

use inventory_api::parts::{DuplicatePart, PartEvent, PartEventKind, PartKind, PartLife, PartPlace};
use inventory_api::{MachineId, UnixMs};
use lifecycle::expectation::name_key;
use lifecycle::parts::{Held, Part, Stretch, at_once};
use sqlx::AssertSqlSafe;

use super::sql::Col;
use super::{Change, Reader, Result};

/// Events that are kept for each machine: a machine that reports other parts each time cannot fill the disk.
pub const KEPT_PART_EVENTS: i64 = 20_000;
/// Events that are shown of one part.
const SHOWN_EVENTS: i64 = 500;
/// Parts that are shown for one serial number.
const SHOWN_PARTS: i64 = 50;

const EVENT_COLUMNS: &str = "at, machine, what, place, from_place, from_machine, report";

/// A part that another machine shows too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPlace {
    /// The other machine.
    pub machine: MachineId,
    /// Where the part is there.
    pub place: String,
    /// When it was seen there.
    pub stretch: Stretch,
}

type PartRow = (String, Col<PartKind>, String, Option<String>, Option<String>);

type EventRow = (
    Col<UnixMs>,
    Col<MachineId>,
    Col<PartEventKind>,
    String,
    Option<String>,
    Col<Option<MachineId>>,
    String,
);

fn event(
    (Col(at), Col(machine), Col(what), place, from_place, Col(from_machine), report): EventRow,
) -> PartEvent {
    PartEvent {
        at,
        machine,
        what,
        place,
        from_place,
        from_machine,
        report,
    }
}

impl Reader {
    /// The parts with a serial number.
    pub async fn parts_of_serial(&self, serial: &str) -> Result<Vec<PartLife>> {
        let sql = "SELECT key, kind, serial, manufacturer, model FROM parts WHERE serial_key = $1
            ORDER BY kind, key LIMIT $2";
        let parts: Vec<PartRow> = self.rows(sql, &[&name_key(serial), &SHOWN_PARTS]).await?;
        let mut lives = Vec::with_capacity(parts.len());
        for (key, Col(kind), serial, manufacturer, model) in parts {
            let seen_in = self.places(&key).await?;
            let duplicate = seen_in
                .iter()
                .enumerate()
                .any(|(i, a)| seen_in[..i].iter().any(|b| at_once(stretch(a), stretch(b))));
            let sql =
                format!("SELECT {EVENT_COLUMNS} FROM part_events WHERE part = $1 ORDER BY id DESC LIMIT $2");
            let events: Vec<EventRow> = self.rows(AssertSqlSafe(sql), &[&key, &SHOWN_EVENTS]).await?;
            lives.push(PartLife {
                kind,
                serial,
                manufacturer,
                model,
                duplicate,
                seen_in,
                events: events.into_iter().map(event).collect(),
            });
        }
        Ok(lives)
    }

    /// Where a part was, last seen first.
    async fn places(&self, part: &str) -> Result<Vec<PartPlace>> {
        let sql = "SELECT machine, place, since, seen_at FROM part_places WHERE part = $1
            ORDER BY seen_at DESC LIMIT 100";
        let rows = self.rows(sql, &[&part]).await?;
        let place = |(Col(machine), place, Col(since), Col(seen_at))| PartPlace {
            machine,
            place,
            since,
            seen_at,
        };
        Ok(rows.into_iter().map(place).collect())
    }

    /// At most `limit` parts of a machine that another machine shows at the same time.
    pub async fn duplicates(&self, id: &MachineId, limit: u32) -> Result<Vec<DuplicatePart>> {
        let sql = "SELECT p.kind, p.serial, a.place, b.machine, b.place
            FROM part_places a JOIN part_places b ON b.part = a.part AND b.machine <> a.machine
            JOIN parts p ON p.key = a.part
            WHERE a.machine = $1 AND a.since <= b.seen_at AND b.since <= a.seen_at
            ORDER BY p.kind, a.place LIMIT $2";
        let rows = self.rows(sql, &[id, &limit]).await?;
        Ok(rows
            .into_iter()
            .map(
                |(Col(kind), serial, place, Col(other), other_place)| DuplicatePart {
                    kind,
                    serial,
                    place,
                    other,
                    other_place,
                },
            )
            .collect())
    }

    /// The parts that a machine had by its report before.
    pub async fn held_parts(&self, id: &MachineId) -> Result<Vec<Held>> {
        let sql = "SELECT part, kind, place FROM part_places JOIN parts ON key = part WHERE machine = $1";
        let rows: Vec<(String, Col<PartKind>, String)> = self.rows(sql, &[id]).await?;
        let held = |(key, Col(kind), place)| Held { key, kind, place };
        Ok(rows.into_iter().map(held).collect())
    }

    /// The newest event of a part that is not about duplicates.
    pub async fn last_part_event(&self, key: &str) -> Result<Option<PartEvent>> {
        let sql = format!(
            "SELECT {EVENT_COLUMNS} FROM part_events WHERE part = $1 AND what <> 'duplicate' ORDER BY id DESC LIMIT 1"
        );
        let row: Option<EventRow> = self.row(AssertSqlSafe(sql), &[&key]).await?;
        Ok(row.map(event))
    }

    /// Whether a part was taken out of this machine before.
    pub async fn was_in(&self, key: &str, id: &MachineId) -> Result<bool> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM part_events
            WHERE part = $1 AND machine = $2 AND what = 'removed' LIMIT 1) AS removed";
        Ok(self.count(sql, &[&key, id]).await? > 0)
    }

    /// At most `limit` parts of this machine that other machines show too, by the part's key; the flag: its
    /// alarm was raised.
    pub async fn shared_parts(
        &self,
        id: &MachineId,
        limit: u32,
    ) -> Result<Vec<(String, PartKind, Stretch, OtherPlace, bool)>> {
        type Row = (
            String,
            Col<PartKind>,
            Col<UnixMs>,
            Col<UnixMs>,
            bool,
            Col<MachineId>,
            String,
            Col<UnixMs>,
            Col<UnixMs>,
        );
        let sql =
            "SELECT a.part, p.kind, a.since, a.seen_at, a.alarmed, b.machine, b.place, b.since, b.seen_at
            FROM part_places a JOIN part_places b ON b.part = a.part AND b.machine <> a.machine
            JOIN parts p ON p.key = a.part WHERE a.machine = $1 ORDER BY a.part, b.machine LIMIT $2";
        let rows: Vec<Row> = self.rows(sql, &[id, &limit]).await?;
        let shared = |(
            part,
            Col(kind),
            Col(since),
            Col(until),
            alarmed,
            Col(machine),
            place,
            Col(from),
            Col(to),
        ): Row| {
            let other = OtherPlace {
                machine,
                place,
                stretch: Stretch {
                    since: from,
                    until: to,
                },
            };
            (part, kind, Stretch { since, until }, other, alarmed)
        };
        Ok(rows.into_iter().map(shared).collect())
    }
}

fn stretch(place: &PartPlace) -> Stretch {
    Stretch {
        since: place.since,
        until: place.seen_at,
    }
}

impl Change {
    /// All parts of a machine that are still there were seen again.
    pub async fn parts_seen(&mut self, id: &MachineId, at: UnixMs) -> Result<()> {
        let sql = "UPDATE part_places SET seen_at = $2 WHERE machine = $1 AND seen_at < $2";
        self.run(sql, &[id, &at]).await
    }

    /// A part is in a machine, in this place, from now on or still.
    pub async fn put_part(&mut self, id: &MachineId, part: &Part, at: UnixMs) -> Result<()> {
        self.run(
            "INSERT INTO parts (key, kind, serial, serial_key, manufacturer, model) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (key) DO UPDATE SET manufacturer = coalesce(excluded.manufacturer, parts.manufacturer),
                model = coalesce(excluded.model, parts.model)",
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
    pub async fn drop_part(&mut self, id: &MachineId, key: &str) -> Result<()> {
        let sql = "DELETE FROM part_places WHERE part = $1 AND machine = $2";
        self.run(sql, &[&key, id]).await
    }

    /// Adds an event to a part's life.
    pub async fn add_part_event(&mut self, key: &str, event: &PartEvent) -> Result<()> {
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

    /// Deletes the oldest events of a machine beyond the limit, and parts of which nothing else is kept.
    pub async fn trim_part_events(&mut self, id: &MachineId) -> Result<()> {
        let sql = "DELETE FROM part_events WHERE machine = $1 AND id <=
            (SELECT id FROM part_events WHERE machine = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
        let deleted = self.execute(sql, &[id, &KEPT_PART_EVENTS]).await?;
        if deleted.rows_affected() == 0 {
            return Ok(());
        }
        let unknown = "DELETE FROM parts WHERE NOT EXISTS (SELECT 1 FROM part_places WHERE part = key)
            AND NOT EXISTS (SELECT 1 FROM part_events WHERE part = key)";
        self.run(unknown, &[]).await
    }

    /// A part cannot have left a machine before this moment.
    pub async fn part_still_in(&mut self, key: &str, id: &MachineId, at: UnixMs) -> Result<()> {
        let sql = "UPDATE part_places SET seen_at = $3 WHERE part = $1 AND machine = $2 AND seen_at < $3";
        self.run(sql, &[&key, id, &at]).await
    }

    /// The alarm about a part in two machines was raised, in both.
    pub async fn part_alarmed(&mut self, key: &str, one: &MachineId, two: &MachineId) -> Result<()> {
        let sql = "UPDATE part_places SET alarmed = 1 WHERE part = $1 AND machine IN ($2, $3)";
        self.run(sql, &[&key, one, two]).await
    }
}
