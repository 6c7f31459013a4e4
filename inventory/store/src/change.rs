//! One write transaction.

use std::collections::BTreeSet;
use std::ops::Deref;

use inventory_api::MachineId;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr, Sqlite};
use tokio::sync::Mutex;

use super::Result;
use super::reader::{Reader, Source};
use super::sql::Value;

/// A write transaction. Nothing of it is visible before [`Change::commit`]; dropped, it is rolled back.
///
/// sqlx's own transaction is not used: when a COMMIT fails (a full disk), it returns the only write
/// connection to the pool with the transaction still open, and nothing can be written before a restart. Here
/// a connection whose transaction was not committed is closed, which rolls it back, and the pool opens
/// another.
pub struct Change {
    reader: Reader,
    committed: bool,
    /// Machines whose search text is to be written again.
    unsearchable: BTreeSet<MachineId>,
}

impl Deref for Change {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Change {
    pub(super) async fn begin(connection: PoolConnection<Sqlite>) -> Result<Change> {
        let mut change = Change {
            reader: Reader(Source::Transaction(Mutex::new(connection))),
            committed: false,
            unsearchable: BTreeSet::new(),
        };
        change.run("BEGIN IMMEDIATE", &[]).await?;
        Ok(change)
    }

    /// Runs a statement that returns no rows.
    pub(super) async fn run(&mut self, sql: impl SqlSafeStr, values: &[&dyn Value]) -> Result<()> {
        self.execute(sql, values).await?;
        Ok(())
    }

    /// Deletes the rows of a machine except the `most` newest. `seq` is the column that grows with each row.
    pub(super) async fn keep_newest(
        &mut self,
        table: &'static str,
        seq: &'static str,
        id: &MachineId,
        most: i64,
    ) -> Result<()> {
        let sql = format!(
            "DELETE FROM {table} WHERE machine = $1 AND {seq} <=
                (SELECT {seq} FROM {table} WHERE machine = $1 ORDER BY {seq} DESC LIMIT 1 OFFSET $2)"
        );
        self.run(AssertSqlSafe(sql), &[id, &most]).await
    }

    /// Something that a machine is searched by has changed: [`Change::commit`] writes its search text again.
    pub(super) fn search_changed(&mut self, id: &MachineId) {
        self.unsearchable.insert(id.clone());
    }

    /// Commits; after an error nothing was written.
    pub async fn commit(mut self) -> Result<()> {
        for id in std::mem::take(&mut self.unsearchable) {
            self.put_search(&id).await?;
        }
        self.run("COMMIT", &[]).await?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.committed
            && let Source::Transaction(connection) = &mut self.reader.0
        {
            connection.get_mut().close_on_drop();
        }
    }
}
