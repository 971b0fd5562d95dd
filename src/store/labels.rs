//! Table `labels`: what people, and programs that they trust, heard.
//!
//! In: a class, a stretch or the whole recording, and a judgement. Out: the same. Labels stay with
//! a recording when its file moves, and when its content changes: nobody's work is thrown away
//! unasked.

mod selecting;

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::{Library, NOW, Writer};
use crate::audio::segment::TimeRange;
use crate::case::folded;
use crate::error::Result;

pub(super) use selecting::spellings;
pub use selecting::{LabelClass, LabelOrder, LabelSelection};

/// How the sources of labels begin that heads wrote; nothing is learnt from these.
pub const MACHINE: &str = "head:";

/// What somebody says about a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// It is there.
    Positive,
    /// It is not.
    Negative,
    /// Hard to say.
    Unsure,
}

impl Judgement {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Positive, Self::Negative, Self::Unsure];

    /// Its word in the library.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Unsure => "unsure",
        }
    }
}

/// A label that is to be stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewLabel<'a> {
    /// The recording's row id.
    pub recording: i64,
    /// The class, by any name.
    pub class: &'a str,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
    /// What is said.
    pub judgement: Judgement,
    /// Who or what says so; of a machine, its name behind [`MACHINE`].
    pub source: &'a str,
    /// How sure it is, where it is a machine, in [0, 1].
    pub score: Option<f64>,
    /// The lowest and the highest frequency in hertz, where the label is of a spectrogram.
    pub band_hz: Option<(f64, f64)>,
}

/// What became of a label that is stored once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// It is new, and has this id.
    Added(i64),
    /// It was there.
    There,
    /// It was there, and its source has said something else since.
    Overruled,
}

/// A label of the library.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLabel {
    /// Row id; never given twice.
    pub id: i64,
    /// The recording's row id.
    pub recording: i64,
    /// The class.
    pub class: String,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
    /// What is said.
    pub judgement: Judgement,
    /// Who or what says so.
    pub source: String,
    /// When: RFC 3339, UTC.
    pub created_at: String,
    /// How sure the source is, where it is a machine, in [0, 1].
    pub score: Option<f64>,
    /// The lowest and the highest frequency in hertz, where the label is of a spectrogram.
    pub band_hz: Option<(f64, f64)>,
}

impl Writer<'_> {
    /// Stores a label; returns its id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), also for stretches without a length and classes
    /// without a name.
    pub fn add_label(&self, label: &NewLabel<'_>) -> Result<i64> {
        let sql = format!(
            "INSERT INTO labels
                 (recording_id, class, start_s, end_s, judgement, source, score, low_hz,
                  high_hz, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, {NOW})"
        );
        self.transaction
            .prepare_cached(&sql)
            .and_then(|mut insert| {
                insert.insert(params![
                    label.recording,
                    label.class,
                    label.range.map(|range| range.start_s),
                    label.range.map(|range| range.end_s),
                    label.judgement.as_str(),
                    label.source,
                    label.score,
                    label.band_hz.map(|(low, _)| low),
                    label.band_hz.map(|(_, high)| high)
                ])
            })
            .map_err(|error| self.error(error))
    }

    /// Stores a label of a file unless the source has said so before: the same recording, class,
    /// stretch and judgement. Where it has said something else since, nothing is stored either, and
    /// [`Once::Overruled`] leaves it to whoever knows the file's last word.
    ///
    /// # Errors
    /// As [`add_label`](Self::add_label).
    pub fn add_label_once(&self, label: &NewLabel<'_>) -> Result<Once> {
        let earlier = || -> rusqlite::Result<Vec<String>> {
            self.transaction
                .prepare_cached(
                    "SELECT judgement FROM labels INDEXED BY labels_of_recording
                     WHERE recording_id = ?1 AND start_s IS ?2 AND end_s IS ?3
                         AND lower_case(class) = ?4 AND source = ?5 ORDER BY id DESC",
                )?
                .query_map(
                    params![
                        label.recording,
                        label.range.map(|range| range.start_s),
                        label.range.map(|range| range.end_s),
                        folded(label.class),
                        label.source
                    ],
                    |row| row.get(0),
                )?
                .collect()
        };
        let earlier = earlier().map_err(|error| self.error(error))?;
        match earlier.iter().position(|word| word == label.judgement.as_str()) {
            None => self.add_label(label).map(Once::Added),
            Some(0) => Ok(Once::There),
            Some(_) => Ok(Once::Overruled),
        }
    }

    /// Stores a label that somebody gives now, unless that would say nothing: the source has said
    /// it, and nobody has said anything else of its class since, of a stretch that touches it. What
    /// heads say does not count. Returns its id if it is new.
    ///
    /// # Errors
    /// As [`add_label`](Self::add_label).
    pub fn say_label(&self, label: &NewLabel<'_>) -> Result<Option<i64>> {
        let is_there = self
            .transaction
            .prepare_cached(
                "SELECT 1 FROM labels AS own INDEXED BY labels_of_recording
                 WHERE own.recording_id = ?1 AND own.start_s IS ?2 AND own.end_s IS ?3
                     AND lower_case(own.class) = ?4 AND own.judgement = ?5 AND own.source = ?6
                     AND NOT EXISTS (
                         SELECT 1 FROM labels AS later INDEXED BY labels_of_recording
                         WHERE later.recording_id = ?1 AND later.id > own.id
                             AND lower_case(later.class) = ?4 AND later.judgement <> ?5
                             AND substr(later.source, 1, length(?7)) <> ?7
                             AND (later.start_s IS NULL OR ?2 IS NULL
                                  OR later.start_s < ?3 AND later.end_s > ?2))
                 LIMIT 1",
            )
            .and_then(|mut find| {
                find.exists(params![
                    label.recording,
                    label.range.map(|range| range.start_s),
                    label.range.map(|range| range.end_s),
                    folded(label.class),
                    label.judgement.as_str(),
                    label.source,
                    MACHINE
                ])
            })
            .map_err(|error| self.error(error))?;
        if is_there { Ok(None) } else { self.add_label(label).map(Some) }
    }

    /// Removes a label; whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn remove_label(&self, id: i64) -> Result<bool> {
        self.transaction
            .prepare_cached("DELETE FROM labels WHERE id = ?1")
            .and_then(|mut remove| remove.execute([id]))
            .map(|removed| removed > 0)
            .map_err(|error| self.error(error))
    }
}

impl Library {
    /// The labels of a recording, in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn labels(&self, recording: i64) -> Result<Vec<StoredLabel>> {
        let list = || -> rusqlite::Result<Vec<StoredLabel>> {
            self.connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM labels WHERE recording_id = ?1 ORDER BY id"
                ))?
                .query_map([recording], read_label)?
                .collect()
        };
        list().map_err(|error| self.error("read", error))
    }
}

/// What [`read_label`] reads.
const COLUMNS: &str = "id, recording_id, class, start_s, end_s, judgement, source, created_at,
     score, low_hz, high_hz";

pub(super) fn read_label(row: &Row<'_>) -> rusqlite::Result<StoredLabel> {
    let range: (Option<f64>, Option<f64>) = (row.get(3)?, row.get(4)?);
    let judgement: String = row.get(5)?;
    let band: (Option<f64>, Option<f64>) = (row.get(9)?, row.get(10)?);
    Ok(StoredLabel {
        id: row.get(0)?,
        recording: row.get(1)?,
        class: row.get(2)?,
        range: range.0.zip(range.1).map(|(start_s, end_s)| TimeRange { start_s, end_s }),
        // The column allows no other word.
        judgement: Judgement::ALL
            .into_iter()
            .find(|known| known.as_str() == judgement)
            .unwrap_or(Judgement::Unsure),
        source: row.get(6)?,
        created_at: row.get(7)?,
        score: row.get(8)?,
        band_hz: band.0.zip(band.1),
    })
}
