//! Tokens, and whether the store can be written.

use inventory_api::Problem;

use super::{Actor, Service};
use crate::problem::problem;
use crate::secret;
use store::StoreError;

/// How long the result of a write probe is used, in ms: after success, after failure.
const PROBE_EVERY: (i64, i64) = (10_000, 1_000);
/// Shortest time between records of a token's last use, in ms.
const USED_EVERY: i64 = 5 * 60 * 1000;

/// The holder of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The token's name.
    pub actor: Actor,
    /// The token may only read.
    pub read_only: bool,
}

impl Login {
    /// Refuses changes with a read-only token.
    ///
    /// # Errors
    /// 403, with what to do.
    pub fn may(&self, method: &http::Method) -> Result<(), Problem> {
        if !self.read_only || method.is_safe() {
            return Ok(());
        }
        Err(problem(
            403,
            "read-only",
            "This token may only read",
            format!(
                "the token {:?} was made with --read-only: use another one, or make one with `slipway token create NAME`",
                self.actor
            ),
        ))
    }
}

impl Service {
    /// The holder of this token. `None`: unknown, expired or revoked.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Login>, Problem> {
        // Nothing else can be a token: saves the look-up.
        if token.len() != 64 {
            return Ok(None);
        }
        let store = &self.core.store;
        let row = store.token(&secret::digest(token)).await?;
        let now = self.core.clock.now();
        let Some(row) = row.filter(|row| row.is_good(now)) else {
            return Ok(None);
        };
        if row.used_at.is_none_or(|at| now.0 - at.0 >= USED_EVERY) {
            let written = async {
                let mut change = store.begin().await?;
                change.put_token_used(&row.name, now).await?;
                change.commit().await
            };
            // Reading must still work when the disk is full.
            if let Err(error) = written.await {
                tracing::warn!(%error, token = row.name, "the use of a token was not written down");
            }
        }
        Ok(Some(Login {
            actor: Actor::Token(row.name),
            read_only: row.read_only,
        }))
    }

    /// Whether the store can be written. Anybody may ask, so the disk is probed rarely.
    ///
    /// # Errors
    /// 503 while it cannot.
    pub async fn health(&self) -> Result<(), Problem> {
        let now = self.core.clock.now();
        let mut last = self.core.memory.write_probe.lock().await;
        let known = last.filter(|(at, good)| {
            let every = if *good { PROBE_EVERY.0 } else { PROBE_EVERY.1 };
            (0..every).contains(&(now.0 - at.0))
        });
        let good = match known {
            Some((_, good)) => good,
            None => {
                let written: Result<(), StoreError> = self.core.store.probe_write(now).await;
                if let Err(error) = &written {
                    tracing::error!(%error, data_dir = %self.core.config.data_dir.display(),
                        "the store takes no write: is its disk full?");
                }
                written.is_ok()
            }
        };
        *last = Some(known.unwrap_or((now, good)));
        if good {
            return Ok(());
        }
        Err(problem(
            503,
            "store-unwritable",
            "The store takes no writes",
            "the store cannot be written, the server's log says why: free space on the disk of data_dir; \
             nothing has to be restarted afterwards",
        ))
    }
}

/// Logs the use of an invalid token: somebody is guessing, or it was revoked.
pub fn unknown_token(address: Option<std::net::IpAddr>) {
    let peer = address.map(|address| address.to_canonical());
    tracing::warn!(
        ?peer,
        "refused: a token that is not one of this server, has expired or was revoked"
    );
}
