//! What became of the loaders that machines were given.

use inventory_api::Mac;
use netboot_protocol::{NicModel, Trial};
use sqlx::Row as _;

use super::{Change, Store, StoreError, from_json, parse, to_json};

impl Store {
    /// All that is kept.
    pub async fn loader_trials(&self) -> Result<Vec<(Mac, Trial)>, StoreError> {
        let rows = sqlx::query("SELECT mac, trial FROM loader_trials")
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    parse("MAC", row.try_get("mac")?)?,
                    from_json("loader trial", row.try_get("trial")?)?,
                ))
            })
            .collect()
    }

    /// Keeps one.
    pub async fn put_loader_trial(&self, mac: Mac, trial: &Trial) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        sqlx::query("INSERT OR REPLACE INTO loader_trials (mac, trial) VALUES ($1, $2)")
            .bind(mac.to_string())
            .bind(to_json("loader trial", trial)?)
            .execute(change.connection())
            .await?;
        change.commit().await
    }

    /// Forgets those of some NICs.
    pub async fn forget_loader_trials(&self, macs: &[Mac]) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        for mac in macs {
            sqlx::query("DELETE FROM loader_trials WHERE mac = $1")
                .bind(mac.to_string())
                .execute(change.connection())
                .await?;
        }
        change.commit().await
    }

    /// What reports told the NICs to be.
    pub async fn nic_models(&self) -> Result<Vec<(Mac, NicModel)>, StoreError> {
        let rows = sqlx::query("SELECT mac, model FROM nic_models")
            .fetch_all(&self.read)
            .await?;
        let mut models = Vec::with_capacity(rows.len());
        for row in &rows {
            let text: &str = row.try_get("model")?;
            // Written by us; one that is not understood is only a hint less.
            if let Ok(model) = text.parse() {
                models.push((parse("MAC", row.try_get("mac")?)?, model));
            }
        }
        Ok(models)
    }
}

impl Change {
    /// Keeps what a report tells a NIC to be.
    pub async fn put_nic_model(&mut self, mac: Mac, model: NicModel) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO nic_models (mac, model) VALUES ($1, $2)")
            .bind(mac.to_string())
            .bind(model.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
