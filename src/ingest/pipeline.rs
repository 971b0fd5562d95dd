//! Readers, queue and embedders, between what there is to do and where it goes.
//!
//! In: [`Tasks`]. Out: what becomes of them, to a [`Sink`]. The same for a library and a dataset.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::sync_channel;

use super::assembly::AssemblyPlan;
use super::failing::Streak;
use super::fetching::Remote;
use super::memory;
use super::queue::{LaneSpec, PatchQueue};
use super::waiting::Waiting;
use super::working::{Tasks, Work};
use super::writing::{self, Share, Sink, Watch};
use super::{DecodingLimits, Indexer, Report};
use crate::audio::resample::FilterCache;
use crate::error::Result;
use crate::model::EmbeddingModel;
use crate::objects::Objects;

/// Finished recordings that wait for the writer.
const FINISHED_WAITING: usize = 64;

/// Everything between tasks and a sink.
pub(super) struct Pipeline<'a> {
    pub(super) indexer: &'a Indexer<'a>,
    /// One for each network.
    pub(super) assemblies: Vec<AssemblyPlan>,
    /// Where what does not fit into memory waits.
    pub(super) folder: &'a Path,
    pub(super) share: memory::Share,
    /// What fetches files that are not here.
    pub(super) objects: Option<&'a Objects>,
}

impl Pipeline<'_> {
    /// Has all `tasks` done.
    ///
    /// # Errors
    /// What ends the whole run; what is wrong with a file goes to `sink`.
    pub(super) fn run(
        self,
        tasks: impl Tasks,
        sink: &mut dyn Sink,
        report: &mut Report,
    ) -> Result<()> {
        let Self { indexer, assemblies, folder, share, objects } = self;
        let models = indexer.models;
        let (sender, receiver) = sync_channel(FINISHED_WAITING);
        let steps: Vec<AtomicU64> = models.iter().map(|_| AtomicU64::new(0)).collect();
        let filters = FilterCache::default();
        let cancel = indexer.cancel.follower();
        let shares = steps.iter().zip(models);
        let shares = shares.map(|(steps, model)| Share { steps, hop_s: model.card().hop_s });
        let waiting = Arc::new(Waiting::new(cancel.clone()));
        let observer = indexer.observer;
        let watch = Watch { observer, shares: shares.collect(), waiting: &waiting };
        let model_names: Vec<String> =
            models.iter().map(|model| model.card().name.clone()).collect();
        let lane = |model: &EmbeddingModel| {
            let batch = model.card().batch_patches.max(1);
            let capacity = share.jobs * memory::BATCHES_PER_JOB * batch;
            LaneSpec { front_end: model.front_end(), batch, capacity }
        };
        let time = indexer.options.time_limit;
        let work = Work {
            model_names: &model_names,
            decoders: indexer.decoders,
            filters: &filters,
            limits: DecodingLimits { memory_bytes: share.decoder_bytes, time },
            jobs: share.jobs,
            assemblies,
            queue: PatchQueue::new(models.iter().map(lane).collect()),
            cancel: &cancel,
            company: waiting.clone(),
            steps: &steps,
            streaks: models.iter().map(|_| Streak::default()).collect(),
            folder,
            remote: objects.map(|objects| Remote { objects, folder }),
        };
        std::thread::scope(|scope| {
            work.start(scope, models, tasks, sender)?;
            let taken = writing::take_all(sink, receiver, report, &watch);
            if taken.is_err() {
                // Nothing of what is in hand can be kept any more.
                work.stop();
            }
            taken
        })
    }
}
