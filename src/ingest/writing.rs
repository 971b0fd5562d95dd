//! What the workers send, to where it is kept: a [`Sink`], of which the library is one.
//!
//! In: recordings that are done, and failures. Out: commits, several recordings each, and the
//! word that they are done. The only place that writes while workers are at work.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::assembly::Finished;
use super::plan::stamp_of;
use super::waiting::Waiting;
use super::{Observer, Outcome, Report};
use crate::error::{Error, Result};
use crate::store::failures::NewFailure;
use crate::store::recordings::{FileStamp, NewRecording};
use crate::store::segments::VectorsOf;
use crate::store::worklist::{FileState, FoundFile, Worklist};
use crate::store::{Library, Writer};

/// Longest time that a finished recording waits for its commit, and most that share one. A commit
/// syncs the disk, which costs milliseconds; losing half a second of work costs that.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
const COMMIT_RECORDINGS: usize = 1_024;

/// How long another program may hold the library: a night's work should not end because somebody
/// looks at it with an SQLite shell.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a worker sends to the writer.
#[derive(Debug)]
pub(super) enum Message {
    /// What each network, by its place, says of a recording.
    Done(Vec<(usize, Finished)>),
    /// The stamp had changed, the content had not.
    Same(FoundFile),
    Failed(FoundFile, Error),
    /// Nothing can go on.
    Broken(Error),
}

/// What recordings are stored with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belonging {
    pub(super) model: i64,
    pub(super) run: i64,
}

/// A network's share in what was heard.
pub(super) struct Share<'a> {
    /// Embeddings that it made, of files that are done and of those that are not.
    pub(super) steps: &'a AtomicU64,
    /// From one to the next, in seconds.
    pub(super) hop_s: f64,
}

/// Tells an observer how far the workers are, between the outcomes.
pub(super) struct Watch<'a> {
    pub(super) observer: &'a dyn Observer,
    pub(super) shares: Vec<Share<'a>>,
    pub(super) waiting: &'a Waiting,
}

impl Watch<'_> {
    pub(super) fn look(&self) {
        let heard = |share: &Share<'_>| share.steps.load(Ordering::Relaxed) as f64 * share.hop_s;
        // Sound counts as heard as far as the networks, on average, have come.
        let count = self.shares.len().max(1) as f64;
        self.observer.heard(self.shares.iter().map(heard).sum::<f64>() / count);
        if let Some(wait) = self.waiting.take() {
            self.observer.waits(&wait);
        }
    }
}

/// What has become final of a file.
pub(super) type Settled = (PathBuf, FileStamp, Outcome);

/// Where recordings that are done go.
pub(super) trait Sink {
    /// Takes what workers sent; says what is final of it, which is all of it.
    ///
    /// # Errors
    /// What ends the whole run, [`Message::Broken`] too, which comes alone.
    fn take(&mut self, batch: Vec<Message>) -> Result<Vec<Settled>>;
}

/// Recordings into a library, several in a commit.
pub(super) struct LibrarySink<'a> {
    library: &'a mut Library,
    belonging: Vec<Belonging>,
}

impl<'a> LibrarySink<'a> {
    pub(super) fn new(library: &'a mut Library, belonging: Vec<Belonging>) -> Result<Self> {
        library.wait_for_others(PATIENCE)?;
        Ok(Self { library, belonging })
    }
}

impl Sink for LibrarySink<'_> {
    fn take(&mut self, batch: Vec<Message>) -> Result<Vec<Settled>> {
        // The transaction begins when everything for it is there: other processes want the
        // library too.
        let writer = self.library.begin()?;
        let mut settled = Vec::with_capacity(batch.len());
        for message in batch {
            settled.push(store(&writer, &self.belonging, message)?);
        }
        writer.commit()?;
        Ok(settled)
    }
}

/// Hands what the workers send to `sink` until they hang up.
///
/// Owns the receiving end: when it fails, that is dropped, and the workers stop.
#[expect(clippy::needless_pass_by_value, reason = "dropping it is what ends the workers")]
pub(super) fn take_all(
    sink: &mut dyn Sink,
    receiver: Receiver<Message>,
    report: &mut Report,
    watch: &Watch<'_>,
) -> Result<()> {
    while let Some(mut batch) = next_batch(&receiver, watch) {
        // What was done before it broke is kept.
        let is_end = |message: &Message| matches!(message, Message::Broken(_));
        let end = batch.iter().position(is_end).map(|place| batch.split_off(place));
        for batch in [Some(batch), end].into_iter().flatten().filter(|batch| !batch.is_empty()) {
            let settled = sink.take(batch)?;
            watch.look();
            // Only now is it true.
            for (path, stamp, outcome) in settled {
                watch.observer.finished(&path, stamp.size_bytes, &outcome);
                report.count(path, outcome);
            }
        }
    }
    Ok(())
}

/// Forgets the failures of files that are not there any more, that turned out to be indexed or no
/// audio, and of folders, which are told again if they still cannot be read.
pub(super) fn forget_settled(library: &mut Library, worklist: &Worklist) -> Result<()> {
    let mut settled = Vec::new();
    library.for_each_failure(|failure| {
        let path = failure.path;
        let is_settled = matches!(path.try_exists(), Ok(false))
            || path.is_dir()
            || matches!(
                worklist.state_of(&path)?,
                Some(FileState::Unchanged | FileState::Skipped | FileState::Moved)
            );
        if is_settled {
            settled.push(path);
        }
        Ok(())
    })?;
    if settled.is_empty() {
        return Ok(());
    }
    let writer = library.begin()?;
    for path in settled {
        writer.remove_failure(&path)?;
    }
    writer.commit()
}

/// Notes the failures of paths that could not even be looked at; names of nothing, as mistyped
/// ones are, were told and are not kept.
pub(super) fn store_failures(library: &mut Library, failed: &[(PathBuf, Error)]) -> Result<()> {
    let exists = |(path, _): &&(PathBuf, Error)| !matches!(path.try_exists(), Ok(false));
    if !failed.iter().any(|failure| exists(&failure)) {
        return Ok(());
    }
    let writer = library.begin()?;
    for (path, error) in failed.iter().filter(exists) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        put_failure(&writer, &path, stamp_of(&path), error)?;
    }
    writer.commit()
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

fn store(writer: &Writer<'_>, belonging: &[Belonging], message: Message) -> Result<Settled> {
    match message {
        Message::Done(finished) => store_recording(writer, belonging, finished),
        Message::Same(file) => {
            if let Some(known) = &file.known {
                writer.touch_recording(known.id, file.stamp)?;
                writer.remove_failure(&file.path)?;
            }
            Ok((file.path, file.stamp, Outcome::Unchanged))
        }
        Message::Failed(file, error) => {
            put_failure(writer, &file.path, Some(file.stamp), &error)?;
            Ok((file.path, file.stamp, Outcome::Failed(error)))
        }
        Message::Broken(error) => Err(error),
    }
}

fn put_failure(
    writer: &Writer<'_>,
    path: &Path,
    stamp: Option<FileStamp>,
    error: &Error,
) -> Result<()> {
    writer.put_failure(&NewFailure {
        path,
        stamp,
        stage: error.stage(),
        reason: &error.reason(),
        hint: error.hint().as_deref(),
    })
}

fn store_recording(
    writer: &Writer<'_>,
    belonging: &[Belonging],
    finished: Vec<(usize, Finished)>,
) -> Result<Settled> {
    // One row, whoever heard it.
    let mut stored: Option<(i64, PathBuf, FileStamp, Outcome)> = None;
    for (place, finished) in finished {
        let Finished { file, content_hash, format, recorded, end, pooled, scores, segments } =
            finished;
        let id = if let Some((id, ..)) = &stored {
            *id
        } else {
            let id = writer.put_recording(&NewRecording {
                path: &file.path,
                stamp: file.stamp,
                content_hash,
                format: &format,
                duration_s: end.duration_s,
                integrity: end.integrity,
            })?;
            writer.put_recorded(id, &file.path, recorded)?;
            writer.remove_failure(&file.path)?;
            id
        };
        let Belonging { model, run } = belonging[place];
        let of = VectorsOf { recording: id, model, run };
        let count = writer.put_vectors(of, segments, &pooled)?;
        writer.put_classes(id, model, &scores)?;
        if let Some((.., Outcome::Indexed { segments, .. })) = &mut stored {
            *segments += count;
        } else {
            let (duration_s, flaw) = (end.duration_s, end.integrity.flaw());
            let outcome = Outcome::Indexed { duration_s, segments: count, flaw };
            stored = Some((id, file.path, file.stamp, outcome));
        }
    }
    match stored {
        Some((_, path, stamp, outcome)) => Ok((path, stamp, outcome)),
        None => Err(Error::Output(std::io::Error::other("a recording of no network"))),
    }
}
