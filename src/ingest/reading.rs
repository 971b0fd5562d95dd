//! A file, read for the network: its hash, its format, its patches, its end.
//!
//! In: a [`Request`]. Out: [`Event`]s, in that order. The same wherever it happens: on a thread
//! of this process, or in a process of its own ([`super::decoders`]).

use std::path::{Path, PathBuf};

use crate::audio::decode::StreamFormat;
use crate::audio::excerpt::Part;
use crate::audio::resample::FilterCache;
use crate::dates::Recorded;
use crate::error::{Error, Result};
use crate::extract::{PatchReader, Patches, RecordingEnd};
use crate::model::{front_end_of, registry};
use crate::store::recordings::{ModelSet, content_hash};

/// A file that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: PathBuf,
    /// The models that are to embed it.
    pub(super) models: Vec<String>,
    /// The hash of a content that is known, and which of the models need not embed it again.
    pub(super) known: Option<([u8; 32], ModelSet)>,
}

/// What reading a file gives, piece by piece.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// Its content is the known one; nothing follows.
    Same,
    /// It is audio, and patches follow for some of the models, by their places in the request.
    Opened {
        content_hash: [u8; 32],
        format: StreamFormat,
        recorded: Option<Recorded>,
        models: Vec<usize>,
    },
    /// Its next patches, for the model at a place of those that was said to follow.
    Patches(usize, Patches),
    /// It is over.
    Ended(RecordingEnd),
}

/// Reads the file of `request` once, for all models, and hands what it gives to `sink`, until that
/// says `false`.
///
/// # Errors
/// [`Error::Io`] and [`Error::Decode`] when the file cannot be used.
pub(super) fn read_recording(
    request: &Request,
    filters: &FilterCache,
    sink: &mut dyn FnMut(Event) -> Result<bool>,
) -> Result<()> {
    let content_hash = hash_file(&request.path)?;
    let known = request.known.filter(|(hash, _)| *hash == content_hash);
    let settled = known.map(|(_, models)| models).unwrap_or_default();
    let models: Vec<usize> =
        (0..request.models.len()).filter(|&place| !settled.has(place)).collect();
    if models.is_empty() {
        return sink(Event::Same).map(drop);
    }
    let mut front_ends = Vec::with_capacity(models.len());
    for &place in &models {
        front_ends.push(front_end_of(registry::find(&request.models[place])?));
    }
    let mut reader = PatchReader::open_all(&request.path, Part::default(), &front_ends, filters)?;
    let (format, recorded) = (reader.format().clone(), reader.recorded());
    let mut patches = vec![Patches::default(); models.len()];
    if !sink(Event::Opened { content_hash, format, recorded, models })? {
        return Ok(());
    }
    loop {
        let more = reader.read_all(&mut patches)?;
        for (place, patches) in patches.iter_mut().enumerate() {
            let patches = std::mem::take(patches);
            if patches.count() > 0 && !sink(Event::Patches(place, patches))? {
                return Ok(());
            }
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
    content_hash(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}
