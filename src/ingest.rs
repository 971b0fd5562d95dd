//! Collections into a library: finds the recordings, extracts them in parallel, stores them.
//!
//! In: paths. Out: rows, and a [`Report`] of what was done and what failed. A file that fails
//! costs only itself. Threads, order and acknowledgement live here: extraction runs on a pool of
//! workers, one writer commits what they send, and a recording counts as done after its commit.

mod plan;
mod shield;

use std::path::{Path, PathBuf};
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

pub use plan::Plan;
use plan::Task;
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
    let mut report =
        Report { unchanged: plan.unchanged, skipped: plan.skipped, ..Report::default() };
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
    std::thread::scope(|scope| {
        let tasks = &plan.tasks;
        // To copy from: a model can be sent to another thread but not be shared between threads.
        let model = Mutex::new(model.share());
        scope.spawn(move || pool.install(|| extract_all(tasks, &model, &sender)));
        store_all(library, model_id, &receiver, &mut report, observer)
    })?;
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

fn extract_all(tasks: &[Task], model: &Mutex<EmbeddingModel>, sender: &SyncSender<Message>) {
    let filters = Arc::new(FilterCache::default());
    let extractor = || {
        let model = model.lock().unwrap_or_else(PoisonError::into_inner).share();
        Extractor::new(model, Arc::clone(&filters))
    };
    // The writer hangs up only when it cannot go on; then nothing more is worth doing. One task at
    // a time: files differ in length by orders of magnitude.
    let _ = tasks
        .par_iter()
        .with_max_len(1)
        .map_init(extractor, work)
        .try_for_each(|message| sender.send(message).map_err(drop));
}

fn work(extractor: &mut Extractor, task: &Task) -> Message {
    let work = shield::catch(&task.path, || extract(extractor, task));
    Message { path: task.path.clone(), stamp: task.stamp, work }
}

fn extract(extractor: &mut Extractor, task: &Task) -> Result<Work> {
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
fn store_all(
    library: &mut Library,
    model_id: i64,
    receiver: &Receiver<Message>,
    report: &mut Report,
    observer: &dyn Observer,
) -> Result<()> {
    while let Ok(first) = receiver.recv() {
        let deadline = Instant::now() + COMMIT_EVERY;
        let writer = library.begin()?;
        let mut done = Vec::new();
        let mut next = Ok(first);
        while let Ok(message) = next {
            let Message { path, stamp, work } = message;
            let outcome = match work {
                Ok(work) => store(&writer, model_id, &path, stamp, work)?,
                Err(error) => Outcome::Failed(error),
            };
            done.push((path, stamp, outcome));
            let left = deadline.saturating_duration_since(Instant::now());
            next = if done.len() < COMMIT_RECORDINGS {
                receiver.recv_timeout(left)
            } else {
                Err(RecvTimeoutError::Timeout)
            };
        }
        writer.commit()?;
        // Only now is it true.
        for (path, stamp, outcome) in done {
            observer.finished(&path, stamp.size_bytes, &outcome);
            report.count(path, outcome);
        }
    }
    Ok(())
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
