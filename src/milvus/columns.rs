//! The columns of a collection, and where its rows lie.
//!
//! In: cells, by name. Out: [`Columns`], as they are sent.
//!
//! A collection has four partitions, since a search in a partition needs no condition: `recordings`,
//! `segments`, and of both what no search should find, because it is silent, clipped, damaged or has no
//! direction (`silent_recordings`, `unfit_segments`). Milvus joins nothing, so that a segment repeats what
//! a filter may ask of its recording. A vector lies there at length one, beside the length that it had:
//! products are then cosines, and heads read it as it was.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

/// Where rows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Partition {
    /// Recordings that searches find.
    Recordings,
    /// Segments that searches find.
    Segments,
    /// Recordings in which nothing is to be heard.
    SilentRecordings,
    /// Segments that are silent, clipped or damaged.
    UnfitSegments,
}

impl Partition {
    pub(super) const ALL: [Self; 4] =
        [Self::Recordings, Self::Segments, Self::SilentRecordings, Self::UnfitSegments];
    /// Those of recordings.
    pub(super) const OF_RECORDINGS: [Self; 2] = [Self::Recordings, Self::SilentRecordings];
    /// Those of segments.
    pub(super) const OF_SEGMENTS: [Self; 2] = [Self::Segments, Self::UnfitSegments];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::Segments => "segments",
            Self::SilentRecordings => "silent_recordings",
            Self::UnfitSegments => "unfit_segments",
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Long,
    Int,
    Double,
    Float,
    Text,
    Json,
    Vector,
}

/// The key of a row: 64 bits of path and place.
pub(super) const KEY: &str = "key";
/// The key of the row's recording; of a recording its own.
pub(super) const RECORDING: &str = "recording";
/// The dataset's id of the recording: of its content.
pub(super) const RECORDING_ID: &str = "recording_id";
/// Number of a segment; [`WHOLE`] of a recording.
pub(super) const SEGMENT: &str = "segment";
/// How many segments the recording has.
pub(super) const SEGMENTS: &str = "segments";
pub(super) const START: &str = "start_s";
pub(super) const END: &str = "end_s";
/// As bits.
pub(super) const HEALTH: &str = "health";
pub(super) const PATH: &str = "path";
/// The bytes of a path that is not UTF-8, in hexadecimal.
pub(super) const PATH_HEX: &str = "path_hex";
pub(super) const NAME: &str = "name";
/// The name from its end on: texts can only be compared by how they begin.
pub(super) const NAME_BACKWARDS: &str = "name_backwards";
pub(super) const FOLDER: &str = "folder";
pub(super) const CODEC: &str = "codec";
pub(super) const STATUS: &str = "status";
pub(super) const DURATION: &str = "duration_s";
pub(super) const RATE: &str = "sample_rate";
pub(super) const CHANNELS: &str = "channels";
/// When it was recorded, in seconds of the clock on the wall since 1970; [`NO_DATE`].
pub(super) const RECORDED: &str = "recorded";
pub(super) const MODIFIED: &str = "modified_ns";
/// Metadata: `n` its numbers, `t` all of it as text, `d` its times, by key.
pub(super) const METADATA: &str = "metadata";
/// Class scores, by the class's number.
pub(super) const CLASSES: &str = "classes";
/// The vector's length before it became one.
pub(super) const LENGTH: &str = "length";
pub(super) const VECTOR: &str = "vector";

/// The columns, in the order in which they are sent.
pub(super) const COLUMNS: [(&str, Kind); 23] = [
    (KEY, Kind::Long),
    (RECORDING, Kind::Long),
    (RECORDING_ID, Kind::Long),
    (SEGMENT, Kind::Int),
    (SEGMENTS, Kind::Int),
    (START, Kind::Double),
    (END, Kind::Double),
    (HEALTH, Kind::Int),
    (PATH, Kind::Text),
    (PATH_HEX, Kind::Text),
    (NAME, Kind::Text),
    (NAME_BACKWARDS, Kind::Text),
    (FOLDER, Kind::Text),
    (CODEC, Kind::Text),
    (STATUS, Kind::Text),
    (DURATION, Kind::Double),
    (RATE, Kind::Double),
    (CHANNELS, Kind::Double),
    (RECORDED, Kind::Long),
    (MODIFIED, Kind::Long),
    (METADATA, Kind::Json),
    (CLASSES, Kind::Json),
    (LENGTH, Kind::Float),
];

/// The number of what is no segment.
pub(super) const WHOLE: i32 = -1;
/// Of what has no date; before all times.
pub(super) const NO_DATE: i64 = -1_000_000_000_000_000;
/// Bytes that a text may have: all that Milvus takes.
pub(super) const MOST_TEXT_BYTES: usize = 65_535;

/// The cells of one column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Longs(Vec<i64>),
    Ints(Vec<i32>),
    Doubles(Vec<f64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
    Jsons(Vec<Vec<u8>>),
}

/// Rows by columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Columns {
    by_name: HashMap<&'static str, Values>,
    /// The vectors, one behind another.
    pub(super) vectors: Vec<f32>,
    rows: usize,
}

impl Columns {
    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The cells of the column called `name`.
    pub(super) fn take(&mut self, name: &str) -> Option<Values> {
        self.by_name.remove(name)
    }

    pub(super) fn long(&mut self, name: &'static str, value: i64) {
        match self.by_name.entry(name).or_insert_with(|| Values::Longs(Vec::new())) {
            Values::Longs(values) => values.push(value),
            _ => debug_assert!(false, "a column has one kind"),
        }
    }

    pub(super) fn int(&mut self, name: &'static str, value: i32) {
        match self.by_name.entry(name).or_insert_with(|| Values::Ints(Vec::new())) {
            Values::Ints(values) => values.push(value),
            _ => debug_assert!(false, "a column has one kind"),
        }
    }

    pub(super) fn double(&mut self, name: &'static str, value: f64) {
        match self.by_name.entry(name).or_insert_with(|| Values::Doubles(Vec::new())) {
            Values::Doubles(values) => values.push(value),
            _ => debug_assert!(false, "a column has one kind"),
        }
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        match self.by_name.entry(name).or_insert_with(|| Values::Texts(Vec::new())) {
            Values::Texts(values) => values.push(value.to_owned()),
            _ => debug_assert!(false, "a column has one kind"),
        }
    }

    pub(super) fn json(&mut self, name: &'static str, value: Map<String, Json>) {
        match self.by_name.entry(name).or_insert_with(|| Values::Jsons(Vec::new())) {
            Values::Jsons(values) => values.push(Json::Object(value).to_string().into_bytes()),
            _ => debug_assert!(false, "a column has one kind"),
        }
    }

    /// A vector that is at length one already, or has none.
    pub(super) fn vector(&mut self, unit: &[f32], length: f32) {
        self.vectors.extend_from_slice(unit);
        match self.by_name.entry(LENGTH).or_insert_with(|| Values::Floats(Vec::new())) {
            Values::Floats(values) => values.push(length),
            _ => debug_assert!(false, "a column has one kind"),
        }
        self.rows += 1;
    }
}

/// The name of a class in [`CLASSES`].
pub(super) fn class_key(class: i64) -> String {
    format!("c{class}")
}

/// The number of the class that is called so in [`CLASSES`].
pub(super) fn class_of_key(key: &str) -> Option<usize> {
    key.strip_prefix('c')?.parse().ok()
}
