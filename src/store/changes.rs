//! Table `vector_changes`: how the vectors came to be what they are.
//!
//! In: what a transaction added; removals note themselves. Out: marks of the history, by which a
//! cache tells whether it comes from this library, and what was removed since. Reads no vectors.

use std::ops::RangeInclusive;

use rusqlite::{OptionalExtension, params};

use super::{Library, Writer};
use crate::error::Result;

/// A change of the vectors, by which a copy of them can be held against the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeMark {
    /// Its number; never given twice in one library.
    pub serial: i64,
    /// Random: another library, or a copy of this one that went another way, has another.
    pub nonce: [u8; 8],
}

/// Changes that are kept when a library is compacted, whoever needs them: a commit has one or few, and
/// what removes recordings, or indexes them again, one for each.
pub const KEPT: u32 = 10_000;

impl Writer<'_> {
    /// Remembers that the segments `first` up to `last` of `model` were added, for the commit.
    pub(super) fn note_added(&self, model: i64, first: i64, last: i64) {
        let mut added = self.added.borrow_mut();
        let range = added.entry(model).or_insert((first, last));
        *range = (range.0.min(first), range.1.max(last));
    }

    /// Writes what was noted: a row for each model.
    pub(super) fn put_changes(&self) -> rusqlite::Result<()> {
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO vector_changes (model_id, added, first_segment, last_segment)
             VALUES (?1, 1, ?2, ?3)",
        )?;
        for (model, (first, last)) in self.added.take() {
            insert.execute(params![model, first, last])?;
        }
        Ok(())
    }
}

impl Library {
    /// What `read` reads, all of one moment, whatever others write meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), and what `read` fails with.
    pub fn at_one_moment<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        if !self.connection.is_autocommit() {
            // Within another such moment already.
            return read();
        }
        let transaction =
            self.connection.unchecked_transaction().map_err(|error| self.error("read", error))?;
        let result = read();
        // Nothing was written; what was read stays true.
        drop(transaction);
        result
    }

    /// The last change; nothing where no vector was ever stored.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn last_change(&self) -> Result<Option<ChangeMark>> {
        self.connection
            .prepare_cached("SELECT serial, nonce FROM vector_changes ORDER BY serial DESC LIMIT 1")
            .and_then(|mut query| {
                query
                    .query_row([], |row| Ok(ChangeMark { serial: row.get(0)?, nonce: row.get(1)? }))
                    .optional()
            })
            .map_err(|error| self.error("read", error))
    }

    /// Whether `mark` is a change of this library.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn has_change(&self, mark: ChangeMark) -> Result<bool> {
        self.connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM vector_changes WHERE serial = ?1 AND nonce = ?2)",
            )
            .and_then(|mut query| {
                query.query_row(params![mark.serial, mark.nonce], |row| row.get(0))
            })
            .map_err(|error| self.error("read", error))
    }

    /// The ids of segments of `model` that were removed after the change `serial`, in ranges.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn removed_since(&self, model: i64, serial: i64) -> Result<Vec<RangeInclusive<i64>>> {
        let list = || -> rusqlite::Result<Vec<RangeInclusive<i64>>> {
            self.connection
                .prepare_cached(
                    "SELECT first_segment, last_segment FROM vector_changes
                     WHERE serial > ?1 AND model_id = ?2 AND added = 0",
                )?
                .query_map([serial, model], |row| Ok(row.get(0)?..=row.get(1)?))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// Forgets all changes but the last `kept`, and those from the serial `needed` on: what was made
    /// before them is no longer known to come from this library.
    pub(super) fn forget_changes(&self, kept: u32, needed: Option<i64>) -> Result<()> {
        self.connection
            .execute(
                "DELETE FROM vector_changes
                 WHERE serial <= (SELECT max(serial) FROM vector_changes) - ?1
                     AND serial < ?2",
                params![kept, needed.unwrap_or(i64::MAX)],
            )
            .map(drop)
            .map_err(|error| self.error("compact", error))
    }

    /// The highest segment id that was ever given.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn last_segment(&self) -> Result<i64> {
        self.connection
            .prepare_cached(&format!("SELECT {NEXT_SEGMENT} - 1"))
            .and_then(|mut query| query.query_row([], |row| row.get(0)))
            .map_err(|error| self.error("read", error))
    }
}

/// The next segment's id. Rows that were put in by hand are heeded.
pub(super) const NEXT_SEGMENT: &str = "max((SELECT next FROM segment_counter), \
     (SELECT coalesce(max(id), 0) + 1 FROM segments))";

#[cfg(test)]
mod tests;
