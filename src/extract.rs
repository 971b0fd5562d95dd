//! One recording from file to vectors: decode → resample → front end → network → pool.
//!
//! In: a path. Out: [`Extraction`]. Composes the stages and keeps only what they still need, so
//! that a day-long file takes hardly more memory than its vectors. Knows no threads: each one has
//! an [`Extractor`] of its own.

use std::path::Path;
use std::sync::Arc;

use crate::audio::decode::{Decoder, Integrity, StreamFormat};
use crate::audio::resample::{FilterCache, Resampler};
use crate::audio::segment::{TimeRange, patch_range};
use crate::error::{Error, Result};
use crate::frontend::patch::PatchStream;
use crate::model::EmbeddingModel;
use crate::model::pool::Mean;
use crate::units::SampleRate;

/// Patches that go through the network at once: a few are slower a patch, more no faster.
const BATCH_PATCHES: usize = 16;

/// What a recording turned out to be, without its vectors.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// What its header says.
    pub format: StreamFormat,
    /// Its length in seconds.
    pub duration_s: f64,
    /// How whole it is.
    pub integrity: Integrity,
    /// The stretch of each patch, in order.
    pub ranges: Vec<TimeRange>,
    /// Mean over all patch embeddings, `[dimension]`.
    pub pooled: Vec<f32>,
    /// Mean over all patches' class scores, `[classes]`.
    pub scores: Vec<f32>,
}

/// Turns recordings into vectors, one after another.
#[derive(Debug)]
pub struct Extractor {
    model: EmbeddingModel,
    filters: Arc<FilterCache>,
    patch_stream: PatchStream,
}

impl Extractor {
    /// An extractor for one thread; `filters` may be shared with others.
    pub fn new(model: EmbeddingModel, filters: Arc<FilterCache>) -> Self {
        let patch_stream = PatchStream::new(model.front_end());
        Self { model, filters, patch_stream }
    }

    /// The model that it embeds with.
    pub fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    /// Embeds the recording at `path`; calls `visit` with each patch's embedding, `[dimension]`,
    /// in order.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Decode`] when the file cannot be used, [`Error::Network`] when
    /// libtorch fails, and what `visit` fails with.
    pub fn extract(
        &mut self,
        path: &Path,
        mut visit: impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<Extraction> {
        let dimension = self.model.identity().dimension;
        let mut decoder = Decoder::open(path)?;
        let mut resampler = self.resampler(&decoder)?;
        let mut pool = Pool {
            pooled: Mean::new(dimension),
            scores: Mean::new(self.model.card().classes.count),
            patches: 0,
        };
        let (mut mono, mut samples, mut patches) = (Vec::new(), Vec::new(), Vec::new());
        self.patch_stream.reset();
        while decoder.next_block(&mut mono)? {
            samples.clear();
            resampler.push(&mono, &mut samples);
            self.patch_stream.push(&samples, &mut patches);
            self.embed(&mut patches, BATCH_PATCHES, &mut pool, &mut visit)?;
        }
        samples.clear();
        resampler.finish(&mut samples);
        self.patch_stream.push(&samples, &mut patches);
        self.patch_stream.finish(&mut patches);
        self.embed(&mut patches, 1, &mut pool, &mut visit)?;

        let card = self.model.card();
        let duration_s = decoder.duration_s();
        let range = |index| patch_range(index, card.window_s, card.hop_s, duration_s);
        Ok(Extraction {
            format: decoder.format().clone(),
            duration_s,
            integrity: decoder.integrity(),
            ranges: (0..pool.patches).map(range).collect(),
            pooled: pool.pooled.mean(),
            scores: pool.scores.mean(),
        })
    }

    fn resampler(&self, decoder: &Decoder) -> Result<Resampler> {
        let hertz = self.model.front_end().sample_rate;
        let output = SampleRate::new(hertz).ok_or_else(|| Error::Card {
            name: self.model.card().name.clone(),
            source: format!("a sample rate of {hertz} Hz").into(),
        })?;
        Ok(Resampler::new(self.filters.get(decoder.format().sample_rate, output)))
    }

    /// Embeds and removes whole batches from `patches` while there are at least `least` patches.
    fn embed(
        &self,
        patches: &mut Vec<f32>,
        least: usize,
        pool: &mut Pool,
        visit: &mut impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let patch_values = self.model.front_end().patch_values();
        let mut done = 0;
        while patches.len() - done >= least * patch_values {
            let batch = (patches.len() - done).min(BATCH_PATCHES * patch_values);
            let output = self.model.embed(&patches[done..done + batch])?;
            pool.pooled.add(&output.embeddings);
            pool.scores.add(&output.scores);
            pool.patches += batch / patch_values;
            for embedding in output.embeddings.chunks_exact(self.model.identity().dimension) {
                visit(embedding)?;
            }
            done += batch;
        }
        patches.drain(..done);
        Ok(())
    }
}

/// What is summed over a recording's patches.
struct Pool {
    pooled: Mean,
    scores: Mean,
    patches: usize,
}
