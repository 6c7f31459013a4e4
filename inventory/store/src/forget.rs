//! Forgetting a machine deletes all rows that name it.

use inventory_api::{MachineId, UnixMs};
use sqlx::AssertSqlSafe;

use super::{Change, Reader, Result};

/// Every table with rows of a machine.
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

impl Reader {
    /// Enrolments that nobody asked for, that never claimed, and that were enrolled and last booted before
    /// `before`.
    pub async fn never_claimed(&self, before: UnixMs) -> Result<Vec<MachineId>> {
        self.column(
            "SELECT id FROM machines WHERE known = 0 AND enrolled_at < $1 AND coalesce(booted_at, 0) < $1
               AND last_seen IS NULL AND folded_into IS NULL
               AND NOT EXISTS (SELECT 1 FROM certificates WHERE machine = id)
               AND NOT EXISTS (SELECT 1 FROM conflicts WHERE machine = id OR other = id)
            ORDER BY enrolled_at LIMIT 500",
            &[&before],
        )
        .await
    }
}

impl Change {
    /// Deletes a machine and all that is kept of it. False: another enrolment was folded into it, and its id
    /// still says who that one is.
    pub async fn forget(&mut self, id: &MachineId) -> Result<bool> {
        let folded = "SELECT count(*) FROM machines WHERE folded_into = $1";
        if self.count(folded, &[id]).await? > 0 {
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
