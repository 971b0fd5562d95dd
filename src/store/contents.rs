//! What duplicates are told by besides vectors: content hashes, and where each segment lies.
//!
//! In: a model. Out: its recordings with their files' hashes and dates, and its segments' places.

use super::Library;
use super::paths::OwnedPath;
use super::recordings::StoredRecording;
use super::segments::VectorKey;
use crate::audio::segment::TimeRange;
use crate::error::Result;

/// A recording, and what tells its file from others.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The recording.
    pub recording: StoredRecording,
    /// BLAKE3 of its file.
    pub hash: [u8; 32],
    /// When the file last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
}

impl Library {
    /// The recordings that `model` embedded, by id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn contents(&self, model: i64) -> Result<Vec<Content>> {
        let list = || -> rusqlite::Result<Vec<Content>> {
            self.connection
                .prepare(
                    "SELECT id, path, duration_s, sample_rate, channels, codec, status,
                            content_hash, modified_ns
                     FROM recordings JOIN recording_vectors ON recording_id = id
                     WHERE model_id = ?1 ORDER BY id",
                )?
                .query_map([model], |row| {
                    let OwnedPath(path) = row.get(1)?;
                    let recording = StoredRecording {
                        id: row.get(0)?,
                        path,
                        duration_s: row.get(2)?,
                        sample_rate: row.get(3)?,
                        channels: row.get(4)?,
                        codec: row.get(5)?,
                        status: row.get(6)?,
                    };
                    Ok(Content { recording, hash: row.get(7)?, modified_ns: row.get(8)? })
                })?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// Calls `visit` with the key and stretch of every segment of `model` that is fit to be
    /// searched, in the order of keys.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn for_each_place(
        &self,
        model: i64,
        mut visit: impl FnMut(VectorKey, TimeRange),
    ) -> Result<()> {
        let mut read = || -> rusqlite::Result<()> {
            let mut query = self.connection.prepare(
                "SELECT id, recording_id, start_s, end_s FROM segments
                 WHERE model_id = ?1 AND health = 0 ORDER BY id",
            )?;
            let mut rows = query.query([model])?;
            while let Some(row) = rows.next()? {
                let key = VectorKey { segment: row.get(0)?, recording: row.get(1)? };
                visit(key, TimeRange { start_s: row.get(2)?, end_s: row.get(3)? });
            }
            Ok(())
        };
        read().map_err(|error| self.error("read", error))
    }
}
