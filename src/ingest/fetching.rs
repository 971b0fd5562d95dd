//! Files that are not here yet, before they are decoded.
//!
//! In: files to read, some of which are addresses. Out: the same, each with where its bytes lie. As
//! many are fetched at once as hide a network's latency, and as few wait as the disk should hold.
//! What cannot be fetched is a failure of that file; a full disk, or a store that lets nobody in or
//! does not answer, ends the run.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;

use tempfile::TempPath;

use super::working::{Work, is_our_trouble};
use super::writing::Message;
use crate::error::{Error, Result};
use crate::objects::{Fetched, Objects, scheme_of};
use crate::store::worklist::FoundFile;

/// Objects that are fetched at once for each job: a recording of a few seconds is decoded in less
/// time than a store takes to answer.
pub(super) const FETCHERS_PER_JOB: usize = 4;

/// What fetches, and where to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote<'a> {
    pub(super) objects: &'a Objects,
    pub(super) folder: &'a Path,
}

/// A file that can be read.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) file: FoundFile,
    /// Where its bytes lie, if not at its path; they go away with this.
    pub(super) copy: Option<TempPath>,
}

impl Ready {
    /// Where its bytes lie.
    pub(super) fn place(&self) -> &Path {
        self.copy.as_deref().unwrap_or(&self.file.path)
    }

    /// `error` by the file's own name, which a copy's says nothing of.
    pub(super) fn named(&self, error: Error) -> Error {
        let Some(copy) = self.copy.as_deref() else { return error };
        let path = self.file.path.clone();
        match error {
            Error::Io { action, path: found, source } if found == copy => {
                Error::Io { action, path, source }
            }
            Error::Decode { problem, .. } => Error::Decode { path, problem },
            Error::DecoderDied { how, .. } => Error::DecoderDied { path, how },
            Error::TimeLimit { limit_s, .. } => Error::TimeLimit { path, limit_s },
            Error::Panic { message, .. } => Error::Panic { path, message },
            Error::Reported { stage, message, cause, hint, kind } => {
                let copy = copy.display().to_string();
                let message = message.replace(&copy, &path.display().to_string());
                Error::Reported { stage, message, cause, hint, kind }
            }
            other => other,
        }
    }
}

impl Work<'_> {
    /// What `listed` lists, fetched where it has to be.
    pub(super) fn fetched<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        listed: Receiver<Ready>,
        sender: &SyncSender<Message>,
    ) -> Receiver<Ready> {
        let Some(remote) = self.remote else { return listed };
        let (ready, fetched) = sync_channel(self.jobs);
        let sender = sender.clone();
        scope.spawn(move || {
            let listed = Mutex::new(listed);
            std::thread::scope(|fetchers| {
                for _ in 0..FETCHERS_PER_JOB * self.jobs {
                    fetchers.spawn(|| self.fetch_all(remote, &listed, &ready, &sender));
                }
            });
        });
        fetched
    }

    fn fetch_all(
        &self,
        remote: Remote<'_>,
        listed: &Mutex<Receiver<Ready>>,
        ready: &SyncSender<Ready>,
        sender: &SyncSender<Message>,
    ) {
        loop {
            let next = listed.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Ready { file, .. }) = next else { return };
            if self.cancel.is_cancelled() {
                return;
            }
            let fetched = copy_of(remote, &file, || self.cancel.is_cancelled());
            if self.cancel.is_cancelled() {
                return;
            }
            let goes_on = match fetched {
                Ok(None) => ready.send(Ready { file, copy: None }).is_ok(),
                Ok(Some(Fetched { file: copy, stamp })) => {
                    let file = FoundFile { stamp, ..file };
                    ready.send(Ready { file, copy: Some(copy) }).is_ok()
                }
                // All that remain would become failures that no later run tries again.
                Err(error) if is_our_trouble(&error) => {
                    self.send(sender, Message::Broken(error));
                    false
                }
                Err(error) => self.send(sender, Message::Failed(file, error)),
            };
            if !goes_on {
                return;
            }
        }
    }
}

/// What was fetched of a file that has an address.
fn copy_of(
    remote: Remote<'_>,
    file: &FoundFile,
    is_stopped: impl Fn() -> bool,
) -> Result<Option<Fetched>> {
    if scheme_of(&file.path).is_none() {
        return Ok(None);
    }
    remote.objects.fetch(&file.path, remote.folder, is_stopped).map(Some)
}
