//! Reading, outside and inside of a write transaction. The methods stand with what they read.

use serde::de::DeserializeOwned;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteQueryResult, SqliteRow};
use sqlx::{FromRow, SqlSafeStr, Sqlite};
use tokio::sync::Mutex;

use super::Result;
use super::sql::{Col, Column, Value, arguments};

/// All that can be read. [`Store`](super::Store) dereferences to one that reads what is committed, each
/// statement by itself; [`Change`](super::Change) to one that reads inside its transaction.
#[derive(Debug)]
pub struct Reader(pub(super) Source);

#[derive(Debug)]
pub(super) enum Source {
    Pool(SqlitePool),
    /// Locked for a statement at a time; only its change uses it.
    Transaction(Mutex<PoolConnection<Sqlite>>),
}

impl Reader {
    /// Runs a statement whose rows nobody reads.
    pub(super) async fn execute(
        &self,
        sql: impl SqlSafeStr,
        values: &[&dyn Value],
    ) -> Result<SqliteQueryResult> {
        let query = sqlx::query_with(sql, arguments(values)?);
        Ok(match &self.0 {
            Source::Pool(pool) => query.execute(pool).await?,
            Source::Transaction(connection) => query.execute(&mut **connection.lock().await).await?,
        })
    }

    pub(super) async fn fetch<T: for<'r> FromRow<'r, SqliteRow>>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Vec<T>> {
        let rows = match &self.0 {
            Source::Pool(pool) => query.fetch_all(pool).await?,
            Source::Transaction(connection) => query.fetch_all(&mut **connection.lock().await).await?,
        };
        let read: Result<Vec<T>, sqlx::Error> = rows.iter().map(T::from_row).collect();
        Ok(read?)
    }

    /// All rows.
    pub(super) async fn rows<T: for<'r> FromRow<'r, SqliteRow>>(
        &self,
        sql: impl SqlSafeStr,
        values: &[&dyn Value],
    ) -> Result<Vec<T>> {
        self.fetch(sqlx::query_with(sql, arguments(values)?)).await
    }

    /// The first row.
    pub(super) async fn row<T: for<'r> FromRow<'r, SqliteRow>>(
        &self,
        sql: impl SqlSafeStr,
        values: &[&dyn Value],
    ) -> Result<Option<T>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The first column of all rows.
    pub(super) async fn column<T: Column>(
        &self,
        sql: impl SqlSafeStr,
        values: &[&dyn Value],
    ) -> Result<Vec<T>> {
        let rows: Vec<(Col<T>,)> = self.rows(sql, values).await?;
        Ok(rows.into_iter().map(|(Col(value),)| value).collect())
    }

    /// The first column of the first row.
    pub(super) async fn value<T: Column>(
        &self,
        sql: impl SqlSafeStr,
        values: &[&dyn Value],
    ) -> Result<Option<T>> {
        Ok(self.column(sql, values).await?.into_iter().next())
    }

    /// The first column of the first row, which is a number.
    pub(super) async fn count(&self, sql: impl SqlSafeStr, values: &[&dyn Value]) -> Result<i64> {
        Ok(self.value(sql, values).await?.unwrap_or_default())
    }

    /// The first column of all rows, which is JSON.
    pub(super) async fn documents<T: DeserializeOwned + 'static>(
        &self,
        sql: impl SqlSafeStr,
        values: &[&dyn Value],
    ) -> Result<Vec<T>> {
        let rows: Vec<(sqlx::types::Json<T>,)> = self.rows(sql, values).await?;
        Ok(rows.into_iter().map(|(json,)| json.0).collect())
    }

    /// The first column of the first row, which is JSON.
    pub(super) async fn document<T: DeserializeOwned + 'static>(
        &self,
        sql: impl SqlSafeStr,
        values: &[&dyn Value],
    ) -> Result<Option<T>> {
        Ok(self.documents(sql, values).await?.into_iter().next())
    }
}
