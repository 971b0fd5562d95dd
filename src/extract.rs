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

/// Turns one recording into patches.
#[derive(Debug)]
pub struct PatchReader {
    excerpt: Excerpt,
    resampler: Resampler,
    stream: PatchStream,
    front_end: FrontEnd,
    meter: Meter,
    /// What the samples are multiplied by, to reach the level that the front end wants.
    gain: f32,
    patches_read: usize,
    steps_read: usize,
    mono: Vec<f32>,
    samples: Vec<f32>,
    is_over: bool,
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
        let excerpt = Excerpt::open(path, part)?;
        let input_rate = excerpt.format().sample_rate;
        let hertz = front_end.sample_rate;
        let output_rate = SampleRate::new(hertz).ok_or_else(|| Error::Card {
            name: format!("front end {}", front_end.version),
            source: format!("a sample rate of {hertz} Hz").into(),
        })?;
        let gain = match front_end.level_dbfs {
            None => 1.0,
            Some(level_dbfs) => {
                let excerpt = Excerpt::open(path, part)?;
                let resampler = Resampler::new(filters.get(input_rate, output_rate));
                level::gain(excerpt, resampler, level_dbfs)?
            }
        };
        Ok(Self {
            resampler: Resampler::new(filters.get(input_rate, output_rate)),
            gain,
            stream: PatchStream::new(front_end),
            front_end,
            meter: Meter::new(input_rate),
            excerpt,
            patches_read: 0,
            steps_read: 0,
            mono: Vec::new(),
            samples: Vec::new(),
            is_over: false,
        })
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
        if self.is_over {
            return Ok(false);
        }
        self.samples.clear();
        let non_finite = self.excerpt.non_finite();
        if self.excerpt.next_block(&mut self.mono)? {
            self.meter.push(&self.mono, self.excerpt.non_finite() > non_finite);
            self.resampler.push(&self.mono, &mut self.samples);
            self.push(patches);
        } else {
            self.is_over = true;
            self.resampler.finish(&mut self.samples);
            self.push(patches);
            self.stream.finish(&mut patches.values);
        }
        let (window_s, hop_s) = (self.front_end.step_s(), self.front_end.step_hop_s());
        while patches.count() * self.front_end.patch_values() < patches.values.len() {
            let sound_samples = self.stream.sound_samples(self.patches_read);
            self.patches_read += 1;
            patches.sound_samples.push(sound_samples);
            for _ in 0..self.front_end.steps_of(sound_samples) {
                let duration_s = self.excerpt.duration_s();
                let range = patch_range(self.steps_read, window_s, hop_s, duration_s);
                patches.health.push(self.meter.health(range));
                self.steps_read += 1;
            }
        }
        Ok(!self.is_over)
    }

    /// Hands the samples that were resampled to the front end.
    fn push(&mut self, patches: &mut Patches) {
        if self.front_end.level_dbfs.is_some() {
            self.samples.iter_mut().for_each(|sample| *sample *= self.gain);
        }
        self.stream.push(&self.samples, &mut patches.values);
    }

    /// How the recording ended, once [`read`](Self::read) has said that it is over.
    pub fn end(&self) -> RecordingEnd {
        RecordingEnd { duration_s: self.excerpt.duration_s(), integrity: self.excerpt.integrity() }
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
            health: pool.health,
            pooled: pool.pooled.mean(),
            pooled_sound: match pool.sound_steps {
                0 => pool.pooled.mean(),
                _ => pool.pooled_sound.mean(),
            },
            scores: pool.scores.mean(),
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
            pool.pooled.add(&output.embeddings);
            pool.scores.add(&output.scores);
            let embeddings = output.embeddings.chunks_exact(self.model.identity().dimension);
            for (embedding, &health) in embeddings.zip(&mut health) {
                if health == Health::SOUND {
                    pool.pooled_sound.add(embedding);
                    pool.sound_steps += 1;
                }
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
    health: Vec<Health>,
}
