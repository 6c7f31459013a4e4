//! Orders, hardware profiles and the rack plan, and the names by which the plan knows a machine.

use std::collections::HashMap;

use inventory_api::check::{CheckResult, HardwareProfile, Verdict};
use inventory_api::delivery::{ExpectedFrom, Order, Placement, ProfileSummary};
use inventory_api::{MachineId, UnixMs};
use lifecycle::expectation::{MachineNames, name_key};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnection, SqliteExecutor};

use super::sql::{Json, Row, Value, all, one, only};
use super::{Change, Store, StoreError};

/// What writing one entry of a file did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was not there.
    Added,
    /// It was there and is different now.
    Changed,
    /// It was there as it is.
    Same,
}

/// The names of a machine, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRow {
    /// The machine.
    pub machine: MachineId,
    /// It is an asset tag, not a serial number.
    pub tag: bool,
    /// The name, trimmed and in lower case.
    pub value: String,
}

const TAG: &str = "tag";
const SERIAL: &str = "serial";

const PLACEMENTS_OF_ORDER: &str =
    "SELECT body FROM placements WHERE order_number = $1 ORDER BY room, rack, unit DESC, node";

impl Store {
    /// All orders, by number.
    pub async fn orders(&self) -> Result<Vec<Order>, StoreError> {
        let sql = "SELECT body FROM orders ORDER BY number";
        all(&self.read, sql, &[], |row| row.json("order", "body")).await
    }

    /// One order.
    pub async fn order(&self, number: &str) -> Result<Option<Order>, StoreError> {
        load_order(&self.read, number).await
    }

    /// All hardware profiles with the number of machines that were checked against each.
    pub async fn hardware_profiles(&self) -> Result<Vec<ProfileSummary>, StoreError> {
        let sql =
            "SELECT name, changed_at, (SELECT count(*) FROM checks WHERE checks.profile = name) AS machines
            FROM hardware_profiles ORDER BY name";
        all(&self.read, sql, &[], |row| {
            Ok(ProfileSummary {
                name: row.get("name")?,
                changed_at: row.get("changed_at")?,
                machines: row.get("machines")?,
            })
        })
        .await
    }

    /// One hardware profile.
    pub async fn hardware_profile(&self, name: &str) -> Result<Option<HardwareProfile>, StoreError> {
        load_profile(&self.read, name).await
    }

    /// The machines whose newest check used a hardware profile, at most `limit`.
    pub async fn machines_of_profile(&self, name: &str, limit: u32) -> Result<Vec<MachineId>, StoreError> {
        let sql = "SELECT machine FROM checks WHERE profile = $1 ORDER BY machine LIMIT $2";
        all(&self.read, sql, &[&name, &limit], only).await
    }

    /// The whole rack plan, by room, rack and unit.
    pub async fn placements(&self) -> Result<Vec<Placement>, StoreError> {
        let sql = "SELECT body FROM placements ORDER BY room, rack, unit DESC, node";
        all(&self.read, sql, &[], placement).await
    }

    /// The places of one order, by room, rack and unit.
    pub async fn placements_of_order(&self, number: &str) -> Result<Vec<Placement>, StoreError> {
        all(&self.read, PLACEMENTS_OF_ORDER, &[&number], placement).await
    }

    /// The places of one rack, the highest unit first.
    pub async fn placements_of_rack(&self, room: &str, rack: &str) -> Result<Vec<Placement>, StoreError> {
        placements_of_rack(&self.read, room, rack).await
    }

    /// The places that have one of these names.
    pub async fn placements_named(&self, names: &MachineNames) -> Result<Vec<Placement>, StoreError> {
        placements_named(&mut *self.read.acquire().await?, names).await
    }

    /// All names of all machines that are not retired: a name goes on to the machine that has it now.
    pub async fn machine_names(&self) -> Result<Vec<NameRow>, StoreError> {
        let sql = "SELECT machine, kind, value FROM machine_names JOIN machines ON id = machine
            WHERE json_extract(state, '$.state') <> 'retired' ORDER BY machine";
        all(&self.read, sql, &[], |row| {
            Ok(NameRow {
                machine: row.get("machine")?,
                tag: row.get::<String>("kind")? == TAG,
                value: row.get("value")?,
            })
        })
        .await
    }

    /// The machines that have a serial number or asset tag, at most 2.
    pub async fn machines_named(&self, name: &str) -> Result<Vec<MachineId>, StoreError> {
        let sql = "SELECT DISTINCT machine FROM machine_names JOIN machines ON id = machine
            WHERE value = $1 AND json_extract(state, '$.state') <> 'retired' ORDER BY machine LIMIT 2";
        all(&self.read, sql, &[&name_key(name)], only).await
    }

    /// The heights of chassis in rack units, where machines told.
    pub async fn heights(&self) -> Result<HashMap<MachineId, u32>, StoreError> {
        let sql = "SELECT id, height_u FROM machines WHERE height_u IS NOT NULL";
        let pair = |row: Row<'_>| Ok((row.get("id")?, row.get("height_u")?));
        Ok(all(&self.read, sql, &[], pair).await?.into_iter().collect())
    }

    /// The newest check of every machine that has one.
    pub async fn checks(&self) -> Result<HashMap<MachineId, CheckResult>, StoreError> {
        let sql = "SELECT machine, result FROM checks";
        let pair = |row: Row<'_>| Ok((row.get("machine")?, row.json("check", "result")?));
        Ok(all(&self.read, sql, &[], pair).await?.into_iter().collect())
    }

    /// The verdict of every machine that has one.
    pub async fn verdicts(&self) -> Result<HashMap<MachineId, Verdict>, StoreError> {
        let sql = "SELECT machine, verdict FROM checks WHERE verdict IS NOT NULL";
        let pair = |row: Row<'_>| Ok((row.get("machine")?, row.word("verdict", "verdict")?));
        Ok(all(&self.read, sql, &[], pair).await?.into_iter().collect())
    }

    /// What the newest check of a machine expected, and why.
    pub async fn expected_from(&self, id: &MachineId) -> Result<Option<ExpectedFrom>, StoreError> {
        let sql = "SELECT expected_from FROM checks WHERE machine = $1";
        let from = one(&self.read, sql, &[id], |row| {
            row.maybe_json("expectation", "expected_from")
        })
        .await?;
        Ok(from.flatten())
    }
}

impl Change {
    /// One order, as it stands in this transaction.
    pub async fn order(&mut self, number: &str) -> Result<Option<Order>, StoreError> {
        load_order(self.connection(), number).await
    }

    /// One hardware profile, as it stands in this transaction.
    pub async fn hardware_profile(&mut self, name: &str) -> Result<Option<HardwareProfile>, StoreError> {
        load_profile(self.connection(), name).await
    }

    /// The places that have one of these names.
    pub async fn placements_named(&mut self, names: &MachineNames) -> Result<Vec<Placement>, StoreError> {
        placements_named(self.connection(), names).await
    }

    /// The place of the rack plan that has the address of this one.
    pub async fn placement_at(&mut self, p: &Placement) -> Result<Option<Placement>, StoreError> {
        let sql = "SELECT body FROM placements WHERE room = $1 AND rack = $2 AND unit = $3 AND node = $4";
        one(
            self.connection(),
            sql,
            &[&p.room, &p.rack, &p.unit, &node_key(p)],
            placement,
        )
        .await
    }

    /// The places of an order.
    pub async fn placements_of_order(&mut self, number: &str) -> Result<Vec<Placement>, StoreError> {
        all(self.connection(), PLACEMENTS_OF_ORDER, &[&number], placement).await
    }

    /// The places whose profile is this one, by themselves or by their order item.
    pub async fn placements_of_profile(&mut self, profile: &str) -> Result<Vec<Placement>, StoreError> {
        let sql = "SELECT body FROM placements p WHERE profile = $1 OR (profile IS NULL AND EXISTS
            (SELECT 1 FROM orders o, json_each(o.body, '$.items') i WHERE o.number = p.order_number
            AND json_extract(i.value, '$.item') = p.item AND json_extract(i.value, '$.profile') = $1))";
        all(self.connection(), sql, &[&profile], placement).await
    }

    /// Stores an order in place of the one with its number.
    pub async fn put_order(&mut self, order: &Order, at: UnixMs) -> Result<Written, StoreError> {
        self.put_body("orders", "number", &order.number, &Json("order", order), at)
            .await
    }

    /// Stores a hardware profile in place of the one with its name.
    pub async fn put_hardware_profile(
        &mut self,
        profile: &HardwareProfile,
        at: UnixMs,
    ) -> Result<Written, StoreError> {
        let body = Json("hardware profile", profile);
        self.put_body("hardware_profiles", "name", &profile.name, &body, at)
            .await
    }

    /// Stores what is kept whole in a table by its name, in the column `key`.
    async fn put_body(
        &mut self,
        table: &'static str,
        key: &'static str,
        name: &str,
        body: &dyn Value,
        at: UnixMs,
    ) -> Result<Written, StoreError> {
        let before = format!("SELECT body = $2 AS same FROM {table} WHERE {key} = $1");
        let before = one(self.connection(), AssertSqlSafe(before), &[&name, body], only).await?;
        if before == Some(true) {
            return Ok(Written::Same);
        }
        let put = format!(
            "INSERT INTO {table} ({key}, changed_at, body) VALUES ($1, $2, $3)
            ON CONFLICT ({key}) DO UPDATE SET changed_at = excluded.changed_at, body = excluded.body"
        );
        self.run(AssertSqlSafe(put), &[&name, &at, body]).await?;
        Ok(match before {
            Some(_) => Written::Changed,
            None => Written::Added,
        })
    }

    /// The places of a rack, the highest unit first.
    pub async fn placements_of_rack(&mut self, room: &str, rack: &str) -> Result<Vec<Placement>, StoreError> {
        placements_of_rack(self.connection(), room, rack).await
    }

    /// The numbers of the orders that have an item with this profile.
    pub async fn orders_of_profile(&mut self, profile: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT o.number FROM orders o, json_each(o.body, '$.items') i
            WHERE json_extract(i.value, '$.profile') = $1 ORDER BY o.number";
        all(self.connection(), sql, &[&profile], only).await
    }

    /// Takes an order away.
    pub async fn remove_order(&mut self, number: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM orders WHERE number = $1", &[&number]).await
    }

    /// Takes a hardware profile away.
    pub async fn remove_hardware_profile(&mut self, name: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM hardware_profiles WHERE name = $1", &[&name])
            .await
    }

    /// Takes a place out of the plan.
    pub async fn drop_placement(&mut self, p: &Placement) -> Result<(), StoreError> {
        let sql = "DELETE FROM placements WHERE room = $1 AND rack = $2 AND unit = $3 AND node = $4";
        self.run(sql, &[&p.room, &p.rack, &p.unit, &node_key(p)]).await
    }

    /// Adds a place. Returns the place that has its serial number or asset tag already, if one has: nothing is added then.
    pub async fn add_placement(
        &mut self,
        p: &Placement,
        at: UnixMs,
    ) -> Result<Option<Placement>, StoreError> {
        let serial = p.serial.as_deref().map(name_key);
        let tag = p.asset_tag.as_deref().map(name_key);
        let named = "SELECT body FROM placements WHERE serial_key = $1 OR tag_key = $2 LIMIT 1";
        let other = one(self.connection(), named, &[&serial, &tag], placement).await?;
        if other.is_some() {
            return Ok(other);
        }
        self.run(
            "INSERT INTO placements
                (room, rack, unit, node, serial_key, tag_key, order_number, item, profile, changed_at, body)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            &[
                &p.room,
                &p.rack,
                &p.unit,
                &node_key(p),
                &serial,
                &tag,
                &p.order,
                &p.item,
                &p.profile,
                &at,
                &Json("placement", p),
            ],
        )
        .await?;
        Ok(None)
    }

    /// The names of a machine in place of those before, and the height of its chassis in units.
    pub async fn put_names(
        &mut self,
        id: &MachineId,
        names: &MachineNames,
        height_u: Option<u32>,
    ) -> Result<(), StoreError> {
        let height = "UPDATE machines SET height_u = coalesce($2, height_u) WHERE id = $1";
        self.run(height, &[id, &height_u]).await?;
        self.run("DELETE FROM machine_names WHERE machine = $1", &[id])
            .await?;
        for (kind, all) in [(SERIAL, &names.serials), (TAG, &names.asset_tags)] {
            for value in all {
                let add = "INSERT OR IGNORE INTO machine_names (machine, kind, value) VALUES ($1, $2, $3)";
                self.run(add, &[id, &kind, &name_key(value)]).await?;
            }
        }
        Ok(())
    }

    /// The machines that have a name of this place.
    pub async fn machines_placed(&mut self, p: &Placement) -> Result<Vec<MachineId>, StoreError> {
        let sql = "SELECT DISTINCT machine FROM machine_names
            WHERE (kind = 'serial' AND value = $1) OR (kind = 'tag' AND value = $2) LIMIT 16";
        let serial = p.serial.as_deref().map(name_key);
        let tag = p.asset_tag.as_deref().map(name_key);
        all(self.connection(), sql, &[&serial, &tag], only).await
    }

    /// Stores a check in place of the one before, with what it expected.
    pub async fn put_check_of(
        &mut self,
        id: &MachineId,
        check: &CheckResult,
        from: &ExpectedFrom,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        self.put_check(id, check, at).await?;
        let verdict = check.verdict.to_string();
        let sql = "UPDATE checks SET verdict = $2, expected_from = $3, profile = $4 WHERE machine = $1";
        self.run(sql, &[id, &verdict, &Json("expectation", from), &from.profile])
            .await
    }

    /// Nothing is expected of the machine any more.
    pub async fn drop_check(&mut self, id: &MachineId) -> Result<(), StoreError> {
        self.run("DELETE FROM checks WHERE machine = $1", &[id]).await
    }
}

fn placement(row: Row<'_>) -> Result<Placement, StoreError> {
    row.json("placement", "body")
}

async fn load_order<'c>(on: impl SqliteExecutor<'c>, number: &str) -> Result<Option<Order>, StoreError> {
    let sql = "SELECT body FROM orders WHERE number = $1";
    one(on, sql, &[&number], |row| row.json("order", "body")).await
}

async fn load_profile<'c>(
    on: impl SqliteExecutor<'c>,
    name: &str,
) -> Result<Option<HardwareProfile>, StoreError> {
    let sql = "SELECT body FROM hardware_profiles WHERE name = $1";
    one(on, sql, &[&name], |row| row.json("hardware profile", "body")).await
}

/// The node as a key: in canonical form, empty where there is none.
fn node_key(p: &Placement) -> String {
    p.node.as_deref().map(name_key).unwrap_or_default()
}

async fn placements_named(
    connection: &mut SqliteConnection,
    names: &MachineNames,
) -> Result<Vec<Placement>, StoreError> {
    let mut found: Vec<Placement> = Vec::new();
    for (sql, all) in [
        (
            "SELECT body FROM placements WHERE serial_key = $1",
            &names.serials,
        ),
        (
            "SELECT body FROM placements WHERE tag_key = $1",
            &names.asset_tags,
        ),
    ] {
        for name in all {
            let placed = one(&mut *connection, sql, &[&name_key(name)], placement).await?;
            found.extend(placed.filter(|placed| !found.contains(placed)));
        }
    }
    Ok(found)
}

async fn placements_of_rack<'c>(
    on: impl SqliteExecutor<'c>,
    room: &str,
    rack: &str,
) -> Result<Vec<Placement>, StoreError> {
    let sql = "SELECT body FROM placements WHERE room = $1 AND rack = $2 ORDER BY unit DESC, node";
    all(on, sql, &[&room, &rack], placement).await
}
