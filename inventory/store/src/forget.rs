//! Machines that are forgotten: with all rows that name them.

use inventory_api::{MachineId, UnixMs};
use sqlx::AssertSqlSafe;

use super::sql::{all, count, only};
use super::{Change, Store, StoreError};

/// Every table with rows of a machine, the ones that others refer to last.
const TABLES: [&str; 20] = [
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
    "rescues",
    "rescue_passwords",
];

impl Store {
    /// Enrolments that nobody asked for, which never claimed, and which were enrolled and last booted before `before`.
    pub async fn never_claimed(&self, before: UnixMs) -> Result<Vec<MachineId>, StoreError> {
        all(
            &self.read,
            "SELECT id FROM machines WHERE known = 0 AND enrolled_at < $1 AND coalesce(booted_at, 0) < $1
               AND last_seen IS NULL AND folded_into IS NULL
               AND NOT EXISTS (SELECT 1 FROM certificates WHERE machine = id)
               AND NOT EXISTS (SELECT 1 FROM conflicts WHERE machine = id OR other = id)
            ORDER BY enrolled_at LIMIT 500",
            &[&before],
            only,
        )
        .await
    }
}

impl Change {
    /// Deletes a machine and all that is kept of it. False: another enrolment was folded into it or it into another, and its id still
    /// says who that one is.
    pub async fn forget(&mut self, id: &MachineId) -> Result<bool, StoreError> {
        let folded = "SELECT count(*) FROM machines WHERE folded_into = $1";
        if count(self.connection(), folded, &[id]).await? > 0 {
            return Ok(false);
        }
        for table in TABLES {
            let sql = format!("DELETE FROM {table} WHERE machine = $1");
            self.run(AssertSqlSafe(sql), &[id]).await?;
        }
        for sql in [
            "DELETE FROM conflicts WHERE machine = $1 OR other = $1",
            "DELETE FROM machines WHERE id = $1",
        ] {
            self.run(sql, &[id]).await?;
        }
        Ok(true)
    }
}
