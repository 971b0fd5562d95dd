//! SQLite's functions of ours: what columns hold, in the form that filters compare.
//!
//! In: a connection. Out: the same, with the functions. Of what they cannot read they make NULL.

use std::path::Path;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Result};

use super::scores;
use crate::case::folded;
use crate::dates::{WallTime, in_name};

/// Adds the functions to `connection`.
pub(super) fn register(connection: &Connection) -> Result<()> {
    // The zone of the computer does not change within a query.
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("file_name", 1, flags, |context| {
        Ok(text(context, 0).map(|path| Bytes(file_name(path).to_vec())))
    })?;
    connection.create_scalar_function("folder_of", 1, flags, |context| {
        Ok(text(context, 0).map(|path| Bytes(folder(path).to_vec())))
    })?;
    connection.create_scalar_function("lower_case", 1, flags, |context| {
        Ok(text(context, 0).map(|name| folded(&String::from_utf8_lossy(name))))
    })?;
    connection.create_scalar_function("class_score", 2, flags, |context| {
        let class: i64 = context.get(1)?;
        let ValueRef::Blob(bytes) = context.get_raw(0) else { return Ok(None) };
        let found = scores::decode(bytes).find(|(found, _)| *found == class);
        Ok(Some(found.map_or(0.0, |(_, score)| score)))
    })?;
    connection.create_scalar_function("guessed_date", 2, flags, |context| {
        let named = text(context, 0).and_then(|path| in_name(file_name(path)));
        let time = match named {
            Some(time) => Some(time),
            None => WallTime::of_stamp(context.get(1)?),
        };
        Ok(time.map(|time| time.to_string()))
    })?;
    connection.create_scalar_function("wall_time", 1, flags, |context| {
        let written = match context.get::<Value>(0)? {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            _ => return Ok(None),
        };
        Ok(WallTime::parse(&written).map(|time| time.to_string()))
    })
}

/// The bytes of a path's last part.
pub(super) fn file_name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(path, |place| &path[place + 1..])
}

/// The bytes of the folder that a path lies in.
fn folder(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => &path[..1],
        Some(place) => &path[..place],
        None => &[],
    }
}

/// The date in a file's name.
pub(super) fn date_in_name(path: &Path) -> Option<WallTime> {
    in_name(path.file_name()?.as_encoded_bytes())
}

fn text<'a>(context: &'a Context<'_>, index: usize) -> Option<&'a [u8]> {
    match context.get_raw(index) {
        ValueRef::Text(bytes) => Some(bytes),
        _ => None,
    }
}

/// Text that may not be UTF-8.
struct Bytes(Vec<u8>);

impl ToSql for Bytes {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}
