//! Collections into a library: finds the recordings, extracts them in parallel, stores them.
//!
//! In: paths. Out: rows, and a [`Report`] of what was done and what failed. A file that fails
//! costs only itself. Threads, order and acknowledgement live here: extraction runs on a pool of
//! workers, one writer commits what they send, and a recording counts as done after its commit.

mod plan;
mod shield;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::audio::resample::FilterCache;
use crate::error::{Error, Result};
use crate::extract::{Extraction, Extractor};
use crate::model::pool::top_scores;
use crate::model::{EmbeddingModel, registry, set_threads_per_operation};
use crate::store::Library;
use crate::store::recordings::{FileStamp, NewRecording};
use crate::store::segments::NewSegment;
use crate::store::vector::encode;

use plan::{Plan, Task};
pub use shield::silence_panics;

/// Class scores that are kept of each recording.
const CLASSES_PER_RECORDING: usize = 10;

/// Longest time that a finished recording waits for its commit, and most that share one. A commit
/// syncs the disk, which costs milliseconds; losing half a second of work costs that.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
const COMMIT_RECORDINGS: usize = 256;

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
    /// The work is known: files and bytes to read.
    fn planned(&self, files: usize, bytes: u64);
    /// So many seconds of audio were embedded in all, those of unfinished files included.
    fn heard(&self, audio_s: f64);
    /// A file's outcome is final: stored and synced, or failed.
    fn finished(&self, path: &Path, bytes: u64, outcome: &Outcome);
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// Recordings that were embedded and stored.
    pub indexed: usize,
    /// Recordings that were in the library already.
    pub unchanged: usize,
    /// Files that are no audio.
    pub skipped: usize,
    /// Recordings of the library that belong into the folders and are not there any more.
    pub missing: usize,
    /// Files that failed, and why.
    pub failed: Vec<(PathBuf, Error)>,
    /// Of those indexed, the ones that were less than whole, and how.
    pub flawed: Vec<(PathBuf, String)>,
    /// Seconds of audio that were embedded.
    pub duration_s: f64,
    /// Segments that were stored.
    pub segments: usize,
    /// Wall time in seconds.
    pub elapsed_s: f64,
}

/// Embeds what `paths` hold with `model` and stores it in `library`, with `jobs` workers.
///
/// # Errors
/// Only what ends the whole run: [`Error::Store`] and its like. Everything else is in the report.
pub fn index(
    library: &mut Library,
    model: &EmbeddingModel,
    paths: &[PathBuf],
    jobs: usize,
    observer: &dyn Observer,
) -> Result<Report> {
    let started = Instant::now();
    // Workers run networks side by side; one operation split among threads would only get in
    // their way. Threads that use libtorch first from now on inherit it.
    set_threads_per_operation(1);
    let classes = registry::class_names(&model.card().name)?;
    let writer = library.begin()?;
    let model_id = writer.model_id(model.identity(), model.card(), &classes)?;
    writer.commit()?;

    let plan = Plan::make(paths, &library.known_files(model_id)?);
    let mut report = Report {
        unchanged: plan.unchanged,
        skipped: plan.skipped,
        missing: plan.missing,
        ..Report::default()
    };
    observer.planned(plan.tasks.len(), plan.tasks.iter().map(|task| task.stamp.size_bytes).sum());
    for (path, error) in plan.failed {
        let outcome = Outcome::Failed(error);
        observer.finished(&path, 0, &outcome);
        report.count(path, outcome);
    }

    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(jobs).build().map_err(|error| Error::Io {
            action: "start workers for",
            path: library.path().to_owned(),
            source: std::io::Error::other(error),
        })?;
    // Bounded, so that workers wait for the disk rather than fill the memory.
    let (sender, receiver) = sync_channel(2 * jobs);
    let patches = Arc::new(AtomicU64::new(0));
    let watch = Watch { observer, patches: Arc::clone(&patches), hop_s: model.card().hop_s };
    std::thread::scope(|scope| {
        let tasks = &plan.tasks;
        // To copy from: a model can be sent to another thread but not be shared between threads.
        let model = Mutex::new(model.share());
        scope.spawn(move || pool.install(|| extract_all(tasks, &model, &patches, &sender)));
        store_all(library, model_id, receiver, &mut report, &watch)
    })?;
    report.failed.sort_by(|a, b| a.0.cmp(&b.0));
    report.flawed.sort();
    report.elapsed_s = started.elapsed().as_secs_f64();
    Ok(report)
}

/// What a worker sends to the writer.
struct Message {
    path: PathBuf,
    stamp: FileStamp,
    work: Result<Work>,
}

enum Work {
    Extracted {
        content_hash: [u8; 32],
        extraction: Extraction,
        vectors: Vec<Vec<u8>>,
        pooled: Vec<u8>,
    },
    Unchanged {
        id: i64,
    },
}

fn extract_all(
    tasks: &[Task],
    model: &Mutex<EmbeddingModel>,
    patches: &AtomicU64,
    sender: &SyncSender<Message>,
) {
    let filters = Arc::new(FilterCache::default());
    let extractor = || {
        let model = model.lock().unwrap_or_else(PoisonError::into_inner).share();
        Extractor::new(model, Arc::clone(&filters))
    };
    let work = |extractor: &mut Extractor, task: &Task| Message {
        path: task.path.clone(),
        stamp: task.stamp,
        work: shield::catch(&task.path, || extract(extractor, task, patches)),
    };
    // The writer hangs up only when it cannot go on; then nothing more is worth doing. One task at
    // a time: files differ in length by orders of magnitude.
    let _ = tasks
        .par_iter()
        .with_max_len(1)
        .map_init(extractor, work)
        .try_for_each(|message| sender.send(message).map_err(drop));
}

fn extract(extractor: &mut Extractor, task: &Task, patches: &AtomicU64) -> Result<Work> {
    let content_hash = hash_file(&task.path)?;
    if let Some(known) = &task.known
        && known.indexed
        && known.content_hash == content_hash
    {
        return Ok(Work::Unchanged { id: known.id });
    }
    let refused = |what: &str, problem| Error::Vector {
        what: format!("{what} of {}", task.path.display()),
        problem,
    };
    let mut vectors = Vec::new();
    let extraction = extractor.extract(&task.path, |embedding| {
        let vector = encode(embedding).map_err(|problem| refused("an embedding", problem))?;
        vectors.push(vector);
        patches.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })?;
    let pooled =
        encode(&extraction.pooled).map_err(|problem| refused("the pooled embedding", problem))?;
    Ok(Work::Extracted { content_hash, extraction, vectors, pooled })
}

fn hash_file(path: &Path) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    std::fs::File::open(path)
        .and_then(|file| hasher.update_reader(file).map(drop))
        .map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    Ok(hasher.finalize().into())
}

/// Commits what the workers send, several recordings at a time, until they hang up.
///
/// Owns the receiving end: when it fails, that is dropped, and the workers stop waiting.
#[expect(clippy::needless_pass_by_value, reason = "dropping it is what ends the workers")]
fn store_all(
    library: &mut Library,
    model_id: i64,
    receiver: Receiver<Message>,
    report: &mut Report,
    watch: &Watch<'_>,
) -> Result<()> {
    while let Some(batch) = next_batch(&receiver, watch) {
        // The transaction begins when everything for it is there: other processes want the
        // library too.
        let writer = library.begin()?;
        let mut done = Vec::with_capacity(batch.len());
        for Message { path, stamp, work } in batch {
            let outcome = match work {
                Ok(work) => store(&writer, model_id, &path, stamp, work)?,
                Err(error) => Outcome::Failed(error),
            };
            done.push((path, stamp, outcome));
        }
        writer.commit()?;
        watch.look();
        // Only now is it true.
        for (path, stamp, outcome) in done {
            watch.observer.finished(&path, stamp.size_bytes, &outcome);
            report.count(path, outcome);
        }
    }
    Ok(())
}

/// What the workers send within [`COMMIT_EVERY`] of the first message; `None` when they have hung
/// up.
fn next_batch(receiver: &Receiver<Message>, watch: &Watch<'_>) -> Option<Vec<Message>> {
    let mut batch = Vec::new();
    let mut deadline = None;
    while batch.len() < COMMIT_RECORDINGS {
        let until = deadline.unwrap_or_else(|| Instant::now() + COMMIT_EVERY);
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(message) => {
                deadline.get_or_insert_with(|| Instant::now() + COMMIT_EVERY);
                batch.push(message);
            }
            Err(RecvTimeoutError::Timeout) if batch.is_empty() => watch.look(),
            Err(_) => break,
        }
    }
    (!batch.is_empty()).then_some(batch)
}

/// Tells an observer how far the workers are, between the outcomes.
struct Watch<'a> {
    observer: &'a dyn Observer,
    /// Patches that were embedded, of files that are done and of those that are not.
    patches: Arc<AtomicU64>,
    hop_s: f64,
}

impl Watch<'_> {
    fn look(&self) {
        self.observer.heard(self.patches.load(Ordering::Relaxed) as f64 * self.hop_s);
    }
}

fn store(
    writer: &crate::store::Writer<'_>,
    model_id: i64,
    path: &Path,
    stamp: FileStamp,
    work: Work,
) -> Result<Outcome> {
    let (content_hash, extraction, vectors, pooled) = match work {
        Work::Unchanged { id } => {
            writer.touch_recording(id, stamp)?;
            return Ok(Outcome::Unchanged);
        }
        Work::Extracted { content_hash, extraction, vectors, pooled } => {
            (content_hash, extraction, vectors, pooled)
        }
    };
    let id = writer.put_recording(&NewRecording {
        path,
        stamp,
        content_hash,
        format: &extraction.format,
        duration_s: extraction.duration_s,
        integrity: extraction.integrity,
    })?;
    let segments: Vec<NewSegment> = extraction
        .ranges
        .iter()
        .zip(vectors)
        .map(|(&range, vector)| NewSegment { range, vector })
        .collect();
    writer.put_vectors(id, model_id, &segments, &pooled)?;
    writer.put_classes(id, model_id, &top_scores(&extraction.scores, CLASSES_PER_RECORDING))?;
    Ok(Outcome::Indexed {
        duration_s: extraction.duration_s,
        segments: segments.len(),
        flaw: extraction.integrity.flaw(),
    })
}

impl Report {
    fn count(&mut self, path: PathBuf, outcome: Outcome) {
        match outcome {
            Outcome::Indexed { duration_s, segments, flaw } => {
                self.indexed += 1;
                self.duration_s += duration_s;
                self.segments += segments;
                self.flawed.extend(flaw.map(|flaw| (path, flaw)));
            }
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Failed(error) => self.failed.push((path, error)),
        }
    }
}
