//! The threads between what there is to do and the writer.
//!
//! In: files to read, as [`Tasks`] list them. Out: recordings that are done, and failures, to the writer. A thread lists
//! the files, one a job has them decoded, and a rayon pool of one a job embeds; each waits for the
//! next one's room. When one end hangs up, all stop.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use super::Cancel;
use super::assembly::{Assembly, AssemblyPlan, Finished, KEEP_SEGMENTS, Sound};
use super::decoders::{Decoder, Decoders, DecodingLimits, START_DECODER};
use super::failing::Streak;
use super::fetching::{Ready, Remote};
use super::gathering::Gathering;
use super::queue::{PatchQueue, Piece};
use super::reading::{Event, Request};
use super::shield;
use super::writing::Message;
use crate::audio::resample::FilterCache;
use crate::error::{Error, Result};
use crate::extract::Patches;
use crate::model::EmbeddingModel;
use crate::model::network::{Batch, Company};
use crate::objects::{GET_ACCESS, KEEP_COPY, REACH_STORE};
use crate::store::worklist::{FoundFile, Worklist};

/// Files that are listed ahead: tiny ones are read by the thousand in a second.
const FILES_AHEAD: usize = 256;

/// Whether an error is no fault of the file that was in hand: the next one would fare no better.
pub(super) fn is_our_trouble(error: &Error) -> bool {
    let Error::Io { action, .. } = error else { return false };
    [START_DECODER, KEEP_SEGMENTS, KEEP_COPY, GET_ACCESS, REACH_STORE].contains(action)
}

/// What there is to do, one after the other.
pub(super) trait Tasks: Send {
    /// Calls `visit` with each, until it says `false`.
    ///
    /// # Errors
    /// What ends the whole run.
    fn for_each(self, visit: &mut dyn FnMut(Listed) -> bool) -> Result<()>;
}

/// What a list says.
#[derive(Debug)]
pub(super) enum Listed {
    /// A file to read.
    File(FoundFile),
    /// One that cannot be, and why.
    Failed(FoundFile, Error),
}

impl Tasks for Worklist {
    fn for_each(self, visit: &mut dyn FnMut(Listed) -> bool) -> Result<()> {
        self.for_each_task(|file| visit(Listed::File(file)))
    }
}

/// What the threads share.
pub(super) struct Work<'a> {
    pub(super) model_names: &'a [String],
    pub(super) decoders: &'a Decoders,
    pub(super) filters: &'a FilterCache,
    pub(super) limits: DecodingLimits,
    pub(super) jobs: usize,
    /// One for each network.
    pub(super) assemblies: Vec<AssemblyPlan>,
    pub(super) queue: PatchQueue,
    pub(super) cancel: &'a Cancel,
    /// Told what the networks wait for.
    pub(super) company: Arc<dyn Company>,
    /// Embeddings that each network has made.
    pub(super) steps: &'a [AtomicU64],
    /// What each network failed on of late.
    pub(super) streaks: Vec<Streak>,
    /// Where what does not fit into memory waits.
    pub(super) folder: &'a Path,
    /// What fetches files that are not here; nothing, where all are.
    pub(super) remote: Option<Remote<'a>>,
}

/// Ends a queue when it goes out of scope.
struct Over<'a>(&'a PatchQueue);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Work<'_> {
    /// Starts all threads in `scope`; they end by themselves when everything is done, and drop
    /// their copies of `sender` then.
    ///
    /// # Errors
    /// [`Error::Io`] when threads cannot be started.
    pub(super) fn start<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        models: &[EmbeddingModel],
        tasks: impl Tasks + 'scope,
        sender: SyncSender<Message>,
    ) -> Result<()> {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(self.jobs).build().map_err(|error| {
                Error::Io {
                    action: "start workers for",
                    path: self.folder.to_owned(),
                    source: std::io::Error::other(error),
                }
            })?;
        let (files, listed) = sync_channel(FILES_AHEAD);
        let listed = self.fetched(scope, listed, &sender);
        let for_lister = sender.clone();
        scope.spawn(move || self.list(tasks, &files, &for_lister));
        let for_readers = sender.clone();
        scope.spawn(move || {
            let listed = Mutex::new(listed);
            std::thread::scope(|readers| {
                for _ in 0..self.jobs {
                    readers.spawn(|| self.read_all(&listed, &for_readers));
                }
            });
            self.queue.finish();
        });
        // A model can be sent to another thread but not be shared between threads.
        let share = |model: &EmbeddingModel| model.share().in_company_of(&self.company);
        let share = || models.iter().map(share).collect::<Vec<_>>();
        let shares = Mutex::new((0..self.jobs).map(|_| share()).collect::<Vec<_>>());
        scope.spawn(move || {
            pool.broadcast(|_| {
                // Whatever becomes of an embedder: when it is done there is nothing more, or it has failed,
                // and nobody is to wait for what it had in hand.
                let _over = Over(&self.queue);
                let models = shares.lock().unwrap_or_else(PoisonError::into_inner).pop();
                if let Some(models) = models {
                    self.embed_all(&models, &sender);
                }
            });
        });
        Ok(())
    }

    /// Ends everything, however much is left.
    pub(super) fn stop(&self) {
        self.cancel.cancel();
        self.queue.abandon();
    }

    fn list(&self, tasks: impl Tasks, files: &SyncSender<Ready>, sender: &SyncSender<Message>) {
        let listed = tasks.for_each(&mut |listed| match listed {
            _ if self.cancel.is_cancelled() => false,
            Listed::File(file) => files.send(Ready { file, copy: None }).is_ok(),
            Listed::Failed(file, error) => self.send(sender, Message::Failed(file, error)),
        });
        if let Err(error) = listed {
            self.send(sender, Message::Broken(error));
        }
    }

    /// Has files decoded, until there are no more.
    fn read_all(&self, listed: &Mutex<Receiver<Ready>>, sender: &SyncSender<Message>) {
        let mut decoder = self.decoders.decoder(self.filters, self.limits, self.cancel);
        loop {
            let next = listed.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(ready) = next else { return };
            if self.cancel.is_cancelled() || !self.read(&mut decoder, &ready, sender) {
                return;
            }
        }
    }

    /// Has one file decoded; `false` when nobody wants more.
    fn read(&self, decoder: &mut Decoder<'_>, ready: &Ready, sender: &SyncSender<Message>) -> bool {
        let file = &ready.file;
        let request = Request {
            path: ready.place().to_owned(),
            models: self.model_names.to_vec(),
            known: file.known.as_ref().map(|known| (known.content_hash, known.indexed)),
        };
        let mut recording: Option<Arc<Gathering>> = None;
        let mut steps_read = Vec::new();
        let mut sink = |event| match (event, &recording) {
            (Event::Same, _) => Ok(self.send(sender, Message::Same(file.clone()))),
            (Event::Opened { content_hash, format, recorded, models }, _) => {
                let part = |model: usize| {
                    let plan = self.assemblies.get(model)?;
                    let assembly = Assembly::new(file.clone(), content_hash, format.clone(), plan);
                    Some((model, assembly.recorded(recorded)))
                };
                let parts: Vec<_> = models.into_iter().filter_map(part).collect();
                steps_read = vec![0; parts.len()];
                recording = Some(Arc::new(Gathering::new(file.clone(), parts)));
                Ok(!self.cancel.is_cancelled())
            }
            (Event::Patches(part, patches), Some(recording)) => {
                let Some(model) = recording.model(part) else { return Ok(false) };
                let first = steps_read[part];
                steps_read[part] += patches.health.len();
                recording.wait_for_turn(part, first, || {
                    self.cancel.is_cancelled() || self.queue.is_over()
                });
                let piece = Piece { recording: Arc::clone(recording), part, first, patches };
                Ok(!self.cancel.is_cancelled() && self.queue.push(model, piece))
            }
            (Event::Ended(end), Some(recording)) => {
                Ok(self.hand_on(sender, recording.end(&steps_read, end)?))
            }
            // Nothing comes before it was opened.
            (Event::Patches(..) | Event::Ended(_), None) => Ok(false),
        };
        let Err(error) = decoder.read(&request, file.stamp.size_bytes, &mut sink) else {
            return true;
        };
        let error = ready.named(error);
        if is_our_trouble(&error) {
            return self.send(sender, Message::Broken(error));
        }
        // Its embeddings may have failed before.
        let is_news = recording.as_ref().is_none_or(|recording| recording.fail());
        !is_news || self.send(sender, Message::Failed(file.clone(), error))
    }

    /// Embeds batches, until there are no more.
    fn embed_all(&self, models: &[EmbeddingModel], sender: &SyncSender<Message>) {
        while let Some((place, mut pieces)) = self.queue.take() {
            if self.cancel.is_cancelled() {
                self.queue.abandon();
                return;
            }
            pieces.retain(|piece| !piece.recording.has_failed());
            if !pieces.is_empty() && !self.embed((place, &models[place]), &pieces, sender) {
                return;
            }
        }
    }

    /// Embeds one batch; `false` when nobody wants more.
    pub(super) fn embed(
        &self,
        (place, model): (usize, &EmbeddingModel),
        pieces: &[Piece],
        sender: &SyncSender<Message>,
    ) -> bool {
        let joined: (Vec<f32>, Vec<usize>);
        let batch = if let [piece] = pieces {
            let Patches { values, sound_samples, .. } = &piece.patches;
            Batch { values, sound_samples }
        } else {
            let values = pieces.iter().map(|piece| &piece.patches.values[..]);
            let sound_samples = pieces.iter().map(|piece| &piece.patches.sound_samples[..]);
            joined =
                (values.collect::<Vec<_>>().concat(), sound_samples.collect::<Vec<_>>().concat());
            Batch { values: &joined.0, sound_samples: &joined.1 }
        };
        let path = pieces.first().map_or(Path::new(""), |piece| &piece.recording.file.path);
        let output = match shield::catch(path, || model.embed_batch(&batch)) {
            Ok(output) => output,
            Err(error) => return self.failed_to_embed((place, model), pieces, error, sender),
        };
        self.streaks[place].went_well();
        let plan = &self.assemblies[place];
        let mut embeddings = output.embeddings.chunks_exact(plan.dimension);
        // A model without classes says nothing of them.
        let mut scores = output.scores.chunks_exact(plan.classes.max(1));
        let front_end = model.front_end();
        for piece in pieces {
            let Patches { health, sound_samples, .. } = &piece.patches;
            let shares = sound_samples.iter().flat_map(|&samples| front_end.shares_of(samples));
            let sounds = health.iter().zip(shares).map(|(&health, share)| Sound { health, share });
            for (index, (sound, embedding)) in sounds.zip(&mut embeddings).enumerate() {
                let scores = scores.next().unwrap_or(&[]);
                let step = (piece.part, piece.first + index);
                let taken = piece.recording.take(step, embedding, scores, sound);
                let wanted = match taken {
                    Ok(finished) => self.hand_on(sender, finished),
                    Err(error) if is_our_trouble(&error) => {
                        self.send(sender, Message::Broken(error))
                    }
                    Err(error) if piece.recording.fail() => {
                        let file = piece.recording.file.clone();
                        self.send(sender, Message::Failed(file, error))
                    }
                    Err(_) => true,
                };
                if !wanted {
                    return false;
                }
            }
            self.steps[place].fetch_add(piece.patches.health.len() as u64, Ordering::Relaxed);
        }
        true
    }

    fn hand_on(
        &self,
        sender: &SyncSender<Message>,
        finished: Option<Vec<(usize, Finished)>>,
    ) -> bool {
        finished.is_none_or(|finished| self.send(sender, Message::Done(finished)))
    }

    /// Sends to the writer; `false`, and the end of everything, when it has hung up. It does so
    /// only when it cannot go on.
    pub(super) fn send(&self, sender: &SyncSender<Message>, message: Message) -> bool {
        let sent = sender.send(message).is_ok();
        if !sent {
            self.queue.abandon();
        }
        sent
    }
}
