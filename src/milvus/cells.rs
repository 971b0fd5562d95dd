//! What a server answers, as rows.
//!
//! In: cells by column. Out: [`Row`]s. Refuses answers without the columns that were asked for.

use std::collections::HashMap;
use std::path::PathBuf;

use super::columns::{
    CHANNELS, CLASSES, CODEC, DURATION, END, HEALTH, KEY, LENGTH, MODIFIED, PATH, PATH_HEX, RATE,
    RECORDING, RECORDING_ID, SEGMENT, SEGMENTS, START, STATUS, VECTOR, Values, WHOLE, class_of_key,
};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::error::MilvusProblem;
use crate::store::recordings::StoredRecording;

type Told<T> = Result<T, MilvusProblem>;

/// The columns that say where a row belongs.
pub(super) const PLACE: [&str; 6] = [KEY, RECORDING, SEGMENT, START, END, HEALTH];
/// The same, with what its vector is.
pub(super) const PLACE_AND_VECTOR: [&str; 8] =
    [KEY, RECORDING, SEGMENT, START, END, HEALTH, LENGTH, VECTOR];
/// All that is known of a row but its vector.
pub(super) const FACTS: [&str; 17] = [
    KEY,
    RECORDING,
    SEGMENT,
    START,
    END,
    HEALTH,
    RECORDING_ID,
    SEGMENTS,
    PATH,
    PATH_HEX,
    CODEC,
    STATUS,
    DURATION,
    RATE,
    CHANNELS,
    MODIFIED,
    CLASSES,
];
/// All of it.
pub(super) const FACTS_AND_VECTOR: [&str; 19] = [
    KEY,
    RECORDING,
    SEGMENT,
    START,
    END,
    HEALTH,
    RECORDING_ID,
    SEGMENTS,
    PATH,
    PATH_HEX,
    CODEC,
    STATUS,
    DURATION,
    RATE,
    CHANNELS,
    MODIFIED,
    CLASSES,
    LENGTH,
    VECTOR,
];

/// Cells by column.
#[derive(Debug, Default)]
pub(super) struct Cells {
    columns: HashMap<String, Values>,
}

/// A row, as far as it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) key: i64,
    /// The key of its recording.
    pub(super) recording: i64,
    /// Its number; `None` of a whole recording.
    pub(super) segment: Option<u32>,
    pub(super) range: TimeRange,
    pub(super) health: Health,
    pub(super) facts: Option<Facts>,
    /// At length one.
    pub(super) unit: Vec<f32>,
    /// The length that it had.
    pub(super) length: f32,
}

/// What is known of a row's recording, and the row's classes.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// With the dataset's id.
    pub(super) recording: StoredRecording,
    /// How many segments it has.
    pub(super) segments: u32,
    pub(super) modified_ns: i64,
    /// Numbers of classes and their scores, highest first.
    pub(super) classes: Vec<(usize, f64)>,
}

impl Row {
    /// The vector as it was.
    pub(super) fn vector(&self) -> Vec<f32> {
        self.unit.iter().map(|value| value * self.length).collect()
    }
}

impl Cells {
    pub(super) fn new(columns: HashMap<String, Values>) -> Self {
        Self { columns }
    }

    /// How many rows came.
    pub(super) fn count(&self) -> Told<usize> {
        Ok(self.longs(KEY)?.len())
    }

    fn of<'a, T>(
        &'a self,
        name: &str,
        kind: impl Fn(&'a Values) -> Option<&'a [T]>,
    ) -> Told<&'a [T]> {
        // Where nothing was found, some servers answer without any column.
        if self.columns.is_empty() {
            return Ok(&[]);
        }
        let column = self.columns.get(name);
        let answer = |found: &str| MilvusProblem::Answer {
            expected: format!("a column `{name}`"),
            found: found.to_owned(),
        };
        column
            .ok_or_else(|| answer("no such column"))
            .and_then(|column| kind(column).ok_or_else(|| answer("one of another type")))
    }

    pub(super) fn longs(&self, name: &str) -> Told<&[i64]> {
        self.of(name, |column| match column {
            Values::Longs(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    pub(super) fn ints(&self, name: &str) -> Told<&[i32]> {
        self.of(name, |column| match column {
            Values::Ints(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    fn doubles(&self, name: &str) -> Told<&[f64]> {
        self.of(name, |column| match column {
            Values::Doubles(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    fn floats(&self, name: &str) -> Told<&[f32]> {
        self.of(name, |column| match column {
            Values::Floats(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    fn texts(&self, name: &str) -> Told<&[String]> {
        self.of(name, |column| match column {
            Values::Texts(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    fn jsons(&self, name: &str) -> Told<&[Vec<u8>]> {
        self.of(name, |column| match column {
            Values::Jsons(values) => Some(values.as_slice()),
            _ => None,
        })
    }

    /// The rows: those of [`PLACE`] at least, with facts and vectors of `dimension` where they were asked
    /// for.
    pub(super) fn rows(&self, dimension: usize) -> Told<Vec<Row>> {
        let keys = self.longs(KEY)?;
        let (recordings, segments) = (self.longs(RECORDING)?, self.ints(SEGMENT)?);
        let (starts, ends) = (self.doubles(START)?, self.doubles(END)?);
        let healths = self.ints(HEALTH)?;
        let has_vectors = self.columns.contains_key(VECTOR);
        let (vectors, lengths) = if has_vectors {
            (self.floats(VECTOR)?, self.floats(LENGTH)?)
        } else {
            (&[][..], &[][..])
        };
        let mut facts = if self.columns.contains_key(PATH) {
            self.facts()?.into_iter().map(Some).collect()
        } else {
            vec![None; keys.len()]
        };
        let counts = [recordings.len(), segments.len(), starts.len(), ends.len(), healths.len()];
        let is_whole = counts.iter().chain([&facts.len()]).all(|count| *count == keys.len())
            && (!has_vectors
                || (vectors.len() == dimension * keys.len() && lengths.len() == keys.len()));
        if !is_whole {
            return Err(MilvusProblem::Answer {
                expected: format!("{} cells in each column", keys.len()),
                found: format!("{counts:?} of places and {} of vectors", vectors.len()),
            });
        }
        let row = |index: usize| Row {
            key: keys[index],
            recording: recordings[index],
            segment: (segments[index] != WHOLE).then_some(segments[index].cast_unsigned()),
            range: TimeRange { start_s: starts[index], end_s: ends[index] },
            health: Health::from_bits(u8::try_from(healths[index]).unwrap_or(0)),
            facts: facts[index].take(),
            unit: if has_vectors {
                vectors[index * dimension..][..dimension].to_vec()
            } else {
                Vec::new()
            },
            length: lengths.get(index).copied().unwrap_or(0.0),
        };
        Ok((0..keys.len()).map(row).collect())
    }

    fn facts(&self) -> Told<Vec<Facts>> {
        let ids = self.longs(RECORDING_ID)?;
        let (paths, hexes) = (self.texts(PATH)?, self.texts(PATH_HEX)?);
        let (codecs, statuses) = (self.texts(CODEC)?, self.texts(STATUS)?);
        let (durations, rates) = (self.doubles(DURATION)?, self.doubles(RATE)?);
        let (channels, segments) = (self.doubles(CHANNELS)?, self.ints(SEGMENTS)?);
        let (modified, classes) = (self.longs(MODIFIED)?, self.jsons(CLASSES)?);
        let counts = [
            paths.len(),
            hexes.len(),
            codecs.len(),
            statuses.len(),
            durations.len(),
            rates.len(),
            channels.len(),
            segments.len(),
            modified.len(),
            classes.len(),
        ];
        if counts.iter().any(|count| *count != ids.len()) {
            return Err(MilvusProblem::Answer {
                expected: format!("{} cells in each column", ids.len()),
                found: format!("{counts:?}"),
            });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole numbers that were widened when they were written"
        )]
        let facts = |index: usize| Facts {
            recording: StoredRecording {
                id: ids[index],
                path: path_of(&paths[index], &hexes[index]),
                duration_s: durations[index],
                sample_rate: rates[index] as u32,
                channels: channels[index] as u16,
                codec: codecs[index].clone(),
                status: statuses[index].clone(),
            },
            segments: segments[index].max(0).cast_unsigned(),
            modified_ns: modified[index],
            classes: scores_of(&classes[index]),
        };
        Ok((0..ids.len()).map(facts).collect())
    }
}

/// A path of its text, or of its bytes where it is no text.
fn path_of(text: &str, hex: &str) -> PathBuf {
    let bytes: Option<Vec<u8>> = (!hex.is_empty() && hex.len().is_multiple_of(2))
        .then(|| {
            (0..hex.len())
                .step_by(2)
                .map(|place| u8::from_str_radix(hex.get(place..place + 2)?, 16).ok())
                .collect()
        })
        .flatten();
    match bytes {
        Some(bytes) => path_of_bytes(&bytes),
        None => PathBuf::from(text),
    }
}

#[cfg(unix)]
fn path_of_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

fn scores_of(json: &[u8]) -> Vec<(usize, f64)> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(json).unwrap_or_default();
    let mut scores: Vec<(usize, f64)> = object
        .iter()
        .filter_map(|(key, score)| Some((class_of_key(key)?, score.as_f64()?)))
        .collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_its_columns_is_refused() {
        assert!(Cells::default().rows(4).unwrap().is_empty());
        let longs = |name: &str| (name.to_owned(), Values::Longs(vec![7]));
        let cells = Cells::new([longs(KEY), longs(RECORDING)].into());
        let problem = cells.rows(4).unwrap_err().to_string();
        assert!(problem.contains("`segment`"), "{problem}");
        let cells = Cells::new([longs(KEY), longs(RECORDING), longs(SEGMENT)].into());
        let problem = cells.rows(4).unwrap_err().to_string();
        assert!(problem.contains("another type"), "{problem}");
    }

    #[test]
    fn paths_that_are_no_text_come_back() {
        assert_eq!(path_of("/a/\u{fffd}", "2f612fff"), path_of_bytes(b"/a/\xff"));
        assert_eq!(path_of("/a/b", ""), PathBuf::from("/a/b"));
    }

    #[test]
    fn scores_come_back_highest_first() {
        assert_eq!(scores_of(br#"{"c3":0.25,"c12":0.5,"x":1}"#), [(12, 0.5), (3, 0.25)]);
        assert_eq!(scores_of(b"nothing"), []);
    }
}
