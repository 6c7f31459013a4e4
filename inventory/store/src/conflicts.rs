//! Who machines say they are, and who claims to be whom.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::expectation::{MachineNames, name_key};
use lifecycle::identity::{Field, Identity};
use sqlx::sqlite::SqliteExecutor;

use super::sql::{Json, Row, all, one, only};
use super::{Change, Store, StoreError};

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
        conflicts(&self.read, id).await
    }

    /// Machines with an open conflict, by machine.
    pub async fn open_conflicts(&self) -> Result<BTreeMap<MachineId, BTreeSet<MachineId>>, StoreError> {
        let sql = "SELECT machine, other FROM conflicts WHERE resolved_at IS NULL";
        let pair = |row: Row<'_>| Ok((row.get("machine")?, row.get("other")?));
        let mut open: BTreeMap<MachineId, BTreeSet<MachineId>> = BTreeMap::new();
        for (machine, other) in all::<(MachineId, MachineId)>(&self.read, sql, &[], pair).await? {
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
            let sql = "SELECT machine FROM machine_names JOIN machines ON id = machine
                WHERE value = $1 AND machine <> $2 AND folded_into IS NULL LIMIT 1";
            let other = one(&self.read, sql, &[&name_key(name), id], only).await?;
            if other.is_some() {
                return Ok(other);
            }
        }
        Ok(None)
    }

    /// Keeps the identity of machines that reported to an older server.
    pub async fn index_identities(&self) -> Result<(), StoreError> {
        let sql = "SELECT DISTINCT machine FROM reports WHERE report IS NOT NULL
            AND machine NOT IN (SELECT machine FROM identities)";
        for id in all::<MachineId>(&self.read, sql, &[], only).await? {
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
}

impl Change {
    /// Who a machine said it is. `None`: it never reported.
    pub async fn identity(&mut self, id: &MachineId) -> Result<Option<Identity>, StoreError> {
        let sql = "SELECT identity FROM identities WHERE machine = $1";
        one(self.connection(), sql, &[id], |row| {
            row.json("identity", "identity")
        })
        .await
    }

    /// Stores who a machine says it is, in place of what it said before.
    pub async fn put_facts(
        &mut self,
        id: &MachineId,
        identity: &Identity,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        self.put_document("identities", "identity", id, &Json("identity", identity), at)
            .await?;
        self.run("DELETE FROM identity_values WHERE machine = $1", &[id])
            .await?;
        for field in Field::ALL {
            for value in identity.keys(field) {
                let sql = "INSERT OR IGNORE INTO identity_values (field, value, machine) VALUES ($1, $2, $3)";
                self.run(sql, &[&field.name(), &value, id]).await?;
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
                let sql = "SELECT v.machine FROM identity_values AS v JOIN machines AS m ON m.id = v.machine
                    WHERE v.field = $1 AND v.value = $2 AND json_extract(m.state, '$.state') <> 'retired'
                    ORDER BY m.enrolled_at LIMIT 20";
                for machine in all(self.connection(), sql, &[&field.name(), &value], only).await? {
                    found.entry(machine).or_default().insert(field);
                }
            }
        }
        Ok(found)
    }

    /// Values that count no more.
    pub async fn shared_values(&mut self) -> Result<SharedValues, StoreError> {
        let sql = "SELECT field, value FROM shared_values";
        let pair = |row: Row<'_>| Ok((row.get("field")?, row.get("value")?));
        let mut shared = SharedValues::new();
        for (name, value) in all::<(String, String)>(self.connection(), sql, &[], pair).await? {
            if let Some(field) = Field::ALL.into_iter().find(|f| f.name() == name) {
                shared.entry(field).or_default().insert(value);
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
        let sql = "INSERT OR IGNORE INTO shared_values (field, value, at, actor) VALUES ($1, $2, $3, $4)";
        self.run(sql, &[&field.name(), &value, &at, &actor]).await
    }

    /// Conflicts that a machine has part in, the newest first.
    pub async fn conflicts(&mut self, id: &MachineId) -> Result<Vec<ConflictRow>, StoreError> {
        conflicts(self.connection(), id).await
    }

    /// Opens a conflict. The row's number, and whether it is resolved, are not looked at.
    pub async fn add_conflict(&mut self, row: &ConflictRow) -> Result<(), StoreError> {
        let (seen, known) = (Json("identity", &row.seen), Json("identity", &row.known));
        self.run(
            "INSERT INTO conflicts (machine, other, at, sentence, boot_mac, seen, known)
            VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &row.machine,
                &row.other,
                &row.at,
                &row.sentence,
                &row.boot_mac,
                &seen,
                &known,
            ],
        )
        .await
    }

    /// A person has decided.
    pub async fn resolve_conflict(
        &mut self,
        id: i64,
        resolution: &str,
        at: UnixMs,
        actor: &str,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE conflicts SET resolved_at = $2, resolution = $3, actor = $4 WHERE id = $1";
        self.run(sql, &[&id, &at, &resolution, &actor]).await
    }

    /// Moves the MACs of an enrolment to the machine that it is, and leaves the pointer. Its history, reports and all else
    /// stay with it.
    pub async fn fold(&mut self, from: &MachineId, into: &MachineId) -> Result<(), StoreError> {
        let macs = "UPDATE macs SET machine = $2, rank = 1 WHERE machine = $1";
        self.run(macs, &[from, into]).await?;
        // What its newest report said of names and places of parts: the living machine says it now.
        for delete in [
            "DELETE FROM machine_names WHERE machine = $1",
            "DELETE FROM reported_macs WHERE machine = $1",
            "DELETE FROM part_places WHERE machine = $1",
        ] {
            self.run(delete, &[from]).await?;
        }
        // Folded into it before: the pointer leads to the living one.
        let pointer = "UPDATE machines SET folded_into = $2 WHERE id = $1 OR folded_into = $1";
        self.run(pointer, &[from, into]).await
    }

    /// Takes a MAC from a machine: the next boot from it is a new machine's.
    pub async fn remove_mac(&mut self, id: &MachineId, mac: Mac) -> Result<(), StoreError> {
        let sql = "DELETE FROM macs WHERE machine = $1 AND mac = $2";
        self.run(sql, &[id, &mac]).await
    }

    /// The machine claimed: what was folded into it speaks no more.
    pub async fn revoke_folded(&mut self, into: &MachineId) -> Result<(), StoreError> {
        let sql = "UPDATE certificates SET revoked = 1 WHERE revoked = 0
            AND machine IN (SELECT id FROM machines WHERE folded_into = $1)";
        self.run(sql, &[into]).await
    }

    /// Keeps only that a report came: it was another machine's, and must not stand in the place of this one's.
    pub async fn put_foreign_report(
        &mut self,
        id: &MachineId,
        nonce: &str,
        digest: &[u8],
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO reports (machine, at, nonce, digest) VALUES ($1, $2, $3, $4)";
        self.run(sql, &[id, &at, &nonce, &digest]).await
    }
}

async fn conflicts<'c>(on: impl SqliteExecutor<'c>, id: &MachineId) -> Result<Vec<ConflictRow>, StoreError> {
    let sql = "SELECT * FROM conflicts WHERE machine = $1 OR other = $1 ORDER BY id DESC LIMIT 100";
    all(on, sql, &[id], conflict_row).await
}

fn conflict_row(row: Row<'_>) -> Result<ConflictRow, StoreError> {
    let resolved = match row.maybe("resolved_at")? {
        Some(at) => Some((at, row.get("resolution")?, row.get("actor")?)),
        None => None,
    };
    Ok(ConflictRow {
        id: row.get("id")?,
        machine: row.get("machine")?,
        other: row.get("other")?,
        at: row.get("at")?,
        sentence: row.get("sentence")?,
        boot_mac: row.maybe("boot_mac")?,
        seen: row.json("identity", "seen")?,
        known: row.json("identity", "known")?,
        resolved,
    })
}
