//! What a search compares: the vectors of one model at one level.
//!
//! In: a model and a level. Out: vectors with their keys, all of them, those that are newer than
//! a segment, or single ones. Refuses stored bytes that are no vector.

use std::ops::ControlFlow;

use rusqlite::{OptionalExtension, params};

use super::Library;
use super::segments::{Level, VectorKey};
use super::vector::decode;
use crate::error::{Error, Result};

/// What a search at `level` compares of the model ?2 behind segment ?1, but for vectors that are all
/// zeros: a query of columns `segment`, `vector`, `recording_id`, `start_s` and `end_s`, which is NULL at a
/// recording's own end. And what the rows are called.
pub(super) fn searched(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Segment => (
            "SELECT id AS segment, vector, recording_id, start_s, end_s FROM segments
             WHERE id > ?1 AND model_id = ?2 AND health = 0",
            "segment",
        ),
        Level::Recording => (
            "SELECT first_segment AS segment,
                    coalesce(vector, (SELECT vector FROM segments WHERE id = first_segment))
                        AS vector,
                    recording_id, 0.0 AS start_s, NULL AS end_s
             FROM recording_vectors WHERE first_segment > ?1 AND model_id = ?2",
            "the recording of segment",
        ),
    }
}

impl Library {
    /// Calls `visit` with the key and vector of all that a search at `level` compares, in the
    /// order of keys.
    ///
    /// # Errors
    /// As [`for_each_segment`](Self::for_each_segment).
    pub fn for_each_searched(
        &self,
        model: i64,
        level: Level,
        dimension: usize,
        visit: impl FnMut(VectorKey, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let mut visit = visit;
        self.for_each_searched_after(0, model, level, dimension, |key, vector| {
            visit(key, vector).map(ControlFlow::Continue)
        })
    }

    /// As [`for_each_searched`](Self::for_each_searched), for keys behind segment `after` only, until
    /// `visit` breaks off.
    ///
    /// # Errors
    /// As [`for_each_segment`](Self::for_each_segment).
    pub fn for_each_searched_after(
        &self,
        after: i64,
        model: i64,
        level: Level,
        dimension: usize,
        mut visit: impl FnMut(VectorKey, &[f32]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (searched, kind) = searched(level);
        let sql = format!("{searched} ORDER BY segment");
        self.for_each_row_while(&sql, kind, [after, model], dimension, |row, vector| {
            let recording = row.get(2).map_err(|error| self.error("read", error))?;
            let segment = row.get(0).map_err(|error| self.error("read", error))?;
            visit(VectorKey { segment, recording }, vector)
        })
    }

    /// Puts the vector of `key` into `vector`, `[dimension]`; whether a search at `level` compares
    /// one of that key.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Vector`] when its bytes are damaged.
    pub fn searched_vector(
        &self,
        key: VectorKey,
        model: i64,
        level: Level,
        dimension: usize,
        vector: &mut Vec<f32>,
    ) -> Result<bool> {
        let sql = match level {
            Level::Segment => {
                "SELECT vector FROM segments
                 WHERE id = ?1 AND recording_id = ?2 AND model_id = ?3 AND health = 0"
            }
            Level::Recording => {
                "SELECT coalesce(vector, (SELECT vector FROM segments WHERE id = first_segment))
                 FROM recording_vectors
                 WHERE first_segment = ?1 AND recording_id = ?2 AND model_id = ?3"
            }
        };
        vector.clear();
        let decoded = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut query| {
                query
                    .query_row(params![key.segment, key.recording, model], |row| {
                        let bytes = row.get_ref(0)?.as_blob()?;
                        Ok(decode(bytes, dimension, vector))
                    })
                    .optional()
            })
            .map_err(|error| self.error("read", error))?;
        match decoded {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(problem)) => Err(Error::Vector {
                what: format!("vector of segment {} in {}", key.segment, self.path.display()),
                problem,
            }),
        }
    }

    /// Keys of `most` segments of `model` at most, spread evenly over all that it has, also over those that
    /// searches leave out. Reads no vector.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn segments_spread(&self, model: i64, most: usize) -> Result<Vec<VectorKey>> {
        let list = || -> rusqlite::Result<Vec<(i64, i64, u64)>> {
            self.connection
                .prepare_cached(
                    "SELECT recording_id, first_segment, segment_count FROM recording_vectors
                     WHERE model_id = ?1 ORDER BY first_segment",
                )?
                .query_map([model], |row| {
                    let count: i64 = row.get(2)?;
                    Ok((row.get(0)?, row.get(1)?, count.cast_unsigned()))
                })?
                .collect()
        };
        let recordings = list().map_err(|error| self.error("read", error))?;
        let all: u64 = recordings.iter().map(|(.., count)| count).sum();
        let step = (all as f64 / most.max(1) as f64).max(1.0);
        let (mut keys, mut before) = (Vec::new(), 0);
        for (recording, first, count) in recordings {
            // The place of the next one, among all segments.
            while let Some(offset) = place(keys.len(), step).checked_sub(before)
                && offset < count
            {
                // The ids of a recording's segments follow one another.
                keys.push(VectorKey { segment: first.saturating_add_unsigned(offset), recording });
            }
            before += count;
        }
        Ok(keys)
    }

    /// How many vectors a search at `level` compares that are behind segment `after`. Reads no
    /// vector.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_searched_after(&self, after: i64, model: i64, level: Level) -> Result<u64> {
        let sql = match level {
            Level::Recording => {
                "SELECT count(*) FROM recording_vectors WHERE model_id = ?2 AND first_segment > ?1"
            }
            // Those that are left out are few, and have an index.
            Level::Segment => {
                "SELECT coalesce(sum(segment_count), 0) - (
                     SELECT count(*) FROM segments
                     WHERE model_id = ?2 AND health <> 0 AND id > ?1)
                 FROM recording_vectors WHERE model_id = ?2 AND first_segment > ?1"
            }
        };
        self.connection
            .prepare_cached(sql)
            .and_then(|mut query| query.query_row([after, model], |row| row.get(0)))
            .map(|count: i64| u64::try_from(count).unwrap_or(0))
            .map_err(|error| self.error("read", error))
    }
}

/// The place of what is number `index`, where every `step`th is taken, the first from the middle of its
/// step.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "below the count of all segments"
)]
fn place(index: usize, step: f64) -> u64 {
    ((index as f64 + 0.5) * step) as u64
}
