//! Machines that are to be checked again, until they are.

use std::collections::BTreeSet;

use inventory_api::MachineId;
use sqlx::Row as _;

use super::{Change, Store, StoreError, parse};

/// A machine that is to be checked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecheckRow {
    /// Number of the request.
    pub id: i64,
    /// The machine.
    pub machine: MachineId,
    /// Who changed what is expected of it.
    pub actor: String,
}

impl Store {
    /// The machines that are to be checked again, the one that was asked for first at the front, at most `limit`.
    pub async fn rechecks(&self, limit: u32) -> Result<Vec<RecheckRow>, StoreError> {
        let rows = sqlx::query("SELECT id, machine, actor FROM rechecks ORDER BY id LIMIT $1")
            .bind(limit)
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(RecheckRow {
                    id: row.try_get("id")?,
                    machine: parse("machine id", row.try_get("machine")?)?,
                    actor: row.try_get("actor")?,
                })
            })
            .collect()
    }

    /// How many machines are still to be checked again.
    pub async fn rechecks_left(&self) -> Result<u32, StoreError> {
        let left = sqlx::query_scalar("SELECT count(*) FROM rechecks");
        Ok(left.fetch_one(&self.read).await?)
    }
}

impl Change {
    /// Asks for machines to be checked again.
    pub async fn add_rechecks(
        &mut self,
        machines: &BTreeSet<MachineId>,
        actor: &str,
    ) -> Result<(), StoreError> {
        for machine in machines {
            sqlx::query("INSERT OR REPLACE INTO rechecks (machine, actor) VALUES ($1, $2)")
                .bind(machine.as_str())
                .bind(actor)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// A request is done with.
    pub async fn recheck_done(&mut self, id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM rechecks WHERE id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
