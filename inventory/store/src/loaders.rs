//! What became of the loaders that machines were given.

use inventory_api::Mac;
use netboot_protocol::{NicModel, Trial};

use super::sql::{Json, all};
use super::{Change, Store, StoreError};

impl Store {
    /// All that is kept.
    pub async fn loader_trials(&self) -> Result<Vec<(Mac, Trial)>, StoreError> {
        all(&self.read, "SELECT mac, trial FROM loader_trials", &[], |row| {
            Ok((row.get("mac")?, row.json("loader trial", "trial")?))
        })
        .await
    }

    /// Keeps one.
    pub async fn put_loader_trial(&self, mac: Mac, trial: &Trial) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let sql = "INSERT OR REPLACE INTO loader_trials (mac, trial) VALUES ($1, $2)";
        change.run(sql, &[&mac, &Json("loader trial", trial)]).await?;
        change.commit().await
    }

    /// Forgets those of some NICs.
    pub async fn forget_loader_trials(&self, macs: &[Mac]) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        for mac in macs {
            change
                .run("DELETE FROM loader_trials WHERE mac = $1", &[mac])
                .await?;
        }
        change.commit().await
    }

    /// What reports told the NICs to be.
    pub async fn nic_models(&self) -> Result<Vec<(Mac, NicModel)>, StoreError> {
        let models = all(&self.read, "SELECT mac, model FROM nic_models", &[], |row| {
            let text: String = row.get("model")?;
            // Written by us; one that is not understood is only a hint less.
            Ok(match text.parse() {
                Ok(model) => Some((row.get("mac")?, model)),
                Err(()) => None,
            })
        })
        .await?;
        Ok(models.into_iter().flatten().collect())
    }
}

impl Change {
    /// Keeps what a report tells a NIC to be.
    pub async fn put_nic_model(&mut self, mac: Mac, model: NicModel) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO nic_models (mac, model) VALUES ($1, $2)";
        self.run(sql, &[&mac, &model.to_string()]).await
    }
}
