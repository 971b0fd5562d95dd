//! Sounds that were sent to be searched with: kept for a while in a folder of this process alone.
//!
//! In: bytes of an audio file. Out: an id. The file is decoded once, in a process of its own, into a
//! WAV file; that is what is read from then on, and what was sent is removed. Refuses what is no
//! audio, too long, or too much.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sonoteca::{Error, Result};
use tempfile::{NamedTempFile, TempDir};

use super::errand::Stored;
use super::error::{Answer, Refusal};
use super::security::random_text;

/// Bytes of an upload.
pub(super) const MOST_BYTES: usize = 64 << 20;
/// Its length in seconds: more is a recording, to be indexed.
pub(super) const MOST_S: f64 = 600.0;
/// The time in which it has to arrive.
pub(super) const WITHIN: Duration = Duration::from_mins(2);
/// Uploads at once, and the bytes of all: of more, the oldest go.
const MOST_COUNT: usize = 32;
const MOST_KEPT_BYTES: u64 = 1 << 30;
/// How long one is kept.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// A sound that was sent.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) id: String,
    /// What it is called where it comes from.
    pub(super) name: Option<String>,
    /// BLAKE3 of what was sent, by which the library knows the same file.
    pub(super) content_hash: [u8; 32],
    pub(super) stored: Stored,
    path: PathBuf,
    bytes: u64,
    since: Instant,
}

impl Upload {
    /// The WAV file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // The folder goes with the process.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The sounds that were sent.
#[derive(Debug)]
pub(super) struct Uploads {
    folder: TempDir,
    held: Mutex<HashMap<String, Arc<Upload>>>,
}

/// What is being received.
#[derive(Debug)]
pub(super) struct Receiving {
    file: NamedTempFile,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Receiving {
    pub(super) fn take(&mut self, part: &[u8]) -> Answer<()> {
        self.bytes += part.len() as u64;
        self.hasher.update(part);
        self.file.write_all(part).map_err(|error| Refusal::internal(&error))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }
}

impl Uploads {
    /// No uploads yet, and a folder for them that only this user can look into.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made.
    pub(super) fn new() -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("sonoteca-uploads-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o700));
        }
        let folder = builder.tempdir();
        let folder = folder.map_err(|source| Error::Io {
            action: "make a folder in",
            path: std::env::temp_dir(),
            source,
        })?;
        Ok(Self { folder, held: Mutex::default() })
    }

    /// A file to receive into.
    pub(super) fn receive(&self) -> Answer<Receiving> {
        let file = NamedTempFile::new_in(self.folder.path());
        let file = file.map_err(|error| Refusal::internal(&error))?;
        Ok(Receiving { file, hasher: blake3::Hasher::new(), bytes: 0 })
    }

    /// A path for a WAV file, and the id that it will have.
    pub(super) fn place(&self) -> Result<(String, PathBuf)> {
        let id = random_text::<16>()?;
        let path = self.folder.path().join(format!("{id}.wav"));
        Ok((id, path))
    }

    /// Keeps what was received and stored at `place`.
    pub(super) fn keep(
        &self,
        (id, path): (String, PathBuf),
        received: &Receiving,
        stored: Stored,
        name: Option<String>,
    ) -> Arc<Upload> {
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        let content_hash = received.hasher.finalize().into();
        let since = Instant::now();
        let upload =
            Arc::new(Upload { id: id.clone(), name, content_hash, stored, path, bytes, since });
        let mut held = self.lock();
        held.insert(id, Arc::clone(&upload));
        make_room(&mut held);
        upload
    }

    /// The upload with this id.
    pub(super) fn get(&self, id: &str) -> Answer<Arc<Upload>> {
        let mut held = self.lock();
        make_room(&mut held);
        held.get(id).cloned().ok_or_else(|| {
            Refusal::missing("no_such_upload", "there is no such upload, or not any more")
                .hint("send the file again to /v1/uploads")
        })
    }

    /// Forgets the upload with this id.
    pub(super) fn remove(&self, id: &str) -> Answer<()> {
        self.get(id)?;
        self.lock().remove(id);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Upload>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what was kept long enough, and the oldest of what is too much.
fn make_room(held: &mut HashMap<String, Arc<Upload>>) {
    held.retain(|_, upload| upload.since.elapsed() < KEPT_FOR);
    loop {
        let bytes: u64 = held.values().map(|upload| upload.bytes).sum();
        if held.len() <= MOST_COUNT && bytes <= MOST_KEPT_BYTES {
            return;
        }
        let oldest = held.values().min_by_key(|upload| upload.since).map(|one| one.id.clone());
        let Some(oldest) = oldest else { return };
        held.remove(&oldest);
    }
}
