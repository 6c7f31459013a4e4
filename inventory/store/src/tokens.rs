//! API tokens. Only a digest of each is stored.

use inventory_api::UnixMs;

use super::sql::Col;
use super::{Change, Reader, Result};

/// A token as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct TokenRow {
    /// Who uses it; never given twice.
    pub name: String,
    /// Whether it only reads.
    pub read_only: bool,
    /// When it was made.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub made_at: UnixMs,
    /// From then on it is refused.
    #[sqlx(try_from = "Col<Option<UnixMs>>")]
    pub expires_at: Option<UnixMs>,
    /// When it was last used, to some minutes.
    #[sqlx(try_from = "Col<Option<UnixMs>>")]
    pub used_at: Option<UnixMs>,
    /// When it was revoked.
    #[sqlx(try_from = "Col<Option<UnixMs>>")]
    pub revoked_at: Option<UnixMs>,
}

impl TokenRow {
    /// Whether it is accepted at `now`.
    pub fn is_good(&self, now: UnixMs) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl Reader {
    /// The token with this digest, good or not.
    pub async fn token(&self, digest: &[u8; 32]) -> Result<Option<TokenRow>> {
        let sql =
            "SELECT name, read_only, made_at, expires_at, used_at, revoked_at FROM tokens WHERE digest = $1";
        self.row(sql, &[digest]).await
    }

    /// All tokens by name.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        let sql =
            "SELECT name, read_only, made_at, expires_at, used_at, revoked_at FROM tokens ORDER BY name";
        self.rows(sql, &[]).await
    }
}

impl Change {
    /// Stores a token. False: the name is or was in use.
    pub async fn add_token(&mut self, token: &TokenRow, digest: &[u8; 32]) -> Result<bool> {
        let done = self
            .execute(
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

    /// Stores when a token was used.
    pub async fn put_token_used(&mut self, name: &str, at: UnixMs) -> Result<()> {
        let sql = "UPDATE tokens SET used_at = $2 WHERE name = $1";
        self.run(sql, &[&name, &at]).await
    }

    /// Revokes a token. False: no token of this name, or it was revoked before.
    pub async fn revoke_token(&mut self, name: &str, at: UnixMs) -> Result<bool> {
        let sql = "UPDATE tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";
        let done = self.execute(sql, &[&name, &at]).await?;
        Ok(done.rows_affected() == 1)
    }
}
