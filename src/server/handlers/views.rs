//! Rows as they are sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sonoteca::Result;
use sonoteca::audio::segment::TimeRange;
use sonoteca::store::Library;
use sonoteca::store::labels::{Judgement, StoredLabel};
use sonoteca::store::metadata::MetadataValue;
use sonoteca::store::recordings::{ClassScore, StoredRecording};
use utoipa::ToSchema;

use crate::server::roots::Folders;

/// A class that a network hears.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct Class {
    /// Its name.
    pub(super) class: String,
    /// From 0 to 1.
    pub(super) score: f64,
}

impl Class {
    pub(super) fn all(classes: Vec<ClassScore>) -> Vec<Self> {
        classes.into_iter().map(|one| Self { class: one.name, score: one.score }).collect()
    }
}

/// A recording of the library.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct Recording {
    id: i64,
    /// From the folder on that all recordings lie in; the whole path, where there is none.
    path: String,
    /// The file's name.
    name: String,
    duration_s: f64,
    sample_rate: u32,
    channels: u16,
    codec: String,
    /// `ok`, `truncated` or `damaged`.
    status: String,
    /// When it was made: local time.
    recorded: Option<String>,
    /// What people know of it.
    #[schema(value_type = BTreeMap<String, Object>)]
    metadata: BTreeMap<String, serde_json::Value>,
}

impl Recording {
    pub(super) fn new(
        library: &Library,
        folders: &Folders,
        recording: StoredRecording,
    ) -> Result<Self> {
        let metadata = library.metadata(recording.id)?.into_iter();
        Ok(Self {
            path: folders.shown(&recording.path),
            name: name_of(&recording),
            recorded: library.date(recording.id)?.map(|date| date.at),
            metadata: metadata.map(|(key, value)| (key, json(value))).collect(),
            id: recording.id,
            duration_s: recording.duration_s,
            sample_rate: recording.sample_rate,
            channels: recording.channels,
            codec: recording.codec,
            status: recording.status,
        })
    }
}

/// The name of a recording's file.
pub(super) fn name_of(recording: &StoredRecording) -> String {
    recording.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn json(value: MetadataValue) -> serde_json::Value {
    match value {
        MetadataValue::Integer(number) => number.into(),
        MetadataValue::Real(number) => number.into(),
        MetadataValue::Text(text) => text.into(),
    }
}

/// What a label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum Kind {
    /// It is there.
    Positive,
    /// It is not.
    Negative,
    /// Hard to say.
    Unsure,
}

impl From<Kind> for Judgement {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Positive => Self::Positive,
            Kind::Negative => Self::Negative,
            Kind::Unsure => Self::Unsure,
        }
    }
}

impl From<Judgement> for Kind {
    fn from(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Positive => Self::Positive,
            Judgement::Negative => Self::Negative,
            Judgement::Unsure => Self::Unsure,
        }
    }
}

/// What somebody says of a recording, or of a stretch of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct Label {
    id: i64,
    recording_id: i64,
    class: String,
    /// Null: all of the recording.
    start_s: Option<f64>,
    end_s: Option<f64>,
    kind: Kind,
    /// Who says so; of heads, `head:` and the name.
    source: String,
    /// When: RFC 3339, UTC.
    created: String,
    /// How sure the head is.
    score: Option<f64>,
}

impl From<StoredLabel> for Label {
    fn from(label: StoredLabel) -> Self {
        Self {
            id: label.id,
            recording_id: label.recording,
            class: label.class,
            start_s: label.range.map(|range| range.start_s),
            end_s: label.range.map(|range| range.end_s),
            kind: label.judgement.into(),
            source: label.source,
            created: label.created_at,
            score: label.score,
        }
    }
}

impl Label {
    /// Whether it is of something within `range`.
    pub(super) fn touches(label: &StoredLabel, range: TimeRange) -> bool {
        label.range.is_none_or(|own| own.start_s < range.end_s && range.start_s < own.end_s)
    }
}
