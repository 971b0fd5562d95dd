//! Class scores of segments.
//!
//! In: a segment, or a recording. Out: classes by name, those of the highest scores first.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;

use crate::error::Result;
use crate::store::recordings::ClassScore;
use crate::store::{Library, scores};

impl Library {
    /// The highest class scores of a segment by the model that embedded it, highest first.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn segment_classes(&self, id: i64) -> Result<Vec<ClassScore>> {
        let list = || -> rusqlite::Result<Vec<ClassScore>> {
            let stored: Option<(i64, Option<Vec<u8>>)> = self
                .connection
                .prepare_cached("SELECT model_id, classes FROM segments WHERE id = ?1")?
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((model, Some(bytes))) = stored else { return Ok(Vec::new()) };
            let mut name = self.connection.prepare_cached(
                "SELECT name FROM classes WHERE model_id = ?1 AND class_index = ?2",
            )?;
            scores::decode(&bytes)
                .map(|(class, score)| {
                    let name = name.query_row([model, class], |row| row.get(0))?;
                    Ok(ClassScore { name, score })
                })
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// The mean of the stored class scores of the segments of a recording that are fit to be searched,
    /// highest first; a class counts as 0 where it was not stored. Nothing, where all segments are fit
    /// or none is, or their scores were not stored: the recording's own are the better ones then.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn sound_classes(&self, recording: i64, model: i64) -> Result<Option<Vec<ClassScore>>> {
        let list = || -> rusqlite::Result<Option<Vec<ClassScore>>> {
            let has_unfit: bool = self
                .connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM segments
                         WHERE recording_id = ?1 AND model_id = ?2 AND health <> 0)",
                )?
                .query_row([recording, model], |row| row.get(0))?;
            if !has_unfit {
                return Ok(None);
            }
            let mut query = self.connection.prepare_cached(
                "SELECT classes FROM segments
                 WHERE recording_id = ?1 AND model_id = ?2 AND health = 0",
            )?;
            let mut rows = query.query([recording, model])?;
            let (mut sums, mut count) = (BTreeMap::new(), 0_u32);
            while let Some(row) = rows.next()? {
                let Some(bytes) = row.get_ref(0)?.as_blob_or_null()? else { return Ok(None) };
                count += 1;
                for (class, score) in scores::decode(bytes) {
                    *sums.entry(class).or_insert(0.0) += score;
                }
            }
            if count == 0 {
                return Ok(None);
            }
            let mut name = self.connection.prepare_cached(
                "SELECT name FROM classes WHERE model_id = ?1 AND class_index = ?2",
            )?;
            let mut classes = sums
                .into_iter()
                .map(|(class, sum)| {
                    let name = name.query_row([model, class], |row| row.get(0))?;
                    Ok(ClassScore { name, score: sum / f64::from(count) })
                })
                .collect::<rusqlite::Result<Vec<ClassScore>>>()?;
            classes.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(&b.name)));
            Ok(Some(classes))
        };
        list().map_err(|error| self.error("read", error))
    }
}
