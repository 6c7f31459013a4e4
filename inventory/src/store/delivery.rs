//! Orders, hardware profiles and the rack plan, and the names by which the plan knows a machine.

use std::collections::HashMap;

use inventory_api::check::{CheckResult, HardwareProfile, Verdict};
use inventory_api::delivery::{ExpectedFrom, Order, Placement, ProfileSummary};
use inventory_api::{MachineId, UnixMs};
use lifecycle::expectation::{MachineNames, name_key};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::{Change, Store, StoreError, from_json, parse, to_json};

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

/// A check as the delivery view needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRow {
    /// The machine.
    pub machine: MachineId,
    /// Verdict and findings.
    pub result: CheckResult,
}

const TAG: &str = "tag";
const SERIAL: &str = "serial";

impl Store {
    /// All orders, by number.
    pub async fn orders(&self) -> Result<Vec<Order>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar("SELECT body FROM orders ORDER BY number")
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(|text| from_json("order", text)).collect()
    }

    /// One order.
    pub async fn order(&self, number: &str) -> Result<Option<Order>, StoreError> {
        load_order(&mut *self.read.acquire().await?, number).await
    }

    /// All hardware profiles with the number of machines that were checked against each.
    pub async fn hardware_profiles(&self) -> Result<Vec<ProfileSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, changed_at, (SELECT count(*) FROM checks WHERE checks.profile = name) AS machines
             FROM hardware_profiles ORDER BY name",
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ProfileSummary {
                    name: row.try_get("name")?,
                    changed_at: UnixMs(row.try_get("changed_at")?),
                    machines: row.try_get("machines")?,
                })
            })
            .collect()
    }

    /// One hardware profile.
    pub async fn hardware_profile(&self, name: &str) -> Result<Option<HardwareProfile>, StoreError> {
        load_profile(&mut *self.read.acquire().await?, name).await
    }

    /// The machines whose newest check used a hardware profile, at most `limit`.
    pub async fn machines_of_profile(&self, name: &str, limit: u32) -> Result<Vec<MachineId>, StoreError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT machine FROM checks WHERE profile = $1 ORDER BY machine LIMIT $2")
                .bind(name)
                .bind(limit)
                .fetch_all(&self.read)
                .await?;
        rows.iter().map(|id| parse("machine id", id)).collect()
    }

    /// The whole rack plan, by room, rack and unit.
    pub async fn placements(&self) -> Result<Vec<Placement>, StoreError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT body FROM placements ORDER BY room, rack, unit DESC, node")
                .fetch_all(&self.read)
                .await?;
        rows.iter().map(|text| from_json("placement", text)).collect()
    }

    /// The places of one order, by room, rack and unit.
    pub async fn placements_of_order(&self, number: &str) -> Result<Vec<Placement>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM placements WHERE order_number = $1 ORDER BY room, rack, unit DESC, node",
        )
        .bind(number)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(|text| from_json("placement", text)).collect()
    }

    /// The places of one rack, the highest unit first.
    pub async fn placements_of_rack(&self, room: &str, rack: &str) -> Result<Vec<Placement>, StoreError> {
        placements_of_rack(&mut *self.read.acquire().await?, room, rack).await
    }

    /// The places that have one of these names.
    pub async fn placements_named(&self, names: &MachineNames) -> Result<Vec<Placement>, StoreError> {
        placements_named(&mut *self.read.acquire().await?, names).await
    }

    /// All names of all machines that are not retired: a name goes on to the machine that has it now.
    pub async fn machine_names(&self) -> Result<Vec<NameRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT machine, kind, value FROM machine_names JOIN machines ON id = machine
             WHERE json_extract(state, '$.state') <> 'retired' ORDER BY machine",
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(name_row).collect()
    }

    /// The machines that have a serial number or asset tag, at most 2.
    pub async fn machines_named(&self, name: &str) -> Result<Vec<MachineId>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT machine FROM machine_names JOIN machines ON id = machine
             WHERE value = $1 AND json_extract(state, '$.state') <> 'retired' ORDER BY machine LIMIT 2",
        )
        .bind(name_key(name))
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(|id| parse("machine id", id)).collect()
    }

    /// The heights of chassis in rack units, where machines told.
    pub async fn heights(&self) -> Result<HashMap<MachineId, u32>, StoreError> {
        let rows = sqlx::query("SELECT id, height_u FROM machines WHERE height_u IS NOT NULL")
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| Ok((parse("machine id", row.try_get("id")?)?, row.try_get("height_u")?)))
            .collect()
    }

    /// The newest check of every machine that has one.
    pub async fn checks(&self) -> Result<Vec<CheckRow>, StoreError> {
        let rows = sqlx::query("SELECT machine, result FROM checks")
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(CheckRow {
                    machine: parse("machine id", row.try_get("machine")?)?,
                    result: from_json("check", row.try_get("result")?)?,
                })
            })
            .collect()
    }

    /// The verdict of every machine that has one.
    pub async fn verdicts(&self) -> Result<HashMap<MachineId, Verdict>, StoreError> {
        let rows = sqlx::query("SELECT machine, verdict FROM checks WHERE verdict IS NOT NULL")
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| {
                let verdict: &str = row.try_get("verdict")?;
                let verdict = from_json("verdict", &format!("\"{verdict}\""))?;
                Ok((parse("machine id", row.try_get("machine")?)?, verdict))
            })
            .collect()
    }

    /// What the newest check of a machine expected, and why.
    pub async fn expected_from(&self, id: &MachineId) -> Result<Option<ExpectedFrom>, StoreError> {
        let text: Option<Option<String>> =
            sqlx::query_scalar("SELECT expected_from FROM checks WHERE machine = $1")
                .bind(id.as_str())
                .fetch_optional(&self.read)
                .await?;
        text.flatten()
            .map(|text| from_json("expectation", &text))
            .transpose()
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
        let text: Option<String> = sqlx::query_scalar(
            "SELECT body FROM placements WHERE room = $1 AND rack = $2 AND unit = $3 AND node = $4",
        )
        .bind(&p.room)
        .bind(&p.rack)
        .bind(p.unit)
        .bind(node_key(p))
        .fetch_optional(self.connection())
        .await?;
        text.map(|text| from_json("placement", &text)).transpose()
    }

    /// The places of an order.
    pub async fn placements_of_order(&mut self, number: &str) -> Result<Vec<Placement>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar("SELECT body FROM placements WHERE order_number = $1")
            .bind(number)
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(|text| from_json("placement", text)).collect()
    }

    /// The places whose profile is this one, by themselves or by their order item.
    pub async fn placements_of_profile(&mut self, profile: &str) -> Result<Vec<Placement>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM placements p WHERE profile = $1 OR (profile IS NULL AND EXISTS
                (SELECT 1 FROM orders o, json_each(o.body, '$.items') i WHERE o.number = p.order_number
                 AND json_extract(i.value, '$.item') = p.item AND json_extract(i.value, '$.profile') = $1))",
        )
        .bind(profile)
        .fetch_all(self.connection())
        .await?;
        rows.iter().map(|text| from_json("placement", text)).collect()
    }

    /// Stores an order in place of the one with its number.
    pub async fn put_order(&mut self, order: &Order, at: UnixMs) -> Result<Written, StoreError> {
        let body = to_json("order", order)?;
        let before: Option<String> = sqlx::query_scalar("SELECT body FROM orders WHERE number = $1")
            .bind(&order.number)
            .fetch_optional(self.connection())
            .await?;
        if before.as_ref() == Some(&body) {
            return Ok(Written::Same);
        }
        sqlx::query(
            "INSERT INTO orders (number, changed_at, body) VALUES ($1, $2, $3)
             ON CONFLICT (number) DO UPDATE SET changed_at = excluded.changed_at, body = excluded.body",
        )
        .bind(&order.number)
        .bind(at.0)
        .bind(body)
        .execute(self.connection())
        .await?;
        Ok(written(before.is_some()))
    }

    /// Stores a hardware profile in place of the one with its name.
    pub async fn put_hardware_profile(
        &mut self,
        profile: &HardwareProfile,
        at: UnixMs,
    ) -> Result<Written, StoreError> {
        let body = to_json("hardware profile", profile)?;
        let before: Option<String> = sqlx::query_scalar("SELECT body FROM hardware_profiles WHERE name = $1")
            .bind(&profile.name)
            .fetch_optional(self.connection())
            .await?;
        if before.as_ref() == Some(&body) {
            return Ok(Written::Same);
        }
        sqlx::query(
            "INSERT INTO hardware_profiles (name, changed_at, body) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET changed_at = excluded.changed_at, body = excluded.body",
        )
        .bind(&profile.name)
        .bind(at.0)
        .bind(body)
        .execute(self.connection())
        .await?;
        Ok(written(before.is_some()))
    }

    /// The places of a rack, the highest unit first.
    pub async fn placements_of_rack(&mut self, room: &str, rack: &str) -> Result<Vec<Placement>, StoreError> {
        placements_of_rack(self.connection(), room, rack).await
    }

    /// The numbers of the orders that have an item with this profile.
    pub async fn orders_of_profile(&mut self, profile: &str) -> Result<Vec<String>, StoreError> {
        let numbers = sqlx::query_scalar(
            "SELECT DISTINCT o.number FROM orders o, json_each(o.body, '$.items') i
             WHERE json_extract(i.value, '$.profile') = $1 ORDER BY o.number",
        )
        .bind(profile);
        Ok(numbers.fetch_all(self.connection()).await?)
    }

    /// Takes an order away.
    pub async fn remove_order(&mut self, number: &str) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM orders WHERE number = $1").bind(number);
        delete.execute(self.connection()).await?;
        Ok(())
    }

    /// Takes a hardware profile away.
    pub async fn remove_hardware_profile(&mut self, name: &str) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM hardware_profiles WHERE name = $1").bind(name);
        delete.execute(self.connection()).await?;
        Ok(())
    }

    /// Takes a place out of the plan.
    pub async fn drop_placement(&mut self, p: &Placement) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM placements WHERE room = $1 AND rack = $2 AND unit = $3 AND node = $4")
            .bind(&p.room)
            .bind(&p.rack)
            .bind(p.unit)
            .bind(node_key(p))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds a place. Returns the place that has its serial number or asset tag already, if one has: nothing is added then.
    pub async fn add_placement(
        &mut self,
        p: &Placement,
        at: UnixMs,
    ) -> Result<Option<Placement>, StoreError> {
        let serial = p.serial.as_deref().map(name_key);
        let tag = p.asset_tag.as_deref().map(name_key);
        let other: Option<String> =
            sqlx::query_scalar("SELECT body FROM placements WHERE serial_key = $1 OR tag_key = $2 LIMIT 1")
                .bind(&serial)
                .bind(&tag)
                .fetch_optional(self.connection())
                .await?;
        if let Some(other) = other {
            return from_json("placement", &other).map(Some);
        }
        sqlx::query(
            "INSERT INTO placements
                (room, rack, unit, node, serial_key, tag_key, order_number, item, profile, changed_at, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&p.room)
        .bind(&p.rack)
        .bind(p.unit)
        .bind(node_key(p))
        .bind(&serial)
        .bind(&tag)
        .bind(&p.order)
        .bind(&p.item)
        .bind(&p.profile)
        .bind(at.0)
        .bind(to_json("placement", p)?)
        .execute(self.connection())
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
        sqlx::query("UPDATE machines SET height_u = coalesce($2, height_u) WHERE id = $1")
            .bind(id.as_str())
            .bind(height_u)
            .execute(self.connection())
            .await?;
        sqlx::query("DELETE FROM machine_names WHERE machine = $1")
            .bind(id.as_str())
            .execute(self.connection())
            .await?;
        let all = names
            .serials
            .iter()
            .map(|n| (SERIAL, n))
            .chain(names.asset_tags.iter().map(|n| (TAG, n)));
        for (kind, value) in all {
            sqlx::query("INSERT OR IGNORE INTO machine_names (machine, kind, value) VALUES ($1, $2, $3)")
                .bind(id.as_str())
                .bind(kind)
                .bind(name_key(value))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// The machines that have a name of this place.
    pub async fn machines_placed(&mut self, p: &Placement) -> Result<Vec<MachineId>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT machine FROM machine_names
             WHERE (kind = 'serial' AND value = $1) OR (kind = 'tag' AND value = $2) LIMIT 16",
        )
        .bind(p.serial.as_deref().map(name_key))
        .bind(p.asset_tag.as_deref().map(name_key))
        .fetch_all(self.connection())
        .await?;
        rows.iter().map(|id| parse("machine id", id)).collect()
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
        let verdict = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        sqlx::query("UPDATE checks SET verdict = $2, expected_from = $3, profile = $4 WHERE machine = $1")
            .bind(id.as_str())
            .bind(verdict)
            .bind(to_json("expectation", from)?)
            .bind(&from.profile)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Nothing is expected of the machine any more.
    pub async fn drop_check(&mut self, id: &MachineId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM checks WHERE machine = $1")
            .bind(id.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn written(before: bool) -> Written {
    if before { Written::Changed } else { Written::Added }
}

fn name_row(row: &SqliteRow) -> Result<NameRow, StoreError> {
    Ok(NameRow {
        machine: parse("machine id", row.try_get("machine")?)?,
        tag: row.try_get::<&str, _>("kind")? == TAG,
        value: row.try_get("value")?,
    })
}

async fn load_order(connection: &mut SqliteConnection, number: &str) -> Result<Option<Order>, StoreError> {
    let text: Option<String> = sqlx::query_scalar("SELECT body FROM orders WHERE number = $1")
        .bind(number)
        .fetch_optional(connection)
        .await?;
    text.map(|text| from_json("order", &text)).transpose()
}

async fn load_profile(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<HardwareProfile>, StoreError> {
    let text: Option<String> = sqlx::query_scalar("SELECT body FROM hardware_profiles WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    text.map(|text| from_json("hardware profile", &text)).transpose()
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
    let all = names
        .serials
        .iter()
        .map(|n| ("SELECT body FROM placements WHERE serial_key = $1", n))
        .chain(
            names
                .asset_tags
                .iter()
                .map(|n| ("SELECT body FROM placements WHERE tag_key = $1", n)),
        );
    for (sql, name) in all {
        let text: Option<String> = sqlx::query_scalar(sql)
            .bind(name_key(name))
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(text) = text {
            let placement: Placement = from_json("placement", &text)?;
            if !found.contains(&placement) {
                found.push(placement);
            }
        }
    }
    Ok(found)
}

async fn placements_of_rack(
    connection: &mut SqliteConnection,
    room: &str,
    rack: &str,
) -> Result<Vec<Placement>, StoreError> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM placements WHERE room = $1 AND rack = $2 ORDER BY unit DESC, node",
    )
    .bind(room)
    .bind(rack)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|text| from_json("placement", text)).collect()
}
