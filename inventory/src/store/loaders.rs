//! What became of the loaders that machines were given.

use inventory_api::Mac;
use netboot_protocol::Trial;
use sqlx::Row as _;

use super::{Store, StoreError, from_json, parse, to_json};

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

    /// Keeps one; `None` forgets it.
    pub async fn put_loader_trial(&self, mac: Mac, trial: Option<&Trial>) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        match trial {
            Some(trial) => {
                sqlx::query("INSERT OR REPLACE INTO loader_trials (mac, trial) VALUES ($1, $2)")
                    .bind(mac.to_string())
                    .bind(to_json("loader trial", trial)?)
                    .execute(change.connection())
                    .await?
            }
            None => {
                sqlx::query("DELETE FROM loader_trials WHERE mac = $1")
                    .bind(mac.to_string())
                    .execute(change.connection())
                    .await?
            }
        };
        change.commit().await
    }
}
