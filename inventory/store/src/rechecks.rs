//! Machines whose stored report waits to be checked again.

use std::collections::BTreeSet;

use inventory_api::MachineId;

use super::sql::Col;
use super::{Change, Reader, Result};

/// A request to check a machine again.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RecheckRow {
    /// Number of the request.
    pub id: i64,
    /// The machine.
    #[sqlx(try_from = "Col<MachineId>")]
    pub machine: MachineId,
    /// Who changed what is expected of the machine.
    pub actor: String,
}

impl Reader {
    /// At most `limit` requests, oldest first.
    pub async fn rechecks(&self, limit: u32) -> Result<Vec<RecheckRow>> {
        self.rows(
            "SELECT id, machine, actor FROM rechecks ORDER BY id LIMIT $1",
            &[&limit],
        )
        .await
    }

    /// How many requests wait.
    pub async fn rechecks_left(&self) -> Result<u32> {
        Ok(self
            .value("SELECT count(*) FROM rechecks", &[])
            .await?
            .unwrap_or_default())
    }
}

impl Change {
    /// Asks for machines to be checked again. A machine that waits already gets a new number: its check may
    /// be under way.
    pub async fn add_rechecks(&mut self, machines: &BTreeSet<MachineId>, actor: &str) -> Result<()> {
        for machine in machines {
            self.run("DELETE FROM rechecks WHERE machine = $1", &[machine])
                .await?;
            let add = "INSERT INTO rechecks (machine, actor) VALUES ($1, $2)";
            self.run(add, &[machine, &actor]).await?;
        }
        Ok(())
    }

    /// Deletes a request.
    pub async fn recheck_done(&mut self, id: i64) -> Result<()> {
        self.run("DELETE FROM rechecks WHERE id = $1", &[&id]).await
    }
}
