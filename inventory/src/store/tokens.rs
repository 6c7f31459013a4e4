//! API tokens. Only a digest of each is stored.

use inventory_api::UnixMs;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

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

    fn of(row: &SqliteRow) -> Result<TokenRow, sqlx::Error> {
        let time = |column| row.try_get::<Option<i64>, _>(column).map(|at| at.map(UnixMs));
        Ok(TokenRow {
            name: row.try_get("name")?,
            read_only: row.try_get("read_only")?,
            made_at: UnixMs(row.try_get("made_at")?),
            expires_at: time("expires_at")?,
            used_at: time("used_at")?,
            revoked_at: time("revoked_at")?,
        })
    }
}

impl Store {
    /// The token with this digest, good or not.
    pub async fn token(&self, digest: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM tokens WHERE digest = $1")
            .bind(digest.as_slice())
            .fetch_optional(&self.read)
            .await?;
        Ok(row.as_ref().map(TokenRow::of).transpose()?)
    }

    /// All tokens by name.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM tokens ORDER BY name")
            .fetch_all(&self.read)
            .await?;
        Ok(rows.iter().map(TokenRow::of).collect::<Result<_, _>>()?)
    }
}

impl Change {
    /// Stores a token. False when the name is taken, or was.
    pub async fn add_token(&mut self, token: &TokenRow, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO tokens (name, digest, made_at, read_only, expires_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        )
        .bind(&token.name)
        .bind(digest.as_slice())
        .bind(token.made_at.0)
        .bind(token.read_only)
        .bind(token.expires_at.map(|at| at.0))
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The token was used.
    pub async fn put_token_used(&mut self, name: &str, at: UnixMs) -> Result<(), StoreError> {
        sqlx::query("UPDATE tokens SET used_at = $2 WHERE name = $1")
            .bind(name)
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Revokes a token. False when there is none of this name that is not revoked.
    pub async fn revoke_token(&mut self, name: &str, at: UnixMs) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL")
            .bind(name)
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
