//! Tables `recordings` and `recording_classes`.
//!
//! In: what decoding learnt about a file. Out: rows by id or path.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rusqlite::{OptionalExtension, Row, params};

use super::paths::{Below, OwnedPath, PathBytes, TextBytes};
use super::{Library, Writer};
use crate::audio::decode::{Integrity, StreamFormat};
use crate::error::Result;
use crate::units::signed;

/// What tells a file from its earlier self without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Its length.
    pub size_bytes: u64,
    /// When it last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
}

impl FileStamp {
    /// The stamp of the file whose metadata is `metadata`.
    ///
    /// # Errors
    /// [`io::Error`] where the system knows no dates.
    pub fn of(metadata: &Metadata) -> io::Result<Self> {
        // Dates before 1970 exist on disks with a dead clock battery.
        let modified_ns = match metadata.modified()?.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        };
        Ok(Self { size_bytes: metadata.len(), modified_ns })
    }
}

/// BLAKE3 of the content of the file at `path`.
///
/// # Errors
/// What reading it fails with.
pub fn content_hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(*hasher.finalize().as_bytes())
}

/// What tells a recording's file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// The file's stamp.
    pub stamp: FileStamp,
    /// BLAKE3 of its content.
    pub content_hash: [u8; 32],
}

/// A file that is in the library, as far as indexing needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Row id.
    pub id: i64,
    /// Its stamp when it was indexed.
    pub stamp: FileStamp,
    /// BLAKE3 of its content.
    pub content_hash: [u8; 32],
    /// Which of the models asked for it is indexed with.
    pub indexed: ModelSet,
}

/// Some of the models that a run embeds with, by their places in its list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelSet(pub u64);

impl ModelSet {
    /// As many models as a run may have.
    pub const MOST: usize = 32;

    /// The first `count` models.
    pub fn first(count: usize) -> Self {
        Self((1 << count.min(Self::MOST)) - 1)
    }

    /// Whether the model at `place` is in it.
    pub fn has(self, place: usize) -> bool {
        place < Self::MOST && self.0 >> place & 1 == 1
    }

    /// Whether all of `other` are in it.
    pub fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A recording that is to be stored.
#[derive(Clone, Debug)]
pub struct NewRecording<'a> {
    /// Its absolute path.
    pub path: &'a Path,
    /// The file's stamp.
    pub stamp: FileStamp,
    /// BLAKE3 of its content.
    pub content_hash: [u8; 32],
    /// What its header says.
    pub format: &'a StreamFormat,
    /// Its length in seconds.
    pub duration_s: f64,
    /// How whole it is.
    pub integrity: Integrity,
}

/// A recording of the library.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecording {
    /// Row id.
    pub id: i64,
    /// Its absolute path.
    pub path: PathBuf,
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
}

/// A class and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScore {
    /// The class's name.
    pub name: String,
    /// Mean over the recording's patches, in [0, 1].
    pub score: f64,
}

/// What the library holds, in sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Recordings.
    pub recordings: u64,
    /// Their length in seconds.
    pub duration_s: f64,
    /// Of these, how many were truncated.
    pub truncated: u64,
    /// Of these, how many were damaged.
    pub damaged: u64,
}

impl Writer<'_> {
    /// Adds a recording, or renews the row of its path. What was stored for an earlier content is
    /// removed. Returns the row id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn put_recording(&self, recording: &NewRecording<'_>) -> Result<i64> {
        let put = || -> rusqlite::Result<i64> {
            let known: Option<(i64, [u8; 32])> = self
                .transaction
                .prepare_cached("SELECT id, content_hash FROM recordings WHERE path = ?1")?
                .query_row([PathBytes(recording.path)], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((id, hash)) = known
                && hash != recording.content_hash
            {
                for table in ["segments", "recording_vectors", "recording_classes"] {
                    let sql = format!("DELETE FROM {table} WHERE recording_id = ?1");
                    self.transaction.execute(&sql, [id])?;
                }
            }
            self.transaction
                .prepare_cached(
                    "INSERT INTO recordings (path, content_hash, size_bytes, modified_ns,
                         duration_s, sample_rate, channels, codec, status)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                     ON CONFLICT (path) DO UPDATE SET
                         content_hash = excluded.content_hash, size_bytes = excluded.size_bytes,
                         modified_ns = excluded.modified_ns, duration_s = excluded.duration_s,
                         sample_rate = excluded.sample_rate, channels = excluded.channels,
                         codec = excluded.codec, status = excluded.status
                     RETURNING id",
                )?
                .query_row(
                    params![
                        PathBytes(recording.path),
                        recording.content_hash,
                        recording.stamp.size_bytes.cast_signed(),
                        recording.stamp.modified_ns,
                        recording.duration_s,
                        recording.format.sample_rate.hertz(),
                        recording.format.channels,
                        recording.format.codec,
                        recording.integrity.to_string(),
                    ],
                    |row| row.get(0),
                )
        };
        put().map_err(|error| self.error(error))
    }

    /// Renews the stamp of a file whose content is the same.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn touch_recording(&self, id: i64, stamp: FileStamp) -> Result<()> {
        self.transaction
            .execute(
                "UPDATE recordings SET size_bytes = ?2, modified_ns = ?3 WHERE id = ?1",
                params![id, stamp.size_bytes.cast_signed(), stamp.modified_ns],
            )
            .map(drop)
            .map_err(|error| self.error(error))
    }

    /// Gives a recording the path and stamp that its file has now. A row that is there already
    /// goes: its file is this one.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn move_recording(&self, id: i64, path: &Path, stamp: FileStamp) -> Result<()> {
        let rename = || -> rusqlite::Result<()> {
            let from = self
                .transaction
                .prepare_cached("SELECT path FROM recordings WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            if let Some(OwnedPath(from)) = from {
                self.move_date(id, &from, path)?;
            }
            self.transaction
                .prepare_cached("DELETE FROM recordings WHERE path = ?1 AND id <> ?2")?
                .execute(params![PathBytes(path), id])?;
            self.transaction
                .prepare_cached(
                    "UPDATE recordings SET path = ?2, size_bytes = ?3, modified_ns = ?4
                     WHERE id = ?1",
                )?
                .execute(params![
                    id,
                    PathBytes(path),
                    stamp.size_bytes.cast_signed(),
                    stamp.modified_ns
                ])
                .map(drop)
        };
        rename().map_err(|error| self.error(error))
    }

    /// Removes a recording with all that belongs to it; whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn remove_recording(&self, id: i64) -> Result<bool> {
        self.transaction
            .prepare_cached("DELETE FROM recordings WHERE id = ?1")
            .and_then(|mut remove| remove.execute([id]))
            .map(|removed| removed > 0)
            .map_err(|error| self.error(error))
    }

    /// Removes all recordings below `folder`; returns how many there were.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn remove_recordings_below(&self, folder: &Path) -> Result<usize> {
        let below = Below::new(folder);
        self.transaction
            .execute(
                "DELETE FROM recordings WHERE path >= ?1 AND path < ?2",
                [TextBytes(&below.first), TextBytes(&below.behind)],
            )
            .map_err(|error| self.error(error))
    }

    /// Stores a recording's highest class scores, as `(class, score)`, in place of earlier ones.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn put_classes(&self, recording: i64, model: i64, scores: &[(usize, f32)]) -> Result<()> {
        let put = || -> rusqlite::Result<()> {
            self.transaction
                .prepare_cached(
                    "DELETE FROM recording_classes WHERE recording_id = ?1 AND model_id = ?2",
                )?
                .execute([recording, model])?;
            let mut insert = self.transaction.prepare_cached(
                "INSERT INTO recording_classes (recording_id, model_id, class_index, score)
                 VALUES (?1, ?2, ?3, ?4)",
            )?;
            for &(class, score) in scores {
                insert.execute(params![recording, model, signed(class), score])?;
            }
            Ok(())
        };
        put().map_err(|error| self.error(error))
    }
}

impl Library {
    /// The recording at `path`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn recording_at(&self, path: &Path) -> Result<Option<StoredRecording>> {
        self.connection
            .prepare_cached(
                "SELECT id, path, duration_s, sample_rate, channels, codec, status
                 FROM recordings WHERE path = ?1",
            )
            .and_then(|mut query| query.query_row([PathBytes(path)], read_recording).optional())
            .map_err(|error| self.error("read", error))
    }

    /// How many recordings lie below `folder`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn count_below(&self, folder: &Path) -> Result<u64> {
        let below = Below::new(folder);
        self.connection
            .query_row(
                "SELECT count(*) FROM recordings WHERE path >= ?1 AND path < ?2",
                [TextBytes(&below.first), TextBytes(&below.behind)],
                |row| row.get(0),
            )
            .map(i64::cast_unsigned)
            .map_err(|error| self.error("read", error))
    }

    /// The recording with this id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn recording(&self, id: i64) -> Result<Option<StoredRecording>> {
        self.connection
            .prepare_cached(
                "SELECT id, path, duration_s, sample_rate, channels, codec, status
                 FROM recordings WHERE id = ?1",
            )
            .and_then(|mut query| query.query_row([id], read_recording).optional())
            .map_err(|error| self.error("read", error))
    }

    /// What the file of this recording was when it was indexed.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn file_identity(&self, id: i64) -> Result<Option<FileIdentity>> {
        self.connection
            .prepare_cached(
                "SELECT size_bytes, modified_ns, content_hash FROM recordings WHERE id = ?1",
            )
            .and_then(|mut query| {
                query
                    .query_row([id], |row| {
                        let size: i64 = row.get(0)?;
                        let (size_bytes, modified_ns) = (size.cast_unsigned(), row.get(1)?);
                        let stamp = FileStamp { size_bytes, modified_ns };
                        Ok(FileIdentity { stamp, content_hash: row.get(2)? })
                    })
                    .optional()
            })
            .map_err(|error| self.error("read", error))
    }

    /// At most `most` recordings with ids above `after`, by id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn recordings_after(&self, after: i64, most: usize) -> Result<Vec<StoredRecording>> {
        let list = || -> rusqlite::Result<Vec<StoredRecording>> {
            self.connection
                .prepare_cached(
                    "SELECT id, path, duration_s, sample_rate, channels, codec, status
                     FROM recordings WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?
                .query_map([after, signed(most)], read_recording)?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// The folders that recordings lie in, each once, by their bytes. Only recordings that were
    /// embedded here count: where the others lie, somebody else's dataset says.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn folders(&self) -> Result<Vec<PathBuf>> {
        let list = || -> rusqlite::Result<Vec<PathBuf>> {
            let imported: bool = self.connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM runs WHERE imported)",
                [],
                |row| row.get(0),
            )?;
            let seen = if imported {
                "WHERE EXISTS (SELECT 1 FROM recording_vectors AS v
                     LEFT JOIN runs ON runs.id = run_id
                     WHERE v.recording_id = r.id AND NOT coalesce(imported, 0))"
            } else {
                ""
            };
            self.connection
                .prepare(&format!(
                    "SELECT DISTINCT folder_of(path) AS folder FROM recordings AS r {seen}
                     ORDER BY folder"
                ))?
                .query_map([], |row| row.get(0).map(|OwnedPath(path)| path))?
                .collect()
        };
        let mut folders = list().map_err(|error| self.error("read", error))?;
        // An address has no folder here.
        folders.retain(|folder| folder.is_absolute());
        Ok(folders)
    }

    /// The highest class scores of a recording by one model, highest first.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn classes(&self, recording: i64, model: i64) -> Result<Vec<ClassScore>> {
        let list = || -> rusqlite::Result<Vec<ClassScore>> {
            let mut query = self.connection.prepare_cached(
                "SELECT name, score FROM recording_classes
                 JOIN classes USING (model_id, class_index)
                 WHERE recording_id = ?1 AND model_id = ?2
                 ORDER BY score DESC, class_index",
            )?;
            let rows = query.query_map([recording, model], |row| {
                Ok(ClassScore { name: row.get(0)?, score: row.get(1)? })
            })?;
            rows.collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// How many recordings there are of each codec.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn codecs(&self) -> Result<Vec<(String, u64)>> {
        let list = || -> rusqlite::Result<Vec<(String, u64)>> {
            self.connection
                .prepare("SELECT codec, count(*) FROM recordings GROUP BY codec ORDER BY codec")?
                .query_map([], |row| {
                    let count: i64 = row.get(1)?;
                    Ok((row.get(0)?, count.cast_unsigned()))
                })?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// What the library holds, in sums.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn totals(&self) -> Result<Totals> {
        self.connection
            .query_row(
                "SELECT count(*), coalesce(sum(duration_s), 0.0),
                        count(*) FILTER (WHERE status = 'truncated'),
                        count(*) FILTER (WHERE status = 'damaged')
                 FROM recordings",
                [],
                |row| {
                    let count = |column| row.get(column).map(i64::cast_unsigned);
                    Ok(Totals {
                        recordings: count(0)?,
                        duration_s: row.get(1)?,
                        truncated: count(2)?,
                        damaged: count(3)?,
                    })
                },
            )
            .map_err(|error| self.error("read", error))
    }
}

fn read_recording(row: &Row<'_>) -> rusqlite::Result<StoredRecording> {
    let OwnedPath(path) = row.get(1)?;
    Ok(StoredRecording {
        id: row.get(0)?,
        path,
        duration_s: row.get(2)?,
        sample_rate: row.get(3)?,
        channels: row.get(4)?,
        codec: row.get(5)?,
        status: row.get(6)?,
    })
}
