//! Table `metadata`: what people know about their recordings.
//!
//! In: keys and values, by recording. Out: the same. It stays with a recording when its file moves
//! or its content changes, and goes when the recording is removed.

use std::fmt;
use std::path::Path;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{OptionalExtension, params};

use super::paths::OwnedPath;
use super::{Library, Writer};
use crate::error::Result;

/// A piece of metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataValue {
    /// A whole number.
    Integer(i64),
    /// Another finite number.
    Real(f64),
    /// Anything else.
    Text(String),
}

impl MetadataValue {
    /// What a cell of a table holds: a number where it looks like one. Digits behind a leading
    /// zero, as in `007`, are a name.
    pub fn of_cell(cell: &str) -> Self {
        let digits = cell.strip_prefix('-').unwrap_or(cell);
        let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
        let looks_like_one = whole.bytes().all(|byte| byte.is_ascii_digit())
            && !whole.is_empty()
            && (whole == "0" || !whole.starts_with('0'))
            && !digits.ends_with('.');
        if looks_like_one {
            if let Ok(number) = cell.parse() {
                return Self::Integer(number);
            }
            // Digits without a point that are too many for a whole number are a name too.
            let is_whole = whole.len() == digits.len();
            if let Ok(number) = cell.parse::<f64>()
                && number.is_finite()
                && !is_whole
            {
                return Self::Real(number);
            }
        }
        Self::Text(cell.to_owned())
    }

    /// The number that it is; nothing of a text, and of numbers that float32 cannot hold.
    #[expect(clippy::cast_possible_truncation, reason = "what overflows is left out")]
    pub fn number(&self) -> Option<f32> {
        let number = match self {
            Self::Integer(number) => *number as f32,
            Self::Real(number) => *number as f32,
            Self::Text(_) => return None,
        };
        number.is_finite().then_some(number)
    }
}

impl fmt::Display for MetadataValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(formatter),
            // With its point, so that it reads back as the same kind.
            Self::Real(number) => write!(formatter, "{number:?}"),
            Self::Text(text) => text.fmt(formatter),
        }
    }
}

impl ToSql for MetadataValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl FromSql for MetadataValue {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(number) => Ok(Self::Integer(number)),
            ValueRef::Real(number) => Ok(Self::Real(number)),
            ValueRef::Text(_) => value.as_str().map(|text| Self::Text(text.to_owned())),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// What storing a piece of metadata changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was none of that key.
    Added,
    /// There was another value.
    Changed,
    /// It was there.
    None,
}

/// A key of the library's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataKey {
    /// The key.
    pub key: String,
    /// Recordings that have it.
    pub recordings: u64,
    /// Of these, how many have a number.
    pub numbers: u64,
}

impl Writer<'_> {
    /// Stores a piece of metadata of a recording; says what that changed.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn put_metadata(&self, recording: i64, key: &str, value: &MetadataValue) -> Result<Change> {
        let put = || -> rusqlite::Result<Change> {
            let known: Option<MetadataValue> = self
                .transaction
                .prepare_cached("SELECT value FROM metadata WHERE recording_id = ?1 AND key = ?2")?
                .query_row(params![recording, key], |row| row.get(0))
                .optional()?;
            if known.as_ref() == Some(value) {
                return Ok(Change::None);
            }
            // Not in one statement: what an upsert does about conflicts, its triggers do too, and
            // these note a recording that may be noted already.
            let statement = if known.is_some() {
                "UPDATE metadata SET value = ?3 WHERE recording_id = ?1 AND key = ?2"
            } else {
                "INSERT INTO metadata (recording_id, key, value) VALUES (?1, ?2, ?3)"
            };
            self.transaction.prepare_cached(statement)?.execute(params![recording, key, value])?;
            Ok(if known.is_some() { Change::Changed } else { Change::Added })
        };
        put().map_err(|error| self.error(error))
    }

    /// Removes a key from all recordings; returns how many had it.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn remove_metadata(&self, key: &str) -> Result<usize> {
        self.transaction
            .execute("DELETE FROM metadata WHERE key = ?1", [key])
            .map_err(|error| self.error(error))
    }
}

impl Library {
    /// The metadata of a recording, by key.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn metadata(&self, recording: i64) -> Result<Vec<(String, MetadataValue)>> {
        let list = || -> rusqlite::Result<Vec<_>> {
            self.connection
                .prepare_cached(
                    "SELECT key, value FROM metadata WHERE recording_id = ?1 ORDER BY key",
                )?
                .query_map([recording], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// The keys that recordings have metadata of.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn metadata_keys(&self) -> Result<Vec<MetadataKey>> {
        let list = || -> rusqlite::Result<Vec<MetadataKey>> {
            self.connection
                .prepare_cached(
                    "SELECT key, count(*), count(*) FILTER (WHERE typeof(value) <> 'text')
                     FROM metadata GROUP BY key ORDER BY key",
                )?
                .query_map([], |row| {
                    let count = |column| row.get(column).map(i64::cast_unsigned);
                    Ok(MetadataKey { key: row.get(0)?, recordings: count(1)?, numbers: count(2)? })
                })?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// Calls `visit` with the path, the key and the value of every piece of metadata: by path,
    /// then by key.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), and what `visit` fails with.
    pub fn for_each_metadata(
        &self,
        mut visit: impl FnMut(&Path, String, MetadataValue) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| self.error("read", error);
        let mut query = self
            .connection
            .prepare(
                "SELECT path, key, value FROM metadata JOIN recordings ON id = recording_id
                 ORDER BY path, key",
            )
            .map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let OwnedPath(path) = row.get(0).map_err(failed)?;
            let (key, value) = (row.get(1).map_err(failed)?, row.get(2).map_err(failed)?);
            visit(&path, key, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_what_looks_like_them() {
        use MetadataValue::{Integer, Real, Text};
        for (cell, value) in [
            ("7", Integer(7)),
            ("-3", Integer(-3)),
            ("0", Integer(0)),
            ("1.50", Real(1.5)),
            ("-0.25", Real(-0.25)),
            ("5.0", Real(5.0)),
            ("1e3", Real(1000.0)),
        ] {
            assert_eq!(MetadataValue::of_cell(cell), value, "{cell}");
        }
        for cell in [
            "007",
            "",
            "-",
            "1.",
            ".5",
            "1e",
            "inf",
            "NaN",
            "1e999",
            "+3",
            "1 ",
            "0x10",
            "99999999999999999999",
            "2024-05-01",
            "٣",
        ] {
            assert_eq!(MetadataValue::of_cell(cell), Text(cell.to_owned()), "{cell}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(cell in "[-0-9.eE]{0,12}|.{0,8}") {
            let value = MetadataValue::of_cell(&cell);
            prop_assert_eq!(MetadataValue::of_cell(&value.to_string()), value);
        }
    }
}
