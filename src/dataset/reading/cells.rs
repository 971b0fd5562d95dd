//! The cells of one batch of rows.
//!
//! In: a record batch. Out: rows. Refuses columns of other types than are written, and cells that are
//! empty where their row's kind has a value.

use std::path::{Component, Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, FixedSizeListArray, ListArray,
    PrimitiveArray, RecordBatch, StringArray, StructArray,
};

use super::super::columns::{FAILURE, RECORDING, SEGMENT};
use super::super::header::Header;
use super::super::rows::{
    FailureRow, Metadata, RecordingRow, Row, Scores, SegmentRow, health_of_name, metadata_of,
};
use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::segment::TimeRange;
use crate::dates::{Recorded, WallTime, Witness};
use crate::error::DatasetProblem;
use crate::objects::scheme_of;
use crate::store::recordings::FileStamp;
use crate::units::SampleRate;

type Found<T> = Result<T, DatasetProblem>;

/// A batch, column by column.
pub(super) struct Cells {
    count: usize,
    kind: StringArray,
    path: StringArray,
    path_bytes: BinaryArray,
    recording_id: PrimitiveArray<Int64Type>,
    segment: PrimitiveArray<Int32Type>,
    start_s: PrimitiveArray<Float64Type>,
    end_s: PrimitiveArray<Float64Type>,
    vector: FixedSizeListArray,
    classes: ListArray,
    health: StringArray,
    status: StringArray,
    segments: PrimitiveArray<Int32Type>,
    content_hash: FixedSizeBinaryArray,
    size_bytes: PrimitiveArray<Int64Type>,
    modified_ns: PrimitiveArray<Int64Type>,
    sample_rate: PrimitiveArray<Int32Type>,
    channels: PrimitiveArray<Int32Type>,
    codec: StringArray,
    recorded_at: StringArray,
    recorded_from: StringArray,
    metadata: StringArray,
    stage: StringArray,
    reason: StringArray,
    hint: StringArray,
}

/// The column called `name`, taken for what it should be.
fn column<T: Clone + 'static>(
    batch: &RecordBatch,
    name: &'static str,
    expected: &'static str,
) -> Found<T> {
    let found = |array: Option<&ArrayRef>| {
        array.map_or("missing".to_owned(), |array| array.data_type().to_string())
    };
    let array = batch.column_by_name(name);
    array
        .and_then(|array| array.as_any().downcast_ref::<T>())
        .cloned()
        .ok_or_else(|| DatasetProblem::Column { column: name, found: found(array), expected })
}

impl Cells {
    pub(super) fn new(batch: &RecordBatch, header: &Header) -> Found<Self> {
        let text = |name| column::<StringArray>(batch, name, "text");
        let whole = |name| column::<PrimitiveArray<Int32Type>>(batch, name, "int32");
        let long = |name| column::<PrimitiveArray<Int64Type>>(batch, name, "int64");
        let double = |name| column::<PrimitiveArray<Float64Type>>(batch, name, "float64");
        let vector: FixedSizeListArray =
            column(batch, "vector", "a list of a fixed length of float32 or float16")?;
        let length = usize::try_from(vector.value_length()).unwrap_or(0);
        let dimension = header.identity.dimension;
        if length != dimension {
            return Err(DatasetProblem::Column {
                column: "vector",
                found: format!("of {length} values where its metadata says {dimension}"),
                expected: "the model's dimension",
            });
        }
        Ok(Self {
            count: batch.num_rows(),
            kind: text("kind")?,
            path: text("path")?,
            path_bytes: column(batch, "path_bytes", "binary")?,
            recording_id: long("recording_id")?,
            segment: whole("segment")?,
            start_s: double("start_s")?,
            end_s: double("end_s")?,
            vector,
            classes: column(batch, "classes", "a list of index, name and score")?,
            health: text("health")?,
            status: text("status")?,
            segments: whole("segments")?,
            content_hash: column(batch, "content_hash", "32 bytes")?,
            size_bytes: long("size_bytes")?,
            modified_ns: long("modified_ns")?,
            sample_rate: whole("sample_rate")?,
            channels: whole("channels")?,
            codec: text("codec")?,
            recorded_at: text("recorded_at")?,
            recorded_from: text("recorded_from")?,
            metadata: text("metadata")?,
            stage: text("stage")?,
            reason: text("reason")?,
            hint: text("hint")?,
        })
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The id of row `index`'s recording.
    pub(super) fn recording_id(&self, index: usize) -> Option<i64> {
        self.recording_id.is_valid(index).then(|| self.recording_id.value(index))
    }

    /// Row `index`, which is number `number` in its file.
    pub(super) fn row(&self, index: usize, number: u64, header: &Header) -> Found<Row> {
        let at = At { index, number };
        match at.text(&self.kind, "kind")? {
            RECORDING => self.recording(at, header).map(Row::Recording),
            SEGMENT => self.segment(at, header).map(Row::Segment),
            FAILURE => self.failure(at).map(Row::Failure),
            other => Err(at.wrong("kind", other, "recording, segment or failure")),
        }
    }

    fn recording(&self, at: At, header: &Header) -> Found<RecordingRow> {
        let status = at.text(&self.status, "status")?;
        let rate = at.number(&self.sample_rate, "sample_rate")?;
        let channels = at.number(&self.channels, "channels")?;
        let segments = at.number(&self.segments, "segments")?;
        let duration_s = at.number(&self.end_s, "end_s")?;
        if !(duration_s.is_finite() && duration_s > 0.0) {
            return Err(at.wrong("end_s", &duration_s.to_string(), "seconds above 0"));
        }
        let mut content_hash = [0; 32];
        match self.content_hash.is_valid(at.index).then(|| self.content_hash.value(at.index)) {
            Some(bytes) if bytes.len() == 32 => content_hash.copy_from_slice(bytes),
            _ => return Err(at.wrong("content_hash", "nothing", "32 bytes")),
        }
        let path = path_of(at, &self.path, &self.path_bytes)?;
        if !names_a_recording(&path) {
            let found = path.display().to_string();
            return Err(at.wrong("path", &found, "an absolute path without `..`, or an address"));
        }
        Ok(RecordingRow {
            path,
            content_hash,
            stamp: self.stamp(at).ok_or_else(|| at.wrong("size_bytes", "nothing", "bytes"))?,
            format: StreamFormat {
                sample_rate: u32::try_from(rate)
                    .ok()
                    .and_then(SampleRate::new)
                    .ok_or_else(|| at.wrong("sample_rate", &rate.to_string(), "a sample rate"))?,
                channels: u16::try_from(channels)
                    .ok()
                    .filter(|&channels| channels > 0)
                    .ok_or_else(|| at.wrong("channels", &channels.to_string(), "channels"))?,
                codec: at.text(&self.codec, "codec")?.to_owned(),
            },
            duration_s,
            integrity: [Integrity::Ok, Integrity::Truncated, Integrity::Damaged]
                .into_iter()
                .find(|integrity| integrity.to_string() == status)
                .ok_or_else(|| at.wrong("status", status, "ok, truncated or damaged"))?,
            recorded: self.recorded(at)?,
            metadata: self.metadata(at)?,
            segments: u32::try_from(segments)
                .ok()
                .filter(|&segments| segments > 0)
                .ok_or_else(|| at.wrong("segments", &segments.to_string(), "a count above 0"))?,
            vector: self.vector(at)?,
            scores: self.scores(at, header)?,
        })
    }

    fn segment(&self, at: At, header: &Header) -> Found<SegmentRow> {
        let index = at.number(&self.segment, "segment")?;
        let start_s = at.number(&self.start_s, "start_s")?;
        let end_s = at.number(&self.end_s, "end_s")?;
        if !(start_s >= 0.0 && end_s > start_s && end_s.is_finite()) {
            return Err(at.wrong("end_s", &end_s.to_string(), "seconds behind start_s"));
        }
        let health = at.text(&self.health, "health")?;
        Ok(SegmentRow {
            index: u32::try_from(index)
                .map_err(|_| at.wrong("segment", &index.to_string(), "a number from 0 on"))?,
            range: TimeRange { start_s, end_s },
            vector: self.vector(at)?,
            scores: self.scores(at, header)?,
            health: health_of_name(health)
                .ok_or_else(|| at.wrong("health", health, "sound, or what is wrong with it"))?,
        })
    }

    fn failure(&self, at: At) -> Found<FailureRow> {
        Ok(FailureRow {
            path: path_of(at, &self.path, &self.path_bytes)?,
            stamp: self.stamp(at),
            stage: at.text(&self.stage, "stage")?.to_owned(),
            reason: at.text(&self.reason, "reason")?.to_owned(),
            hint: at.maybe_text(&self.hint).map(str::to_owned),
            metadata: self.metadata(at)?,
        })
    }

    fn stamp(&self, at: At) -> Option<FileStamp> {
        let is_there = self.size_bytes.is_valid(at.index) && self.modified_ns.is_valid(at.index);
        is_there.then(|| FileStamp {
            size_bytes: self.size_bytes.value(at.index).cast_unsigned(),
            modified_ns: self.modified_ns.value(at.index),
        })
    }

    fn recorded(&self, at: At) -> Found<Option<Recorded>> {
        let Some(time) = at.maybe_text(&self.recorded_at) else { return Ok(None) };
        let from = at.text(&self.recorded_from, "recorded_from")?;
        let when = WallTime::parse(time)
            .ok_or_else(|| at.wrong("recorded_at", time, "YYYY-MM-DDTHH:MM:SS"))?;
        let from = Witness::ALL
            .into_iter()
            .find(|witness| witness.as_str() == from)
            .ok_or_else(|| at.wrong("recorded_from", from, "bext, guano, tag or name"))?;
        Ok(Some(Recorded { at: when, from }))
    }

    fn metadata(&self, at: At) -> Found<Metadata> {
        let Some(text) = at.maybe_text(&self.metadata) else { return Ok(Metadata::new()) };
        serde_json::from_str(text)
            .map_err(|error| error.to_string())
            .and_then(|object| metadata_of(&object))
            .map_err(|found| at.wrong("metadata", &found, "an object of JSON"))
    }

    fn vector(&self, at: At) -> Found<Vec<f32>> {
        let nothing = || at.wrong("vector", "nothing", "a vector");
        if !self.vector.is_valid(at.index) {
            return Err(nothing());
        }
        let values = self.vector.value(at.index);
        if values.null_count() > 0 {
            return Err(nothing());
        }
        if let Some(single) = values.as_primitive_opt::<Float32Type>() {
            return Ok(single.values().to_vec());
        }
        if let Some(half) = values.as_primitive_opt::<Float16Type>() {
            return Ok(half.values().iter().map(|value| value.to_f32()).collect());
        }
        Err(DatasetProblem::Column {
            column: "vector",
            found: format!("a list of {}", values.data_type()),
            expected: "a list of float32 or float16",
        })
    }

    fn scores(&self, at: At, header: &Header) -> Found<Scores> {
        if !self.classes.is_valid(at.index) {
            return Ok(Scores::new());
        }
        let list = self.classes.value(at.index);
        let other = || DatasetProblem::Column {
            column: "classes",
            found: list.data_type().to_string(),
            expected: "a list of index, name and score",
        };
        let list = list.as_any().downcast_ref::<StructArray>().ok_or_else(other)?;
        let indices = list
            .column_by_name("index")
            .and_then(|array| array.as_primitive_opt::<Int32Type>())
            .ok_or_else(other)?;
        let scores = list
            .column_by_name("score")
            .and_then(|array| array.as_primitive_opt::<Float32Type>())
            .ok_or_else(other)?;
        let both = indices.values().iter().zip(scores.values());
        both.map(|(&index, &score)| {
            let class = u32::try_from(index).ok().filter(|&class| {
                usize::try_from(class).is_ok_and(|class| class < header.classes.len())
            });
            let class = class
                .ok_or_else(|| at.wrong("classes", &index.to_string(), "a class of the model"))?;
            if !(0.0..=1.0).contains(&score) {
                return Err(at.wrong("classes", &score.to_string(), "a score from 0 to 1"));
            }
            Ok((class, score))
        })
        .collect()
    }
}

/// A row.
#[derive(Clone, Copy)]
struct At {
    index: usize,
    number: u64,
}

impl At {
    fn text<'a>(self, array: &'a StringArray, column: &'static str) -> Found<&'a str> {
        self.maybe_text(array).ok_or_else(|| self.wrong(column, "nothing", "a text"))
    }

    fn maybe_text(self, array: &StringArray) -> Option<&str> {
        array.is_valid(self.index).then(|| array.value(self.index))
    }

    fn number<T: arrow_array::ArrowPrimitiveType>(
        self,
        array: &PrimitiveArray<T>,
        column: &'static str,
    ) -> Found<T::Native> {
        if array.is_valid(self.index) {
            return Ok(array.value(self.index));
        }
        Err(self.wrong(column, "nothing", "a number"))
    }

    fn wrong(self, column: &'static str, found: &str, expected: &'static str) -> DatasetProblem {
        DatasetProblem::Cell { row: self.number, column, found: format!("`{found}`"), expected }
    }
}

fn path_of(at: At, path: &StringArray, bytes: &BinaryArray) -> Found<PathBuf> {
    let text = at.text(path, "path")?;
    let bytes = bytes.is_valid(at.index).then(|| bytes.value(at.index));
    Ok(bytes.and_then(path_from_bytes).unwrap_or_else(|| PathBuf::from(text)))
}

/// Whether `path` is as sonoteca writes them: absolute and without detours, or an address. A
/// library would take another one for a place on this machine that nobody meant.
fn names_a_recording(path: &Path) -> bool {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return false;
    }
    match scheme_of(path) {
        Some(scheme) => !scheme.eq_ignore_ascii_case("file"),
        None => path.is_absolute() && !path.components().any(|part| part == Component::ParentDir),
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "fails on other systems")]
fn path_from_bytes(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn path_from_bytes(bytes: &[u8]) -> Option<PathBuf> {
    str::from_utf8(bytes).ok().map(PathBuf::from)
}

/// Calls `visit` with the path of every recording and every failure in a batch of these columns,
/// and with whether it failed.
pub(super) fn for_each_path(
    batch: &RecordBatch,
    visit: &mut impl FnMut(PathBuf, bool),
) -> Found<()> {
    let kinds: StringArray = column(batch, "kind", "text")?;
    let paths: StringArray = column(batch, "path", "text")?;
    let bytes: BinaryArray = column(batch, "path_bytes", "binary")?;
    for index in 0..batch.num_rows() {
        let at = At { index, number: index as u64 };
        let kind = at.text(&kinds, "kind")?;
        if kind != SEGMENT {
            visit(path_of(at, &paths, &bytes)?, kind == FAILURE);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_have_absolute_paths_or_addresses() {
        for (path, is_one) in [
            ("/a/b.wav", true),
            ("s3://bucket/a b.wav", true),
            ("", false),
            ("a.wav", false),
            ("../a.wav", false),
            ("/a/../b.wav", false),
            ("/a\0.wav", false),
            ("file:///a.wav", false),
        ] {
            assert_eq!(names_a_recording(Path::new(path)), is_one, "{path}");
        }
    }
}
