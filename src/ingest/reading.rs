//! A file, read for the network: its hash, its format, its patches, its end.
//!
//! In: a [`Request`]. Out: [`Event`]s, in that order. The same wherever it happens: on a thread
//! of this process, or in a process of its own ([`super::decoders`]).

use std::path::{Path, PathBuf};

use crate::audio::decode::StreamFormat;
use crate::audio::resample::FilterCache;
use crate::dates::Recorded;
use crate::error::{Error, Result};
use crate::extract::{PatchReader, Patches, RecordingEnd};
use crate::model::{front_end_of, registry};

/// A file that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: PathBuf,
    pub(super) model: String,
    /// The hash of a content that need not be read again.
    pub(super) known_hash: Option<[u8; 32]>,
}

/// What reading a file gives, piece by piece.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// Its content is the known one; nothing follows.
    Same,
    /// It is audio.
    Opened { content_hash: [u8; 32], format: StreamFormat, recorded: Option<Recorded> },
    /// Its next patches.
    Patches(Patches),
    /// It is over.
    Ended(RecordingEnd),
}

/// Reads the file of `request` and hands what it gives to `sink`, until that says `false`.
///
/// # Errors
/// [`Error::Io`] and [`Error::Decode`] when the file cannot be used.
pub(super) fn read_recording(
    request: &Request,
    filters: &FilterCache,
    sink: &mut dyn FnMut(Event) -> Result<bool>,
) -> Result<()> {
    let content_hash = hash_file(&request.path)?;
    if request.known_hash == Some(content_hash) {
        return sink(Event::Same).map(drop);
    }
    let front_end = front_end_of(registry::find(&request.model)?);
    let mut reader = PatchReader::open(&request.path, front_end, filters)?;
    let (format, recorded) = (reader.format().clone(), reader.recorded());
    if !sink(Event::Opened { content_hash, format, recorded })? {
        return Ok(());
    }
    loop {
        let mut patches = Patches::default();
        let more = reader.read(&mut patches)?;
        if !patches.health.is_empty() && !sink(Event::Patches(patches))? {
            return Ok(());
        }
        if !more {
            return sink(Event::Ended(reader.end())).map(drop);
        }
    }
}

/// BLAKE3 of a file's content.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn hash_file(path: &Path) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    std::fs::File::open(path)
        .and_then(|file| hasher.update_reader(file).map(drop))
        .map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    Ok(hasher.finalize().into())
}
