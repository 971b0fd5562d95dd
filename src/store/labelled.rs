//! Recordings that people labelled, with what heads learn from: labels, contents, metadata.
//!
//! In: a model. Out: one recording after another, by id, with its labels. What heads said is left
//! out: nothing is learnt from that.

use std::collections::BTreeMap;

use rusqlite::Row;

use super::Library;
use super::labels::{MACHINE, StoredLabel, read_label};
use super::metadata::MetadataValue;
use crate::error::Result;

/// A recording with what people said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The recording's row id.
    pub recording: i64,
    /// BLAKE3 of its content.
    pub content_hash: [u8; 32],
    /// Its labels, in the order in which they came.
    pub labels: Vec<StoredLabel>,
}

impl Library {
    /// Calls `visit` with every recording that `model` embedded and that people labelled, by id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), and what `visit` fails with.
    pub fn for_each_labelled(
        &self,
        model: i64,
        mut visit: impl FnMut(Labelled) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| self.error("read", error);
        let mut query = self
            .connection
            .prepare(
                "SELECT labels.id, labels.recording_id, class, start_s, end_s, judgement, source,
                        created_at, score, low_hz, high_hz, content_hash
                 FROM labels JOIN recordings ON recordings.id = labels.recording_id
                 JOIN recording_vectors AS pooled
                     ON pooled.recording_id = labels.recording_id AND pooled.model_id = ?1
                 WHERE substr(source, 1, length(?2)) <> ?2
                 ORDER BY labels.recording_id, labels.id",
            )
            .map_err(failed)?;
        let mut rows = query.query(rusqlite::params![model, MACHINE]).map_err(failed)?;
        let mut current: Option<Labelled> = None;
        while let Some(row) = rows.next().map_err(failed)? {
            let (label, content_hash) = read(row).map_err(failed)?;
            match &mut current {
                Some(labelled) if labelled.recording == label.recording => {
                    labelled.labels.push(label);
                }
                _ => {
                    let recording = label.recording;
                    let next = Labelled { recording, content_hash, labels: vec![label] };
                    if let Some(done) = current.replace(next) {
                        visit(done)?;
                    }
                }
            }
        }
        current.map_or(Ok(()), visit)
    }

    /// The value of the metadata `key` of every recording that has it.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn metadata_column(&self, key: &str) -> Result<BTreeMap<i64, MetadataValue>> {
        let list = || -> rusqlite::Result<BTreeMap<i64, MetadataValue>> {
            self.connection
                .prepare("SELECT recording_id, value FROM metadata WHERE key = ?1")?
                .query_map([key], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }

    /// BLAKE3 of the content of every recording that `model` embedded, by id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn content_hashes(&self, model: i64) -> Result<BTreeMap<i64, [u8; 32]>> {
        let list = || -> rusqlite::Result<BTreeMap<i64, [u8; 32]>> {
            self.connection
                .prepare(
                    "SELECT id, content_hash FROM recordings
                     JOIN recording_vectors ON recording_id = id WHERE model_id = ?1",
                )?
                .query_map([model], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<(StoredLabel, [u8; 32])> {
    Ok((read_label(row)?, row.get(11)?))
}
