//! Rows of a dataset as rows of a collection.
//!
//! In: recordings and segments. Out: cells, appended to [`Columns`]; and the keys of rows. Refuses vectors
//! without a direction only where they would be searched, and those that are no vectors of the model
//! at all.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::columns::{
    CHANNELS, CLASSES, CODEC, Columns, DURATION, END, FOLDER, HEALTH, KEY, METADATA, MODIFIED,
    MOST_TEXT_BYTES, NAME, NAME_BACKWARDS, NO_DATE, PATH, PATH_HEX, Partition, RATE, RECORDED,
    RECORDING, RECORDING_ID, SEGMENT, SEGMENTS, START, STATUS, WHOLE, class_key,
};
use super::names::{json_key, seconds_of, shown_number};
use crate::audio::health::Health;
use crate::dataset::ids::recording_id;
use crate::dataset::rows::{RecordingRow, Scores, SegmentRow};
use crate::dates::WallTime;
use crate::error::{Error, Result, VectorProblem};
use crate::index::metric::normalise;
use crate::store::dates::recorded_or_named;
use crate::store::metadata::MetadataValue;
use crate::store::scores;

/// A vector as it lies there.
pub(super) struct Unit {
    pub(super) values: Vec<f32>,
    /// 0 of what has no direction.
    pub(super) length: f32,
}

impl Unit {
    /// Of a vector of `what`.
    ///
    /// # Errors
    /// [`Error::Vector`] when it has another dimension, or a value that is no finite number.
    pub(super) fn new(vector: &[f32], dimension: usize, what: impl Fn() -> String) -> Result<Self> {
        let mut values = vector.to_vec();
        let squares: f64 = vector.iter().map(|&value| f64::from(value).powi(2)).sum();
        match normalise(&mut values, dimension) {
            #[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
            Ok(()) => Ok(Self { values, length: squares.sqrt() as f32 }),
            Err(VectorProblem::Zero) => Ok(Self { values, length: 0.0 }),
            Err(problem) => Err(Error::Vector { what: what(), problem }),
        }
    }
}

/// What all rows of one recording repeat.
pub(super) struct Shared {
    pub(super) key: i64,
    recording_id: i64,
    segments: i32,
    path: String,
    path_hex: String,
    name: String,
    name_backwards: String,
    folder: String,
    codec: String,
    status: String,
    duration_s: f64,
    sample_rate: f64,
    channels: f64,
    recorded: i64,
    modified_ns: i64,
    metadata: Map<String, Json>,
}

impl Shared {
    /// What `row` says.
    pub(super) fn new(row: &RecordingRow) -> Self {
        let whole = row.path.to_string_lossy();
        let (folder, name) = parts_of(&whole);
        let recorded = recorded_or_named(&row.path, row.recorded).map(|recorded| recorded.at);
        let recorded = recorded.or_else(|| WallTime::of_stamp(row.stamp.modified_ns));
        let path_hex = match row.path.to_str() {
            Some(_) => String::new(),
            None => hex(row.path.as_os_str().as_encoded_bytes()),
        };
        Self {
            key: recording_key(&row.path),
            recording_id: recording_id(&row.content_hash),
            segments: i32::try_from(row.segments).unwrap_or(i32::MAX),
            name_backwards: name.chars().rev().collect(),
            name: name.to_owned(),
            folder: folder.to_owned(),
            path: whole.into_owned(),
            path_hex,
            codec: row.format.codec.clone(),
            status: row.integrity.to_string(),
            duration_s: row.duration_s,
            sample_rate: f64::from(row.format.sample_rate.hertz()),
            channels: f64::from(row.format.channels),
            recorded: recorded.map_or(NO_DATE, WallTime::seconds),
            modified_ns: row.stamp.modified_ns,
            metadata: metadata(&row.metadata),
        }
    }

    fn put(&self, columns: &mut Columns) {
        columns.long(RECORDING, self.key);
        columns.long(RECORDING_ID, self.recording_id);
        columns.int(SEGMENTS, self.segments);
        columns.text(PATH, &self.path);
        columns.text(PATH_HEX, &self.path_hex);
        columns.text(NAME, &self.name);
        columns.text(NAME_BACKWARDS, &self.name_backwards);
        columns.text(FOLDER, &self.folder);
        columns.text(CODEC, &self.codec);
        columns.text(STATUS, &self.status);
        columns.double(DURATION, self.duration_s);
        columns.double(RATE, self.sample_rate);
        columns.double(CHANNELS, self.channels);
        columns.long(RECORDED, self.recorded);
        columns.long(MODIFIED, self.modified_ns);
        columns.json(METADATA, self.metadata.clone());
    }

    /// Appends the recording itself, in which there is something to be heard if its health says so.
    pub(super) fn put_recording(
        &self,
        row: &RecordingRow,
        (unit, health): (&Unit, Health),
        columns: &mut Columns,
    ) {
        columns.long(KEY, self.key);
        columns.int(SEGMENT, WHOLE);
        columns.double(START, 0.0);
        columns.double(END, row.duration_s);
        columns.int(HEALTH, i32::from(health.bits()));
        columns
            .json(CLASSES, classes(row.scores.iter().map(|&(c, s)| (i64::from(c), f64::from(s)))));
        self.put(columns);
        columns.vector(&unit.values, unit.length);
    }

    /// Appends one of its segments.
    pub(super) fn put_segment(&self, row: &SegmentRow, unit: &Unit, columns: &mut Columns) {
        columns.long(KEY, segment_key(self.key, row.index));
        columns.int(SEGMENT, i32::try_from(row.index).unwrap_or(i32::MAX));
        columns.double(START, row.range.start_s);
        columns.double(END, row.range.end_s);
        columns.int(HEALTH, i32::from(row.health.bits()));
        columns.json(CLASSES, classes(scores::decode(&scores::encode(&numbered(&row.scores)))));
        self.put(columns);
        columns.vector(&unit.values, unit.length);
    }

    /// What of it is longer than a column takes; nothing, where all fits.
    pub(super) fn too_long(&self) -> Option<usize> {
        Some(self.path.len().max(self.path_hex.len())).filter(|length| *length > MOST_TEXT_BYTES)
    }
}

/// Where a segment belongs.
pub(super) fn partition_of(health: Health, unit: &Unit) -> Partition {
    let is_fit = health == Health::SOUND && unit.length > 0.0;
    if is_fit { Partition::Segments } else { Partition::UnfitSegments }
}

/// The key of the recording at `path`. Among 10⁸ recordings the odds that any two have one are 1 in
/// 3,700.
pub(super) fn recording_key(path: &Path) -> i64 {
    let mut hasher = blake3::Hasher::new_derive_key("sonoteca 1: row of a recording");
    hasher.update(path.as_os_str().as_encoded_bytes());
    first_64_bits(&hasher)
}

/// The key of segment number `index` of the recording with the key `recording`.
pub(super) fn segment_key(recording: i64, index: u32) -> i64 {
    let mut hasher = blake3::Hasher::new_derive_key("sonoteca 1: row of a segment");
    hasher.update(&recording.to_le_bytes());
    hasher.update(&index.to_le_bytes());
    first_64_bits(&hasher)
}

fn first_64_bits(hasher: &blake3::Hasher) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    i64::from_le_bytes(bytes)
}

/// The folder and the name of a path, as filters understand them.
fn parts_of(path: &str) -> (&str, &str) {
    match path.rfind('/') {
        Some(0) => (&path[..1], &path[1..]),
        Some(place) => (&path[..place], &path[place + 1..]),
        None => ("", path),
    }
}

fn metadata(pieces: &[(String, MetadataValue)]) -> Map<String, Json> {
    let (mut numbers, mut texts, mut dates) = (Map::new(), Map::new(), Map::new());
    for (key, value) in pieces {
        let key = json_key(key);
        if let Some(seconds) = seconds_of(value) {
            dates.insert(key.clone(), seconds.into());
        }
        let text = match value {
            #[expect(clippy::cast_precision_loss, reason = "as the library compares them")]
            MetadataValue::Integer(number) => {
                numbers.insert(key.clone(), (*number as f64).into());
                number.to_string()
            }
            MetadataValue::Real(number) => {
                numbers.insert(key.clone(), (*number).into());
                shown_number(*number)
            }
            MetadataValue::Text(text) => text.clone(),
        };
        texts.insert(key, text.into());
    }
    [("n", numbers), ("t", texts), ("d", dates)]
        .into_iter()
        .filter(|(_, pieces)| !pieces.is_empty())
        .map(|(kind, pieces)| (kind.to_owned(), Json::Object(pieces)))
        .collect()
}

fn classes(scores: impl Iterator<Item = (i64, f64)>) -> Map<String, Json> {
    scores.map(|(class, score)| (class_key(class), score.into())).collect()
}

fn numbered(scores: &Scores) -> Vec<(usize, f32)> {
    let known =
        scores.iter().filter_map(|&(class, score)| Some((usize::try_from(class).ok()?, score)));
    known.collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        // Written down: rows of different years are to meet.
        let key = recording_key(Path::new("/data/a.wav"));
        assert_eq!((key, segment_key(key, 3)), (RECORDING_KEY, SEGMENT_KEY));
        assert_ne!(recording_key(Path::new("/data/b.wav")), key);
    }

    const RECORDING_KEY: i64 = -8_405_404_046_301_259_393;
    const SEGMENT_KEY: i64 = 7_232_539_872_983_139_851;

    #[test]
    fn vectors_are_told_apart() {
        let of = |vector: &[f32]| Unit::new(vector, 2, || "a test".to_owned());
        let unit = of(&[3.0, 4.0]).unwrap();
        assert!((unit.length - 5.0).abs() < 1e-6 && (unit.values[0] - 0.6).abs() < 1e-6);
        let zero = of(&[0.0, 0.0]).unwrap();
        assert_eq!(partition_of(Health::SOUND, &zero), Partition::UnfitSegments);
        assert_eq!(partition_of(Health::SILENT, &unit), Partition::UnfitSegments);
        assert_eq!(partition_of(Health::SOUND, &unit), Partition::Segments);
        assert!(of(&[f32::NAN, 0.0]).is_err() && of(&[1.0]).is_err());
    }

    #[test]
    fn metadata_are_kept_in_each_way_that_is_asked_for() {
        let kept = metadata(&[
            ("Site".to_owned(), MetadataValue::Text("Am See".to_owned())),
            ("depth".to_owned(), MetadataValue::Integer(3)),
            ("x y".to_owned(), MetadataValue::Real(0.5)),
            ("when".to_owned(), MetadataValue::Text("2024-05-01".to_owned())),
        ]);
        let text = Json::Object(kept).to_string();
        assert_eq!(
            text,
            r#"{"d":{"k_when":1714521600},"n":{"h_782079":0.5,"k_depth":3.0},"t":{"h_782079":"0.5","k_depth":"3","k_site":"Am See","k_when":"2024-05-01"}}"#
        );
    }

    #[test]
    fn paths_have_parts() {
        assert_eq!(parts_of("/a/b.wav"), ("/a", "b.wav"));
        assert_eq!(parts_of("/b.wav"), ("/", "b.wav"));
        assert_eq!(parts_of("b.wav"), ("", "b.wav"));
    }
}
