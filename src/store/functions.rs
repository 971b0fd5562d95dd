//! SQLite's functions of ours: what columns hold, in the form that filters compare.
//!
//! In: a connection. Out: the same, with the functions. Of what they cannot read they make NULL.

use std::path::Path;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Result};

use super::scores;
use crate::case::folded;
use crate::dates::{Period, WallTime, in_name};

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
    connection.create_scalar_function("in_periods", 2, flags, |context| {
        let periods = text(context, 1).unwrap_or_default();
        Ok(text(context, 0).is_some_and(|time| is_in_periods(time, periods)))
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

/// Bytes of a time as it is stored.
const TIME_BYTES: usize = 19;

/// `periods` as `in_periods` takes them: begin, end, and so on, ascending and apart. One text, so that a
/// filter may list thousands, and a row is looked up by bisection.
pub(super) fn sorted_periods(periods: &[&Period]) -> String {
    let mut sorted: Vec<(WallTime, WallTime)> =
        periods.iter().map(|period| (period.start, period.end)).collect();
    sorted.sort_unstable();
    let mut apart: Vec<(WallTime, WallTime)> = Vec::new();
    for (start, end) in sorted {
        match apart.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => apart.push((start, end)),
        }
    }
    apart.into_iter().flat_map(|(start, end)| [start.to_string(), end.to_string()]).collect()
}

fn is_in_periods(time: &[u8], periods: &[u8]) -> bool {
    let (periods, _) = periods.as_chunks::<{ 2 * TIME_BYTES }>();
    let behind = periods.partition_point(|period| &period[..TIME_BYTES] <= time);
    behind > 0 && time < &periods[behind - 1][TIME_BYTES..]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_periods() {
        let parsed: Vec<Period> = ["2024-05", "2012", "2012-03-01", "2024-06-01", "2199-12-31"]
            .into_iter()
            .map(|text| Period::parse(text).unwrap())
            .collect();
        let sorted = sorted_periods(&parsed.iter().collect::<Vec<_>>());
        // A day of a year, and what follows at once, are no periods of their own.
        assert_eq!(sorted.len(), 3 * 2 * TIME_BYTES, "{sorted}");
        for (time, expected) in [
            ("2011-12-31T23:59:59", false),
            ("2012-01-01T00:00:00", true),
            ("2012-12-31T23:59:59", true),
            ("2013-01-01T00:00:00", false),
            ("2024-06-01T12:00:00", true),
            ("2024-06-02T00:00:00", false),
            ("2199-12-31T23:59:59", true),
        ] {
            assert_eq!(is_in_periods(time.as_bytes(), sorted.as_bytes()), expected, "{time}");
        }
        assert!(!is_in_periods(b"2012-01-01T00:00:00", b""));
    }
}
