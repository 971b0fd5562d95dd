//! A library's vectors as rows.
//!
//! In: a library, a model, and which of its recordings. Out: rows, a few segments at a time. Refuses
//! nothing that reading the library does not.

use super::Observer;
use super::header::Header;
use super::rows::{RecordingRow, RowWriter, Scores, SegmentRow};
use crate::audio::decode::{Integrity, StreamFormat};
use crate::dates::{Recorded, WallTime, Witness};
use crate::error::{Error, Result};
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::embedded::{EmbeddedRecording, EmbeddedSegment};
use crate::store::models::StoredModel;
use crate::store::vector::Precision;
use crate::units::SampleRate;

/// Segments that are read at once: a day has two hundred thousand.
const SEGMENTS_AT_ONCE: usize = 256;

/// What holds for all rows of `model`'s vectors in `library`.
///
/// # Errors
/// [`Error::Store`].
pub fn header_of(library: &Library, model: &StoredModel, vectors: Precision) -> Result<Header> {
    let usual = library.usual_compute(model.id)?;
    let (device, precision) = usual.unwrap_or_else(|| ("cpu".to_owned(), "f32".to_owned()));
    // Their numbers are their places: so they were stored.
    let names = library.class_names(model.id)?;
    Ok(Header {
        identity: model.identity.clone(),
        window_s: model.window_s,
        hop_s: model.hop_s,
        segmentation: model.segmentation,
        vectors,
        device,
        precision,
        classes: names.into_iter().map(|(_, name)| name).collect(),
    })
}

/// Writes the recordings of `library` that `model` embedded and `scope` contains, with all their
/// segments, and returns how many there were. The library is as it was when this began. The observer is
/// also told of what is passed over.
///
/// # Errors
/// [`Error::Store`], [`Error::Vector`] when stored bytes are damaged, and what writing fails with.
pub fn write_all(
    library: &Library,
    model: &StoredModel,
    scope: &Scope,
    rows: &mut dyn RowWriter,
    observer: &dyn Observer,
) -> Result<u64> {
    let dimension = model.identity.dimension;
    library.with_snapshot(|| {
        let (mut count, mut read) = (0, 0_u64);
        library.for_each_embedded(model.id, dimension, |recording| {
            observer.advanced(read, model.recordings + model.segments);
            read += recording.segments + 1;
            if !scope.contains(recording.key) {
                return Ok(());
            }
            let first = recording.key.segment;
            let ids = (recording.key.recording, model.id);
            let row = recording_row(library, model, recording)?;
            let mut segments = Segments {
                library,
                ids,
                dimension,
                last: first - 1,
                index: 0,
                page: Vec::new().into_iter(),
                is_over: false,
            };
            rows.write_recording(&row, &mut segments)?;
            count += 1;
            Ok(())
        })?;
        Ok(count)
    })
}

fn recording_row(
    library: &Library,
    model: &StoredModel,
    recording: EmbeddedRecording,
) -> Result<RecordingRow> {
    let id = recording.key.recording;
    let scores = library.class_numbers(id, model.id)?;
    let stored = |what: &str| Error::Store {
        action: "read",
        path: library.path().to_owned(),
        source: format!("recording id:{id} has {what}").into(),
    };
    let sample_rate = SampleRate::new(recording.sample_rate)
        .ok_or_else(|| stored("a sample rate that no recording has"))?;
    let integrity = [Integrity::Ok, Integrity::Truncated, Integrity::Damaged]
        .into_iter()
        .find(|integrity| integrity.to_string() == recording.status)
        .ok_or_else(|| stored("a status that there is not"))?;
    let recorded = match recording.recorded {
        None => None,
        Some((at, from)) => {
            let at = WallTime::parse(&at);
            let from = Witness::ALL.into_iter().find(|witness| witness.as_str() == from);
            let recorded = at.zip(from).map(|(at, from)| Recorded { at, from });
            Some(recorded.ok_or_else(|| stored("a date that does not read"))?)
        }
    };
    Ok(RecordingRow {
        path: recording.path,
        content_hash: recording.content_hash,
        stamp: recording.stamp,
        format: StreamFormat { sample_rate, channels: recording.channels, codec: recording.codec },
        duration_s: recording.duration_s,
        integrity,
        recorded,
        metadata: library.metadata(id)?,
        segments: u32::try_from(recording.segments).map_err(|_| stored("too many segments"))?,
        vector: recording.vector,
        scores: scores_of(&scores),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "they were float32 or 65,535ths")]
fn scores_of(scores: &[(i64, f64)]) -> Scores {
    let known = scores
        .iter()
        .filter_map(|&(class, score)| Some((u32::try_from(class).ok()?, score as f32)));
    known.collect()
}

/// The segments of one recording, read page by page.
struct Segments<'a> {
    library: &'a Library,
    ids: (i64, i64),
    dimension: usize,
    last: i64,
    index: u32,
    page: std::vec::IntoIter<EmbeddedSegment>,
    is_over: bool,
}

impl Iterator for Segments<'_> {
    type Item = Result<SegmentRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.is_over {
            let page = self.library.embedded_segments_after(
                self.last,
                self.ids,
                self.dimension,
                SEGMENTS_AT_ONCE,
            );
            match page {
                Ok(page) => {
                    self.is_over = page.len() < SEGMENTS_AT_ONCE;
                    self.page = page.into_iter();
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        let EmbeddedSegment { id, range, health, scores, vector } = self.page.next()?;
        self.last = id;
        let index = self.index;
        self.index += 1;
        Some(Ok(SegmentRow { index, range, vector, scores: scores_of(&scores), health }))
    }
}
