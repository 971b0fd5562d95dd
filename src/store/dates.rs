//! When recordings were made: columns `recorded_at` and `recorded_from`.
//!
//! In: what a file says. Out: a time of each recording. What the file itself says comes first (a
//! chunk, a tag), then its name, then when it was last changed; the last one is not stored, since
//! it changes.

use rusqlite::{OptionalExtension, params};
use std::path::Path;

use super::functions::date_in_name;
use super::{Library, Writer};
use crate::dates::{Recorded, Witness};
use crate::error::Result;

/// The time of a recording, `r` being its row.
pub(super) const DATE: &str = "coalesce(r.recorded_at, guessed_date(r.path, r.modified_ns))";

/// When a recording was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDate {
    /// Local wall time, `YYYY-MM-DDTHH:MM:SS`.
    pub at: String,
    /// `bext`, `guano`, `tag` or `name`; nothing, where it was worked out from the name or from
    /// when the file was changed.
    pub from: Option<String>,
}

/// When the recording at `path` was made: as `recorded` says, or else the file's name.
pub fn recorded_or_named(path: &Path, recorded: Option<Recorded>) -> Option<Recorded> {
    let named = || Some(Recorded { at: date_in_name(path)?, from: Witness::Name });
    recorded.or_else(named)
}

impl Writer<'_> {
    /// Stores when recording `id`, whose file is `path`, was made: as `recorded` says, or else the
    /// file's name.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn put_recorded(&self, id: i64, path: &Path, recorded: Option<Recorded>) -> Result<()> {
        let recorded = recorded_or_named(path, recorded);
        self.transaction
            .prepare_cached(
                "UPDATE recordings SET recorded_at = ?2, recorded_from = ?3 WHERE id = ?1",
            )
            .and_then(|mut update| {
                let at = recorded.map(|recorded| recorded.at.to_string());
                update.execute(params![id, at, recorded.map(|recorded| recorded.from.as_str())])
            })
            .map(drop)
            .map_err(|error| self.error(error))
    }

    /// Takes the date of a file that moves from the new name, if that has one. A name that loses
    /// its date takes none away.
    pub(super) fn move_date(&self, id: i64, from: &Path, to: &Path) -> rusqlite::Result<()> {
        let Some(time) = date_in_name(to).or_else(|| date_in_name(from)) else { return Ok(()) };
        self.transaction
            .prepare_cached(
                "UPDATE recordings SET recorded_at = ?2, recorded_from = 'name'
                 WHERE id = ?1 AND coalesce(recorded_from, 'name') = 'name'",
            )?
            .execute(params![id, time.to_string()])
            .map(drop)
    }
}

impl Library {
    /// When recording `id` was made; nothing, where there is no such recording.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn date(&self, id: i64) -> Result<Option<StoredDate>> {
        let sql = format!("SELECT {DATE}, r.recorded_from FROM recordings AS r WHERE r.id = ?1");
        self.connection
            .prepare_cached(&sql)
            .and_then(|mut query| {
                query
                    .query_row([id], |row| {
                        let (at, from): (Option<String>, _) = (row.get(0)?, row.get(1)?);
                        Ok(at.map(|at| StoredDate { at, from }))
                    })
                    .optional()
            })
            .map(Option::flatten)
            .map_err(|error| self.error("read", error))
    }
}
