//! API tokens. Only a digest of each is stored.

use inventory_api::UnixMs;

use super::sql::{Row, all, one, run};
use super::{Change, Store, StoreError};

/// A token, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Who uses it; never given twice.
    pub name: String,
    /// It may only read.
    pub read_only: bool,
    /// When it was made.
    pub made_at: UnixMs,
    /// From then on it is not taken any more.
    pub expires_at: Option<UnixMs>,
    /// When it was last used, to some minutes.
    pub used_at: Option<UnixMs>,
    /// When it was revoked.
    pub revoked_at: Option<UnixMs>,
}

impl TokenRow {
    /// Whether it is taken at `now`.
    pub fn is_good(&self, now: UnixMs) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    fn of(row: Row<'_>) -> Result<TokenRow, StoreError> {
        Ok(TokenRow {
            name: row.get("name")?,
            read_only: row.get("read_only")?,
            made_at: row.get("made_at")?,
            expires_at: row.maybe("expires_at")?,
            used_at: row.maybe("used_at")?,
            revoked_at: row.maybe("revoked_at")?,
        })
    }
}

impl Store {
    /// The token with this digest, good or not.
    pub async fn token(&self, digest: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        let sql = "SELECT * FROM tokens WHERE digest = $1";
        one(&self.read, sql, &[digest], TokenRow::of).await
    }

    /// All tokens by name.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        all(
            &self.read,
            "SELECT * FROM tokens ORDER BY name",
            &[],
            TokenRow::of,
        )
        .await
    }
}

impl Change {
    /// Stores a token. False when the name is taken, or was.
    pub async fn add_token(&mut self, token: &TokenRow, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let done = run(
            self.connection(),
            "INSERT INTO tokens (name, digest, made_at, read_only, expires_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
            &[
                &token.name,
                digest,
                &token.made_at,
                &token.read_only,
                &token.expires_at,
            ],
        )
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The token was used.
    pub async fn put_token_used(&mut self, name: &str, at: UnixMs) -> Result<(), StoreError> {
        let sql = "UPDATE tokens SET used_at = $2 WHERE name = $1";
        self.run(sql, &[&name, &at]).await
    }

    /// Revokes a token. False when there is none of this name that is not revoked.
    pub async fn revoke_token(&mut self, name: &str, at: UnixMs) -> Result<bool, StoreError> {
        let sql = "UPDATE tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";
        let done = run(self.connection(), sql, &[&name, &at]).await?;
        Ok(done.rows_affected() == 1)
    }
}
