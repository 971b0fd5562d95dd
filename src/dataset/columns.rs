//! The columns of a dataset, and batches of rows in them.
//!
//! In: rows. Out: a schema, and record batches of bounded size. `docs/scale.md` says what each column
//! means.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, FixedSizeBinaryBuilder, FixedSizeListBuilder, Float16Builder, Float32Builder,
    Float64Builder, Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use half::f16;

use super::header::Header;
use super::ids::{SegmentIds, recording_id};
use super::rows::{FailureRow, RecordingRow, Scores, SegmentRow, health_name, metadata_text};
use crate::store::recordings::FileStamp;
use crate::store::vector::Precision;

/// What `kind` says.
pub(super) const RECORDING: &str = "recording";
pub(super) const SEGMENT: &str = "segment";
pub(super) const FAILURE: &str = "failure";

/// What `status` says of a failure.
const FAILED: &str = "failed";

/// Values of vectors that a batch collects: a megabyte of float32.
const BATCH_VALUES: usize = 1 << 18;
/// Rows that a batch collects, where vectors are short.
const BATCH_ROWS: usize = 4_096;

/// The name of a list's values, as the Parquet format wants it.
const ELEMENT: &str = "element";

/// The path of the vectors' values among a file's columns.
pub(super) const VECTOR_VALUES: [&str; 3] = ["vector", "list", ELEMENT];

fn value_type(vectors: Precision) -> DataType {
    match vectors {
        Precision::Single => DataType::Float32,
        Precision::Half => DataType::Float16,
    }
}

fn class_fields() -> Fields {
    Fields::from(vec![
        Field::new("index", DataType::Int32, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("score", DataType::Float32, false),
    ])
}

/// The columns of a dataset whose header is `header`.
pub(super) fn schema(header: &Header) -> SchemaRef {
    let element = Field::new(ELEMENT, value_type(header.vectors), false);
    let length = i32::try_from(header.identity.dimension).unwrap_or(i32::MAX);
    let class = Field::new(ELEMENT, DataType::Struct(class_fields()), false);
    let column = |name: &str, kind: DataType| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        Field::new("kind", DataType::Utf8, false),
        Field::new("model", DataType::Utf8, false),
        column("recording_id", DataType::Int64),
        column("segment_id", DataType::Int64),
        Field::new("path", DataType::Utf8, false),
        column("path_bytes", DataType::Binary),
        column("segment", DataType::Int32),
        column("start_s", DataType::Float64),
        column("end_s", DataType::Float64),
        column("vector", DataType::FixedSizeList(Arc::new(element), length)),
        column("classes", DataType::List(Arc::new(class))),
        column("health", DataType::Utf8),
        Field::new("status", DataType::Utf8, false),
        column("segments", DataType::Int32),
        column("content_hash", DataType::FixedSizeBinary(32)),
        column("size_bytes", DataType::Int64),
        column("modified_ns", DataType::Int64),
        column("sample_rate", DataType::Int32),
        column("channels", DataType::Int32),
        column("codec", DataType::Utf8),
        column("recorded_at", DataType::Utf8),
        column("recorded_from", DataType::Utf8),
        column("metadata", DataType::Utf8),
        column("stage", DataType::Utf8),
        column("reason", DataType::Utf8),
        column("hint", DataType::Utf8),
    ]))
}

/// Vectors of either precision.
enum Vectors {
    Single(FixedSizeListBuilder<Float32Builder>),
    Half(FixedSizeListBuilder<Float16Builder>),
}

/// Rows on their way into a record batch.
pub(super) struct Columns {
    schema: SchemaRef,
    model: String,
    classes: Vec<String>,
    dimension: usize,
    rows: usize,
    kind: StringBuilder,
    model_of: StringBuilder,
    recording_id: Int64Builder,
    segment_id: Int64Builder,
    path: StringBuilder,
    path_bytes: BinaryBuilder,
    segment: Int32Builder,
    start_s: Float64Builder,
    end_s: Float64Builder,
    vector: Vectors,
    scores: ListBuilder<StructBuilder>,
    health: StringBuilder,
    status: StringBuilder,
    segments: Int32Builder,
    content_hash: FixedSizeBinaryBuilder,
    size_bytes: Int64Builder,
    modified_ns: Int64Builder,
    sample_rate: Int32Builder,
    channels: Int32Builder,
    codec: StringBuilder,
    recorded_at: StringBuilder,
    recorded_from: StringBuilder,
    metadata: StringBuilder,
    stage: StringBuilder,
    reason: StringBuilder,
    hint: StringBuilder,
}

/// What a row says of its recording's file and of its failure, where it says it.
#[derive(Default)]
struct Rest<'a> {
    recording: Option<&'a RecordingRow>,
    failure: Option<&'a FailureRow>,
}

impl Columns {
    pub(super) fn new(header: &Header) -> Self {
        let dimension = header.identity.dimension;
        let length = i32::try_from(dimension).unwrap_or(i32::MAX);
        let element = Field::new(ELEMENT, value_type(header.vectors), false);
        let vector = match header.vectors {
            Precision::Single => Vectors::Single(
                FixedSizeListBuilder::new(Float32Builder::new(), length).with_field(element),
            ),
            Precision::Half => Vectors::Half(
                FixedSizeListBuilder::new(Float16Builder::new(), length).with_field(element),
            ),
        };
        let class = Field::new(ELEMENT, DataType::Struct(class_fields()), false);
        let class_builders = StructBuilder::from_fields(class_fields(), 0);
        Self {
            schema: schema(header),
            model: header.model(),
            classes: header.classes.clone(),
            dimension,
            rows: 0,
            kind: StringBuilder::new(),
            model_of: StringBuilder::new(),
            recording_id: Int64Builder::new(),
            segment_id: Int64Builder::new(),
            path: StringBuilder::new(),
            path_bytes: BinaryBuilder::new(),
            segment: Int32Builder::new(),
            start_s: Float64Builder::new(),
            end_s: Float64Builder::new(),
            vector,
            scores: ListBuilder::new(class_builders).with_field(class),
            health: StringBuilder::new(),
            status: StringBuilder::new(),
            segments: Int32Builder::new(),
            content_hash: FixedSizeBinaryBuilder::new(32),
            size_bytes: Int64Builder::new(),
            modified_ns: Int64Builder::new(),
            sample_rate: Int32Builder::new(),
            channels: Int32Builder::new(),
            codec: StringBuilder::new(),
            recorded_at: StringBuilder::new(),
            recorded_from: StringBuilder::new(),
            metadata: StringBuilder::new(),
            stage: StringBuilder::new(),
            reason: StringBuilder::new(),
            hint: StringBuilder::new(),
        }
    }

    /// Whether there is enough for a batch.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.rows * self.dimension >= BATCH_VALUES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(super) fn push_recording(&mut self, row: &RecordingRow) -> Result<(), ArrowError> {
        self.push_place(RECORDING, &row.path, &row.integrity.to_string());
        self.recording_id.append_value(recording_id(&row.content_hash));
        self.segment_id.append_null();
        self.segment.append_null();
        self.start_s.append_value(0.0);
        self.end_s.append_value(row.duration_s);
        self.push_vector(&row.vector, &row.scores)?;
        self.health.append_null();
        self.push_rest(&Rest { recording: Some(row), failure: None })
    }

    pub(super) fn push_segment(
        &mut self,
        recording: &RecordingRow,
        ids: &SegmentIds,
        row: &SegmentRow,
    ) -> Result<(), ArrowError> {
        self.push_place(SEGMENT, &recording.path, &recording.integrity.to_string());
        self.recording_id.append_value(recording_id(&recording.content_hash));
        self.segment_id.append_value(ids.id(row.index));
        self.segment.append_value(row.index.cast_signed());
        self.start_s.append_value(row.range.start_s);
        self.end_s.append_value(row.range.end_s);
        self.push_vector(&row.vector, &row.scores)?;
        self.health.append_value(health_name(row.health));
        self.push_rest(&Rest::default())
    }

    pub(super) fn push_failure(&mut self, row: &FailureRow) -> Result<(), ArrowError> {
        self.push_place(FAILURE, &row.path, FAILED);
        self.recording_id.append_null();
        self.segment_id.append_null();
        self.segment.append_null();
        self.start_s.append_null();
        self.end_s.append_null();
        self.push_no_vector();
        self.health.append_null();
        self.push_rest(&Rest { recording: None, failure: Some(row) })
    }

    /// The rows so far as a batch; there are none afterwards.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let vector: ArrayRef = match &mut self.vector {
            Vectors::Single(builder) => Arc::new(builder.finish()),
            Vectors::Half(builder) => Arc::new(builder.finish()),
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.kind.finish()),
            Arc::new(self.model_of.finish()),
            Arc::new(self.recording_id.finish()),
            Arc::new(self.segment_id.finish()),
            Arc::new(self.path.finish()),
            Arc::new(self.path_bytes.finish()),
            Arc::new(self.segment.finish()),
            Arc::new(self.start_s.finish()),
            Arc::new(self.end_s.finish()),
            vector,
            Arc::new(self.scores.finish()),
            Arc::new(self.health.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.segments.finish()),
            Arc::new(self.content_hash.finish()),
            Arc::new(self.size_bytes.finish()),
            Arc::new(self.modified_ns.finish()),
            Arc::new(self.sample_rate.finish()),
            Arc::new(self.channels.finish()),
            Arc::new(self.codec.finish()),
            Arc::new(self.recorded_at.finish()),
            Arc::new(self.recorded_from.finish()),
            Arc::new(self.metadata.finish()),
            Arc::new(self.stage.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.hint.finish()),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    fn push_place(&mut self, kind: &str, path: &Path, status: &str) {
        self.rows += 1;
        self.kind.append_value(kind);
        self.model_of.append_value(&self.model);
        self.path.append_value(path.to_string_lossy());
        // Where the text is not all there is to it.
        let is_text = path.to_str().is_some();
        self.path_bytes.append_option((!is_text).then_some(path.as_os_str().as_encoded_bytes()));
        self.status.append_value(status);
    }

    fn push_vector(&mut self, vector: &[f32], scores: &Scores) -> Result<(), ArrowError> {
        if vector.len() != self.dimension {
            let (found, expected) = (vector.len(), self.dimension);
            let problem = format!("a vector of {found} values, expected {expected}");
            return Err(ArrowError::InvalidArgumentError(problem));
        }
        match &mut self.vector {
            Vectors::Single(builder) => {
                builder.values().append_slice(vector);
                builder.append(true);
            }
            Vectors::Half(builder) => {
                for &value in vector {
                    builder.values().append_value(f16::from_f32(value));
                }
                builder.append(true);
            }
        }
        for &(class, score) in scores {
            let name = usize::try_from(class).ok().and_then(|class| self.classes.get(class));
            let name = name.ok_or_else(|| {
                ArrowError::InvalidArgumentError(format!("a class {class} without a name"))
            })?;
            let classes = self.scores.values();
            // Their types are those of the fields that they were made of.
            if let Some(index) = classes.field_builder::<Int32Builder>(0) {
                index.append_value(class.cast_signed());
            }
            if let Some(names) = classes.field_builder::<StringBuilder>(1) {
                names.append_value(name);
            }
            if let Some(scores) = classes.field_builder::<Float32Builder>(2) {
                scores.append_value(score);
            }
            classes.append(true);
        }
        self.scores.append(true);
        Ok(())
    }

    fn push_no_vector(&mut self) {
        // A list of fixed length has values where it is null too.
        match &mut self.vector {
            Vectors::Single(builder) => {
                builder.values().append_value_n(0.0, self.dimension);
                builder.append(false);
            }
            Vectors::Half(builder) => {
                builder.values().append_value_n(f16::ZERO, self.dimension);
                builder.append(false);
            }
        }
        self.scores.append(false);
    }

    fn push_rest(&mut self, rest: &Rest<'_>) -> Result<(), ArrowError> {
        let recording = rest.recording;
        self.segments.append_option(recording.map(|row| row.segments.cast_signed()));
        match recording {
            Some(row) => self.content_hash.append_value(row.content_hash)?,
            None => self.content_hash.append_null(),
        }
        let stamp: Option<FileStamp> =
            recording.map(|row| row.stamp).or_else(|| rest.failure?.stamp);
        self.size_bytes.append_option(stamp.map(|stamp| stamp.size_bytes.cast_signed()));
        self.modified_ns.append_option(stamp.map(|stamp| stamp.modified_ns));
        let format = recording.map(|row| &row.format);
        let rate = format.map(|format| format.sample_rate.hertz().cast_signed());
        self.sample_rate.append_option(rate);
        self.channels.append_option(format.map(|format| i32::from(format.channels)));
        self.codec.append_option(format.map(|format| format.codec.as_str()));
        let recorded = recording.and_then(|row| row.recorded);
        self.recorded_at.append_option(recorded.map(|said| said.at.to_string()));
        self.recorded_from.append_option(recorded.map(|said| said.from.as_str()));
        let metadata = recording.map(|row| &row.metadata).or(rest.failure.map(|row| &row.metadata));
        self.metadata.append_option(metadata.and_then(metadata_text));
        self.stage.append_option(rest.failure.map(|row| row.stage.as_str()));
        self.reason.append_option(rest.failure.map(|row| row.reason.as_str()));
        self.hint.append_option(rest.failure.and_then(|row| row.hint.as_deref()));
        Ok(())
    }
}
