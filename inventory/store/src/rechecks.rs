//! Machines that are to be checked again, until they are.

use std::collections::BTreeSet;

use inventory_api::MachineId;

use super::sql::{all, one, only};
use super::{Change, Store, StoreError};

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
        let sql = "SELECT id, machine, actor FROM rechecks ORDER BY id LIMIT $1";
        all(&self.read, sql, &[&limit], |row| {
            Ok(RecheckRow {
                id: row.get("id")?,
                machine: row.get("machine")?,
                actor: row.get("actor")?,
            })
        })
        .await
    }

    /// How many machines are still to be checked again.
    pub async fn rechecks_left(&self) -> Result<u32, StoreError> {
        let left = one(&self.read, "SELECT count(*) FROM rechecks", &[], only).await?;
        Ok(left.unwrap_or_default())
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
            let sql = "INSERT OR REPLACE INTO rechecks (machine, actor) VALUES ($1, $2)";
            self.run(sql, &[machine, &actor]).await?;
        }
        Ok(())
    }

    /// A request is done with.
    pub async fn recheck_done(&mut self, id: i64) -> Result<(), StoreError> {
        self.run("DELETE FROM rechecks WHERE id = $1", &[&id]).await
    }
}
