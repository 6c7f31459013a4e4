//! Who machines say they are, and which of them claim the same identity.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::expectation::{MachineNames, name_key};
use lifecycle::identity::{Field, Identity};
use sqlx::{QueryBuilder, Sqlite};

use super::sql::push_ids;
use super::sql::{Col, Json};
use super::{Change, Reader, Result, Store};

/// Values that different machines share, by field.
pub type SharedValues = BTreeMap<Field, BTreeSet<String>>;

/// Machines in an open conflict, each with those it is in conflict with.
pub type OpenConflicts = BTreeMap<MachineId, BTreeSet<MachineId>>;

/// Two machines that claim one identity, or one that contradicts itself.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct ConflictRow {
    /// Number of the conflict.
    pub id: i64,
    /// Who sent the report.
    #[sqlx(try_from = "Col<MachineId>")]
    pub machine: MachineId,
    /// Whose identity it claims; the same machine if the report contradicts what it said before.
    #[sqlx(try_from = "Col<MachineId>")]
    pub other: MachineId,
    /// When.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub at: UnixMs,
    /// What happened, in words.
    pub sentence: String,
    /// The NIC the sender booted from.
    #[sqlx(try_from = "Col<Option<Mac>>")]
    pub boot_mac: Option<Mac>,
    /// The identity in the report.
    #[sqlx(json)]
    pub seen: Identity,
    /// The identity of the other machine.
    #[sqlx(json)]
    pub known: Identity,
    /// `None`: nobody has decided yet.
    #[sqlx(flatten, try_from = "ResolvedColumns")]
    pub resolved: Option<Resolved>,
}

/// What a person decided about a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// When.
    pub at: UnixMs,
    /// The decision.
    pub resolution: String,
    /// Who decided.
    pub actor: String,
}

#[derive(sqlx::FromRow)]
struct ResolvedColumns {
    #[sqlx(try_from = "Col<Option<UnixMs>>")]
    resolved_at: Option<UnixMs>,
    resolution: Option<String>,
    actor: Option<String>,
}

impl From<ResolvedColumns> for Option<Resolved> {
    fn from(columns: ResolvedColumns) -> Option<Resolved> {
        Some(Resolved {
            at: columns.resolved_at?,
            resolution: columns.resolution.unwrap_or_default(),
            actor: columns.actor.unwrap_or_default(),
        })
    }
}

impl Reader {
    /// Conflicts that a machine has part in, newest first.
    pub async fn conflicts(&self, id: &MachineId) -> Result<Vec<ConflictRow>> {
        let sql =
            "SELECT id, machine, other, at, sentence, boot_mac, seen, known, resolved_at, resolution, actor
            FROM conflicts WHERE machine = $1 OR other = $1 ORDER BY id DESC LIMIT 100";
        self.rows(sql, &[id]).await
    }

    /// The open conflicts of these machines.
    pub async fn open_conflicts(&self, ids: &[MachineId]) -> Result<OpenConflicts> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT machine, other FROM conflicts WHERE resolved_at IS NULL AND (machine IN (",
        );
        push_ids(&mut query, ids.iter());
        query.push(" OR other IN (");
        push_ids(&mut query, ids.iter());
        query.push(")");
        let mut open = OpenConflicts::new();
        let pairs: Vec<(Col<MachineId>, Col<MachineId>)> = self.fetch(query.build()).await?;
        for (Col(machine), Col(other)) in pairs {
            open.entry(machine.clone()).or_default().insert(other.clone());
            open.entry(other).or_default().insert(machine);
        }
        Ok(open)
    }

    /// Another machine that reported one of these serial numbers or asset tags, a retired one too.
    pub async fn received_as(&self, names: &MachineNames, id: &MachineId) -> Result<Option<MachineId>> {
        for name in names.serials.iter().chain(&names.asset_tags) {
            let sql = "SELECT machine FROM machine_names JOIN machines ON id = machine
                WHERE value = $1 AND machine <> $2 AND folded_into IS NULL LIMIT 1";
            let other = self.value(sql, &[&name_key(name), id]).await?;
            if other.is_some() {
                return Ok(other);
            }
        }
        Ok(None)
    }

    /// The identity of a machine. `None`: it never reported.
    pub async fn identity(&self, id: &MachineId) -> Result<Option<Identity>> {
        self.document("SELECT identity FROM identities WHERE machine = $1", &[id])
            .await
    }

    /// Machines in service that share values with an identity, and the fields. A value that more than twenty
    /// share decides nothing: the rest is left out.
    pub async fn sharers(&self, identity: &Identity) -> Result<BTreeMap<MachineId, BTreeSet<Field>>> {
        let mut found: BTreeMap<MachineId, BTreeSet<Field>> = BTreeMap::new();
        for field in Field::ALL {
            for value in identity.keys(field) {
                let sql = "SELECT v.machine FROM identity_values AS v JOIN machines AS m ON m.id = v.machine
                    WHERE v.field = $1 AND v.value = $2 AND m.state_name <> 'retired'
                    ORDER BY m.enrolled_at LIMIT 20";
                for machine in self.column(sql, &[&field.name(), &value]).await? {
                    found.entry(machine).or_default().insert(field);
                }
            }
        }
        Ok(found)
    }

    /// Values that no longer count.
    pub async fn shared_values(&self) -> Result<SharedValues> {
        let rows: Vec<(String, String)> = self.rows("SELECT field, value FROM shared_values", &[]).await?;
        let mut shared = SharedValues::new();
        for (name, value) in rows {
            if let Some(field) = Field::ALL.into_iter().find(|f| f.name() == name) {
                shared.entry(field).or_default().insert(value);
            }
        }
        Ok(shared)
    }
}

impl Store {
    /// Stores the identity of machines that reported to a server older than identities.
    pub async fn index_identities(&self) -> Result<()> {
        let sql = "SELECT DISTINCT machine FROM reports WHERE report IS NOT NULL
            AND machine NOT IN (SELECT machine FROM identities)";
        for id in self.column::<MachineId>(sql, &[]).await? {
            if let Some(stored) = self.stored_report(&id).await? {
                let mut change = self.begin().await?;
                change
                    .put_identity(&id, &Identity::of(&stored.report), stored.at)
                    .await?;
                change.commit().await?;
            }
        }
        Ok(())
    }
}

impl Change {
    /// Stores the identity of a machine in place of the one before.
    pub async fn put_identity(&mut self, id: &MachineId, identity: &Identity, at: UnixMs) -> Result<()> {
        self.put_document("identities", "identity", id, &Json(identity), at)
            .await?;
        self.run("DELETE FROM identity_values WHERE machine = $1", &[id])
            .await?;
        for field in Field::ALL {
            for value in identity.keys(field) {
                let sql = "INSERT INTO identity_values (field, value, machine) VALUES ($1, $2, $3)
                    ON CONFLICT DO NOTHING";
                self.run(sql, &[&field.name(), &value, id]).await?;
            }
        }
        Ok(())
    }

    /// A person found this value on different machines: it no longer counts.
    pub async fn add_shared_value(
        &mut self,
        field: Field,
        value: &str,
        at: UnixMs,
        actor: &str,
    ) -> Result<()> {
        let sql = "INSERT INTO shared_values (field, value, at, actor) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        self.run(sql, &[&field.name(), &value, &at, &actor]).await
    }

    /// Opens a conflict. `id` and `resolved` of the row are ignored.
    pub async fn add_conflict(&mut self, row: &ConflictRow) -> Result<()> {
        self.run(
            "INSERT INTO conflicts (machine, other, at, sentence, boot_mac, seen, known)
            VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &row.machine,
                &row.other,
                &row.at,
                &row.sentence,
                &row.boot_mac,
                &Json(&row.seen),
                &Json(&row.known),
            ],
        )
        .await
    }

    /// Closes a conflict with what a person decided.
    pub async fn resolve_conflict(
        &mut self,
        id: i64,
        resolution: &str,
        at: UnixMs,
        actor: &str,
    ) -> Result<()> {
        let sql = "UPDATE conflicts SET resolved_at = $2, resolution = $3, actor = $4 WHERE id = $1";
        self.run(sql, &[&id, &at, &resolution, &actor]).await
    }

    /// Moves the MACs of an enrolment to the machine that it turned out to be, and points there. Its history,
    /// reports and all else stay with it.
    pub async fn fold(&mut self, from: &MachineId, into: &MachineId) -> Result<()> {
        self.search_changed(from);
        self.search_changed(into);
        let macs = "UPDATE macs SET machine = $2, rank = 1 WHERE machine = $1";
        self.run(macs, &[from, into]).await?;
        // What its newest report said of names and places of parts is now for the living machine to say.
        for delete in [
            "DELETE FROM machine_names WHERE machine = $1",
            "DELETE FROM reported_macs WHERE machine = $1",
            "DELETE FROM part_places WHERE machine = $1",
        ] {
            self.run(delete, &[from]).await?;
        }
        // Also what was folded into it before, so that every pointer leads to a living machine.
        let pointer = "UPDATE machines SET folded_into = $2 WHERE id = $1 OR folded_into = $1";
        self.run(pointer, &[from, into]).await
    }

    /// The machine claimed: certificates of the enrolments folded into it are revoked.
    pub async fn revoke_folded(&mut self, into: &MachineId) -> Result<()> {
        let sql = "UPDATE certificates SET revoked = 1 WHERE revoked = 0
            AND machine IN (SELECT id FROM machines WHERE folded_into = $1)";
        self.run(sql, &[into]).await
    }
}
