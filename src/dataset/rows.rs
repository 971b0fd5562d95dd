//! The rows of a dataset.
//!
//! In: what decoding and a network said of a file. Out: the same for whoever writes it
//! ([`RowWriter`]) or brings it into a library.

use std::path::PathBuf;

use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::health::Health;
use crate::audio::segment::TimeRange;
use crate::dates::Recorded;
use crate::error::Result;
use crate::store::metadata::MetadataValue;
use crate::store::recordings::FileStamp;

/// What people know of a recording, by key.
pub type Metadata = Vec<(String, MetadataValue)>;

/// Classes by their numbers and their scores, highest first.
pub type Scores = Vec<(u32, f32)>;

/// A recording, with its pooled vector.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingRow {
    /// Its absolute path, or its address.
    pub path: PathBuf,
    /// BLAKE3 of its content.
    pub content_hash: [u8; 32],
    /// What tells its file from an earlier one.
    pub stamp: FileStamp,
    /// What its header says.
    pub format: StreamFormat,
    /// Its length in seconds.
    pub duration_s: f64,
    /// How whole it is.
    pub integrity: Integrity,
    /// When it was made, and what says so.
    pub recorded: Option<Recorded>,
    /// What people know of it.
    pub metadata: Metadata,
    /// How many segments follow.
    pub segments: u32,
    /// The mean over all patches, `[dimension]`.
    pub vector: Vec<f32>,
    /// Its highest class scores.
    pub scores: Scores,
}

/// A segment of the recording before it.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentRow {
    /// Its number in the recording, counted from 0.
    pub index: u32,
    /// The stretch that it covers.
    pub range: TimeRange,
    /// Its vector, `[dimension]`.
    pub vector: Vec<f32>,
    /// Its highest class scores.
    pub scores: Scores,
    /// Whether it is fit to be searched.
    pub health: Health,
}

/// A file that gave nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureRow {
    /// Its absolute path, or its address; what the manifest says, where that is none.
    pub path: PathBuf,
    /// What it was like, if that could be found out.
    pub stamp: Option<FileStamp>,
    /// Where it failed, such as `decode`.
    pub stage: String,
    /// Why, in one line.
    pub reason: String,
    /// What to try.
    pub hint: Option<String>,
    /// What people know of it.
    pub metadata: Metadata,
}

/// A row of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A recording; its segments follow.
    Recording(RecordingRow),
    /// A segment of the last recording.
    Segment(SegmentRow),
    /// A failure.
    Failure(FailureRow),
}

/// Where rows go.
pub trait RowWriter {
    /// Writes a recording and its segments, as many as it says.
    ///
    /// # Errors
    /// What writing fails with, and what `segments` fail with.
    fn write_recording(
        &mut self,
        recording: &RecordingRow,
        segments: &mut dyn Iterator<Item = Result<SegmentRow>>,
    ) -> Result<()>;

    /// Writes a failure.
    ///
    /// # Errors
    /// What writing fails with.
    fn write_failure(&mut self, failure: &FailureRow) -> Result<()>;
}

/// The names of all that is wrong with a segment, or `sound`.
pub(super) fn health_name(health: Health) -> String {
    let kinds = Health::KINDS.into_iter().filter(|&(kind, _)| health.has(kind));
    let names: Vec<&str> = kinds.map(|(_, name)| name).collect();
    if names.is_empty() { "sound".to_owned() } else { names.join("+") }
}

/// The health of that name.
pub(super) fn health_of_name(name: &str) -> Option<Health> {
    if name == "sound" {
        return Some(Health::SOUND);
    }
    name.split('+').try_fold(Health::SOUND, |health, part| {
        let (kind, _) = Health::KINDS.into_iter().find(|&(_, name)| name == part)?;
        Some(health.and(kind))
    })
}

/// Metadata as an object of JSON; nothing, where there is none.
pub(super) fn metadata_text(metadata: &Metadata) -> Option<String> {
    if metadata.is_empty() {
        return None;
    }
    let object: serde_json::Map<String, serde_json::Value> =
        metadata.iter().map(|(key, value)| (key.clone(), json_of(value))).collect();
    Some(serde_json::Value::Object(object).to_string())
}

/// A piece of metadata in JSON.
pub(super) fn json_of(value: &MetadataValue) -> serde_json::Value {
    match value {
        MetadataValue::Integer(number) => (*number).into(),
        MetadataValue::Real(number) => (*number).into(),
        MetadataValue::Text(text) => text.as_str().into(),
    }
}

/// Metadata of an object of JSON: numbers stay numbers, truth values become texts, and what is
/// `null` is left out.
///
/// # Errors
/// What was found where a number or a text was expected.
pub fn metadata_of(
    object: &serde_json::Map<String, serde_json::Value>,
) -> std::result::Result<Metadata, String> {
    use serde_json::Value;
    let mut metadata = Vec::with_capacity(object.len());
    for (key, value) in object {
        if key.is_empty() {
            return Err("metadata without a name".to_owned());
        }
        let value = match value {
            Value::Null => continue,
            Value::Bool(truth) => MetadataValue::Text(truth.to_string()),
            Value::String(text) => MetadataValue::Text(text.clone()),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => MetadataValue::Integer(number),
                (None, Some(number)) if number.is_finite() => MetadataValue::Real(number),
                _ => return Err(format!("`{number}` for `{key}`, which no number holds")),
            },
            Value::Array(_) | Value::Object(_) => {
                return Err(format!(
                    "a list or an object for `{key}`, expected a number or a text"
                ));
            }
        };
        metadata.push((key.clone(), value));
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_has_names() {
        for bits in 0..16 {
            let health = Health::from_bits(bits);
            assert_eq!(health_of_name(&health_name(health)), Some(health));
        }
        assert_eq!(health_name(Health::SILENT.and(Health::CLIPPED)), "silent+clipped");
        assert_eq!(health_of_name("ill"), None);
    }

    #[test]
    fn metadata_keeps_its_kinds() {
        let text = r#"{"a":"7","b":7,"c":7.5,"d":null,"e":true}"#;
        let object = serde_json::from_str(text).unwrap();
        let metadata = metadata_of(&object).unwrap();
        let written = metadata_text(&metadata).unwrap();
        assert_eq!(written, r#"{"a":"7","b":7,"c":7.5,"e":"true"}"#);
        assert_eq!(metadata_of(&serde_json::from_str(&written).unwrap()).unwrap(), metadata);
        let object = serde_json::from_str(r#"{"a":[1]}"#).unwrap();
        assert!(metadata_of(&object).unwrap_err().contains("`a`"));
        assert_eq!(metadata_text(&Vec::new()), None);
    }
}
