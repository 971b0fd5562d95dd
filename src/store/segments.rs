//! Tables `segments` and `recording_vectors`: what there is to search.
//!
//! In: encoded vectors. Out: vectors with their ids, one at a time, so that a scan need not hold
//! them all.

mod classes;

use std::ops::ControlFlow;

use rusqlite::{OptionalExtension, Params, Row, params};

use super::changes::NEXT_SEGMENT;
use super::vector::decode;
use super::{Library, Writer, scores};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::error::{Error, Result};
use crate::model::pool::Mean;
use crate::units::signed;

/// A segment that is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSegment {
    /// The stretch that it covers.
    pub range: TimeRange,
    /// Its vector, encoded.
    pub vector: Vec<u8>,
    /// Its highest class scores, encoded.
    pub classes: Vec<u8>,
    /// Whether it is fit to be searched.
    pub health: Health,
}

/// What a recording's vectors belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorsOf {
    /// The recording's row id.
    pub recording: i64,
    /// The model's.
    pub model: i64,
    /// The run's.
    pub run: i64,
}

/// What is compared with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Each recording's pooled vector.
    Recording,
    /// Each segment's vector.
    Segment,
}

/// What a vector that is searched stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VectorKey {
    /// The segment's row id, or the first one's of a recording. Never given twice, so that new
    /// vectors of the same recording have a new key.
    pub segment: i64,
    /// The recording's row id.
    pub recording: i64,
}

/// A recording's row id and, among segments, a segment's.
pub type ScoredKey = (i64, Option<i64>);

/// Segments that are left out of searches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// All of them.
    pub segments: u64,
    /// Those of each kind, in the order of [`Health::KINDS`].
    pub by_kind: [u64; Health::KINDS.len()],
}

/// Where a segment lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentPlace {
    /// Its recording's row id.
    pub recording_id: i64,
    /// The stretch that it covers.
    pub range: TimeRange,
}

impl Writer<'_> {
    /// Stores a recording's segments and its pooled vector (encoded) by one model, in place of
    /// earlier ones, under ids that follow each other and were never given before. Returns how
    /// many segments there were.
    ///
    /// # Errors
    /// [`Error::Store`], and what `segments` fail with.
    pub fn put_vectors(
        &self,
        of: VectorsOf,
        segments: impl IntoIterator<Item = Result<NewSegment>>,
        pooled: &[u8],
    ) -> Result<usize> {
        let failed = |error| self.error(error);
        for table in ["segments", "recording_vectors"] {
            let sql = format!("DELETE FROM {table} WHERE recording_id = ?1 AND model_id = ?2");
            self.transaction
                .prepare_cached(&sql)
                .and_then(|mut remove| remove.execute([of.recording, of.model]))
                .map_err(failed)?;
        }
        // By a counter, not SQLite's own choice: that gives the last row's id again when it is gone.
        let first: i64 = self
            .transaction
            .prepare_cached(&format!("SELECT {NEXT_SEGMENT}"))
            .and_then(|mut query| query.query_row([], |row| row.get(0)))
            .map_err(failed)?;
        let mut insert = self
            .transaction
            .prepare_cached(
                "INSERT INTO segments
                     (id, recording_id, model_id, start_s, end_s, vector, health, classes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )
            .map_err(failed)?;
        let mut count = 0;
        for segment in segments {
            let NewSegment { range, vector, classes, health } = segment?;
            let classes = (!classes.is_empty()).then_some(classes);
            insert
                .execute(params![
                    first + signed(count),
                    of.recording,
                    of.model,
                    range.start_s,
                    range.end_s,
                    vector,
                    health.bits(),
                    classes
                ])
                .map_err(failed)?;
            count += 1;
        }
        let (pooled, behind) = ((count != 1).then_some(pooled), first + signed(count));
        let finish = || -> rusqlite::Result<()> {
            self.transaction
                .prepare_cached("UPDATE segment_counter SET next = ?1")?
                .execute([behind])?;
            self.transaction
                .prepare_cached(
                    "INSERT INTO recording_vectors
                         (recording_id, model_id, segment_count, vector, run_id, first_segment)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![of.recording, of.model, signed(count), pooled, of.run, first])
                .map(drop)
        };
        finish().map_err(failed)?;
        self.note_added(of.model, first, behind - 1);
        Ok(count)
    }
}

/// Pooled vectors; a recording of one segment has that one's.
const POOLED: &str = "SELECT pooled.recording_id, coalesce(pooled.vector, segments.vector)
     FROM recording_vectors AS pooled LEFT JOIN segments
         ON pooled.vector IS NULL AND segments.recording_id = pooled.recording_id
            AND segments.model_id = pooled.model_id
     WHERE pooled.model_id = ?1";

impl Library {
    /// Calls `visit` with the id and vector of every segment that `model` embedded and that is
    /// fit to be searched.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Vector`] when stored bytes are damaged, and what `visit` fails
    /// with.
    pub fn for_each_segment(
        &self,
        model: i64,
        dimension: usize,
        visit: impl FnMut(i64, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let sql = "SELECT id, vector FROM segments WHERE model_id = ?1 AND health = 0 ORDER BY id";
        self.for_each_vector(sql, "segment", [model], dimension, visit)
    }

    /// Calls `visit` with the id and pooled vector of every recording that `model` embedded.
    ///
    /// # Errors
    /// As [`for_each_segment`](Self::for_each_segment).
    pub fn for_each_recording(
        &self,
        model: i64,
        dimension: usize,
        visit: impl FnMut(i64, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let sql = format!("{POOLED} ORDER BY pooled.recording_id");
        self.for_each_vector(&sql, "recording", [model], dimension, visit)
    }

    fn for_each_vector(
        &self,
        sql: &str,
        kind: &str,
        parameters: impl Params,
        dimension: usize,
        mut visit: impl FnMut(i64, &[f32]) -> Result<()>,
    ) -> Result<()> {
        self.for_each_row(sql, kind, parameters, dimension, |row, vector| {
            visit(row.get(0).map_err(|error| self.error("read", error))?, vector)
        })
    }

    /// Decodes the vector in the second column of every row; the first one is its id.
    pub(super) fn for_each_row(
        &self,
        sql: &str,
        kind: &str,
        parameters: impl Params,
        dimension: usize,
        mut visit: impl FnMut(&Row<'_>, &[f32]) -> Result<()>,
    ) -> Result<()> {
        self.for_each_row_while(sql, kind, parameters, dimension, |row, vector| {
            visit(row, vector).map(ControlFlow::Continue)
        })
    }

    /// As [`for_each_row`](Self::for_each_row), until `visit` breaks off.
    pub(super) fn for_each_row_while(
        &self,
        sql: &str,
        kind: &str,
        parameters: impl Params,
        dimension: usize,
        mut visit: impl FnMut(&Row<'_>, &[f32]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let failed = |error| self.error("read", error);
        let mut query = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = query.query(parameters).map_err(failed)?;
        let mut vector = Vec::with_capacity(dimension);
        while let Some(row) = rows.next().map_err(failed)? {
            let id: i64 = row.get(0).map_err(failed)?;
            let bytes = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(failed)?;
            vector.clear();
            decode(bytes, dimension, &mut vector).map_err(|problem| Error::Vector {
                what: format!("vector of {kind} {id} in {}", self.path.display()),
                problem,
            })?;
            if visit(row, &vector)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The pooled vector of a recording by one model, `[dimension]`.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Vector`] when its bytes are damaged.
    pub fn pooled_vector(
        &self,
        recording: i64,
        model: i64,
        dimension: usize,
    ) -> Result<Option<Vec<f32>>> {
        let sql = format!("{POOLED} AND pooled.recording_id = ?2");
        let bytes: Option<Vec<u8>> = self
            .connection
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_row([model, recording], |row| row.get(1)).optional())
            .map_err(|error| self.error("read", error))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let mut vector = Vec::with_capacity(dimension);
        decode(&bytes, dimension, &mut vector).map_err(|problem| Error::Vector {
            what: format!("vector of recording {recording} in {}", self.path.display()),
            problem,
        })?;
        Ok(Some(vector))
    }

    /// The mean over the segments of a recording that are fit to be searched, `[dimension]`;
    /// nothing when there is none.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Vector`] when stored bytes are damaged.
    pub fn sound_vector(
        &self,
        recording: i64,
        model: i64,
        dimension: usize,
    ) -> Result<Option<Vec<f32>>> {
        let sql = "SELECT id, vector FROM segments
                   WHERE recording_id = ?1 AND model_id = ?2 AND health = 0";
        let (mut mean, mut is_empty) = (Mean::new(dimension), true);
        self.for_each_vector(sql, "segment", [recording, model], dimension, |_, vector| {
            mean.add(vector);
            is_empty = false;
            Ok(())
        })?;
        Ok((!is_empty).then(|| mean.mean()))
    }

    /// Where segment `id` lies.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn segment(&self, id: i64) -> Result<Option<SegmentPlace>> {
        self.connection
            .prepare_cached("SELECT recording_id, start_s, end_s FROM segments WHERE id = ?1")
            .and_then(|mut query| {
                query
                    .query_row([id], |row| {
                        Ok(SegmentPlace {
                            recording_id: row.get(0)?,
                            range: TimeRange { start_s: row.get(1)?, end_s: row.get(2)? },
                        })
                    })
                    .optional()
            })
            .map_err(|error| self.error("read", error))
    }

    /// How many segments of `model` are left out of searches, by why, rarest kinds included. A
    /// segment may count twice.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn left_out(&self, model: i64) -> Result<LeftOut> {
        let count = || -> rusqlite::Result<LeftOut> {
            let mut query = self.connection.prepare(
                "SELECT health, count(*) FROM segments
                 WHERE model_id = ?1 AND health <> 0 GROUP BY health",
            )?;
            let mut left_out = LeftOut::default();
            let mut rows = query.query([model])?;
            while let Some(row) = rows.next()? {
                let (bits, count): (u8, i64) = (row.get(0)?, row.get(1)?);
                left_out.segments += count.cast_unsigned();
                for (index, (kind, _)) in Health::KINDS.into_iter().enumerate() {
                    if Health::from_bits(bits).has(kind) {
                        left_out.by_kind[index] += count.cast_unsigned();
                    }
                }
            }
            Ok(left_out)
        };
        count().map_err(|error| self.error("read", error))
    }

    /// Calls `visit` with every recording of `model` that has a stored score of one of `wanted`, or
    /// with every segment that is fit to be searched, and with these scores, as `(class, score)`;
    /// segments come with all of theirs. Recordings have no segment's id.
    ///
    /// # Errors
    /// [`Error::Store`], and what `visit` fails with.
    pub fn for_each_scored(
        &self,
        model: i64,
        level: Level,
        wanted: &[i64],
        mut visit: impl FnMut(ScoredKey, &[(i64, f64)]) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| self.error("read", error);
        let mut classes = Vec::new();
        if level == Level::Segment {
            let sql = "SELECT recording_id, id, classes FROM segments
                       WHERE model_id = ?1 AND health = 0";
            let mut query = self.connection.prepare(sql).map_err(failed)?;
            let mut rows = query.query([model]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                let key = (row.get(0).map_err(failed)?, Some(row.get(1).map_err(failed)?));
                let bytes = row.get_ref(2).and_then(|bytes| Ok(bytes.as_blob_or_null()?));
                classes.clear();
                classes.extend(scores::decode(bytes.map_err(failed)?.unwrap_or_default()));
                visit(key, &classes)?;
            }
            return Ok(());
        }
        // In the order of the table, so that a recording's scores come together.
        let list: Vec<String> = wanted.iter().map(i64::to_string).collect();
        let sql = format!(
            "SELECT recording_id, class_index, score FROM recording_classes
             WHERE model_id = ?1 AND +class_index IN ({}) ORDER BY recording_id",
            list.join(", ")
        );
        let mut query = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = query.query([model]).map_err(failed)?;
        let mut present = None;
        while let Some(row) = rows.next().map_err(failed)? {
            let recording: i64 = row.get(0).map_err(failed)?;
            if let Some(present) = present.filter(|&present| present != recording) {
                visit((present, None), &classes)?;
                classes.clear();
            }
            present = Some(recording);
            classes.push((row.get(1).map_err(failed)?, row.get(2).map_err(failed)?));
        }
        present.map_or(Ok(()), |present| visit((present, None), &classes))
    }

    /// Whether `model` has a segment of the recording that is not silent.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn has_sound(&self, recording: i64, model: i64) -> Result<bool> {
        self.connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM segments
                     WHERE recording_id = ?1 AND model_id = ?2 AND health & ?3 = 0)",
            )
            .and_then(|mut query| {
                let silent = Health::SILENT.bits();
                query.query_row(params![recording, model, silent], |row| row.get(0))
            })
            .map_err(|error| self.error("read", error))
    }

    /// How many segments of a recording there are by one model; reads none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn segment_count(&self, recording: i64, model: i64) -> Result<usize> {
        let count: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT segment_count FROM recording_vectors
                 WHERE recording_id = ?1 AND model_id = ?2",
            )
            .and_then(|mut query| query.query_row([recording, model], |row| row.get(0)).optional())
            .map_err(|error| self.error("read", error))?;
        Ok(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
    }

    /// The ids of a recording's segments by one model.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn segment_ids(&self, recording: i64, model: i64) -> Result<Vec<i64>> {
        let list = || -> rusqlite::Result<Vec<i64>> {
            self.connection
                .prepare_cached(
                    "SELECT id FROM segments WHERE recording_id = ?1 AND model_id = ?2",
                )?
                .query_map([recording, model], |row| row.get(0))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }
}
