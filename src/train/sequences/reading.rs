//! Recordings into sequences: from the library's segments, or decoded again from their files.
//!
//! In: a library, and stretches of its recordings; or a file. Out: [`Sequences`] with one sequence
//! a stretch. Leaves out files that are gone, have changed, or do not decode any more, and says so.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::Sequences;
use super::frames::for_each_step;
use crate::audio::excerpt::Part;
use crate::audio::resample::FilterCache;
use crate::audio::segment::TimeRange;
use crate::error::{Error, Result, TrainingProblem};
use crate::extract::{Extractor, PatchReader};
use crate::frontend::spec::{self, Compression, FrontEnd};
use crate::model::pool::Mean;
use crate::model::{ModelIdentity, front_end_of, registry};
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::recordings::content_hash;
use crate::train::held_out::RowPlace;
use crate::train::network::Input;
use crate::train::rows::RowsBuilder;

/// Float noise of times, in seconds: less than a sample.
const TIME_NOISE_S: f64 = 1e-6;

/// Recordings that could not be read, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Their files are not there.
    pub gone: u64,
    /// Their files are not what was indexed.
    pub changed: u64,
    /// Their files do not decode any more.
    pub undecodable: u64,
}

/// Reads what a head reads.
#[derive(Debug)]
pub struct Reader<'a> {
    input: Input,
    /// The model of the embeddings, whose front end makes the frames.
    model: ModelIdentity,
    /// Frames of a step.
    frames_a_step: usize,
    filters: &'a FilterCache,
}

/// When the steps of one recording are.
enum Times {
    /// Each at its own time.
    Segments(Vec<TimeRange>),
    /// So many, one every so many seconds.
    Frames(usize, f64),
}

impl<'a> Reader<'a> {
    /// A reader of `input` by `model`; of frames, `frames_a_step` are averaged.
    pub fn new(
        input: Input,
        model: ModelIdentity,
        frames_a_step: usize,
        filters: &'a FilterCache,
    ) -> Self {
        Self { input, model, frames_a_step, filters }
    }

    /// The sequence of each of `places`: all of a recording, or the steps that share time with a
    /// stretch of it. `watch` is told which share is done, and says whether to go on.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Vector`] when stored bytes are damaged, [`Error::Io`] when the
    /// temporary file cannot be written, [`TrainingProblem::Interrupted`].
    pub fn stored(
        &self,
        library: &Library,
        model: &StoredModel,
        places: &[RowPlace],
        watch: &dyn Fn(f64) -> bool,
    ) -> Result<(Sequences, Unread)> {
        let mut wanted: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (row, place) in places.iter().enumerate() {
            wanted.entry(place.recording).or_default().push(row);
        }
        // A few hashes are looked up as fast as all of them.
        let hashes = match self.input {
            Input::LogMel => library.content_hashes(model.id)?,
            Input::Vectors | Input::Segments => BTreeMap::new(),
        };
        let mut unread = Unread::default();
        let mut spans = vec![0..0; places.len()];
        let mut steps = RowsBuilder::new(self.width()?);
        let count = wanted.len() as f64;
        for (done, (recording, rows)) in wanted.into_iter().enumerate() {
            if !watch(done as f64 / count) {
                return Err(TrainingProblem::Interrupted.into());
            }
            let first = steps.len();
            let times = match self.input {
                Input::Vectors => {
                    Self::vectors(
                        library,
                        model,
                        (recording, &rows, places),
                        &mut steps,
                        &mut spans,
                    )?;
                    continue;
                }
                Input::Segments => {
                    let mut times = Vec::new();
                    let dimension = model.identity.dimension;
                    library.for_each_segment_of(
                        recording,
                        model.id,
                        dimension,
                        |segment, vector| {
                            times.push(segment.range);
                            steps.push(vector)
                        },
                    )?;
                    Times::Segments(times)
                }
                Input::LogMel => {
                    let Some(stored) = library.recording(recording)? else { continue };
                    match content_hash(&stored.path) {
                        Err(_) => {
                            unread.gone += 1;
                            continue;
                        }
                        Ok(hash) if hashes.get(&recording) != Some(&hash) => {
                            unread.changed += 1;
                            continue;
                        }
                        Ok(_) => {}
                    }
                    match self.frames(&stored.path, Part::default(), &mut steps) {
                        Ok(times) => times,
                        Err(Error::Decode { .. }) => {
                            unread.undecodable += 1;
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            for row in rows {
                let span = times.span(places[row].range);
                spans[row] = first + span.start..first + span.end;
            }
        }
        Ok((Sequences::new(steps.finish()?, spans), unread))
    }

    /// The sequences of stretches of `part` of the file at `path`; `None`: all of it. Embeddings
    /// are made by `extractor`, patch by patch.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Decode`] when it cannot be decoded, [`Error::NoChannel`],
    /// [`Error::NoStretch`], [`Error::Network`]; [`TrainingProblem::NoExtractor`] where one is
    /// needed.
    pub fn file(
        &self,
        path: &Path,
        part: Part,
        stretches: &[Option<TimeRange>],
        extractor: Option<&Extractor>,
    ) -> Result<Sequences> {
        let mut steps = RowsBuilder::new(self.width()?);
        let times = match self.input {
            Input::LogMel => self.frames(path, part, &mut steps)?,
            Input::Segments => {
                let extractor = extractor.ok_or(TrainingProblem::NoExtractor)?;
                let extraction = extractor.extract_part(path, part, |vector| steps.push(vector))?;
                Times::Segments(extraction.ranges)
            }
            Input::Vectors => {
                let extractor = extractor.ok_or(TrainingProblem::NoExtractor)?;
                let mut vectors = Vec::new();
                let extraction = extractor.extract_part(path, part, |vector| {
                    vectors.push(vector.to_vec());
                    Ok(())
                })?;
                for range in stretches {
                    match range {
                        None => steps.push(&extraction.pooled)?,
                        Some(range) => {
                            steps.push(&mean_in(&extraction.ranges, &vectors, *range))?;
                        }
                    }
                }
                let spans = (0..stretches.len()).map(|row| row..row + 1).collect();
                return Ok(Sequences::new(steps.finish()?, spans));
            }
        };
        let spans = stretches.iter().map(|range| times.span(*range)).collect();
        Ok(Sequences::new(steps.finish()?, spans))
    }

    /// One vector for each of `rows`, stretches of one recording: its own, or the mean of the
    /// segments that mostly lie in the stretch.
    fn vectors(
        library: &Library,
        model: &StoredModel,
        (recording, rows, places): (i64, &[usize], &[RowPlace]),
        steps: &mut RowsBuilder,
        spans: &mut [Range<usize>],
    ) -> Result<()> {
        let dimension = model.identity.dimension;
        let (mut times, mut vectors) = (Vec::new(), Vec::new());
        if rows.iter().any(|&row| places[row].range.is_some()) {
            library.for_each_segment_of(recording, model.id, dimension, |segment, vector| {
                times.push(segment.range);
                vectors.push(vector.to_vec());
                Ok(())
            })?;
        }
        for &row in rows {
            let vector = match places[row].range {
                None => library.pooled_vector(recording, model.id, dimension)?,
                Some(_) if vectors.is_empty() => None,
                Some(range) => Some(mean_in(&times, &vectors, range)),
            };
            if let Some(vector) = vector {
                spans[row] = steps.len()..steps.len() + 1;
                steps.push(&vector)?;
            }
        }
        Ok(())
    }

    fn frames(&self, path: &Path, part: Part, steps: &mut RowsBuilder) -> Result<Times> {
        let front_end = self.front_end()?;
        let reader = PatchReader::open_part(path, part, front_end, self.filters)?;
        let count = for_each_step(reader, front_end, self.frames_a_step, |step| steps.push(step))?;
        let hop_s = front_end.hop_samples() as f64 / f64::from(front_end.sample_rate);
        Ok(Times::Frames(count, hop_s * self.frames_a_step as f64))
    }

    /// The model's own log-mel frames; YAMNet's, where it has none.
    fn front_end(&self) -> Result<FrontEnd> {
        let own = front_end_of(registry::find(&self.model.name)?);
        let is_log_mel = |mel: &spec::MelSpec| {
            own.steps == 1 && matches!(mel.compression, Compression::Logarithm { .. })
        };
        Ok(if own.mel().as_ref().is_some_and(is_log_mel) { own } else { spec::YAMNET })
    }

    /// Values of a step.
    fn width(&self) -> Result<usize> {
        match self.input {
            Input::Vectors | Input::Segments => Ok(self.model.dimension),
            Input::LogMel => Ok(self.front_end()?.frame_values()),
        }
    }
}

impl Times {
    /// The steps that share time with `range`; all, where there is none; at least one, where there
    /// are any.
    fn span(&self, range: Option<TimeRange>) -> Range<usize> {
        let count = match self {
            Self::Segments(times) => times.len(),
            Self::Frames(count, _) => *count,
        };
        let Some(range) = range else { return 0..count };
        let (start, end) = match self {
            Self::Segments(times) => (
                times.partition_point(|step| step.end_s <= range.start_s + TIME_NOISE_S),
                times.partition_point(|step| step.start_s < range.end_s - TIME_NOISE_S),
            ),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            Self::Frames(_, step_s) => (
                ((range.start_s + TIME_NOISE_S) / step_s).floor().max(0.0) as usize,
                ((range.end_s - TIME_NOISE_S) / step_s).ceil().max(0.0) as usize,
            ),
        };
        let start = start.min(count.saturating_sub(1));
        start..end.clamp((start + 1).min(count), count)
    }
}

/// The mean of the vectors of which more than half lies in `range`; of those that have most of it,
/// where there are none.
fn mean_in(times: &[TimeRange], vectors: &[Vec<f32>], range: TimeRange) -> Vec<f32> {
    let shared = |time: &TimeRange| {
        let shared = range.end_s.min(time.end_s) - range.start_s.max(time.start_s);
        shared / (time.end_s - time.start_s).max(TIME_NOISE_S)
    };
    let most = times.iter().map(shared).fold(f64::NEG_INFINITY, f64::max);
    let least = most.min(0.5 + 2.0 * TIME_NOISE_S) - TIME_NOISE_S;
    let mut mean = Mean::new(vectors.first().map_or(0, Vec::len));
    for (time, vector) in times.iter().zip(vectors) {
        if shared(time) > least {
            mean.add(vector);
        }
    }
    mean.mean()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_takes_the_steps_that_share_time_with_it() {
        let range = |start_s, end_s| Some(TimeRange { start_s, end_s });
        let segments = Times::Segments(
            (0..4)
                .map(|n| f64::from(n) * 0.48)
                .map(|s| TimeRange { start_s: s, end_s: s + 0.96 })
                .collect(),
        );
        assert_eq!(segments.span(None), 0..4);
        assert_eq!(segments.span(range(0.48, 1.44)), 0..3);
        assert_eq!(segments.span(range(0.0, 0.48)), 0..1);
        assert_eq!(segments.span(range(7.0, 8.0)), 3..4);
        let frames = Times::Frames(50, 0.04);
        assert_eq!(frames.span(None), 0..50);
        assert_eq!(frames.span(range(0.48, 1.44)), 12..36);
        assert_eq!(frames.span(range(0.0, 0.001)), 0..1);
        assert_eq!(frames.span(range(9.0, 10.0)), 49..50);
        assert_eq!(Times::Frames(0, 0.04).span(range(0.0, 1.0)), 0..0);
    }
}
