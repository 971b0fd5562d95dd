//! Collections into a library: finds the recordings, extracts them in parallel, stores them.
//!
//! In: paths, or a manifest. Out: rows of a library or of a dataset, and a [`Report`] of what was
//! done and what failed. A file that fails costs only itself. Threads, order and acknowledgement
//! live here:
//!
//! ```text
//! plan ──▶ readers ──▶ queue of patches ──▶ embedders ──▶ assemblies ──▶ writer
//!          one a job,  bounded; batches     one a job,    a recording's  commits, then
//!          each with a across files         rayon         embeddings     says so
//!          decoder                                        in order
//! ```

mod assembly;
mod decoders;
mod extracting;
mod failing;
mod fetching;
mod gathering;
mod memory;
mod pipeline;
mod plan;
mod politeness;
mod queue;
mod reading;
mod shield;
mod waiting;
mod walk;
mod working;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::audio::segment::Segmentation;
use crate::error::{Error, Result};
use crate::model::card::{MemoryNeed, ModelCard};
use crate::model::network::Wait;
use crate::model::{EmbeddingModel, registry, set_threads_per_operation};
use crate::store::Library;
use crate::store::runs::NewRun;
use crate::store::vector::Precision;
use crate::store::worklist::{FileState, Sum};

use assembly::AssemblyPlan;
pub use decoders::{Decoders, DecodingLimits, Errand};
pub use extracting::{Output, Wanted};
pub use memory::sensible_limit;
pub use plan::{Plan, PlanOptions, Selection};
pub use politeness::give_way;
pub use shield::silence_panics;
pub use walk::audio_files;

use pipeline::Pipeline;
use writing::Belonging;

/// Failures and flaws that a report lists; the rest it counts.
const MAX_LISTED: usize = 1_000;

/// What became of one file.
#[derive(Debug)]
pub enum Outcome {
    /// Stored; seconds of audio and number of segments.
    Indexed {
        /// Its length in seconds.
        duration_s: f64,
        /// Its segments.
        segments: usize,
        /// Whether it was less than whole: `truncated` or `damaged`.
        flaw: Option<String>,
    },
    /// Its stamp had changed but not its content.
    Unchanged,
    /// Not stored, and why.
    Failed(Error),
}

/// Somebody who wants to know how indexing goes on.
pub trait Observer {
    /// The work is known: files and bytes to read, by the files' extension.
    fn planned(&self, workload: &[(String, Sum)]);
    /// So many seconds of audio were embedded in all, those of unfinished files included.
    fn heard(&self, audio_s: f64);
    /// A network has to wait itself, for a server.
    fn waits(&self, _wait: &Wait) {}
    /// A file's outcome is final: stored and synced, or failed.
    fn finished(&self, path: &Path, bytes: u64, outcome: &Outcome);
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// Recordings that were embedded and stored.
    pub indexed: u64,
    /// Recordings that were in the library already.
    pub unchanged: u64,
    /// Files that are no audio.
    pub skipped: u64,
    /// Recordings of the library that belong into the folders and are not there any more.
    pub missing: u64,
    /// Files that failed before, as they are, and were not tried again.
    pub failed_before: u64,
    /// Files that failed.
    pub failures: u64,
    /// The first of them, by path, and why.
    pub failed: Vec<(PathBuf, Error)>,
    /// Of those indexed, the first that were less than whole, and how.
    pub flawed: Vec<(PathBuf, String)>,
    /// Seconds of audio that were embedded.
    pub duration_s: f64,
    /// Segments that were stored.
    pub segments: u64,
    /// Wall time in seconds.
    pub elapsed_s: f64,
    /// Whether it was stopped before everything was done.
    pub interrupted: bool,
}

/// A wish to stop, which may come from anywhere.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    asked: Arc<AtomicBool>,
    /// One that this one follows.
    parent: Option<Arc<AtomicBool>>,
}

impl Cancel {
    /// Asks to stop after what is in hand.
    pub fn cancel(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked for.
    pub fn is_cancelled(&self) -> bool {
        let is_set = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        is_set(&self.asked) || self.parent.as_ref().is_some_and(is_set)
    }

    /// One that follows this one, and can be cancelled without it.
    fn follower(&self) -> Self {
        Self { asked: Arc::default(), parent: Some(Arc::clone(&self.asked)) }
    }
}

/// How to index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexOptions {
    /// Files decoded, and batches embedded, at once.
    pub jobs: usize,
    /// Bytes of memory that all of it may take; a sensible share, when `None`.
    pub memory_bytes: Option<u64>,
    /// How much of a value is stored.
    pub vectors: Precision,
    /// Class scores that are stored of each segment; of a recording, twice as many.
    pub scores: usize,
    /// Segments longer than the model's patches; the library's own, when `None`.
    pub segments: Option<Segmentation>,
    /// Time that decoding a file may take; by its size, when `None`.
    pub time_limit: Option<Duration>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            jobs: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: None,
            vectors: Precision::default(),
            scores: 5,
            segments: None,
            time_limit: None,
        }
    }
}

impl IndexOptions {
    /// Refuses what cannot be done with the model that `card` describes.
    ///
    /// # Errors
    /// [`Error::Segments`], [`Error::TooLittleMemory`].
    pub fn check(&self, card: &ModelCard) -> Result<()> {
        check_segments(card, self.segments)?;
        self.share(&[card.memory]).map(drop)
    }

    fn share(&self, networks: &[MemoryNeed]) -> Result<memory::Share> {
        memory::share(self.jobs, networks, self.memory_bytes.unwrap_or_else(sensible_limit))
    }
}

/// Everything that indexing needs beside a library and paths.
#[derive(Clone, Copy)]
pub struct Indexer<'a> {
    /// The networks: each file is decoded once, for all of them.
    pub models: &'a [EmbeddingModel],
    /// Where files are decoded.
    pub decoders: &'a Decoders,
    /// How.
    pub options: &'a IndexOptions,
    /// Asked between batches.
    pub cancel: &'a Cancel,
    /// Told what happens.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for Indexer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Indexer")
            .field("models", &self.models)
            .field("options", self.options)
            .finish_non_exhaustive()
    }
}

impl Indexer<'_> {
    /// Embeds what `paths` hold and stores it in `library`.
    ///
    /// # Errors
    /// Only what ends the whole run: [`Error::Store`] and its like. Everything else is in the
    /// report.
    pub fn index(&self, library: &mut Library, paths: &[PathBuf]) -> Result<Report> {
        let selection = Selection::Paths(paths.to_vec());
        let plan = self.plan(library, &selection, PlanOptions::default())?;
        self.carry_out(library, plan)
    }

    /// Looks at what there is to do.
    ///
    /// # Errors
    /// [`Error::Store`], and [`Error::OtherSegments`] or [`Error::Segments`] when what is there
    /// and what is wanted do not go together.
    pub fn plan(
        &self,
        library: &Library,
        selection: &Selection,
        options: PlanOptions,
    ) -> Result<Plan> {
        let all_stored = library.models()?;
        let mut ids = Vec::with_capacity(self.models.len());
        for model in self.models {
            self.options.check(model.card())?;
            // Looking changes nothing: a model that is not there yet has nothing indexed either.
            let stored = all_stored.iter().find(|stored| stored.identity == *model.identity());
            if let Some(stored) = stored.filter(|stored| stored.recordings > 0)
                && self.options.segments.is_some_and(|wanted| Some(wanted) != stored.segmentation)
            {
                let path = library.path().to_owned();
                return Err(Error::OtherSegments { path, found: stored.segmentation });
            }
            ids.push(stored.map_or(0, |stored| stored.id));
        }
        Plan::make(library, &ids, selection, options, self.cancel)
    }

    /// Does what `plan` says is to be embedded.
    ///
    /// # Errors
    /// As [`index`](Self::index).
    pub fn carry_out(&self, library: &mut Library, plan: Plan) -> Result<Report> {
        let started = Instant::now();
        // Workers run networks side by side; one operation split among threads would only get in
        // their way. Threads that use libtorch first from now on inherit it.
        set_threads_per_operation(1);
        let networks: Vec<_> = self.models.iter().map(|model| model.card().memory).collect();
        let share = self.options.share(&networks)?;
        let models: Vec<i64> =
            self.models.iter().map(|model| self.model_id(library, model)).collect::<Result<_>>()?;
        let mut report = self.begin_report(library, &plan)?;
        let (worklist, failed) = plan.into_parts();
        writing::forget_settled(library, &worklist)?;
        writing::store_failures(library, &failed)?;
        for (path, error) in failed {
            let outcome = Outcome::Failed(error);
            self.observer.finished(&path, 0, &outcome);
            report.count(path, outcome);
        }
        let folder = make_cache_folder(library)?;
        let (mut belonging, mut assemblies) = (Vec::new(), Vec::new());
        for (model, id) in self.models.iter().zip(models) {
            let (belongs, assembly) = self.begin_run(library, (model, id), &folder)?;
            belonging.push(belongs);
            assemblies.push(assembly);
        }

        let runs: Vec<i64> = belonging.iter().map(|belonging| belonging.run).collect();
        let mut sink = writing::LibrarySink::new(library, belonging)?;
        let pipeline =
            Pipeline { indexer: self, assemblies, folder: &folder, share, objects: None };
        pipeline.run(worklist, &mut sink, &mut report)?;
        let writer = library.begin()?;
        for run in runs {
            writer.finish_run(run)?;
        }
        writer.commit()?;
        report.end(self.cancel, started);
        Ok(report)
    }

    fn model_id(&self, library: &mut Library, model: &EmbeddingModel) -> Result<i64> {
        let classes = registry::class_names(&model.card().name)?;
        let writer = library.begin()?;
        let id = writer.model_id(model.identity(), model.card(), &classes)?;
        let wanted = self.options.segments.or(writer.segmentation(id, None)?);
        // The first run of a model settles it: what the card says, unless something else is asked.
        writer.segmentation(id, wanted.or(model.card().segmentation()))?;
        writer.commit()?;
        Ok(id)
    }

    fn begin_report(&self, library: &Library, plan: &Plan) -> Result<Report> {
        let mut workload = plan.workload()?;
        let failed = Sum { files: plan.failed().len() as u64, bytes: 0 };
        workload.extend((failed.files > 0).then(|| (String::new(), failed)));
        self.observer.planned(&workload);
        let mut missing = 0;
        for recording in plan.gone()? {
            // It may have been moved or removed since the plan was made.
            if recording.moved_to.is_none() && library.recording(recording.id)?.is_some() {
                missing += 1;
            }
        }
        Ok(Report {
            unchanged: plan.sum(FileState::Unchanged)?.files,
            skipped: plan.sum(FileState::Skipped)?.files,
            failed_before: plan.sum(FileState::FailedBefore)?.files,
            missing,
            ..Report::default()
        })
    }

    fn begin_run(
        &self,
        library: &mut Library,
        (model, id): (&EmbeddingModel, i64),
        folder: &Path,
    ) -> Result<(Belonging, AssemblyPlan)> {
        let writer = library.begin()?;
        let segments = writer.segmentation(id, None)?;
        let compute = model.compute();
        let (device, precision) = (compute.device.to_string(), compute.precision.to_string());
        let run =
            writer.begin_run(&NewRun { model: id, device: &device, precision: &precision })?;
        writer.commit()?;
        let card = model.card();
        let assembly = AssemblyPlan {
            dimension: model.identity().dimension,
            classes: card.class_count(),
            patch: patches_of(card),
            segments,
            vectors: self.options.vectors,
            scores: self.options.scores,
            folder: folder.to_owned(),
        };
        Ok((Belonging { model: id, run }, assembly))
    }
}

fn make_cache_folder(library: &Library) -> Result<PathBuf> {
    let folder = library.cache_folder();
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(source) => Err(Error::Io { action: "make", path: folder, source }),
    }
}

fn patches_of(card: &ModelCard) -> Segmentation {
    Segmentation { segment_s: card.window_s, hop_s: card.hop_s }
}

/// Refuses segments that cannot be made of the patches of `card`.
fn check_segments(card: &ModelCard, wanted: Option<Segmentation>) -> Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    let patch = patches_of(card);
    // Each segment that overlaps is summed by itself.
    let least_hop_s = patch.hop_s.max(wanted.segment_s / 100.0);
    let is_possible = wanted.segment_s >= patch.segment_s
        && wanted.segment_s.is_finite()
        && (least_hop_s..=wanted.segment_s).contains(&wanted.hop_s);
    if is_possible {
        return Ok(());
    }
    Err(Error::Segments { wanted, least_s: patch.segment_s, least_hop_s })
}

impl Report {
    /// Brings the lists into order, and says how it ended.
    fn end(&mut self, cancel: &Cancel, started: Instant) {
        self.interrupted = cancel.is_cancelled();
        self.failed.sort_by(|a, b| a.0.cmp(&b.0));
        self.flawed.sort();
        self.elapsed_s = started.elapsed().as_secs_f64();
    }

    fn count(&mut self, path: PathBuf, outcome: Outcome) {
        match outcome {
            Outcome::Indexed { duration_s, segments, flaw } => {
                self.indexed += 1;
                self.duration_s += duration_s;
                self.segments += segments as u64;
                if self.flawed.len() < MAX_LISTED {
                    self.flawed.extend(flaw.map(|flaw| (path, flaw)));
                }
            }
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Failed(error) => {
                self.failures += 1;
                if self.failed.len() < MAX_LISTED {
                    self.failed.push((path, error));
                }
            }
        }
    }
}
