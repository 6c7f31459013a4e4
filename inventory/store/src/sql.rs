//! What a Rust value becomes in SQLite and a column becomes in Rust, in one place.

use std::net::Ipv4Addr;

use inventory_api::check::Verdict;
use inventory_api::parts::{PartEventKind, PartKind};
use inventory_api::{Mac, MachineId, PlanId, UnixMs};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Arguments, Decode, Encode, QueryBuilder, Type};

use super::Result;

pub(super) fn arguments(values: &[&dyn Value]) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        value.add_to(&mut arguments).map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// A parameter of a statement.
pub(super) trait Value: Sync {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError>;
}

fn add<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(
    arguments: &mut SqliteArguments,
    value: T,
) -> Result<(), BoxDynError> {
    Arguments::add(arguments, value)
}

/// A type that is stored as `Raw`.
pub(super) trait Column: Sized {
    type Raw: for<'r> Decode<'r, Sqlite> + Type<Sqlite>;

    fn of(raw: Self::Raw) -> Result<Self, BoxDynError>;
}

/// Reads a [`Column`]: a column of a tuple, or `#[sqlx(try_from = "Col<T>")]`.
pub(super) struct Col<T>(pub(super) T);

impl<T: Column> Type<Sqlite> for Col<T> {
    fn type_info() -> SqliteTypeInfo {
        T::Raw::type_info()
    }

    fn compatible(column: &SqliteTypeInfo) -> bool {
        T::Raw::compatible(column)
    }
}

impl<'r, T: Column> Decode<'r, Sqlite> for Col<T> {
    fn decode(value: SqliteValueRef<'r>) -> Result<Col<T>, BoxDynError> {
        T::of(T::Raw::decode(value)?).map(Col)
    }
}

/// `None` is NULL.
impl<T: Column> Column for Option<T> {
    type Raw = Option<T::Raw>;

    fn of(raw: Self::Raw) -> Result<Self, BoxDynError> {
        raw.map(T::of).transpose()
    }
}

/// `None` is NULL.
impl<T: Value> Value for Option<T> {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        match self {
            Some(value) => value.add_to(arguments),
            None => add(arguments, None::<i64>),
        }
    }
}

macro_rules! as_it_is {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
                add(arguments, self)
            }
        }

        impl Column for $type {
            type Raw = $type;

            fn of(raw: $type) -> Result<$type, BoxDynError> {
                Ok(raw)
            }
        }
    )*};
}

as_it_is!(bool, i64, u32, String, Vec<u8>);

/// Types that have a raw form: its type, how to write it and how to read it.
macro_rules! converted {
    ($($type:ty: $raw:ty, $write:expr, $read:expr;)*) => {$(
        impl Value for $type {
            fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
                let write: fn(&$type) -> $raw = $write;
                add(arguments, write(self))
            }
        }

        impl Column for $type {
            type Raw = $raw;

            fn of(raw: $raw) -> Result<$type, BoxDynError> {
                let read: fn($raw) -> Result<$type, BoxDynError> = $read;
                read(raw)
            }
        }

        impl From<Col<$type>> for $type {
            fn from(column: Col<$type>) -> $type {
                column.0
            }
        }

        impl From<Col<Option<$type>>> for Option<$type> {
            fn from(column: Col<Option<$type>>) -> Option<$type> {
                column.0
            }
        }
    )*};
}

converted! {
    UnixMs: i64, |at| at.0, |raw| Ok(UnixMs(raw));
    MachineId: String, ToString::to_string, |raw| Ok(raw.parse()?);
    PlanId: String, ToString::to_string, |raw| Ok(raw.parse()?);
    Mac: String, ToString::to_string, |raw| Ok(raw.parse()?);
    Ipv4Addr: String, ToString::to_string, |raw| Ok(raw.parse()?);
    PartKind: String, ToString::to_string, |raw| word(&raw);
    PartEventKind: String, ToString::to_string, |raw| word(&raw);
    Verdict: String, verdict, |raw| word(&raw);
    [u8; 32]: Vec<u8>, |digest| digest.to_vec(), |raw| {
        <[u8; 32]>::try_from(raw.as_slice()).map_err(|_| "a digest is 32 bytes long".into())
    };
}

pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
    }
    .to_owned()
}

/// Reads a value that is a string in JSON.
fn word<T: DeserializeOwned>(raw: &str) -> Result<T, BoxDynError> {
    use serde::de::IntoDeserializer as _;
    let raw: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = raw.into_deserializer();
    Ok(T::deserialize(raw)?)
}

impl Value for &str {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        add(arguments, *self)
    }
}

impl Value for &[u8] {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        add(arguments, *self)
    }
}

/// A parameter that is stored as JSON; `#[sqlx(json)]` reads it.
pub(super) struct Json<'a, T>(pub(super) &'a T);

impl<T: Serialize + Sync> Value for Json<'_, T> {
    fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        add(arguments, serde_json::to_string(self.0)?)
    }
}

/// Writes a list of ids and the closing parenthesis.
pub(super) fn push_ids(query: &mut QueryBuilder<Sqlite>, ids: impl Iterator<Item: ToString>) {
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id.to_string());
    }
    query.push(")");
}
