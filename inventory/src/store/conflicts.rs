//! Who machines say they are, and who claims to be whom.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::expectation::{MachineNames, name_key};
use lifecycle::identity::{Field, Identity};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::{Change, Store, StoreError, from_json, parse, to_json};

/// Values that different machines share, by field.
pub type SharedValues = BTreeMap<Field, BTreeSet<String>>;

/// Two that claim one identity, or one that contradicts itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictRow {
    /// Number.
    pub id: i64,
    /// Who sent the report.
    pub machine: MachineId,
    /// Whose identity it claims; the same machine: its own past says otherwise.
    pub other: MachineId,
    /// When.
    pub at: UnixMs,
    /// In words.
    pub sentence: String,
    /// The NIC the sender booted from.
    pub boot_mac: Option<Mac>,
    /// Who the report said it is.
    pub seen: Identity,
    /// Who the other one had said it is.
    pub known: Identity,
    /// When a person decided, what, and who.
    pub resolved: Option<(UnixMs, String, String)>,
}

impl Store {
    /// Conflicts that a machine has part in, the newest first.
    pub async fn conflicts(&self, id: &MachineId) -> Result<Vec<ConflictRow>, StoreError> {
        conflicts(&mut *self.read.acquire().await?, id).await
    }

    /// Machines with an open conflict, by machine.
    pub async fn open_conflicts(&self) -> Result<BTreeMap<MachineId, BTreeSet<MachineId>>, StoreError> {
        let rows = sqlx::query("SELECT machine, other FROM conflicts WHERE resolved_at IS NULL")
            .fetch_all(&self.read)
            .await?;
        let mut open: BTreeMap<MachineId, BTreeSet<MachineId>> = BTreeMap::new();
        for row in &rows {
            let machine: MachineId = parse("machine id", row.try_get("machine")?)?;
            let other: MachineId = parse("machine id", row.try_get("other")?)?;
            open.entry(machine.clone()).or_default().insert(other.clone());
            open.entry(other).or_default().insert(machine);
        }
        Ok(open)
    }

    /// Another machine that has reported one of these serial numbers or asset tags, a retired one too.
    pub async fn received_as(
        &self,
        names: &MachineNames,
        id: &MachineId,
    ) -> Result<Option<MachineId>, StoreError> {
        for name in names.serials.iter().chain(&names.asset_tags) {
            let other: Option<String> = sqlx::query_scalar(
                "SELECT machine FROM machine_names JOIN machines ON id = machine
                 WHERE value = $1 AND machine <> $2 AND folded_into IS NULL LIMIT 1",
            )
            .bind(name_key(name))
            .bind(id.as_str())
            .fetch_optional(&self.read)
            .await?;
            if let Some(other) = other {
                return parse("machine id", &other).map(Some);
            }
        }
        Ok(None)
    }

    /// Keeps the identity of machines that reported to an older server.
    pub async fn index_identities(&self) -> Result<(), StoreError> {
        for id in self.without_identity().await? {
            if let Some(stored) = self.stored_report(&id).await? {
                let mut change = self.begin().await?;
                change
                    .put_facts(&id, &Identity::of(&stored.report), stored.at)
                    .await?;
                change.commit().await?;
            }
        }
        Ok(())
    }

    /// Machines that have reported and whose identity is not kept yet: they reported to an older server.
    async fn without_identity(&self) -> Result<Vec<MachineId>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT machine FROM reports WHERE report IS NOT NULL
             AND machine NOT IN (SELECT machine FROM identities)",
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| parse("machine id", row.try_get("machine")?))
            .collect()
    }
}

impl Change {
    /// Who a machine said it is. `None`: it never reported.
    pub async fn identity(&mut self, id: &MachineId) -> Result<Option<Identity>, StoreError> {
        let text: Option<String> = sqlx::query_scalar("SELECT identity FROM identities WHERE machine = $1")
            .bind(id.as_str())
            .fetch_optional(self.connection())
            .await?;
        text.map(|text| from_json("identity", &text)).transpose()
    }

    /// Stores who a machine says it is, in place of what it said before.
    pub async fn put_facts(
        &mut self,
        id: &MachineId,
        identity: &Identity,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO identities (machine, at, identity) VALUES ($1, $2, $3)
             ON CONFLICT (machine) DO UPDATE SET at = excluded.at, identity = excluded.identity",
        )
        .bind(id.as_str())
        .bind(at.0)
        .bind(to_json("identity", identity)?)
        .execute(self.connection())
        .await?;
        sqlx::query("DELETE FROM identity_values WHERE machine = $1")
            .bind(id.as_str())
            .execute(self.connection())
            .await?;
        for field in Field::ALL {
            for value in identity.keys(field) {
                sqlx::query(
                    "INSERT OR IGNORE INTO identity_values (field, value, machine) VALUES ($1, $2, $3)",
                )
                .bind(field.name())
                .bind(value)
                .bind(id.as_str())
                .execute(self.connection())
                .await?;
            }
        }
        Ok(())
    }

    /// Machines in service that share values with an identity, and which. A value that more than twenty share tells
    /// nothing: the rest is cut.
    pub async fn sharers(
        &mut self,
        identity: &Identity,
    ) -> Result<BTreeMap<MachineId, BTreeSet<Field>>, StoreError> {
        let mut found: BTreeMap<MachineId, BTreeSet<Field>> = BTreeMap::new();
        for field in Field::ALL {
            for value in identity.keys(field) {
                let rows = sqlx::query(
                    "SELECT v.machine FROM identity_values AS v JOIN machines AS m ON m.id = v.machine
                     WHERE v.field = $1 AND v.value = $2 AND json_extract(m.state, '$.state') <> 'retired'
                     ORDER BY m.enrolled_at LIMIT 20",
                )
                .bind(field.name())
                .bind(value)
                .fetch_all(self.connection())
                .await?;
                for row in &rows {
                    let machine = parse("machine id", row.try_get("machine")?)?;
                    found.entry(machine).or_default().insert(field);
                }
            }
        }
        Ok(found)
    }

    /// Values that count no more.
    pub async fn shared_values(&mut self) -> Result<SharedValues, StoreError> {
        let rows = sqlx::query("SELECT field, value FROM shared_values")
            .fetch_all(self.connection())
            .await?;
        let mut shared = SharedValues::new();
        for row in &rows {
            let name: &str = row.try_get("field")?;
            if let Some(field) = Field::ALL.into_iter().find(|f| f.name() == name) {
                shared.entry(field).or_default().insert(row.try_get("value")?);
            }
        }
        Ok(shared)
    }

    /// A person found this value on different machines.
    pub async fn add_shared_value(
        &mut self,
        field: Field,
        value: &str,
        at: UnixMs,
        actor: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT OR IGNORE INTO shared_values (field, value, at, actor) VALUES ($1, $2, $3, $4)")
            .bind(field.name())
            .bind(value)
            .bind(at.0)
            .bind(actor)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Conflicts that a machine has part in, the newest first.
    pub async fn conflicts(&mut self, id: &MachineId) -> Result<Vec<ConflictRow>, StoreError> {
        conflicts(self.connection(), id).await
    }

    /// Opens a conflict. The row's number, and whether it is resolved, are not looked at.
    pub async fn add_conflict(&mut self, row: &ConflictRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO conflicts (machine, other, at, sentence, boot_mac, seen, known)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(row.machine.as_str())
        .bind(row.other.as_str())
        .bind(row.at.0)
        .bind(&row.sentence)
        .bind(row.boot_mac.map(|mac| mac.to_string()))
        .bind(to_json("identity", &row.seen)?)
        .bind(to_json("identity", &row.known)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// A person has decided.
    pub async fn resolve_conflict(
        &mut self,
        id: i64,
        resolution: &str,
        at: UnixMs,
        actor: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE conflicts SET resolved_at = $2, resolution = $3, actor = $4 WHERE id = $1")
            .bind(id)
            .bind(at.0)
            .bind(resolution)
            .bind(actor)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Moves the MACs of an enrolment to the machine that it is, and leaves the pointer. Its history, reports and all else
    /// stay with it.
    pub async fn fold(&mut self, from: &MachineId, into: &MachineId) -> Result<(), StoreError> {
        sqlx::query("UPDATE macs SET machine = $2, rank = 1 WHERE machine = $1")
            .bind(from.as_str())
            .bind(into.as_str())
            .execute(self.connection())
            .await?;
        // What its newest report said of names and places of parts: the living machine says it now.
        for delete in [
            "DELETE FROM machine_names WHERE machine = $1",
            "DELETE FROM reported_macs WHERE machine = $1",
            "DELETE FROM part_places WHERE machine = $1",
        ] {
            sqlx::query(delete)
                .bind(from.as_str())
                .execute(self.connection())
                .await?;
        }
        // Folded into it before: the pointer leads to the living one.
        sqlx::query("UPDATE machines SET folded_into = $2 WHERE id = $1 OR folded_into = $1")
            .bind(from.as_str())
            .bind(into.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Takes a MAC from a machine: the next boot from it is a new machine's.
    pub async fn remove_mac(&mut self, id: &MachineId, mac: Mac) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM macs WHERE machine = $1 AND mac = $2")
            .bind(id.as_str())
            .bind(mac.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The machine claimed: what was folded into it speaks no more.
    pub async fn revoke_folded(&mut self, into: &MachineId) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE certificates SET revoked = 1 WHERE revoked = 0
             AND machine IN (SELECT id FROM machines WHERE folded_into = $1)",
        )
        .bind(into.as_str())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Keeps only that a report came: it was another machine's, and must not stand in the place of this one's.
    pub async fn put_foreign_report(
        &mut self,
        id: &MachineId,
        nonce: &str,
        digest: &[u8],
        at: UnixMs,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO reports (machine, at, nonce, digest) VALUES ($1, $2, $3, $4)")
            .bind(id.as_str())
            .bind(at.0)
            .bind(nonce)
            .bind(digest)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

async fn conflicts(
    connection: &mut SqliteConnection,
    id: &MachineId,
) -> Result<Vec<ConflictRow>, StoreError> {
    let rows =
        sqlx::query("SELECT * FROM conflicts WHERE machine = $1 OR other = $1 ORDER BY id DESC LIMIT 100")
            .bind(id.as_str())
            .fetch_all(connection)
            .await?;
    rows.iter().map(conflict_row).collect()
}

fn conflict_row(row: &SqliteRow) -> Result<ConflictRow, StoreError> {
    let mac: Option<&str> = row.try_get("boot_mac")?;
    let resolved_at: Option<i64> = row.try_get("resolved_at")?;
    let resolved = match resolved_at {
        Some(at) => Some((UnixMs(at), row.try_get("resolution")?, row.try_get("actor")?)),
        None => None,
    };
    Ok(ConflictRow {
        id: row.try_get("id")?,
        machine: parse("machine id", row.try_get("machine")?)?,
        other: parse("machine id", row.try_get("other")?)?,
        at: UnixMs(row.try_get("at")?),
        sentence: row.try_get("sentence")?,
        boot_mac: mac.map(|mac| parse("MAC", mac)).transpose()?,
        seen: from_json("identity", row.try_get("seen")?)?,
        known: from_json("identity", row.try_get("known")?)?,
        resolved,
    })
}
