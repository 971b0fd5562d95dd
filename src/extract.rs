//! One recording from file to vectors: decode → resample → front end → network → pool.
//!
//! In: a path. Out: patches by [`PatchReader`], or, with a network, [`Extraction`]. Composes the
//! stages and keeps only what they still need, so that a day-long file takes hardly more memory
//! than its vectors. Knows no threads.

mod level;

use std::path::Path;
use std::sync::Arc;

use crate::audio::decode::{Integrity, StreamFormat};
use crate::audio::excerpt::{Excerpt, Part};
use crate::audio::health::{Health, Meter};
use crate::audio::resample::{FilterCache, Resampler};
use crate::audio::segment::{TimeRange, patch_range};
use crate::dates::Recorded;
use crate::error::{Error, Result};
use crate::frontend::patch::PatchStream;
use crate::frontend::spec::FrontEnd;
use crate::model::EmbeddingModel;
use crate::model::network::Batch;
use crate::model::pool::Mean;
use crate::units::SampleRate;

/// Some patches of one recording, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patches {
    /// `[patches, frames, values]`.
    pub values: Vec<f32>,
    /// How many of the samples that each stands for are the recording's own, `[patches]`.
    pub sound_samples: Vec<usize>,
    /// What is wrong with the sound of each step, `[steps]`.
    pub health: Vec<Health>,
}

impl Patches {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.sound_samples.len()
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.values.clear();
        self.sound_samples.clear();
        self.health.clear();
    }

    /// What a network of `front_end` gets of those from number `first` on, `count` at most.
    pub fn batch(&self, front_end: &FrontEnd, first: usize, count: usize) -> Batch<'_> {
        let end = (first + count).min(self.count());
        let values = front_end.patch_values();
        Batch {
            values: &self.values[first * values..end * values],
            sound_samples: &self.sound_samples[first..end],
        }
    }

    /// Splits off those behind the first `count`.
    #[must_use]
    pub fn split_off(&mut self, front_end: &FrontEnd, count: usize) -> Self {
        let sound_samples = self.sound_samples.split_off(count);
        let steps = self.sound_samples.iter().map(|&samples| front_end.steps_of(samples)).sum();
        Self {
            values: self.values.split_off(count * front_end.patch_values()),
            sound_samples,
            health: self.health.split_off(steps),
        }
    }
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordingEnd {
    /// Its length in seconds.
    pub duration_s: f64,
    /// How whole it is.
    pub integrity: Integrity,
}

/// Turns one recording into patches, of one front end or of several.
#[derive(Debug)]
pub struct PatchReader {
    excerpt: Excerpt,
    /// One for each rate that a front end wants, in Hz, with what it gave last.
    resamplers: Vec<(u32, Resampler, Vec<f32>)>,
    lanes: Vec<Lane>,
    mono: Vec<f32>,
    is_over: bool,
}

/// The way to one front end.
#[derive(Debug)]
struct Lane {
    front_end: FrontEnd,
    /// Which of the resamplers it listens to.
    resampler: usize,
    /// What the samples are multiplied by, to reach the level that the front end wants.
    gain: f32,
    levelled: Vec<f32>,
    stream: PatchStream,
    meter: Meter,
    patches_read: usize,
    steps_read: usize,
}

impl PatchReader {
    /// Opens the recording at `path` for the front end of a model.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Decode`] when it cannot be decoded.
    pub fn open(path: &Path, front_end: FrontEnd, filters: &FilterCache) -> Result<Self> {
        Self::open_part(path, Part::default(), front_end, filters)
    }

    /// Opens `part` of the recording at `path`: it is read as if it were all there is.
    ///
    /// # Errors
    /// As [`open`](Self::open), [`Error::NoChannel`] and [`Error::NoStretch`].
    pub fn open_part(
        path: &Path,
        part: Part,
        front_end: FrontEnd,
        filters: &FilterCache,
    ) -> Result<Self> {
        Self::open_all(path, part, &[front_end], filters)
    }

    /// Opens `part` of the recording at `path` for several front ends: it is decoded once, and
    /// resampled once for each rate.
    ///
    /// # Errors
    /// As [`open_part`](Self::open_part).
    pub fn open_all(
        path: &Path,
        part: Part,
        front_ends: &[FrontEnd],
        filters: &FilterCache,
    ) -> Result<Self> {
        let excerpt = Excerpt::open(path, part)?;
        let input_rate = excerpt.format().sample_rate;
        let mut resamplers: Vec<(u32, Resampler, Vec<f32>)> = Vec::new();
        let mut lanes = Vec::with_capacity(front_ends.len());
        for &front_end in front_ends {
            let hertz = front_end.sample_rate;
            let output_rate = SampleRate::new(hertz).ok_or_else(|| Error::Card {
                name: format!("front end {}", front_end.version),
                source: format!("a sample rate of {hertz} Hz").into(),
            })?;
            let new_resampler = || Resampler::new(filters.get(input_rate, output_rate));
            let resampler = resamplers.iter().position(|(rate, ..)| *rate == hertz);
            let resampler = resampler.unwrap_or_else(|| {
                resamplers.push((hertz, new_resampler(), Vec::new()));
                resamplers.len() - 1
            });
            let gain = match front_end.level_dbfs {
                None => 1.0,
                Some(level_dbfs) => {
                    level::gain(Excerpt::open(path, part)?, new_resampler(), level_dbfs)?
                }
            };
            lanes.push(Lane {
                front_end,
                resampler,
                gain,
                levelled: Vec::new(),
                stream: PatchStream::new(front_end),
                meter: Meter::new(input_rate),
                patches_read: 0,
                steps_read: 0,
            });
        }
        Ok(Self { excerpt, resamplers, lanes, mono: Vec::new(), is_over: false })
    }

    /// What the recording's header says.
    pub fn format(&self) -> &StreamFormat {
        self.excerpt.format()
    }

    /// When the recording was made, as its chunks or tags say.
    pub fn recorded(&self) -> Option<Recorded> {
        self.excerpt.recorded()
    }

    /// Appends the next patches to `patches`, perhaps none yet; `false` when there will be no
    /// more. Every sample is in a patch: the last one is padded with silence.
    ///
    /// # Errors
    /// [`Error::Decode`] when the stream cannot be read on.
    pub fn read(&mut self, patches: &mut Patches) -> Result<bool> {
        self.read_all(std::slice::from_mut(patches))
    }

    /// As [`read`](Self::read), for each front end that it was opened for, in their order.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_all(&mut self, patches: &mut [Patches]) -> Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        let non_finite = self.excerpt.non_finite();
        let goes_on = self.excerpt.next_block(&mut self.mono)?;
        let is_damaged = self.excerpt.non_finite() > non_finite;
        for (_, resampler, samples) in &mut self.resamplers {
            samples.clear();
            if goes_on {
                resampler.push(&self.mono, samples);
            } else {
                resampler.finish(samples);
            }
        }
        let duration_s = self.excerpt.duration_s();
        for (lane, patches) in self.lanes.iter_mut().zip(patches) {
            if goes_on {
                lane.meter.push(&self.mono, is_damaged);
            }
            lane.push(&self.resamplers[lane.resampler].2, patches);
            if !goes_on {
                lane.stream.finish(&mut patches.values);
            }
            lane.describe(patches, duration_s);
        }
        self.is_over = !goes_on;
        Ok(goes_on)
    }

    /// How the recording ended, once [`read`](Self::read) has said that it is over.
    pub fn end(&self) -> RecordingEnd {
        RecordingEnd { duration_s: self.excerpt.duration_s(), integrity: self.excerpt.integrity() }
    }
}

impl Lane {
    /// Hands samples to the front end.
    fn push(&mut self, samples: &[f32], patches: &mut Patches) {
        if self.front_end.level_dbfs.is_none() {
            return self.stream.push(samples, &mut patches.values);
        }
        self.levelled.clear();
        self.levelled.extend(samples.iter().map(|sample| sample * self.gain));
        self.stream.push(&self.levelled, &mut patches.values);
    }

    /// Says of patches that are new how much of them is sound, and what is wrong with it.
    fn describe(&mut self, patches: &mut Patches, duration_s: f64) {
        let (window_s, hop_s) = (self.front_end.step_s(), self.front_end.step_hop_s());
        while patches.count() * self.front_end.patch_values() < patches.values.len() {
            let sound_samples = self.stream.sound_samples(self.patches_read);
            self.patches_read += 1;
            patches.sound_samples.push(sound_samples);
            for _ in 0..self.front_end.steps_of(sound_samples) {
                let range = patch_range(self.steps_read, window_s, hop_s, duration_s);
                patches.health.push(self.meter.health(range));
                self.steps_read += 1;
            }
        }
    }
}

/// What a recording turned out to be, without its vectors.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// What its header says.
    pub format: StreamFormat,
    /// Its length, and how whole it is.
    pub end: RecordingEnd,
    /// The stretch of each embedding, in order.
    pub ranges: Vec<TimeRange>,
    /// How much of each stretch is the recording's own sound: what its embedding weighs, `[steps]`.
    pub shares: Vec<f32>,
    /// What is wrong with the sound of each, `[steps]`.
    pub health: Vec<Health>,
    /// Mean over all embeddings, `[dimension]`.
    pub pooled: Vec<f32>,
    /// The same over those of sound health only; over all, where there is none.
    pub pooled_sound: Vec<f32>,
    /// Whether all of it is silent.
    pub is_silent: bool,
    /// Mean over all class scores, `[classes]`; empty, where the model has none.
    pub scores: Vec<f32>,
    /// The same over those of sound health only; over all, where there is none.
    pub scores_sound: Vec<f32>,
}

/// Turns recordings into vectors, one after another.
#[derive(Debug)]
pub struct Extractor {
    model: EmbeddingModel,
    filters: Arc<FilterCache>,
}

impl Extractor {
    /// An extractor for one thread; `filters` may be shared with others.
    pub fn new(model: EmbeddingModel, filters: Arc<FilterCache>) -> Self {
        Self { model, filters }
    }

    /// The model that it embeds with.
    pub fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    /// Embeds the recording at `path`; calls `visit` with each embedding, `[dimension]`,
    /// in order.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Decode`] when the file cannot be used, [`Error::Network`] when
    /// libtorch fails, and what `visit` fails with.
    pub fn extract(
        &self,
        path: &Path,
        visit: impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<Extraction> {
        self.extract_part(path, Part::default(), visit)
    }

    /// [`extract`](Self::extract) of `part` only, as if it were all there is: times count from its
    /// beginning, and what is too short is padded as a short recording is.
    ///
    /// # Errors
    /// As [`extract`](Self::extract), [`Error::NoChannel`] and [`Error::NoStretch`].
    pub fn extract_part(
        &self,
        path: &Path,
        part: Part,
        mut visit: impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<Extraction> {
        let card = self.model.card();
        let mut reader = PatchReader::open_part(path, part, self.model.front_end(), &self.filters)?;
        let mut patches = Patches::default();
        let mut pool = Pool {
            pooled: Mean::new(self.model.identity().dimension),
            pooled_sound: Mean::new(self.model.identity().dimension),
            sound_steps: 0,
            silent_steps: 0,
            scores: Mean::new(card.class_count()),
            shares: Vec::new(),
            scores_sound: Mean::new(card.class_count()),
            health: Vec::new(),
        };
        while reader.read(&mut patches)? {
            self.embed(&mut patches, card.batch_patches, &mut pool, &mut visit)?;
        }
        self.embed(&mut patches, 1, &mut pool, &mut visit)?;
        let end = reader.end();
        let range = |index| patch_range(index, card.window_s, card.hop_s, end.duration_s);
        Ok(Extraction {
            format: reader.format().clone(),
            end,
            ranges: (0..pool.health.len()).map(range).collect(),
            is_silent: pool.silent_steps == pool.health.len(),
            shares: pool.shares,
            health: pool.health,
            pooled: pool.pooled.mean(),
            pooled_sound: match pool.sound_steps {
                0 => pool.pooled.mean(),
                _ => pool.pooled_sound.mean(),
            },
            scores: pool.scores.mean(),
            scores_sound: match pool.sound_steps {
                0 => pool.scores.mean(),
                _ => pool.scores_sound.mean(),
            },
        })
    }

    /// Embeds and removes whole batches from `patches` while there are at least `least` patches.
    fn embed(
        &self,
        patches: &mut Patches,
        least: usize,
        pool: &mut Pool,
        visit: &mut impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let front_end = self.model.front_end();
        let batch_patches = self.model.card().batch_patches;
        let mut done = 0;
        let mut health = patches.health.iter();
        while patches.count() - done >= least {
            let batch = patches.batch(&front_end, done, batch_patches);
            let output = self.model.embed_batch(&batch)?;
            let embeddings = output.embeddings.chunks_exact(self.model.identity().dimension);
            // Of models without classes there are none.
            let mut scores = output.scores.chunks_exact(self.model.card().class_count().max(1));
            let shares = batch.sound_samples.iter().flat_map(|&count| front_end.shares_of(count));
            for ((embedding, share), &health) in embeddings.zip(shares).zip(&mut health) {
                let scores = scores.next().unwrap_or_default();
                pool.pooled.add_weighted(embedding, share);
                pool.scores.add_weighted(scores, share);
                if health == Health::SOUND {
                    pool.pooled_sound.add_weighted(embedding, share);
                    pool.scores_sound.add_weighted(scores, share);
                    pool.sound_steps += 1;
                }
                pool.shares.push(share);
                pool.health.push(health);
                pool.silent_steps += usize::from(health.has(Health::SILENT));
                visit(embedding)?;
            }
            done += batch.sound_samples.len();
        }
        *patches = patches.split_off(&front_end, done);
        Ok(())
    }
}

/// What is summed over a recording's steps.
struct Pool {
    pooled: Mean,
    pooled_sound: Mean,
    sound_steps: usize,
    silent_steps: usize,
    scores: Mean,
    shares: Vec<f32>,
    scores_sound: Mean,
    health: Vec<Health>,
}
