//! Table `models`, and the class names of each.
//!
//! In: identities. Out: row ids, by which vectors are stored and found.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, params};

use super::{Library, Writer};
use crate::audio::segment::Segmentation;
use crate::error::{Error, Result};
use crate::model::ModelIdentity;
use crate::model::card::ModelCard;
use crate::units::signed;

/// A model that the library holds vectors of.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredModel {
    /// Row id.
    pub id: i64,
    /// What its vectors may be compared with.
    pub identity: ModelIdentity,
    /// Time that a patch stands for, in seconds.
    pub window_s: f64,
    /// Time from one patch to the next, in seconds.
    pub hop_s: f64,
    /// Its segments, where they are longer than its patches.
    pub segmentation: Option<Segmentation>,
    /// Recordings indexed with it.
    pub recordings: u64,
    /// Segments that it embedded.
    pub segments: u64,
}

impl Writer<'_> {
    /// The row id of `identity`, which is added with its card's windows and `classes` when new.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn model_id(
        &self,
        identity: &ModelIdentity,
        card: &ModelCard,
        classes: &[String],
    ) -> Result<i64> {
        let patch = Segmentation { segment_s: card.window_s, hop_s: card.hop_s };
        self.model_of_patches(identity, patch, classes)
    }

    /// As [`model_id`](Self::model_id), of a model whose patches are `patch`, whether or not there
    /// is a card of it here.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn model_of_patches(
        &self,
        identity: &ModelIdentity,
        patch: Segmentation,
        classes: &[String],
    ) -> Result<i64> {
        let add = || -> rusqlite::Result<i64> {
            let known = self
                .transaction
                .query_row(
                    "SELECT id FROM models
                     WHERE name = ?1 AND weights_sha256 = ?2 AND front_end_version = ?3",
                    params![identity.name, identity.weights_sha256, identity.front_end_version],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(id) = known {
                return Ok(id);
            }
            self.transaction.execute(
                "INSERT INTO models
                 (name, weights_sha256, front_end_version, dimension, window_s, hop_s)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    identity.name,
                    identity.weights_sha256,
                    identity.front_end_version,
                    signed(identity.dimension),
                    patch.segment_s,
                    patch.hop_s
                ],
            )?;
            let id = self.transaction.last_insert_rowid();
            let mut insert = self
                .transaction
                .prepare("INSERT INTO classes (model_id, class_index, name) VALUES (?1, ?2, ?3)")?;
            for (index, name) in classes.iter().enumerate() {
                insert.execute(params![id, signed(index), name])?;
            }
            Ok(id)
        };
        add().map_err(|error| self.error(error))
    }

    /// Removes the model with row id `model` and all that it made: vectors, segments, class scores,
    /// class names and runs. Recordings stay, and what people know of them.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove_model(&self, model: i64) -> Result<()> {
        let remove = || -> rusqlite::Result<()> {
            self.transaction
                .execute("DELETE FROM recording_vectors WHERE model_id = ?1", [model])?;
            // Whoever removes a run looks for recordings that refer to it: for each run through all
            // vectors of the other models, if there is no index.
            self.transaction
                .execute_batch("CREATE INDEX vectors_of_run ON recording_vectors (run_id)")?;
            self.transaction.execute("DELETE FROM models WHERE id = ?1", [model])?;
            self.transaction.execute_batch("DROP INDEX vectors_of_run")
        };
        remove().map_err(|error| self.error(error))
    }

    /// The segmentation of the model with row id `model`, which becomes `wanted` while nothing is
    /// indexed with it.
    ///
    /// # Errors
    /// [`Error::OtherSegments`] when something is, with another one; [`Error::Store`].
    pub fn segmentation(
        &self,
        model: i64,
        wanted: Option<Segmentation>,
    ) -> Result<Option<Segmentation>> {
        let settle = || -> rusqlite::Result<Option<Segmentation>> {
            let (found, is_settled): (_, bool) = self.transaction.query_row(
                "SELECT segment_s, segment_hop_s, EXISTS (
                     SELECT 1 FROM recording_vectors WHERE model_id = ?1)
                 FROM models WHERE id = ?1",
                [model],
                |row| Ok((read_segmentation(row.get(0)?, row.get(1)?), row.get(2)?)),
            )?;
            let Some(wanted) = wanted.filter(|_| !is_settled) else { return Ok(found) };
            self.transaction.execute(
                "UPDATE models SET segment_s = ?2, segment_hop_s = ?3 WHERE id = ?1",
                params![model, wanted.segment_s, wanted.hop_s],
            )?;
            Ok(Some(wanted))
        };
        let found = settle().map_err(|error| self.error(error))?;
        if wanted.is_some() && wanted != found {
            return Err(Error::OtherSegments { path: self.path.clone(), found });
        }
        Ok(found)
    }
}

fn read_segmentation(segment_s: Option<f64>, hop_s: Option<f64>) -> Option<Segmentation> {
    Some(Segmentation { segment_s: segment_s?, hop_s: hop_s? })
}

impl Library {
    /// All models that the library holds vectors of, in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn models(&self) -> Result<Vec<StoredModel>> {
        let list = || -> rusqlite::Result<Vec<StoredModel>> {
            let mut query = self.connection.prepare(
                "SELECT id, name, weights_sha256, front_end_version, dimension, window_s, hop_s,
                        count(recording_id), coalesce(sum(segment_count), 0),
                        segment_s, segment_hop_s
                 FROM models LEFT JOIN recording_vectors ON model_id = id
                 GROUP BY id ORDER BY id",
            )?;
            let rows = query.query_map([], |row| {
                let dimension: i64 = row.get(4)?;
                let counts: (i64, i64) = (row.get(7)?, row.get(8)?);
                Ok(StoredModel {
                    id: row.get(0)?,
                    identity: ModelIdentity {
                        name: row.get(1)?,
                        weights_sha256: row.get(2)?,
                        front_end_version: row.get(3)?,
                        dimension: usize::try_from(dimension).unwrap_or(0),
                    },
                    window_s: row.get(5)?,
                    hop_s: row.get(6)?,
                    segmentation: read_segmentation(row.get(9)?, row.get(10)?),
                    recordings: u64::try_from(counts.0).unwrap_or(0),
                    segments: u64::try_from(counts.1).unwrap_or(0),
                })
            })?;
            rows.collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// How many recordings have vectors of one of `models`, by their row ids, and none of `without`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn recordings_of_models(&self, models: &[i64], without: Option<i64>) -> Result<u64> {
        let count = || -> rusqlite::Result<u64> {
            let mut one = self.connection.prepare(
                "SELECT DISTINCT recording_id FROM recording_vectors WHERE model_id = ?1
                 AND recording_id NOT IN
                     (SELECT recording_id FROM recording_vectors WHERE model_id = ?2)",
            )?;
            let mut recordings = HashSet::new();
            for &model in models {
                // Equal to nothing, where there is none.
                let mut rows = one.query(params![model, without])?;
                while let Some(row) = rows.next()? {
                    recordings.insert(row.get::<_, i64>(0)?);
                }
            }
            Ok(recordings.len() as u64)
        };
        count().map_err(|error| self.error("read", error))
    }
}
