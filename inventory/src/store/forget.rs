//! Machines that are forgotten: with all rows that name them.

use inventory_api::{MachineId, UnixMs};

use super::{Change, Store, StoreError, parse};

/// Every table with rows of a machine, the ones that others refer to last.
const TABLES: [&str; 18] = [
    "history",
    "macs",
    "reported_macs",
    "reports",
    "checks",
    "requests",
    "plans",
    "verifications",
    "tickets",
    "certificates",
    "identities",
    "identity_values",
    "machine_names",
    "part_places",
    "part_events",
    "tasks",
    "notes",
    "rechecks",
];

impl Store {
    /// Enrolments that nobody asked for, which never claimed, and which were enrolled and last booted before `before`.
    pub async fn never_claimed(&self, before: UnixMs) -> Result<Vec<MachineId>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM machines WHERE known = 0 AND enrolled_at < $1 AND coalesce(booted_at, 0) < $1
               AND last_seen IS NULL AND folded_into IS NULL
               AND NOT EXISTS (SELECT 1 FROM certificates WHERE machine = id)
               AND NOT EXISTS (SELECT 1 FROM conflicts WHERE machine = id OR other = id)
             ORDER BY enrolled_at LIMIT 500",
        )
        .bind(before.0)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(|id| parse("machine id", id)).collect()
    }
}

impl Change {
    /// Deletes a machine and all that is kept of it. False: another enrolment was folded into it or it into another, and its id still
    /// says who that one is.
    pub async fn forget(&mut self, id: &MachineId) -> Result<bool, StoreError> {
        let folded: i64 = sqlx::query_scalar("SELECT count(*) FROM machines WHERE folded_into = $1")
            .bind(id.as_str())
            .fetch_one(self.connection())
            .await?;
        if folded > 0 {
            return Ok(false);
        }
        for table in TABLES {
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "DELETE FROM {table} WHERE machine = $1"
            )))
            .bind(id.as_str())
            .execute(self.connection())
            .await?;
        }
        for sql in [
            "DELETE FROM conflicts WHERE machine = $1 OR other = $1",
            "DELETE FROM rescues WHERE machine = $1",
            "DELETE FROM rescue_passwords WHERE machine = $1",
            "DELETE FROM machines WHERE id = $1",
        ] {
            sqlx::query(sql)
                .bind(id.as_str())
                .execute(self.connection())
                .await?;
        }
        Ok(true)
    }
}
