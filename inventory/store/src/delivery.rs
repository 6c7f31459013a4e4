//! Purchase orders, hardware profiles and the rack plan, and the names by which the plan knows a machine.

use inventory_api::check::{CheckResult, HardwareProfile, Verdict};
use inventory_api::delivery::{Order, Placement, ProfileSummary};
use inventory_api::{MachineId, UnixMs};
use lifecycle::expectation::{MachineNames, name_key};
use sqlx::AssertSqlSafe;

use super::sql::{Col, Json, Value};
use super::{Change, Reader, Result};

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

/// A place of the rack plan, and the machine that has its serial number or else its asset tag. A name of a
/// retired machine passes on to the machine that has it now.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct PlacedRow {
    /// The place.
    #[sqlx(json)]
    pub placement: Placement,
    /// The machine.
    #[sqlx(try_from = "Col<Option<MachineId>>")]
    pub machine: Option<MachineId>,
    /// Verdict of its newest check.
    #[sqlx(try_from = "Col<Option<Verdict>>")]
    pub verdict: Option<Verdict>,
    /// Height of its chassis in rack units, if reported.
    pub height_u: Option<u32>,
    /// Its newest check, if that was asked for.
    #[sqlx(json(nullable))]
    pub check: Option<CheckResult>,
}

const TAG: &str = "tag";
const SERIAL: &str = "serial";

impl Reader {
    /// All purchase orders, by number.
    pub async fn orders(&self) -> Result<Vec<Order>> {
        self.documents("SELECT body FROM orders ORDER BY number", &[])
            .await
    }

    /// A purchase order by its number.
    pub async fn order(&self, number: &str) -> Result<Option<Order>> {
        self.document("SELECT body FROM orders WHERE number = $1", &[&number])
            .await
    }

    /// The numbers of the purchase orders that have an item with this profile.
    pub async fn orders_of_profile(&self, profile: &str) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT number FROM order_items WHERE profile = $1 ORDER BY number";
        self.column(sql, &[&profile]).await
    }

    /// All hardware profiles with the number of machines that were checked against each.
    pub async fn hardware_profiles(&self) -> Result<Vec<ProfileSummary>> {
        let sql =
            "SELECT name, changed_at, (SELECT count(*) FROM checks WHERE checks.profile = name) AS machines
            FROM hardware_profiles ORDER BY name";
        let rows: Vec<(String, Col<UnixMs>, u32)> = self.rows(sql, &[]).await?;
        let summary = |(name, Col(changed_at), machines)| ProfileSummary {
            name,
            changed_at,
            machines,
        };
        Ok(rows.into_iter().map(summary).collect())
    }

    /// A hardware profile by its name.
    pub async fn hardware_profile(&self, name: &str) -> Result<Option<HardwareProfile>> {
        self.document("SELECT body FROM hardware_profiles WHERE name = $1", &[&name])
            .await
    }

    /// At most `limit` machines whose newest check used a hardware profile, with serial number and verdict.
    pub async fn machines_of_profile(
        &self,
        name: &str,
        limit: u32,
    ) -> Result<Vec<(MachineId, Option<String>, Option<Verdict>)>> {
        let sql = "SELECT id, serial, verdict FROM checks JOIN machines ON id = machine
            WHERE profile = $1 ORDER BY id LIMIT $2";
        let rows = self.rows(sql, &[&name, &limit]).await?;
        let machine = |(Col(id), serial, Col(verdict))| (id, serial, verdict);
        Ok(rows.into_iter().map(machine).collect())
    }

    /// The whole rack plan, by room, rack and unit, without checks.
    pub async fn placed(&self) -> Result<Vec<PlacedRow>> {
        self.placed_where("NULL", "true", &[]).await
    }

    /// The places of one purchase order, by room, rack and unit.
    pub async fn placed_of_order(&self, number: &str) -> Result<Vec<PlacedRow>> {
        self.placed_where("c.result", "p.order_number = $1", &[&number])
            .await
    }

    /// The places of one rack, highest unit first.
    pub async fn placed_in_rack(&self, room: &str, rack: &str) -> Result<Vec<PlacedRow>> {
        self.placed_where("c.result", "p.room = $1 AND p.rack = $2", &[&room, &rack])
            .await
    }

    async fn placed_where(&self, check: &str, places: &str, values: &[&dyn Value]) -> Result<Vec<PlacedRow>> {
        let named = |kind: &str, key: &str| {
            format!(
                "(SELECT min(n.machine) FROM machine_names AS n JOIN machines AS o ON o.id = n.machine
                WHERE n.kind = '{kind}' AND n.value = p.{key} AND o.state_name <> 'retired')"
            )
        };
        let (by_serial, by_tag) = (named(SERIAL, "serial_key"), named(TAG, "tag_key"));
        let sql = format!(
            "SELECT p.body AS placement, m.id AS machine, m.verdict, m.height_u, {check} AS \"check\"
            FROM placements AS p LEFT JOIN machines AS m ON m.id = coalesce({by_serial}, {by_tag})
            LEFT JOIN checks AS c ON c.machine = m.id
            WHERE {places} ORDER BY p.room, p.rack, p.unit DESC, p.node"
        );
        self.rows(AssertSqlSafe(sql), values).await
    }

    /// The places of one purchase order, by room, rack and unit.
    pub async fn placements_of_order(&self, number: &str) -> Result<Vec<Placement>> {
        let sql = "SELECT body FROM placements WHERE order_number = $1 ORDER BY room, rack, unit DESC, node";
        self.documents(sql, &[&number]).await
    }

    /// The places of one rack, highest unit first.
    pub async fn placements_of_rack(&self, room: &str, rack: &str) -> Result<Vec<Placement>> {
        let sql = "SELECT body FROM placements WHERE room = $1 AND rack = $2 ORDER BY unit DESC, node";
        self.documents(sql, &[&room, &rack]).await
    }

    /// The places whose profile is this one, by themselves or by their order item.
    pub async fn placements_of_profile(&self, profile: &str) -> Result<Vec<Placement>> {
        let sql = "SELECT body FROM placements AS p WHERE profile = $1 OR (profile IS NULL AND EXISTS
            (SELECT 1 FROM order_items AS i
            WHERE i.number = p.order_number AND i.item = p.item AND i.profile = $1))";
        self.documents(sql, &[&profile]).await
    }

    /// The places that have one of these names.
    pub async fn placements_named(&self, names: &MachineNames) -> Result<Vec<Placement>> {
        let by_serial = "SELECT body FROM placements WHERE serial_key = $1";
        let by_tag = "SELECT body FROM placements WHERE tag_key = $1";
        let mut found: Vec<Placement> = Vec::new();
        for (sql, all) in [(by_serial, &names.serials), (by_tag, &names.asset_tags)] {
            for name in all {
                let placed: Option<Placement> = self.document(sql, &[&name_key(name)]).await?;
                found.extend(placed.filter(|placed| !found.contains(placed)));
            }
        }
        Ok(found)
    }

    /// The place in the plan at the position of this one.
    pub async fn placement_at(&self, p: &Placement) -> Result<Option<Placement>> {
        let sql = "SELECT body FROM placements WHERE room = $1 AND rack = $2 AND unit = $3 AND node = $4";
        self.document(sql, &[&p.room, &p.rack, &p.unit, &node_key(p)])
            .await
    }

    /// The machines that have a serial number or asset tag, at most 20.
    pub async fn machines_named(&self, name: &str) -> Result<Vec<MachineId>> {
        let sql = "SELECT DISTINCT machine FROM machine_names JOIN machines ON id = machine
            WHERE value = $1 AND state_name <> 'retired' ORDER BY machine LIMIT 20";
        self.column(sql, &[&name_key(name)]).await
    }

    /// The machines that have a name of this place.
    pub async fn machines_placed(&self, p: &Placement) -> Result<Vec<MachineId>> {
        let sql = "SELECT DISTINCT machine FROM machine_names
            WHERE (kind = 'serial' AND value = $1) OR (kind = 'tag' AND value = $2) LIMIT 16";
        let serial = p.serial.as_deref().map(name_key);
        let tag = p.asset_tag.as_deref().map(name_key);
        self.column(sql, &[&serial, &tag]).await
    }
}

impl Change {
    /// Stores a purchase order in place of the one with its number.
    pub async fn put_order(&mut self, order: &Order, at: UnixMs) -> Result<Written> {
        let written = self
            .put_body("orders", "number", &order.number, &Json(order), at)
            .await?;
        if written != Written::Same {
            self.run("DELETE FROM order_items WHERE number = $1", &[&order.number])
                .await?;
            for item in &order.items {
                let add = "INSERT INTO order_items (number, item, profile) VALUES ($1, $2, $3)
                    ON CONFLICT DO NOTHING";
                self.run(add, &[&order.number, &item.item, &item.profile]).await?;
            }
        }
        Ok(written)
    }

    /// Stores a hardware profile in place of the one with its name.
    pub async fn put_hardware_profile(&mut self, profile: &HardwareProfile, at: UnixMs) -> Result<Written> {
        self.put_body("hardware_profiles", "name", &profile.name, &Json(profile), at)
            .await
    }

    /// Stores a document by its name, which is in the column `key`.
    async fn put_body(
        &mut self,
        table: &'static str,
        key: &'static str,
        name: &str,
        body: &dyn Value,
        at: UnixMs,
    ) -> Result<Written> {
        let before = format!("SELECT body = $2 AS same FROM {table} WHERE {key} = $1");
        let before: Option<bool> = self.value(AssertSqlSafe(before), &[&name, body]).await?;
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

    /// Deletes a purchase order.
    pub async fn remove_order(&mut self, number: &str) -> Result<()> {
        for sql in [
            "DELETE FROM order_items WHERE number = $1",
            "DELETE FROM orders WHERE number = $1",
        ] {
            self.run(sql, &[&number]).await?;
        }
        Ok(())
    }

    /// Deletes a hardware profile.
    pub async fn remove_hardware_profile(&mut self, name: &str) -> Result<()> {
        self.run("DELETE FROM hardware_profiles WHERE name = $1", &[&name])
            .await
    }

    /// Takes a place out of the plan.
    pub async fn drop_placement(&mut self, p: &Placement) -> Result<()> {
        let sql = "DELETE FROM placements WHERE room = $1 AND rack = $2 AND unit = $3 AND node = $4";
        self.run(sql, &[&p.room, &p.rack, &p.unit, &node_key(p)]).await
    }

    /// Adds a place, unless a place has its serial number or asset tag already: then returns that one.
    pub async fn add_placement(&mut self, p: &Placement, at: UnixMs) -> Result<Option<Placement>> {
        let serial = p.serial.as_deref().map(name_key);
        let tag = p.asset_tag.as_deref().map(name_key);
        let named = "SELECT body FROM placements WHERE serial_key = $1 OR tag_key = $2 LIMIT 1";
        let other: Option<Placement> = self.document(named, &[&serial, &tag]).await?;
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
                &Json(p),
            ],
        )
        .await?;
        Ok(None)
    }

    /// Stores the names of a machine in place of those before, and the height of its chassis in units.
    pub async fn put_names(
        &mut self,
        id: &MachineId,
        names: &MachineNames,
        height_u: Option<u32>,
    ) -> Result<()> {
        let height = "UPDATE machines SET height_u = coalesce($2, height_u) WHERE id = $1";
        self.run(height, &[id, &height_u]).await?;
        self.run("DELETE FROM machine_names WHERE machine = $1", &[id])
            .await?;
        for (kind, all) in [(SERIAL, &names.serials), (TAG, &names.asset_tags)] {
            for value in all {
                let add = "INSERT INTO machine_names (machine, kind, value) VALUES ($1, $2, $3)
                    ON CONFLICT DO NOTHING";
                self.run(add, &[id, &kind, &name_key(value)]).await?;
            }
        }
        Ok(())
    }
}

/// The node as a key: canonical, empty if the place has none.
fn node_key(p: &Placement) -> String {
    p.node.as_deref().map(name_key).unwrap_or_default()
}
