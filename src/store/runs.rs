//! Table `runs`: what embedded recordings, and how.
//!
//! In: the settings of a run of indexing. Out: its row id, which its recordings refer to.

use rusqlite::params;

use super::{Library, NOW, Writer};
use crate::error::Result;

/// A run that begins.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// Row id of its model.
    pub model: i64,
    /// What computes, such as `cpu`.
    pub device: &'a str,
    /// In which precision, such as `f32`.
    pub precision: &'a str,
}

/// How many recordings of a model were embedded in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precisions {
    /// The precision, such as `bf16`.
    pub precision: String,
    /// Recordings that were embedded with it.
    pub recordings: u64,
}

impl Writer<'_> {
    /// Notes that a run begins; returns its row id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn begin_run(&self, run: &NewRun<'_>) -> Result<i64> {
        self.begin(run, false)
    }

    /// Notes that a run begins that embeds nothing, but stores what was embedded elsewhere; returns
    /// its row id. Nobody has seen the files of its recordings here.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn begin_import(&self, run: &NewRun<'_>) -> Result<i64> {
        self.begin(run, true)
    }

    fn begin(&self, run: &NewRun<'_>, is_import: bool) -> Result<i64> {
        let version = env!("CARGO_PKG_VERSION");
        let sql = format!(
            "INSERT INTO runs (model_id, started_at, sonoteca_version, device, precision, imported)
             VALUES (?1, {NOW}, ?2, ?3, ?4, ?5)"
        );
        self.transaction
            .execute(&sql, params![run.model, version, run.device, run.precision, is_import])
            .map(|_| self.transaction.last_insert_rowid())
            .map_err(|error| self.error(error))
    }

    /// Notes that a run is over; one that embedded nothing leaves no row.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn finish_run(&self, run: i64) -> Result<()> {
        let finish = || -> rusqlite::Result<()> {
            let used: bool = self.transaction.query_row(
                "SELECT EXISTS (SELECT 1 FROM recording_vectors WHERE run_id = ?1)",
                [run],
                |row| row.get(0),
            )?;
            let sql = if used {
                format!("UPDATE runs SET finished_at = {NOW} WHERE id = ?1")
            } else {
                "DELETE FROM runs WHERE id = ?1".to_owned()
            };
            self.transaction.execute(&sql, [run]).map(drop)
        };
        finish().map_err(|error| self.error(error))
    }
}

impl Library {
    /// In which precisions the recordings of `model` were embedded; those of before precision was
    /// noted are float32.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn precisions(&self, model: i64) -> Result<Vec<Precisions>> {
        let list = || -> rusqlite::Result<Vec<Precisions>> {
            self.connection
                .prepare(
                    "SELECT coalesce(precision, 'f32'), count(*) FROM recording_vectors AS vectors
                     LEFT JOIN runs ON runs.id = run_id
                     WHERE vectors.model_id = ?1 GROUP BY 1 ORDER BY 2 DESC, 1",
                )?
                .query_map([model], |row| {
                    let recordings: i64 = row.get(1)?;
                    Ok(Precisions {
                        precision: row.get(0)?,
                        recordings: recordings.cast_unsigned(),
                    })
                })?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }
}
