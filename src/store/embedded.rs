//! All that one model made of recordings, as datasets hold it.
//!
//! In: a model. Out: recordings with what is known of them, and their segments, a few at a time.
//! Refuses vectors whose bytes are damaged.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row, params};

use super::paths::{OwnedPath, PathBytes};
use super::recordings::FileStamp;
use super::segments::VectorKey;
use super::{Library, Writer, scores};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::error::Result;
use crate::units::signed;

/// A recording that a model embedded.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedRecording {
    /// What a search at the level of recordings knows it by.
    pub key: VectorKey,
    /// Its absolute path.
    pub path: PathBuf,
    /// BLAKE3 of its content.
    pub content_hash: [u8; 32],
    /// Its file's stamp.
    pub stamp: FileStamp,
    /// Its length in seconds.
    pub duration_s: f64,
    /// Frames per second.
    pub sample_rate: u32,
    /// Channels before the mix to mono.
    pub channels: u16,
    /// The codec's short name.
    pub codec: String,
    /// `ok`, `truncated` or `damaged`.
    pub status: String,
    /// When it was made, and what says so: a local time and a word.
    pub recorded: Option<(String, String)>,
    /// Its segments by the model.
    pub segments: u64,
    /// The mean over all patches, `[dimension]`.
    pub vector: Vec<f32>,
}

/// A segment with all that a model says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedSegment {
    /// Row id.
    pub id: i64,
    /// The stretch that it covers.
    pub range: TimeRange,
    /// Whether it is fit to be searched.
    pub health: Health,
    /// Classes by their numbers, and their scores in [0, 1], highest first.
    pub scores: Vec<(i64, f64)>,
    /// Its vector, `[dimension]`.
    pub vector: Vec<f32>,
}

impl Library {
    /// Runs `read`, to which the library is as it was when that began, whoever writes meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), and what `read` fails with.
    pub fn with_snapshot<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        // Ends, having written nothing, when it is dropped.
        let _transaction =
            self.connection.unchecked_transaction().map_err(|error| self.error("read", error))?;
        read()
    }

    /// Calls `visit` with every recording that `model` embedded, by their ids.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Vector`](crate::Error::Vector) when stored
    /// bytes are damaged, and what `visit` fails with.
    pub fn for_each_embedded(
        &self,
        model: i64,
        dimension: usize,
        mut visit: impl FnMut(EmbeddedRecording) -> Result<()>,
    ) -> Result<()> {
        let sql = "SELECT r.id, coalesce(v.vector,
                       (SELECT vector FROM segments WHERE segments.id = v.first_segment)),
                   v.first_segment, v.segment_count, r.path, r.content_hash, r.size_bytes,
                   r.modified_ns, r.duration_s, r.sample_rate, r.channels, r.codec, r.status,
                   r.recorded_at, r.recorded_from
                   FROM recording_vectors AS v JOIN recordings AS r ON r.id = v.recording_id
                   WHERE v.model_id = ?1 ORDER BY r.id";
        self.for_each_row(sql, "recording", [model], dimension, |row, vector| {
            let recording = read_recording(row, vector);
            visit(recording.map_err(|error| self.error("read", error))?)
        })
    }

    /// The `most` segments of a recording by `model`, both by their row ids, that follow segment
    /// `after`, in the order of time.
    ///
    /// # Errors
    /// As [`for_each_embedded`](Self::for_each_embedded).
    pub fn embedded_segments_after(
        &self,
        after: i64,
        (recording, model): (i64, i64),
        dimension: usize,
        most: usize,
    ) -> Result<Vec<EmbeddedSegment>> {
        let sql = "SELECT id, vector, start_s, end_s, health, classes FROM segments
                   WHERE recording_id = ?1 AND model_id = ?2 AND id > ?3 ORDER BY id LIMIT ?4";
        let mut segments = Vec::new();
        let parameters = params![recording, model, after, signed(most)];
        self.for_each_row(sql, "segment", parameters, dimension, |row, vector| {
            let read = || -> rusqlite::Result<EmbeddedSegment> {
                let classes = row.get_ref(5)?.as_blob_or_null()?;
                Ok(EmbeddedSegment {
                    id: row.get(0)?,
                    range: TimeRange { start_s: row.get(2)?, end_s: row.get(3)? },
                    health: Health::from_bits(row.get(4)?),
                    scores: scores::decode(classes.unwrap_or_default()).collect(),
                    vector: vector.to_vec(),
                })
            };
            segments.push(read().map_err(|error| self.error("read", error))?);
            Ok(())
        })?;
        Ok(segments)
    }

    /// The highest class scores of a recording by one model, by the classes' numbers, highest
    /// first.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn class_numbers(&self, recording: i64, model: i64) -> Result<Vec<(i64, f64)>> {
        let list = || -> rusqlite::Result<Vec<(i64, f64)>> {
            self.connection
                .prepare_cached(
                    "SELECT class_index, score FROM recording_classes
                     WHERE recording_id = ?1 AND model_id = ?2 ORDER BY score DESC, class_index",
                )?
                .query_map([recording, model], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// The device and precision that most recordings of `model` were embedded with.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn usual_compute(&self, model: i64) -> Result<Option<(String, String)>> {
        self.connection
            .query_row(
                "SELECT device, precision FROM recording_vectors AS v
                 JOIN runs ON runs.id = run_id WHERE v.model_id = ?1
                 GROUP BY device, precision ORDER BY count(*) DESC, device, precision LIMIT 1",
                [model],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(|error| self.error("read", error))
    }
}

impl Writer<'_> {
    /// How many segments `model` made of the recording at `path`, if that has the content of this
    /// BLAKE3 hash.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn embedded_as(
        &self,
        path: &Path,
        content_hash: &[u8; 32],
        model: i64,
    ) -> Result<Option<u64>> {
        self.transaction
            .prepare_cached(
                "SELECT segment_count FROM recording_vectors JOIN recordings ON id = recording_id
                 WHERE path = ?1 AND content_hash = ?2 AND model_id = ?3",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![PathBytes(path), content_hash, model], |row| {
                        row.get(0).map(i64::cast_unsigned)
                    })
                    .optional()
            })
            .map_err(|error| self.error(error))
    }

    /// The row id of the recording at `path`, and the BLAKE3 hash of its content.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn recording_at(&self, path: &Path) -> Result<Option<(i64, [u8; 32])>> {
        self.transaction
            .prepare_cached("SELECT id, content_hash FROM recordings WHERE path = ?1")
            .and_then(|mut query| {
                query.query_row([PathBytes(path)], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(|error| self.error(error))
    }

    /// Whether the ledger of failures says this of `path` already, or the library holds a recording
    /// there.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn knows_failure(&self, path: &Path, stage: &str, reason: &str) -> Result<bool> {
        self.transaction
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM failures
                     WHERE path = ?1 AND stage = ?2 AND reason = ?3)
                 OR EXISTS (SELECT 1 FROM recordings WHERE path = ?1)",
            )
            .and_then(|mut query| {
                query.query_row(params![PathBytes(path), stage, reason], |row| row.get(0))
            })
            .map_err(|error| self.error(error))
    }
}

fn read_recording(row: &Row<'_>, vector: &[f32]) -> rusqlite::Result<EmbeddedRecording> {
    let OwnedPath(path) = row.get(4)?;
    let (segments, size): (i64, i64) = (row.get(3)?, row.get(6)?);
    let (at, from): (Option<String>, Option<String>) = (row.get(13)?, row.get(14)?);
    Ok(EmbeddedRecording {
        key: VectorKey { segment: row.get(2)?, recording: row.get(0)? },
        path,
        content_hash: row.get(5)?,
        stamp: FileStamp { size_bytes: size.cast_unsigned(), modified_ns: row.get(7)? },
        duration_s: row.get(8)?,
        sample_rate: row.get(9)?,
        channels: row.get(10)?,
        codec: row.get(11)?,
        status: row.get(12)?,
        recorded: at.zip(from),
        segments: segments.cast_unsigned(),
        vector: vector.to_vec(),
    })
}
