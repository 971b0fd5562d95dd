//! Paths as columns: the file system's bytes, UTF-8 or not.
//!
//! In: paths. Out: values of SQLite, and back.

use std::path::{Path, PathBuf};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// A path as its bytes.
pub(super) struct PathBytes<'a>(pub(super) &'a Path);

impl ToSql for PathBytes<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // TEXT, though it may not be UTF-8: SQLite stores and compares the bytes, and people can
        // read the column.
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_os_str().as_encoded_bytes())))
    }
}

/// A path that was read.
pub(super) struct OwnedPath(pub(super) PathBuf);

impl FromSql for OwnedPath {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let ValueRef::Text(bytes) = value else {
            return Err(FromSqlError::InvalidType);
        };
        path_from_bytes(bytes).map(Self)
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "fails on other systems")]
fn path_from_bytes(bytes: &[u8]) -> FromSqlResult<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn path_from_bytes(bytes: &[u8]) -> FromSqlResult<PathBuf> {
    str::from_utf8(bytes).map(PathBuf::from).map_err(FromSqlError::other)
}

/// What lies below a folder, as a range of paths: all that begin with it and a separator.
pub(super) struct Below {
    /// The first of them.
    pub(super) first: Vec<u8>,
    /// The first that lies behind them.
    pub(super) behind: Vec<u8>,
}

impl Below {
    pub(super) fn new(folder: &Path) -> Self {
        let mut first = folder.as_os_str().as_encoded_bytes().to_vec();
        if first.last() == Some(&b'/') {
            first.pop();
        }
        let mut behind = first.clone();
        first.push(b'/');
        // The byte after the separator's.
        behind.push(b'/' + 1);
        Self { first, behind }
    }
}

/// Bytes that are compared as text is.
pub(super) struct TextBytes<'a>(pub(super) &'a [u8]);

impl ToSql for TextBytes<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}
