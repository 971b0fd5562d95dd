//! Stored vectors in the order in which they came, recording by recording, not decoded yet.
//!
//! In: a model, a level, and where to begin. Out: rows, as long as they are wanted. All of a
//! recording's follow one another: the ids of its segments do.

use std::ops::ControlFlow;

use rusqlite::params;

use super::Library;
use super::segments::{Level, VectorKey};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::error::Result;

/// A stored vector's place, and whether it is fit to be searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeardRow {
    /// What it stands for.
    pub key: VectorKey,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
    /// What is wrong with the sound.
    pub health: Health,
}

impl Library {
    /// Calls `visit` with every row of `model` at `level` behind segment `after`, and its encoded
    /// vector, until it breaks.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), and what `visit` fails with.
    pub fn for_each_heard_after(
        &self,
        after: i64,
        model: i64,
        level: Level,
        mut visit: impl FnMut(HeardRow, &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let sql = match level {
            Level::Segment => {
                "SELECT id, recording_id, vector, health, start_s, end_s FROM segments
                 WHERE id > ?1 AND model_id = ?2 ORDER BY id"
            }
            Level::Recording => {
                // A recording that is silent throughout is what all of its segments are.
                "SELECT first_segment, r.recording_id,
                        coalesce(r.vector, (SELECT vector FROM segments WHERE id = first_segment)),
                        CASE WHEN EXISTS (
                            SELECT 1 FROM segments s
                            WHERE s.recording_id = r.recording_id AND s.model_id = r.model_id
                              AND s.health & ?3 = 0)
                        THEN 0 ELSE ?3 END,
                        NULL, NULL
                 FROM recording_vectors r
                 WHERE first_segment > ?1 AND r.model_id = ?2 ORDER BY first_segment"
            }
        };
        let failed = |error| self.error("read", error);
        let mut query = self.connection.prepare_cached(sql).map_err(failed)?;
        let silent = Health::SILENT.and(Health::CONSTANT).bits();
        let mut rows = match level {
            Level::Segment => query.query(params![after, model]),
            Level::Recording => query.query(params![after, model, silent]),
        }
        .map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let read = || -> rusqlite::Result<HeardRow> {
                let range: (Option<f64>, Option<f64>) = (row.get(4)?, row.get(5)?);
                Ok(HeardRow {
                    key: VectorKey { segment: row.get(0)?, recording: row.get(1)? },
                    range: range
                        .0
                        .zip(range.1)
                        .map(|(start_s, end_s)| TimeRange { start_s, end_s }),
                    health: Health::from_bits(row.get(3)?),
                })
            };
            let heard = read().map_err(failed)?;
            let bytes = row.get_ref(2).and_then(|value| Ok(value.as_blob()?)).map_err(failed)?;
            if visit(heard, bytes)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
