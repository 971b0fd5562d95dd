//! Sounds that were sent to be searched with: kept for a while in a folder of this process alone.
//!
//! In: bytes of an audio file. Out: an id. The file is decoded once, in a process of its own, into a
//! WAV file; that is what is read from then on, and what was sent is removed. Refuses what is no
//! audio, too long, or too much.

mod folder;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use folder::OwnFolder;
use sonoteca::{Error, Result};
use tempfile::NamedTempFile;

use super::errand::Stored;
use super::error::{Answer, Refusal};
use super::roots::FileOf;
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
/// How often is looked for what was kept long enough.
pub(super) const TIDY_EVERY: Duration = Duration::from_mins(1);
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
    /// The WAV file, as what was sent.
    pub(super) fn file(&self) -> FileOf {
        FileOf { path: self.path.clone(), name: shown(self.name.as_deref()) }
    }
}

/// How a sound that was sent as `name` is called where something is said of it. Headers carry no letters
/// beyond ASCII; whoever sends others writes their bytes as %XX, as in addresses.
pub(super) fn shown(name: Option<&str>) -> String {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return "the sound that was sent".to_owned();
    };
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, behind @ ..] = rest {
        let number = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = number.filter(|_| *first == b'%');
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
    folder: OwnFolder,
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
    /// Writes the next part, on a thread that may wait.
    pub(super) fn take(mut self, part: &[u8]) -> Answer<Self> {
        self.bytes += part.len() as u64;
        self.hasher.update(part);
        if let Err(source) = self.file.write_all(part) {
            let path = self.path().to_owned();
            return Err(Refusal::from(Error::Io { action: "write", path, source }));
        }
        Ok(self)
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
        let folder = OwnFolder::new(&std::env::temp_dir())?;
        Ok(Self { folder, held: Mutex::default() })
    }

    /// A file to receive into.
    pub(super) fn receive(&self) -> Answer<Receiving> {
        let file = NamedTempFile::new_in(self.folder.path());
        let file = file.map_err(|source| {
            let path = self.folder.path().to_owned();
            Refusal::from(Error::Io { action: "make a file in", path, source })
        })?;
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
        let gone = {
            let mut held = self.lock();
            held.insert(id, Arc::clone(&upload));
            make_room(&mut held)
        };
        drop(gone);
        upload
    }

    /// The upload with this id.
    pub(super) fn get(&self, id: &str) -> Answer<Arc<Upload>> {
        let held = self.lock();
        let known = held.get(id).filter(|upload| upload.since.elapsed() < KEPT_FOR);
        known.cloned().ok_or_else(|| {
            Refusal::missing("no_such_upload", "there is no such upload, or not any more")
                .hint("send the file again to /v1/uploads")
        })
    }

    /// Forgets the upload with this id.
    pub(super) fn remove(&self, id: &str) -> Answer<()> {
        self.get(id)?;
        let gone = self.lock().remove(id);
        // Its file is removed by who lets go of it last, while nobody waits for the lock.
        drop(gone);
        Ok(())
    }

    /// Removes what was kept long enough.
    pub(super) fn tidy(&self) {
        let gone = make_room(&mut self.lock());
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Upload>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out what was kept long enough, and the oldest of what is too much.
fn make_room(held: &mut HashMap<String, Arc<Upload>>) -> Vec<Arc<Upload>> {
    let is_old = |_: &String, upload: &mut Arc<Upload>| upload.since.elapsed() >= KEPT_FOR;
    let mut gone: Vec<_> = held.extract_if(is_old).map(|(_, upload)| upload).collect();
    loop {
        let bytes: u64 = held.values().map(|upload| upload.bytes).sum();
        if held.len() <= MOST_COUNT && bytes <= MOST_KEPT_BYTES {
            return gone;
        }
        let oldest = held.values().min_by_key(|upload| upload.since).map(|one| one.id.clone());
        let Some(oldest) = oldest else { return gone };
        gone.extend(held.remove(&oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_were_meant() {
        assert_eq!(shown(None), "the sound that was sent");
        assert_eq!(shown(Some("rain.wav")), "rain.wav");
        assert_eq!(shown(Some("%C3%BCber%20100%.wav")), "über 100%.wav");
        assert_eq!(shown(Some("%")), "%");
        assert_eq!(shown(Some("%zz%4")), "%zz%4");
    }
}
