//! Table `failures`: the ledger of files that could not be indexed.
//!
//! In: failures as they happen. Out: rows, until their files are indexed after all.

use std::path::{Path, PathBuf};

use rusqlite::{Row, params};

use super::paths::{Below, OwnedPath, PathBytes, TextBytes};
use super::recordings::FileStamp;
use super::{Library, NOW, Writer};
use crate::error::Result;

/// A failure that is to be noted.
#[derive(Clone, Copy, Debug)]
pub struct NewFailure<'a> {
    /// The file.
    pub path: &'a Path,
    /// What it was like; nothing, when not even that could be found out.
    pub stamp: Option<FileStamp>,
    /// Where it failed, such as `decode`.
    pub stage: &'a str,
    /// Why, in one line.
    pub reason: &'a str,
    /// What to try.
    pub hint: Option<&'a str>,
}

/// A failure that was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFailure {
    /// The file.
    pub path: PathBuf,
    /// Where it failed.
    pub stage: String,
    /// Why.
    pub reason: String,
    /// What to try.
    pub hint: Option<String>,
    /// How often it was tried.
    pub attempts: u64,
    /// When it failed first; RFC 3339, UTC.
    pub first_at: String,
    /// When it failed last.
    pub last_at: String,
    /// The version of sonoteca that tried last.
    pub sonoteca_version: String,
}

impl Writer<'_> {
    /// Notes a failure, in place of an earlier one of the same file.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn put_failure(&self, failure: &NewFailure<'_>) -> Result<()> {
        let sql = format!(
            "INSERT INTO failures (path, size_bytes, modified_ns, stage, reason, hint, first_at,
                 last_at, sonoteca_version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, {NOW}, {NOW}, ?7)
             ON CONFLICT (path) DO UPDATE SET
                 size_bytes = excluded.size_bytes, modified_ns = excluded.modified_ns,
                 stage = excluded.stage, reason = excluded.reason, hint = excluded.hint,
                 attempts = attempts + 1, last_at = excluded.last_at,
                 sonoteca_version = excluded.sonoteca_version"
        );
        let put = || -> rusqlite::Result<()> {
            self.transaction
                .prepare_cached(&sql)?
                .execute(params![
                    PathBytes(failure.path),
                    failure.stamp.map(|stamp| stamp.size_bytes.cast_signed()),
                    failure.stamp.map(|stamp| stamp.modified_ns),
                    failure.stage,
                    failure.reason,
                    failure.hint,
                    env!("CARGO_PKG_VERSION"),
                ])
                .map(drop)
        };
        put().map_err(|error| self.error(error))
    }

    /// Forgets that the file at `path` failed.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn remove_failure(&self, path: &Path) -> Result<bool> {
        self.transaction
            .prepare_cached("DELETE FROM failures WHERE path = ?1")
            .and_then(|mut remove| remove.execute([PathBytes(path)]))
            .map(|removed| removed > 0)
            .map_err(|error| self.error(error))
    }

    /// Forgets the failures of all files below `folder`; returns how many there were.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn remove_failures_below(&self, folder: &Path) -> Result<usize> {
        let below = Below::new(folder);
        self.transaction
            .execute(
                "DELETE FROM failures WHERE path >= ?1 AND path < ?2",
                [TextBytes(&below.first), TextBytes(&below.behind)],
            )
            .map_err(|error| self.error(error))
    }
}

impl Library {
    /// Calls `visit` with every failure, by path.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), and what `visit` fails with.
    pub fn for_each_failure(
        &self,
        mut visit: impl FnMut(StoredFailure) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| self.error("read", error);
        let mut query = self
            .connection
            .prepare(
                "SELECT path, stage, reason, hint, attempts, first_at, last_at, sonoteca_version
                 FROM failures ORDER BY path",
            )
            .map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            visit(read_failure(row).map_err(failed)?)?;
        }
        Ok(())
    }

    /// Whether the file at `path` failed, or one below it.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn has_failure(&self, path: &Path) -> Result<bool> {
        let below = Below::new(path);
        self.connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM failures WHERE path = ?1 OR path >= ?2 AND path < ?3)",
                params![PathBytes(path), TextBytes(&below.first), TextBytes(&below.behind)],
                |row| row.get(0),
            )
            .map_err(|error| self.error("read", error))
    }

    /// How many files failed and were not indexed since.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn failure_count(&self) -> Result<u64> {
        self.connection
            .query_row("SELECT count(*) FROM failures", [], |row| row.get(0))
            .map(i64::cast_unsigned)
            .map_err(|error| self.error("read", error))
    }
}

fn read_failure(row: &Row<'_>) -> rusqlite::Result<StoredFailure> {
    let OwnedPath(path) = row.get(0)?;
    let attempts: i64 = row.get(4)?;
    Ok(StoredFailure {
        path,
        stage: row.get(1)?,
        reason: row.get(2)?,
        hint: row.get(3)?,
        attempts: attempts.cast_unsigned(),
        first_at: row.get(5)?,
        last_at: row.get(6)?,
        sonoteca_version: row.get(7)?,
    })
}
