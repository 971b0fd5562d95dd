//! What a head reads of a recording: rows of the library, or a file that is decoded for it.
//!
//! In: a library from some segment on, or a path. Out: [`Said`], in the order in which recordings
//! came into the library. Rows that are not fit to be searched, and vectors of zeros, are left
//! out and counted. Memory holds some thousand vectors and the longest recording's answers.

use std::ops::ControlFlow;
use std::path::Path;

use rayon::prelude::*;

use crate::audio::excerpt::Part;
use crate::audio::health::Health;
use crate::audio::resample::FilterCache;
use crate::audio::segment::{LEAST_SHARE, Segmentation, TimeRange};
use crate::error::{Error, Result};
use crate::extract::{Extraction, Extractor};
use crate::index::scope::Scope;
use crate::model::pool::Mean;
use crate::store::Library;
use crate::store::heard::HeardRow;
use crate::store::models::StoredModel;
use crate::store::segments::{Level, VectorKey};
use crate::store::vector::{Precision, decode, encode};
use crate::train::head::Head;
use crate::train::held_out::RowPlace;
use crate::train::network::Input;
use crate::units::signed;

/// Vectors that are decoded and asked about at once.
const ROWS_AT_ONCE: usize = 4_096;
/// Of these, how many a thread takes.
const ROWS_A_THREAD: usize = 128;
/// Recordings that are asked about at once where a head reads sequences.
const SEQUENCES_AT_ONCE: usize = 256;
/// Float noise of times, in seconds.
const TIME_NOISE_S: f64 = 1e-9;

/// A row that a head said something of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SaidRow {
    /// The segment's row id, the first one's of a recording; of a file, its number.
    pub segment: i64,
    /// The stretch; all of the recording, where there is none.
    pub range: Option<TimeRange>,
}

/// What a head says of one recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// The recording's row id; 0 of a file.
    pub recording: i64,
    /// The rows, in the order of time.
    pub rows: Vec<SaidRow>,
    /// Probabilities, or the number, `[rows, classes]`.
    pub values: Vec<f32>,
}

/// Rows that nothing was said of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// They are silent, clipped or damaged, or their vectors are zero.
    pub unfit: u64,
    /// Their files are gone, have changed or do not decode any more.
    pub unread: u64,
}

/// Hears what a head says of a library, some recordings at a time.
#[derive(Debug)]
pub struct Hearing<'a> {
    head: &'a Head,
    model: &'a StoredModel,
    level: Level,
    scope: Scope,
    after: i64,
    filters: FilterCache,
    /// What was left out so far.
    pub left: Left,
    /// Rows that were read so far, also what was left out.
    pub read: u64,
}

/// Rows that are collected.
#[derive(Default)]
struct Batch {
    said: Vec<Said>,
    /// Rows whose vectors are not decoded yet: where they belong, and where their bytes end.
    waiting: Vec<(HeardRow, usize)>,
    bytes: Vec<u8>,
    rows: usize,
    last: Option<VectorKey>,
}

impl<'a> Hearing<'a> {
    /// A hearing of what `scope` contains of `model`'s rows at `level`.
    ///
    /// # Errors
    /// [`TrainingProblem::OtherModel`](crate::error::TrainingProblem::OtherModel).
    pub fn new(head: &'a Head, model: &'a StoredModel, level: Level, scope: Scope) -> Result<Self> {
        head.require_model(&model.identity)?;
        let (filters, left) = (FilterCache::default(), Left::default());
        Ok(Self { head, model, level, scope, after: 0, filters, left, read: 0 })
    }

    /// What is said of the next recordings; nothing, when there are no more. Between two calls the
    /// library may be written to.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Vector`] when stored bytes are damaged, [`Error::Network`].
    pub fn next_some(&mut self, library: &Library) -> Result<Vec<Said>> {
        loop {
            let mut batch = Batch::default();
            library.for_each_heard_after(self.after, self.model.id, self.level, |row, bytes| {
                let is_next = batch.last.is_none_or(|last| last.recording != row.key.recording);
                if is_next && self.is_full(&batch) {
                    return Ok(ControlFlow::Break(()));
                }
                batch.last = Some(row.key);
                self.read += 1;
                self.take(row, bytes, &mut batch)?;
                Ok(ControlFlow::Continue(()))
            })?;
            self.speak(&mut batch)?;
            let Some(last) = batch.last else { return Ok(Vec::new()) };
            self.after = last.segment;
            if self.head.input() != Input::Vectors {
                self.hear_sequences(library, &mut batch)?;
            }
            // Of all that was read, nothing may have passed the filter.
            if !batch.said.is_empty() {
                return Ok(batch.said);
            }
        }
    }

    /// What is said of recording `id` alone; nothing, where nothing could be said of it.
    ///
    /// # Errors
    /// [`Error::UnknownRecording`], [`Error::NotIndexed`], and as [`next_some`](Self::next_some).
    pub fn one(&mut self, library: &Library, id: i64) -> Result<Option<Said>> {
        if library.recording(id)?.is_none() {
            return Err(Error::UnknownRecording { id });
        }
        let Some(&first) = library.segment_ids(id, self.model.id)?.iter().min() else {
            return Err(Error::NotIndexed { id, model: self.model.identity.name.clone() });
        };
        let mut batch = Batch::default();
        library.for_each_heard_after(first - 1, self.model.id, self.level, |row, bytes| {
            // All of a recording's rows follow one another.
            if row.key.recording != id {
                return Ok(ControlFlow::Break(()));
            }
            self.read += 1;
            self.take(row, bytes, &mut batch)?;
            Ok(ControlFlow::Continue(()))
        })?;
        self.speak(&mut batch)?;
        if self.head.input() != Input::Vectors {
            self.hear_sequences(library, &mut batch)?;
        }
        Ok(batch.said.pop())
    }

    fn is_full(&self, batch: &Batch) -> bool {
        batch.rows >= ROWS_AT_ONCE
            || self.head.input() != Input::Vectors && batch.said.len() >= SEQUENCES_AT_ONCE
    }

    fn take(&mut self, row: HeardRow, bytes: &[u8], batch: &mut Batch) -> Result<()> {
        batch.rows += 1;
        if !self.scope.contains(row.key) {
            return Ok(());
        }
        let recording = row.key.recording;
        if batch.said.last().is_none_or(|said| said.recording != recording) {
            batch.said.push(Said { recording, ..Said::default() });
        }
        if row.health != Health::SOUND {
            self.left.unfit += 1;
        } else if self.head.input() == Input::Vectors {
            batch.bytes.extend_from_slice(bytes);
            batch.waiting.push((row, batch.bytes.len()));
            if batch.waiting.len() >= ROWS_AT_ONCE {
                self.speak(batch)?;
            }
        } else if let Some(said) = batch.said.last_mut() {
            said.rows.push(SaidRow { segment: row.key.segment, range: row.range });
        }
        Ok(())
    }

    /// Asks the head about the vectors that wait.
    fn speak(&mut self, batch: &mut Batch) -> Result<()> {
        let (head, dimension) = (self.head, self.model.identity.dimension);
        let outputs = head.card().outputs();
        let start = |row: usize| if row == 0 { 0 } else { batch.waiting[row - 1].1 };
        let starts: Vec<usize> = (0..batch.waiting.len()).map(start).collect();
        let answered: Vec<(Vec<f32>, Vec<bool>)> = batch
            .waiting
            .par_chunks(ROWS_A_THREAD)
            .zip(starts.par_chunks(ROWS_A_THREAD))
            .map(|(rows, starts)| {
                let mut vectors = Vec::with_capacity(rows.len() * dimension);
                let mut is_zero = Vec::with_capacity(rows.len());
                for ((row, end), &start) in rows.iter().zip(starts) {
                    let before = vectors.len();
                    decode(&batch.bytes[start..*end], dimension, &mut vectors).map_err(
                        |problem| Error::Vector {
                            what: format!("vector of segment {}", row.key.segment),
                            problem,
                        },
                    )?;
                    is_zero.push(vectors[before..].iter().all(|value| *value == 0.0));
                }
                Ok((head.say(&vectors), is_zero))
            })
            .collect::<Result<_>>()?;
        let values = answered.iter().flat_map(|(values, _)| values.chunks_exact(outputs));
        let zeros = answered.iter().flat_map(|(_, zeros)| zeros);
        let mut place = 0;
        for (((row, _), values), is_zero) in batch.waiting.iter().zip(values).zip(zeros) {
            if *is_zero {
                self.left.unfit += 1;
                continue;
            }
            // Whoever waits has a place, and both are in the same order.
            while batch.said[place].recording != row.key.recording {
                place += 1;
            }
            batch.said[place].rows.push(SaidRow { segment: row.key.segment, range: row.range });
            batch.said[place].values.extend_from_slice(values);
        }
        batch.waiting.clear();
        batch.bytes.clear();
        Ok(())
    }

    /// Asks a head that reads sequences about all rows of a batch.
    fn hear_sequences(&mut self, library: &Library, batch: &mut Batch) -> Result<()> {
        let places: Vec<RowPlace> = batch
            .said
            .iter()
            .flat_map(|said| {
                said.rows.iter().map(|row| RowPlace { recording: said.recording, range: row.range })
            })
            .collect();
        let (values, _) =
            self.head.say_places(library, self.model, &places, &self.filters, &|_| true)?;
        let mut values = values.chunks_exact(self.head.card().outputs());
        for said in &mut batch.said {
            let all = said.rows.len();
            said.rows.retain(|_| {
                // What could not be read is said NaN of.
                let Some(row) = values.next().filter(|row| !row.iter().any(|v| v.is_nan())) else {
                    self.left.unread += 1;
                    return false;
                };
                said.values.extend_from_slice(row);
                true
            });
            if said.rows.len() < all {
                said.rows.clear();
            }
        }
        // Nothing at all is said of a recording that was not heard to its end: what was saved of it
        // before would otherwise be taken back.
        batch.said.retain(|said| !said.rows.is_empty());
        Ok(())
    }
}

/// What is said of files, by one thread.
#[derive(Debug)]
pub struct Listener<'a> {
    head: &'a Head,
    extractor: Extractor,
    level: Level,
    /// The library's longer segments, where it has some.
    segmentation: Option<Segmentation>,
}

impl<'a> Listener<'a> {
    /// A listener that cuts files as `segmentation` says, or patch by patch.
    ///
    /// # Errors
    /// [`TrainingProblem::OtherModel`](crate::error::TrainingProblem::OtherModel).
    pub fn new(
        head: &'a Head,
        extractor: Extractor,
        level: Level,
        segmentation: Option<Segmentation>,
    ) -> Result<Self> {
        head.require_model(extractor.model().identity())?;
        Ok(Self { head, extractor, level, segmentation })
    }

    /// What is said of the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Decode`] when it cannot be decoded, [`Error::Network`].
    pub fn hear(&self, path: &Path) -> Result<HeardFile> {
        let mut vectors = Vec::new();
        let keep = self.level == Level::Segment && self.head.input() == Input::Vectors;
        let extraction = self.extractor.extract(path, |vector| {
            if keep {
                vectors.extend_from_slice(vector);
            }
            Ok(())
        })?;
        let mut left = Left::default();
        let mut said = Said::default();
        let mut heard = Vec::new();
        for (index, segment) in self.segments(&extraction).into_iter().enumerate() {
            if segment.health == Health::SOUND {
                said.rows.push(SaidRow { segment: signed(index), range: segment.range });
                heard.push(segment);
            } else {
                left.unfit += 1;
            }
        }
        if self.head.input() == Input::Vectors {
            let dimension = self.extractor.model().identity().dimension;
            let mut rows = Vec::with_capacity(heard.len() * dimension);
            for segment in &heard {
                let mut mean = Mean::new(dimension);
                if keep {
                    for &patch in &segment.patches {
                        let vector = &vectors[patch * dimension..][..dimension];
                        mean.add_weighted(vector, extraction.shares[patch]);
                    }
                } else {
                    mean.add(&extraction.pooled);
                }
                rows.extend(as_stored(path, &mean.mean(), dimension)?);
            }
            let mut zeros = rows.chunks_exact(dimension).map(|row| row.iter().all(|v| *v == 0.0));
            let values = self.head.say(&rows);
            let mut values = values.chunks_exact(self.head.card().outputs());
            said.rows.retain(|_| {
                let (is_zero, row) = (zeros.next().unwrap_or(true), values.next());
                left.unfit += u64::from(is_zero);
                if let Some(row) = row.filter(|_| !is_zero) {
                    said.values.extend_from_slice(row);
                }
                !is_zero
            });
        } else {
            let ranges: Vec<Option<TimeRange>> = said.rows.iter().map(|row| row.range).collect();
            let filters = FilterCache::default();
            let extractor = Some(&self.extractor);
            said.values =
                self.head.say_file(path, Part::default(), &ranges, extractor, &filters)?;
        }
        let sample_rate = extraction.format.sample_rate.hertz();
        Ok(HeardFile { said, duration_s: extraction.end.duration_s, sample_rate, left })
    }

    /// The stretches that rows are of.
    fn segments(&self, extraction: &Extraction) -> Vec<Segment> {
        let patches = extraction.ranges.len();
        if self.level == Level::Recording {
            let is_mute =
                |health: &Health| health.has(Health::SILENT) || health.has(Health::CONSTANT);
            let is_silent = extraction.health.iter().all(is_mute);
            let health = if is_silent { Health::SILENT } else { Health::SOUND };
            return vec![Segment { range: None, patches: Vec::new(), health }];
        }
        let Some(longer) = self.segmentation else {
            return (0..patches)
                .map(|index| Segment {
                    range: Some(extraction.ranges[index]),
                    patches: vec![index],
                    health: extraction.health[index],
                })
                .collect();
        };
        let card = self.extractor.model().card();
        let middle = |index: usize| index as f64 * card.hop_s + card.window_s / 2.0;
        longer_segments(longer, extraction, middle)
    }
}

/// A file that a head was asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct HeardFile {
    /// What the head says.
    pub said: Said,
    /// How long the file is, in seconds.
    pub duration_s: f64,
    /// Its frames per second.
    pub sample_rate: u32,
    /// Rows that nothing was said of.
    pub left: Left,
}

/// A stretch of a file, and its patches.
struct Segment {
    range: Option<TimeRange>,
    patches: Vec<usize>,
    health: Health,
}

/// Longer segments out of patches, by the rule of indexing: a patch belongs to the segments that
/// its middle lies in; on the edge between two to the second, or, where they overlap, to neither.
fn longer_segments(
    layout: Segmentation,
    extraction: &Extraction,
    middle_s: impl Fn(usize) -> f64,
) -> Vec<Segment> {
    let Extraction { shares, health, .. } = extraction;
    let (patches, duration_s) = (health.len(), extraction.end.duration_s);
    let overlap = layout.hop_s < layout.segment_s;
    let reach = if overlap { -TIME_NOISE_S } else { TIME_NOISE_S };
    let mut segments: Vec<Segment> = Vec::new();
    let mut first = 0;
    for number in 0_usize.. {
        let start_s = number as f64 * layout.hop_s;
        let end_s = start_s + layout.segment_s;
        while first < patches && start_s > middle_s(first) + reach {
            first += 1;
        }
        if first == patches || start_s >= duration_s {
            break;
        }
        let inside = (first..patches).take_while(|&patch| end_s > middle_s(patch) + TIME_NOISE_S);
        let inside: Vec<usize> = inside.collect();
        let weight: f64 = inside.iter().map(|&patch| f64::from(shares[patch])).sum();
        if weight < LEAST_SHARE && !inside.is_empty() && !segments.is_empty() {
            continue;
        }
        let all = Health::from_bits(u8::MAX);
        let health = inside.iter().fold(all, |common, &patch| common.in_common(health[patch]));
        let range = Some(TimeRange { start_s, end_s: end_s.min(duration_s) });
        segments.push(Segment { range, patches: inside, health });
    }
    // The last one reaches to the end.
    if let Some(range) = segments.last_mut().and_then(|segment| segment.range.as_mut()) {
        range.end_s = duration_s;
    }
    segments
}

/// A vector as the library would give it back, so that a file is said the same of as its row.
fn as_stored(path: &Path, vector: &[f32], dimension: usize) -> Result<Vec<f32>> {
    let failed =
        |problem| Error::Vector { what: format!("an embedding of {}", path.display()), problem };
    let bytes = encode(vector, Precision::Half).map_err(failed)?;
    let mut stored = Vec::with_capacity(dimension);
    decode(&bytes, dimension, &mut stored).map_err(failed)?;
    Ok(stored)
}
