//! How values lie in columns.

use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;

/// An enumeration as its word in JSON.
pub(super) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    match serde_json::to_value(value).map_err(unfit)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(unfit(format!("`{other}` is no word"))),
    }
}

pub(super) fn word_of<T: for<'a> Deserialize<'a>>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<T> {
    let word: String = row.get(column)?;
    T::deserialize(word.as_str().into_deserializer()).map_err(|error: serde::de::value::Error| {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into())
    })
}

/// A value as JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(unfit)
}

pub(super) fn json_of<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let json: String = row.get(column)?;
    serde_json::from_str(&json)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))
}

pub(super) fn hash_of(row: &Row<'_>, column: &str) -> rusqlite::Result<ContentHash> {
    row.get(column).map(ContentHash::from_bytes)
}

pub(super) fn time_of(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp)
}

pub(super) fn maybe_time_of(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
}

pub(super) fn count_of(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

/// What cannot be kept.
pub(super) fn unfit(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(why.into())
}
