//! Statements: what a value becomes in SQLite and what a column becomes here, in one place.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, PlanId, UnixMs};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteExecutor, SqliteQueryResult, SqliteRow};
use sqlx::{Arguments, Decode, Encode, Row as _, SqlSafeStr, Type};

use super::StoreError;

/// Runs a statement that gives no rows.
pub(super) async fn run<'c>(
    on: impl SqliteExecutor<'c>,
    sql: impl SqlSafeStr,
    values: &[&dyn Value],
) -> Result<SqliteQueryResult, StoreError> {
    let query = sqlx::query_with(sql, arguments(values)?);
    Ok(query.execute(on).await?)
}

/// All rows that a statement gives, as `of` reads them.
pub(super) async fn all<'c, T>(
    on: impl SqliteExecutor<'c>,
    sql: &'static str,
    values: &[&dyn Value],
    mut of: impl FnMut(Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let rows = sqlx::query_with(sql, arguments(values)?).fetch_all(on).await?;
    rows.iter().map(|row| of(Row(row))).collect()
}

/// The row that a statement gives, if it gives one.
pub(super) async fn one<'c, T>(
    on: impl SqliteExecutor<'c>,
    sql: impl SqlSafeStr,
    values: &[&dyn Value],
    of: impl FnOnce(Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let row = sqlx::query_with(sql, arguments(values)?)
        .fetch_optional(on)
        .await?;
    row.map(|row| of(Row(&row))).transpose()
}

/// The number that a statement counts.
pub(super) async fn count<'c>(
    on: impl SqliteExecutor<'c>,
    sql: &'static str,
    values: &[&dyn Value],
) -> Result<i64, StoreError> {
    let row = sqlx::query_with(sql, arguments(values)?).fetch_one(on).await?;
    only(Row(&row))
}

fn arguments(values: &[&dyn Value]) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        value.add_to(&mut arguments)?;
    }
    Ok(arguments)
}

/// What a statement takes.
pub(super) trait Value: Sync {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError>;
}

fn add<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(
    arguments: &mut SqliteArguments,
    value: T,
) -> Result<(), StoreError> {
    Ok(Arguments::add(arguments, value).map_err(sqlx::Error::Encode)?)
}

/// What a column holds.
pub(super) trait Column: Sized {
    /// As SQLite has it.
    type Raw: for<'r> Decode<'r, Sqlite> + Type<Sqlite>;

    fn of(raw: Self::Raw) -> Result<Self, StoreError>;
}

macro_rules! as_it_is {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
                add(arguments, self)
            }
        }

        impl Column for $type {
            type Raw = $type;

            fn of(raw: $type) -> Result<$type, StoreError> {
                Ok(raw)
            }
        }
    )*};
}

as_it_is!(bool, i64, u32, String, Vec<u8>);

macro_rules! by_name {
    ($($type:ty: $what:literal),*) => {$(
        impl Value for $type {
            fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
                add(arguments, self.to_string())
            }
        }

        impl Column for $type {
            type Raw = String;

            fn of(raw: String) -> Result<$type, StoreError> {
                raw.parse().map_err(|error| StoreError::content($what, error))
            }
        }
    )*};
}

by_name!(MachineId: "machine id", PlanId: "plan id", Mac: "MAC", Ipv4Addr: "address");

impl Value for &str {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
        add(arguments, *self)
    }
}

impl Value for &[u8] {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
        add(arguments, *self)
    }
}

impl Value for [u8; 32] {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
        add(arguments, self.as_slice())
    }
}

impl Column for [u8; 32] {
    type Raw = Vec<u8>;

    fn of(raw: Vec<u8>) -> Result<[u8; 32], StoreError> {
        raw.try_into()
            .map_err(|_| StoreError::content("digest", "it is not 32 bytes long"))
    }
}

impl Value for UnixMs {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
        add(arguments, self.0)
    }
}

impl Column for UnixMs {
    type Raw = i64;

    fn of(raw: i64) -> Result<UnixMs, StoreError> {
        Ok(UnixMs(raw))
    }
}

/// None is NULL.
impl<T: Value> Value for Option<T> {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
        match self {
            Some(value) => value.add_to(arguments),
            None => add(arguments, None::<i64>),
        }
    }
}

/// A value that is stored as JSON, and what it is.
pub(super) struct Json<'a, T>(pub(super) &'static str, pub(super) &'a T);

impl<T: Serialize + Sync> Value for Json<'_, T> {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), StoreError> {
        let text = serde_json::to_string(self.1).map_err(|error| StoreError::content(self.0, error))?;
        add(arguments, text)
    }
}

/// A row, whose columns are read by name.
#[derive(Clone, Copy)]
pub(super) struct Row<'r>(&'r SqliteRow);

impl Row<'_> {
    pub(super) fn get<T: Column>(self, column: &str) -> Result<T, StoreError> {
        T::of(self.0.try_get(column)?)
    }

    /// None is NULL.
    pub(super) fn maybe<T: Column>(self, column: &str) -> Result<Option<T>, StoreError> {
        let raw: Option<T::Raw> = self.0.try_get(column)?;
        raw.map(T::of).transpose()
    }

    /// A column that holds JSON, of `what`.
    pub(super) fn json<T: DeserializeOwned>(self, what: &'static str, column: &str) -> Result<T, StoreError> {
        from_json(what, self.0.try_get(column)?)
    }

    /// None is NULL.
    pub(super) fn maybe_json<T: DeserializeOwned>(
        self,
        what: &'static str,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.0.try_get(column)?;
        text.map(|text| from_json(what, text)).transpose()
    }

    /// A word of the wire that is stored as it is.
    pub(super) fn word<T: DeserializeOwned>(self, what: &'static str, column: &str) -> Result<T, StoreError> {
        let word: &str = self.0.try_get(column)?;
        from_json(what, &format!("\"{word}\""))
    }
}

/// The only column of a row.
pub(super) fn only<T: Column>(row: Row<'_>) -> Result<T, StoreError> {
    T::of(row.0.try_get(0)?)
}

/// Text that is JSON, of `what`.
fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::content(what, error))
}
