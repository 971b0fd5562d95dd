//! Tables `texts` and `texts_stale`: recordings by the words of their paths, labels and metadata.
//!
//! In: a word. Out: the recordings that have it, and how much it says of them. Words are the same
//! in upper and lower case, with accents and without, and, if English, with their endings and
//! without; a star at the end stands for any ending. Whatever a word holds, it is no syntax.

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension, params};

use super::Library;
use super::paths::OwnedPath;
use crate::error::Result;

/// Recordings that a commit catches up with: as many as indexing commits at once, and a few more.
/// A library that was just migrated has more, which are left to the first search by words.
pub(super) const AT_A_COMMIT: usize = 4_096;

/// What a word is worth in a path, a label and metadata. A label was given by somebody who
/// listened; much of a path is the same for all.
const WEIGHTS: &str = "1.0, 4.0, 2.0";

/// Makes the rows of `texts` that are stale, `most` at most; whether that was all.
pub(super) fn catch_up(connection: &Connection, most: usize) -> rusqlite::Result<bool> {
    let mut next = connection.prepare_cached(
        "DELETE FROM texts_stale WHERE recording_id = (SELECT min(recording_id) FROM texts_stale)
         RETURNING recording_id",
    )?;
    for _ in 0..most {
        let Some(id) = next.query_row([], |row| row.get::<_, i64>(0)).optional()? else {
            return Ok(true);
        };
        connection.prepare_cached("DELETE FROM texts WHERE rowid = ?1")?.execute([id])?;
        let recording = connection
            .prepare_cached(
                "SELECT path,
                     (SELECT group_concat(class, ' ; ') FROM labels
                      WHERE recording_id = recordings.id AND judgement = 'positive'),
                     (SELECT group_concat(key || ' ' || value, ' ; ') FROM metadata
                      WHERE recording_id = recordings.id)
                 FROM recordings WHERE id = ?1",
            )?
            .query_row([id], |row| {
                let OwnedPath(path) = row.get(0)?;
                let (labels, metadata): (Option<String>, Option<String>) =
                    (row.get(1)?, row.get(2)?);
                Ok((path, labels, metadata))
            })
            .optional()?;
        if let Some((path, labels, metadata)) = recording {
            connection
                .prepare_cached(
                    "INSERT INTO texts (rowid, path, labels, metadata) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![id, words_of_path(&path.to_string_lossy()), labels, metadata])?;
        }
    }
    Ok(false)
}

/// A path with its words as they are and, where they run together, apart: `GreatTit07` is also
/// `Great Tit 07`.
fn words_of_path(path: &str) -> String {
    let mut apart = String::new();
    for word in path.split(|c: char| !c.is_alphanumeric()) {
        let mut pieces = String::new();
        let mut before: Option<char> = None;
        for character in word.chars() {
            let turns = before.is_some_and(|before| {
                (before.is_lowercase() && character.is_uppercase())
                    || before.is_numeric() != character.is_numeric()
            });
            if turns {
                pieces.push(' ');
            }
            pieces.push(character);
            before = Some(character);
        }
        if pieces != word {
            // Writing to a string does not fail.
            let _ = write!(apart, " {pieces}");
        }
    }
    format!("{path}{apart}")
}

impl Library {
    /// Makes the rows of words that are not made yet; returns how many recordings are left without
    /// theirs, because the library cannot be written to now.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn catch_up_texts(&self) -> Result<u64> {
        if self.stale_texts()? == 0 {
            return Ok(0);
        }
        let caught_up = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            while !catch_up(&transaction, AT_A_COMMIT)? {}
            transaction.commit()
        };
        match caught_up() {
            Ok(()) => Ok(0),
            // Somebody else writes, or the disk cannot be written to: what there is, is searched.
            Err(error) if is_elsewhere(&error) => self.stale_texts(),
            Err(error) => Err(self.error("write to", error)),
        }
    }

    fn stale_texts(&self) -> Result<u64> {
        self.connection
            .query_row("SELECT count(*) FROM texts_stale", [], |row| row.get(0))
            .map(i64::cast_unsigned)
            .map_err(|error| self.error("read", error))
    }

    /// The recordings that have `word`, with how much that says of each, above 0.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn recordings_with_word(&self, word: &str) -> Result<Vec<(i64, f64)>> {
        let Some(pattern) = pattern_of(word) else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT texts.rowid, -bm25(texts, {WEIGHTS}) FROM texts
             JOIN recordings ON recordings.id = texts.rowid WHERE texts MATCH ?1"
        );
        let list = || -> rusqlite::Result<Vec<(i64, f64)>> {
            let mut query = self.connection.prepare_cached(&sql)?;
            let rows = query.query_map([pattern], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        list().map_err(|error| self.error("read", error))
    }
}

/// A word for FTS5, as a phrase of its letters and digits; nothing, where it has none.
fn pattern_of(word: &str) -> Option<String> {
    let (word, any_ending) = match word.strip_suffix('*') {
        Some(beginning) => (beginning, "*"),
        None => (word, ""),
    };
    let plain: String = word.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let plain = plain.trim();
    (!plain.is_empty()).then(|| format!("\"{plain}\"{any_ending}"))
}

fn is_elsewhere(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | DatabaseBusy | DatabaseLocked | ReadOnly))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_run_together_are_taken_apart() {
        assert_eq!(words_of_path("/a/GreatTit07.wav"), "/a/GreatTit07.wav Great Tit 07");
        assert_eq!(words_of_path("/plain/name.ogg"), "/plain/name.ogg");
    }

    #[test]
    fn no_word_is_syntax() {
        assert_eq!(pattern_of("NEAR(\"a").as_deref(), Some("\"NEAR  a\""));
        assert_eq!(pattern_of("path:x").as_deref(), Some("\"path x\""));
        assert_eq!(pattern_of("dog*").as_deref(), Some("\"dog\"*"));
        assert_eq!(pattern_of("*"), None);
        assert_eq!(pattern_of("\"\""), None);
    }
}
