//! Which loaders machines were given, and what came of it.

use inventory_api::Mac;
use netboot_protocol::{NicModel, Trial};
use sqlx::types::Json as JsonColumn;

use super::sql::{Col, Json};
use super::{Change, Reader, Result};

impl Reader {
    /// All trials.
    pub async fn loader_trials(&self) -> Result<Vec<(Mac, Trial)>> {
        let sql = "SELECT mac, trial FROM loader_trials";
        let rows: Vec<(Col<Mac>, JsonColumn<Trial>)> = self.rows(sql, &[]).await?;
        Ok(rows.into_iter().map(|(Col(mac), trial)| (mac, trial.0)).collect())
    }

    /// Models of NICs, from reports.
    pub async fn nic_models(&self) -> Result<Vec<(Mac, NicModel)>> {
        let rows: Vec<(Col<Mac>, String)> = self.rows("SELECT mac, model FROM nic_models", &[]).await?;
        // We wrote them; a model that does not parse is one hint less.
        Ok(rows
            .into_iter()
            .filter_map(|(Col(mac), model)| Some((mac, model.parse().ok()?)))
            .collect())
    }
}

impl Change {
    /// Stores the trial of a NIC.
    pub async fn put_loader_trial(&mut self, mac: Mac, trial: &Trial) -> Result<()> {
        let sql = "INSERT INTO loader_trials (mac, trial) VALUES ($1, $2)
            ON CONFLICT (mac) DO UPDATE SET trial = excluded.trial";
        self.run(sql, &[&mac, &Json(trial)]).await
    }

    /// Deletes the trials of these NICs.
    pub async fn forget_loader_trials(&mut self, macs: &[Mac]) -> Result<()> {
        for mac in macs {
            self.run("DELETE FROM loader_trials WHERE mac = $1", &[mac])
                .await?;
        }
        Ok(())
    }

    /// Stores the model of a NIC, from a report.
    pub async fn put_nic_model(&mut self, mac: Mac, model: NicModel) -> Result<()> {
        let sql = "INSERT INTO nic_models (mac, model) VALUES ($1, $2)
            ON CONFLICT (mac) DO UPDATE SET model = excluded.model";
        self.run(sql, &[&mac, &model.to_string()]).await
    }
}
