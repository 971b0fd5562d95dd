//! A recording's segments in the order of time, and all that a model embedded, row by row.
//!
//! In: ids. Out: segments with their places and vectors, one at a time. Refuses vectors whose
//! bytes are damaged.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row, params};

use super::Library;
use super::paths::OwnedPath;
use super::searched::searched;
use super::segments::{Level, VectorKey};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::error::Result;

/// A segment of a recording, without its vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredSegment {
    /// Row id; ids ascend with time within a recording.
    pub id: i64,
    /// The stretch that it covers.
    pub range: TimeRange,
    /// Whether it is fit to be searched.
    pub health: Health,
}

/// A way through a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards its end.
    Later,
    /// Towards its beginning.
    Earlier,
}

/// A vector that is to be written out, and what it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedRow {
    /// What a search knows it by.
    pub key: VectorKey,
    /// The recording's path.
    pub path: PathBuf,
    /// The stretch: all of the recording, where recordings are written.
    pub range: TimeRange,
}

impl Library {
    /// Calls `visit` with every segment of a recording by one model, and its vector, in the order
    /// of time; those that are not fit to be searched too.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Vector`](crate::Error::Vector) when stored
    /// bytes are damaged, and what `visit` fails with.
    pub fn for_each_segment_of(
        &self,
        recording: i64,
        model: i64,
        dimension: usize,
        mut visit: impl FnMut(StoredSegment, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let sql = "SELECT id, vector, start_s, end_s, health FROM segments
                   WHERE recording_id = ?1 AND model_id = ?2 ORDER BY id";
        self.for_each_row(sql, "segment", [recording, model], dimension, |row, vector| {
            let segment = stored_segment(row).map_err(|error| self.error("read", error))?;
            visit(segment, vector)
        })
    }

    /// Calls `visit` with every segment of a recording by one model, both by their row ids, that
    /// shares time with `range` and is fit to be searched, and its vector, in the order of time.
    /// Reads no others: a day has two hundred thousand.
    ///
    /// # Errors
    /// As [`for_each_segment_of`](Self::for_each_segment_of).
    pub fn for_each_segment_within(
        &self,
        (recording, model): (i64, i64),
        range: TimeRange,
        dimension: usize,
        mut visit: impl FnMut(StoredSegment, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let Some((first, behind)) = self.ids_within((recording, model), range)? else {
            return Ok(());
        };
        let sql = "SELECT id, vector, start_s, end_s, health FROM segments
                   WHERE id >= ?1 AND id < ?2 AND recording_id = ?3 AND model_id = ?4
                     AND health = 0
                   ORDER BY id";
        let parameters = [first, behind, recording, model];
        self.for_each_row(sql, "segment", parameters, dimension, |row, vector| {
            let segment = stored_segment(row).map_err(|error| self.error("read", error))?;
            visit(segment, vector)
        })
    }

    /// Every segment of a recording by one model, both by their row ids, that shares time with
    /// `range`, in the order of time, without vectors. Reads no others.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn segments_within(
        &self,
        (recording, model): (i64, i64),
        range: TimeRange,
    ) -> Result<Vec<StoredSegment>> {
        let Some((first, behind)) = self.ids_within((recording, model), range)? else {
            return Ok(Vec::new());
        };
        let list = || -> rusqlite::Result<Vec<StoredSegment>> {
            self.connection
                .prepare_cached(
                    "SELECT id, NULL, start_s, end_s, health FROM segments
                     WHERE id >= ?1 AND id < ?2 AND recording_id = ?3 AND model_id = ?4
                     ORDER BY id",
                )?
                .query_map([first, behind, recording, model], stored_segment)?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// The first id of the segments that share time with `range`, and the one behind the last;
    /// nothing where the model has none of the recording.
    fn ids_within(
        &self,
        (recording, model): (i64, i64),
        range: TimeRange,
    ) -> Result<Option<(i64, i64)>> {
        let ids: Option<(i64, i64)> = self
            .connection
            .prepare_cached(
                "SELECT first_segment, segment_count FROM recording_vectors
                 WHERE recording_id = ?1 AND model_id = ?2 AND first_segment IS NOT NULL",
            )
            .and_then(|mut query| {
                query.query_row([recording, model], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(|error| self.error("read", error))?;
        let Some((first, count)) = ids else { return Ok(None) };
        let behind = first + count;
        // Beginnings and ends ascend with the ids.
        let first =
            self.first_segment_not((first, behind), |place| place.end_s <= range.start_s)?;
        let behind =
            self.first_segment_not((first, behind), |place| place.start_s < range.end_s)?;
        Ok(Some((first, behind)))
    }

    /// The first id from `first` up to `behind` whose stretch `is_before` does not hold of, where
    /// it holds of some first ones and then of none; `behind`, where it holds of all. An id that is
    /// gone counts as one that it does not hold of.
    fn first_segment_not(
        &self,
        (mut first, mut behind): (i64, i64),
        is_before: impl Fn(TimeRange) -> bool,
    ) -> Result<i64> {
        while first < behind {
            let middle = first + (behind - first) / 2;
            if self.segment(middle)?.is_some_and(|place| is_before(place.range)) {
                first = middle + 1;
            } else {
                behind = middle;
            }
        }
        Ok(first)
    }

    /// Every segment of a recording by one model, in the order of time, without vectors.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn segments_of(&self, recording: i64, model: i64) -> Result<Vec<StoredSegment>> {
        let list = || -> rusqlite::Result<Vec<StoredSegment>> {
            self.connection
                .prepare_cached(
                    "SELECT id, NULL, start_s, end_s, health FROM segments
                     WHERE recording_id = ?1 AND model_id = ?2 ORDER BY id",
                )?
                .query_map([recording, model], stored_segment)?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// The `count` segments next to segment `from` of the same recording and model that are fit
    /// to be searched, nearest in time first, with their vectors.
    ///
    /// # Errors
    /// As [`for_each_segment_of`](Self::for_each_segment_of).
    pub fn segments_beside(
        &self,
        from: VectorKey,
        model: i64,
        dimension: usize,
        (direction, count): (Direction, usize),
    ) -> Result<Vec<(StoredSegment, Vec<f32>)>> {
        let (relation, order) = match direction {
            Direction::Later => (">", "ASC"),
            Direction::Earlier => ("<", "DESC"),
        };
        let sql = format!(
            "SELECT id, vector, start_s, end_s, health FROM segments
             WHERE recording_id = ?1 AND model_id = ?2 AND health = 0 AND id {relation} ?3
             ORDER BY id {order} LIMIT ?4"
        );
        let parameters = params![from.recording, model, from.segment, crate::units::signed(count)];
        let mut found = Vec::new();
        self.for_each_row(&sql, "segment", parameters, dimension, |row, vector| {
            let segment = stored_segment(row).map_err(|error| self.error("read", error))?;
            found.push((segment, vector.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    /// The ids of the recordings whose content has this BLAKE3 hash, or that lie at `path`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn recordings_like_file(&self, path: &Path, content_hash: &[u8; 32]) -> Result<Vec<i64>> {
        let list = || -> rusqlite::Result<Vec<i64>> {
            self.connection
                .prepare_cached(
                    "SELECT id FROM recordings WHERE content_hash = ?1 OR path = ?2 ORDER BY id",
                )?
                .query_map(params![content_hash, super::paths::PathBytes(path)], |row| row.get(0))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// Calls `visit` with every vector that a search at `level` compares, in the order of keys,
    /// with its recording's path and its place in it. As searches do, it leaves out vectors that
    /// are all zeros.
    ///
    /// # Errors
    /// As [`for_each_segment_of`](Self::for_each_segment_of).
    pub fn for_each_exported(
        &self,
        model: i64,
        level: Level,
        dimension: usize,
        mut visit: impl FnMut(&ExportedRow, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let (searched, kind) = searched(level);
        let sql = format!(
            "SELECT s.segment, s.vector, s.recording_id, path, start_s, coalesce(end_s, duration_s)
             FROM ({searched}) AS s JOIN recordings ON recordings.id = s.recording_id
             ORDER BY s.segment"
        );
        self.for_each_row(&sql, kind, [0, model], dimension, |row, vector| {
            if vector.iter().all(|&value| value == 0.0) {
                return Ok(());
            }
            let read = || -> rusqlite::Result<ExportedRow> {
                let OwnedPath(path) = row.get(3)?;
                let key = VectorKey { segment: row.get(0)?, recording: row.get(2)? };
                let range = TimeRange { start_s: row.get(4)?, end_s: row.get(5)? };
                Ok(ExportedRow { key, path, range })
            };
            visit(&read().map_err(|error| self.error("read", error))?, vector)
        })
    }
}

fn stored_segment(row: &Row<'_>) -> rusqlite::Result<StoredSegment> {
    Ok(StoredSegment {
        id: row.get(0)?,
        range: TimeRange { start_s: row.get(2)?, end_s: row.get(3)? },
        health: Health::from_bits(row.get(4)?),
    })
}
