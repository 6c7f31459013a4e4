//! One write transaction.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::State;
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;

use super::machines::{history, load_machine, machine_of_mac};
use super::{HistoryRow, Identity, MachineRow, StoreError, to_json};

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
        sqlx::query("BEGIN IMMEDIATE")
            .execute(change.connection())
            .await?;
        Ok(change)
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Makes all of it lasting.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(self.connection()).await?;
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

    /// Adds a machine in its first state. Only [`crate::advance`] calls this and [`Change::put_state`].
    pub(crate) async fn add_machine(
        &mut self,
        id: &MachineId,
        network: &str,
        first: &HistoryRow,
        deadline: Option<UnixMs>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO machines (id, state, history_seq, deadline, enrolled_at, network) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id.as_str())
        .bind(to_json("state", &first.state)?)
        .bind(first.seq)
        .bind(deadline.map(|d| d.0))
        .bind(first.at.0)
        .bind(network)
        .execute(self.connection())
        .await?;
        self.add_history(id, first).await
    }

    /// Stores a state together with its history row.
    pub(crate) async fn put_state(
        &mut self,
        id: &MachineId,
        row: &HistoryRow,
        deadline: Option<UnixMs>,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE machines SET state = $2, history_seq = $3, deadline = $4 WHERE id = $1")
            .bind(id.as_str())
            .bind(to_json("state", &row.state)?)
            .bind(row.seq)
            .bind(deadline.map(|d| d.0))
            .execute(self.connection())
            .await?;
        self.add_history(id, row).await
    }

    /// The newest rows of a machine's history, oldest first.
    pub(crate) async fn last_rows(
        &mut self,
        id: &MachineId,
        most: i64,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        history(self.connection(), id, None, most).await
    }

    /// When a row of a machine's history was written.
    pub(crate) async fn row_at(&mut self, id: &MachineId, seq: i64) -> Result<Option<UnixMs>, StoreError> {
        let at: Option<i64> = sqlx::query_scalar("SELECT at FROM history WHERE machine = $1 AND seq = $2")
            .bind(id.as_str())
            .bind(seq)
            .fetch_optional(self.connection())
            .await?;
        Ok(at.map(UnixMs))
    }

    /// Takes the row `seq` out of a machine's history; the one after it, which is the last, gets its number.
    pub(crate) async fn drop_row(&mut self, id: &MachineId, seq: i64) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM history WHERE machine = $1 AND seq = $2",
            "UPDATE history SET seq = $2 WHERE machine = $1 AND seq = $2 + 1",
        ] {
            sqlx::query(sql)
                .bind(id.as_str())
                .bind(seq)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn add_history(&mut self, id: &MachineId, row: &HistoryRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO history (machine, seq, at, actor, event, limits, state, sentence, repeats)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(id.as_str())
        .bind(row.seq)
        .bind(row.at.0)
        .bind(&row.actor)
        .bind(to_json("event", &row.event)?)
        .bind(to_json("limits", &row.limits)?)
        .bind(to_json::<State>("state", &row.state)?)
        .bind(&row.sentence)
        .bind(row.repeats)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The NIC that boots now: it becomes the first of the machine's MACs. A MAC stays with the machine that has it.
    pub async fn put_boot_mac(&mut self, id: &MachineId, mac: Mac) -> Result<(), StoreError> {
        sqlx::query("UPDATE macs SET rank = 1 WHERE machine = $1 AND mac <> $2")
            .bind(id.as_str())
            .bind(mac.to_string())
            .execute(self.connection())
            .await?;
        sqlx::query(
            "INSERT INTO macs (mac, machine, rank) VALUES ($1, $2, 0)
             ON CONFLICT (mac) DO UPDATE SET rank = 0 WHERE machine = excluded.machine",
        )
        .bind(mac.to_string())
        .bind(id.as_str())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The MACs that the machine's newest report lists, in place of those of the report before. They open no boot script.
    pub async fn put_reported_macs(&mut self, id: &MachineId, macs: &[Mac]) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM reported_macs WHERE machine = $1")
            .bind(id.as_str())
            .execute(self.connection())
            .await?;
        for mac in macs {
            sqlx::query("INSERT OR IGNORE INTO reported_macs (machine, mac) VALUES ($1, $2)")
                .bind(id.as_str())
                .bind(mac.to_string())
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Whether the newest report of a machine lists one of these MACs.
    pub async fn reported_any(&mut self, id: &MachineId, macs: &[Mac]) -> Result<bool, StoreError> {
        for mac in macs {
            let listed: i64 =
                sqlx::query_scalar("SELECT count(*) FROM reported_macs WHERE machine = $1 AND mac = $2")
                    .bind(id.as_str())
                    .bind(mac.to_string())
                    .fetch_one(self.connection())
                    .await?;
            if listed > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// It claimed and reported, or a person asked for it: addresses are kept for its MACs from now on.
    pub async fn put_known(&mut self, id: &MachineId) -> Result<(), StoreError> {
        sqlx::query("UPDATE machines SET known = 1 WHERE id = $1")
            .bind(id.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// How many machines were enrolled in a network since then.
    pub async fn enrolled_since(&mut self, network: &str, since: UnixMs) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT count(*) FROM machines WHERE enrolled_at > $2 AND network = $1")
                .bind(network)
                .bind(since.0)
                .fetch_one(self.connection())
                .await?,
        )
    }

    /// Where the machine boots now.
    pub async fn put_place(
        &mut self,
        id: &MachineId,
        network: &str,
        ip: Ipv4Addr,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE machines SET network = $2, ip = $3, booted_at = $4 WHERE id = $1")
            .bind(id.as_str())
            .bind(network)
            .bind(ip.to_string())
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// What the machine says of itself; facts that a report does not have are kept.
    pub async fn put_identity(&mut self, id: &MachineId, identity: &Identity) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE machines SET manufacturer = coalesce($2, manufacturer), product = coalesce($3, product),
                serial = coalesce($4, serial), uuid = coalesce($5, uuid) WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(&identity.manufacturer)
        .bind(&identity.product)
        .bind(&identity.serial)
        .bind(&identity.uuid)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Its agent was heard.
    pub async fn put_last_seen(&mut self, id: &MachineId, at: UnixMs) -> Result<(), StoreError> {
        sqlx::query("UPDATE machines SET last_seen = max(coalesce(last_seen, 0), $2) WHERE id = $1")
            .bind(id.as_str())
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Host name of the current plan.
    pub async fn put_hostname(&mut self, id: &MachineId, hostname: Option<&str>) -> Result<(), StoreError> {
        sqlx::query("UPDATE machines SET hostname = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(hostname)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}
