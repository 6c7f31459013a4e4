//! API tokens: who holds one, and what it may do.

use crate::problem::{READ_ONLY, Result};
use crate::{Actor, Service, Turn, secret};
use inventory_api::text::with_causes;

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
    pub fn may(&self, method: &http::Method) -> Result<()> {
        if !self.read_only || method.is_safe() {
            return Ok(());
        }
        Err(READ_ONLY.because(format!(
            "the token {:?} was made with --read-only: use another one, or make one with `slipway token create NAME`",
            self.actor
        )))
    }
}

impl Service {
    /// The holder of this token. `None`: unknown, expired or revoked.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Login>> {
        // Nothing else can be a token: saves the look-up.
        if token.len() != 64 {
            return Ok(None);
        }
        let row = self.core.store.token(&secret::digest(token)).await?;
        let now = self.core.clock.now();
        let Some(row) = row.filter(|row| row.is_good(now)) else {
            return Ok(None);
        };
        if row.used_at.is_none_or(|at| now.0 - at.0 >= USED_EVERY) {
            let name = row.name.clone();
            let work = async move |mut turn: Turn| {
                turn.put_token_used(&name, now).await?;
                turn.commit().await
            };
            // Reading must still work when the disk is full.
            if let Err(error) = self.core.turn(&Actor::Token(row.name.clone()), work).await {
                tracing::warn!(
                    error = with_causes(&error),
                    token = row.name,
                    "the use of a token was not recorded"
                );
            }
        }
        Ok(Some(Login {
            actor: Actor::Token(row.name),
            read_only: row.read_only,
        }))
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
