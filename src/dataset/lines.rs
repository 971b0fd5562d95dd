//! Rows as lines of JSON.
//!
//! In: rows. Out: an object a line, with the columns of a dataset as keys; what a row has not is left
//! out. Values of vectors are written so that float32 reads them back bit for bit.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::columns::{FAILURE, RECORDING, SEGMENT};
use super::header::{Header, hex};
use super::ids::{SegmentIds, recording_id};
use super::rows::{FailureRow, RecordingRow, RowWriter, Scores, SegmentRow, health_name, json_of};
use super::sums::Sums;
use crate::error::{Error, Result};

/// Writes rows as lines.
#[derive(Debug)]
pub struct LineWriter<W> {
    header: Header,
    output: W,
    sums: Sums,
}

impl<W: Write> LineWriter<W> {
    /// A writer of rows of `header` to `output`.
    pub fn new(header: Header, output: W) -> Self {
        Self { header, output, sums: Sums::default() }
    }

    /// Writes what is buffered; the output, and what went there.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn finish(mut self) -> Result<(W, Sums)> {
        self.output.flush().map_err(Error::Output)?;
        Ok((self.output, self.sums))
    }

    fn line(&mut self, row: &Map<String, Value>) -> Result<()> {
        serde_json::to_writer(&mut self.output, row)
            .map_err(|error| Error::Output(error.into()))?;
        self.output.write_all(b"\n").map_err(Error::Output)
    }

    fn row(&self, kind: &str, path: &Path) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("kind".to_owned(), kind.into());
        row.insert("model".to_owned(), self.header.model().into());
        row.insert("path".to_owned(), path.to_string_lossy().into());
        if path.to_str().is_none() {
            row.insert("path_hex".to_owned(), hex(path.as_os_str().as_encoded_bytes()).into());
        }
        row
    }

    fn put_vector(&self, row: &mut Map<String, Value>, vector: &[f32], scores: &Scores) {
        row.insert("vector".to_owned(), vector.iter().map(|&value| number(value)).collect());
        let class = |&(class, score): &(u32, f32)| {
            let name = usize::try_from(class).ok().and_then(|class| self.header.classes.get(class));
            json!({ "index": class, "name": name, "score": number(score) })
        };
        row.insert("classes".to_owned(), scores.iter().map(class).collect());
    }
}

/// The shortest digits that float32 reads back as `value`.
fn number(value: f32) -> Value {
    // By way of text: as float64 it would have digits that nobody asked for.
    let number = value.to_string().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}

impl<W: Write> RowWriter for LineWriter<W> {
    fn write_recording(
        &mut self,
        recording: &RecordingRow,
        segments: &mut dyn Iterator<Item = Result<SegmentRow>>,
    ) -> Result<()> {
        let id = recording_id(&recording.content_hash);
        let mut row = self.row(RECORDING, &recording.path);
        let format = &recording.format;
        for (key, value) in [
            ("recording_id", id.into()),
            ("start_s", 0.0.into()),
            ("end_s", recording.duration_s.into()),
            ("status", recording.integrity.to_string().into()),
            ("segments", recording.segments.into()),
            ("content_hash", hex(&recording.content_hash).into()),
            ("size_bytes", recording.stamp.size_bytes.into()),
            ("modified_ns", recording.stamp.modified_ns.into()),
            ("sample_rate", format.sample_rate.hertz().into()),
            ("channels", format.channels.into()),
            ("codec", format.codec.as_str().into()),
        ] {
            row.insert(key.to_owned(), value);
        }
        if let Some(recorded) = recording.recorded {
            row.insert("recorded_at".to_owned(), recorded.at.to_string().into());
            row.insert("recorded_from".to_owned(), recorded.from.as_str().into());
        }
        put_metadata(&mut row, &recording.metadata);
        self.put_vector(&mut row, &recording.vector, &recording.scores);
        self.sums.add_recording(recording);
        self.line(&row)?;
        let ids = SegmentIds::new(&self.header, &recording.content_hash);
        for segment in segments {
            let segment = segment?;
            let mut row = self.row(SEGMENT, &recording.path);
            for (key, value) in [
                ("recording_id", id.into()),
                ("segment_id", ids.id(segment.index).into()),
                ("segment", segment.index.into()),
                ("start_s", segment.range.start_s.into()),
                ("end_s", segment.range.end_s.into()),
                ("status", recording.integrity.to_string().into()),
                ("health", health_name(segment.health).into()),
            ] {
                row.insert(key.to_owned(), value);
            }
            self.put_vector(&mut row, &segment.vector, &segment.scores);
            self.sums.add_segment(recording, &segment);
            self.line(&row)?;
        }
        Ok(())
    }

    fn write_failure(&mut self, failure: &FailureRow) -> Result<()> {
        let mut row = self.row(FAILURE, &failure.path);
        row.insert("status".to_owned(), "failed".into());
        row.insert("stage".to_owned(), failure.stage.as_str().into());
        row.insert("reason".to_owned(), failure.reason.as_str().into());
        if let Some(hint) = &failure.hint {
            row.insert("hint".to_owned(), hint.as_str().into());
        }
        if let Some(stamp) = failure.stamp {
            row.insert("size_bytes".to_owned(), stamp.size_bytes.into());
            row.insert("modified_ns".to_owned(), stamp.modified_ns.into());
        }
        put_metadata(&mut row, &failure.metadata);
        self.sums.add_failure(failure);
        self.line(&row)
    }
}

fn put_metadata(row: &mut Map<String, Value>, metadata: &super::rows::Metadata) {
    if !metadata.is_empty() {
        let values = metadata.iter().map(|(key, value)| (key.clone(), json_of(value)));
        row.insert("metadata".to_owned(), Value::Object(values.collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact() {
        assert_eq!(number(0.1).to_string(), "0.1");
        assert_eq!(number(0.0).to_string(), "0.0");
        for bits in (0..u32::MAX).step_by(7_919_317) {
            let value = f32::from_bits(bits);
            if value.is_finite() {
                let read: f32 = number(value).to_string().parse().unwrap();
                assert_eq!(read.to_bits(), bits);
            }
        }
    }
}
