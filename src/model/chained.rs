//! A model, and behind it a module that reads its embeddings: a trained head's hidden layer.
//!
//! In: patches that hold one or several consecutive patches of the base. Out: embeddings
//! `[patches, dimension]`, or, where the base gives several steps a patch, one for each. Refuses what
//! the two refuse.

use std::borrow::Cow;
use std::sync::Arc;

use super::EmbeddingModel;
use super::card::Base;
use super::network::{Batch, Company, Network, NetworkOutput, Sent};
use super::torchscript::{Module, ModuleInput};
use crate::error::Result;

/// The two of them.
pub(super) struct Chained {
    base: EmbeddingModel,
    /// Consecutive embeddings that the module reads at once.
    embeddings: usize,
    module: Module,
}

/// What a module is fed with that reads embeddings of `dimension` values as `base` says.
pub(super) fn input(base: &Base, dimension: usize, one_at_a_time: bool) -> ModuleInput {
    let (shape, meaning) = match base.embeddings {
        1 => (vec![dimension], "[batch, dimension]"),
        count => (vec![count, dimension], "[batch, embeddings, dimension]"),
    };
    ModuleInput { shape, meaning, one_at_a_time }
}

impl Chained {
    pub(super) fn new(base: EmbeddingModel, embeddings: usize, module: Module) -> Self {
        Self { base, embeddings, module }
    }

    /// The base's embeddings of `batch`, `[rows, dimension]`.
    fn embed(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        let (values, sound_samples) = self.cut(batch);
        let sound_samples = &sound_samples[..];
        Ok(self.base.embed_batch(&Batch { values: &values, sound_samples })?.embeddings)
    }

    /// The patches of the base that those of `batch` hold.
    fn cut<'a>(&self, batch: &Batch<'a>) -> (Cow<'a, [f32]>, Vec<usize>) {
        if self.embeddings == 1 {
            return (Cow::Borrowed(batch.values), batch.sound_samples.to_vec());
        }
        let own = self.base.front_end();
        let (mut values, mut sound_samples) = (Vec::new(), Vec::new());
        for (patch, sound) in batch.patches() {
            for index in 0..self.embeddings {
                let start = index * own.patch_hop_frames * own.frame_values();
                values.extend_from_slice(&patch[start..start + own.patch_values()]);
                let left = sound.saturating_sub(index * own.patch_hop_samples());
                sound_samples.push(left.clamp(1, own.patch_samples));
            }
        }
        (Cow::Owned(values), sound_samples)
    }
}

impl Network for Chained {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let rows = self.embed(batch)?;
        let count = rows.len() / (self.base.identity().dimension * self.embeddings).max(1);
        let embeddings = self.module.vectors(&rows, count)?;
        Ok(NetworkOutput { embeddings, scores: Vec::new() })
    }

    fn share(&self) -> Box<dyn Network> {
        let (base, module) = (self.base.share(), self.module.shared());
        Box::new(Self { base, embeddings: self.embeddings, module })
    }

    fn keep_company(&mut self, company: &Arc<dyn Company>) {
        self.base.network.keep_company(company);
    }

    fn sent(&self) -> Option<Sent> {
        self.base.sent()
    }
}
