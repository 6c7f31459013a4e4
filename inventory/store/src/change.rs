//! One write transaction.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr, Sqlite};

use super::machines::{history, load_machine, machine_of_mac};
use super::sql::{self, Json, Value, count, one, only};
use super::{HistoryRow, Identity, MachineRow, StoreError};

/// A write transaction. Nothing of it is seen before [`Change::commit`]; dropped, it is undone.
///
/// sqlx's own transaction is not used: when a COMMIT fails (a full disk), it gives the only connection for writing back to the
/// pool with the transaction still open, and nothing can be written again before a restart. Here a connection whose
/// transaction was not committed is closed, which undoes it, and the pool opens another.
pub struct Change {
    connection: PoolConnection<Sqlite>,
    committed: bool,
}

impl Change {
    pub(super) async fn begin(connection: PoolConnection<Sqlite>) -> Result<Change, StoreError> {
        let mut change = Change {
            connection,
            committed: false,
        };
        change.run("BEGIN IMMEDIATE", &[]).await?;
        Ok(change)
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Runs a statement that gives no rows.
    pub(super) async fn run(
        &mut self,
        sql: impl SqlSafeStr,
        values: &[&dyn Value],
    ) -> Result<(), StoreError> {
        sql::run(self.connection(), sql, values).await?;
        Ok(())
    }

    /// Deletes all rows of a machine but the newest.
    pub(super) async fn keep_newest(
        &mut self,
        table: &'static str,
        id: &MachineId,
        most: i64,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "DELETE FROM {table} WHERE machine = $1 AND rowid NOT IN
                (SELECT rowid FROM {table} WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)"
        );
        self.run(AssertSqlSafe(sql), &[id, &most]).await
    }

    /// Makes all of it lasting.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.run("COMMIT", &[]).await?;
        self.committed = true;
        Ok(())
    }

    /// One machine, as it stands in this transaction.
    pub async fn machine(&mut self, id: &MachineId) -> Result<Option<MachineRow>, StoreError> {
        load_machine(self.connection(), id).await
    }

    /// The machine that has a MAC.
    pub async fn machine_of_mac(&mut self, mac: Mac) -> Result<Option<MachineId>, StoreError> {
        machine_of_mac(self.connection(), mac).await
    }

    /// Adds a machine in its first state. Only [`service::advance`] calls this and [`Change::put_state`].
    pub async fn add_machine(
        &mut self,
        id: &MachineId,
        network: &str,
        first: &HistoryRow,
        deadline: Option<UnixMs>,
    ) -> Result<(), StoreError> {
        let state = Json("state", &first.state);
        self.run(
            "INSERT INTO machines (id, state, history_seq, deadline, enrolled_at, network) VALUES ($1, $2, $3, $4, $5, $6)",
            &[id, &state, &first.seq, &deadline, &first.at, &network],
        )
        .await?;
        self.add_history(id, first).await
    }

    /// Stores a state together with its history row.
    pub async fn put_state(
        &mut self,
        id: &MachineId,
        row: &HistoryRow,
        deadline: Option<UnixMs>,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE machines SET state = $2, history_seq = $3, deadline = $4 WHERE id = $1",
            &[id, &Json("state", &row.state), &row.seq, &deadline],
        )
        .await?;
        self.add_history(id, row).await
    }

    /// The newest rows of a machine's history, oldest first.
    pub async fn last_rows(&mut self, id: &MachineId, most: i64) -> Result<Vec<HistoryRow>, StoreError> {
        history(self.connection(), id, None, most).await
    }

    /// When a row of a machine's history was written.
    pub async fn row_at(&mut self, id: &MachineId, seq: i64) -> Result<Option<UnixMs>, StoreError> {
        let sql = "SELECT at FROM history WHERE machine = $1 AND seq = $2";
        one(self.connection(), sql, &[id, &seq], only).await
    }

    /// Takes the row `seq` out of a machine's history; the one after it, which is the last, gets its number.
    pub async fn drop_row(&mut self, id: &MachineId, seq: i64) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM history WHERE machine = $1 AND seq = $2",
            "UPDATE history SET seq = $2 WHERE machine = $1 AND seq = $2 + 1",
        ] {
            self.run(sql, &[id, &seq]).await?;
        }
        Ok(())
    }

    async fn add_history(&mut self, id: &MachineId, row: &HistoryRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO history (machine, seq, at, actor, event, limits, state, sentence, repeats)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                id,
                &row.seq,
                &row.at,
                &row.actor,
                &Json("event", &row.event),
                &Json("limits", &row.limits),
                &Json("state", &row.state),
                &row.sentence,
                &row.repeats,
            ],
        )
        .await
    }

    /// The NIC that boots now: it becomes the first of the machine's MACs. A MAC stays with the machine that has it.
    pub async fn put_boot_mac(&mut self, id: &MachineId, mac: Mac) -> Result<(), StoreError> {
        let others = "UPDATE macs SET rank = 1 WHERE machine = $1 AND mac <> $2";
        self.run(others, &[id, &mac]).await?;
        self.run(
            "INSERT INTO macs (mac, machine, rank) VALUES ($1, $2, 0)
            ON CONFLICT (mac) DO UPDATE SET rank = 0 WHERE machine = excluded.machine",
            &[&mac, id],
        )
        .await
    }

    /// The MACs that the machine's newest report lists, in place of those of the report before. They open no boot script.
    pub async fn put_reported_macs(&mut self, id: &MachineId, macs: &[Mac]) -> Result<(), StoreError> {
        self.run("DELETE FROM reported_macs WHERE machine = $1", &[id])
            .await?;
        for mac in macs {
            let add = "INSERT OR IGNORE INTO reported_macs (machine, mac) VALUES ($1, $2)";
            self.run(add, &[id, mac]).await?;
        }
        Ok(())
    }

    /// Whether the newest report of a machine lists one of these MACs.
    pub async fn reported_any(&mut self, id: &MachineId, macs: &[Mac]) -> Result<bool, StoreError> {
        for mac in macs {
            let sql = "SELECT count(*) FROM reported_macs WHERE machine = $1 AND mac = $2";
            if count(self.connection(), sql, &[id, mac]).await? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// It claimed and reported, or a person asked for it: addresses are kept for its MACs from now on.
    pub async fn put_known(&mut self, id: &MachineId) -> Result<(), StoreError> {
        self.run("UPDATE machines SET known = 1 WHERE id = $1", &[id])
            .await
    }

    /// How many machines were enrolled in a network since then.
    pub async fn enrolled_since(&mut self, network: &str, since: UnixMs) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM machines WHERE enrolled_at > $2 AND network = $1";
        count(self.connection(), sql, &[&network, &since]).await
    }

    /// Where the machine boots now.
    pub async fn put_place(
        &mut self,
        id: &MachineId,
        network: &str,
        ip: Ipv4Addr,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE machines SET network = $2, ip = $3, booted_at = $4 WHERE id = $1";
        self.run(sql, &[id, &network, &ip, &at]).await
    }

    /// What the machine says of itself; facts that a report does not have are kept.
    pub async fn put_identity(&mut self, id: &MachineId, identity: &Identity) -> Result<(), StoreError> {
        let i = identity;
        self.run(
            "UPDATE machines SET manufacturer = coalesce($2, manufacturer), product = coalesce($3, product),
                serial = coalesce($4, serial), uuid = coalesce($5, uuid) WHERE id = $1",
            &[id, &i.manufacturer, &i.product, &i.serial, &i.uuid],
        )
        .await
    }

    /// Its agent was heard.
    pub async fn put_last_seen(&mut self, id: &MachineId, at: UnixMs) -> Result<(), StoreError> {
        let sql = "UPDATE machines SET last_seen = max(coalesce(last_seen, 0), $2) WHERE id = $1";
        self.run(sql, &[id, &at]).await
    }

    /// Host name of the current plan.
    pub async fn put_hostname(&mut self, id: &MachineId, hostname: Option<&str>) -> Result<(), StoreError> {
        let sql = "UPDATE machines SET hostname = $2 WHERE id = $1";
        self.run(sql, &[id, &hostname]).await
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}
