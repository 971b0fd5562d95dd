//! The sound of hits into files of their own.
//!
//! In: hits, and a folder. Out: a WAV file a hit, whose name sorts by rank and says where it comes
//! from. Refuses to overwrite anything, before the first file is written, and to copy from a file that
//! is another than the one that was indexed: what lies at a hit's time there was not what was found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::hits::Hit;
use crate::audio::encode::{Clip, write_clips};
use crate::audio::segment::TimeRange;
use crate::error::{Error, Result};
use crate::store::Library;
use crate::store::recordings::{FileStamp, content_hash};

/// Characters of a recording's name that a copy's name has at most.
const NAME_CHARACTERS: usize = 80;

/// Copies the stretch of every hit, with `padding_s` seconds more on either side, into `folder`,
/// which is made when it is not there. Recordings whose files are gone, have changed since `library`
/// heard them, or cannot be read fail by themselves. Without a library, nothing says that they changed.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be made, [`Error::Exists`] when a file would be
/// overwritten, [`Error::Store`].
pub fn copy_hits(
    library: Option<&Library>,
    hits: &[Hit],
    folder: &Path,
    padding_s: f64,
) -> Result<Copies> {
    fs::create_dir_all(folder).map_err(|source| Error::Io {
        action: "make",
        path: folder.to_owned(),
        source,
    })?;
    let digits = hits.len().to_string().len();
    let clips: Vec<Clip> = hits
        .iter()
        .map(|hit| {
            let range = padded(hit.range, padding_s, hit.recording.duration_s);
            Clip { range, path: folder.join(clip_name(hit, range, digits)) }
        })
        .collect();
    for Clip { path, .. } in &clips {
        // Also a link to nowhere is something.
        if path.symlink_metadata().is_ok() {
            let (path, options) = (path.clone(), "name another folder with --copy-to DIR");
            return Err(Error::Exists { path, options });
        }
    }
    let mut of_recordings: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (index, hit) in hits.iter().enumerate() {
        of_recordings.entry(hit.recording.id).or_default().push(index);
    }
    let mut copies = Copies::default();
    for (id, indices) in of_recordings {
        let source = &hits[indices[0]].recording.path;
        let wanted: Vec<Clip> = indices.iter().map(|&index| clips[index].clone()).collect();
        if is_missing(source) {
            copies.failed.push(Error::Gone { path: source.clone() });
        } else if has_changed(library, id, source)? {
            copies.failed.push(Error::Changed { path: source.clone() });
        } else if let Err(error) = write_clips(source, &wanted) {
            copies.failed.push(error);
        }
    }
    let (written, missing): (Vec<_>, Vec<_>) =
        clips.into_iter().map(|clip| clip.path).partition(|path| !is_missing(path));
    (copies.written, copies.missing) = (written, missing.len());
    Ok(copies)
}

/// What became of hits that were copied.
#[derive(Debug, Default)]
pub struct Copies {
    /// The files that were written, by rank.
    pub written: Vec<PathBuf>,
    /// How many were not.
    pub missing: usize,
    /// Why; one error a recording.
    pub failed: Vec<Error>,
}

/// Whether the file at `path` is known to be another than when recording `id` was indexed. As in
/// indexing, the same length and date say that it is the same; its content is compared where they do
/// not, since copying back and forth changes dates. What cannot be looked at fails where it is read.
fn has_changed(library: Option<&Library>, id: i64, path: &Path) -> Result<bool> {
    let Some(library) = library else { return Ok(false) };
    let Some(known) = library.file_identity(id)? else { return Ok(false) };
    let stamp = path.metadata().and_then(|metadata| FileStamp::of(&metadata));
    Ok(match stamp {
        Ok(stamp) if stamp == known.stamp => false,
        Ok(_) => content_hash(path).is_ok_and(|hash| hash != known.content_hash),
        Err(_) => false,
    })
}

/// Whether there is no file at `path`. One that cannot be looked at is not known to be gone.
pub fn is_missing(path: &Path) -> bool {
    path.metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn padded(range: TimeRange, padding_s: f64, duration_s: f64) -> TimeRange {
    TimeRange {
        start_s: (range.start_s - padding_s).max(0.0),
        end_s: (range.end_s + padding_s).min(duration_s),
    }
}

/// Such as `03_dog-park_12.48-14.40.wav`: times in seconds.
fn clip_name(hit: &Hit, range: TimeRange, digits: usize) -> String {
    let stem = hit.recording.path.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem
        .chars()
        .map(|c| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '_' })
        .take(NAME_CHARACTERS)
        .collect();
    let TimeRange { start_s, end_s } = range;
    format!("{:0digits$}_{stem}_{start_s:.2}-{end_s:.2}.wav", hit.rank)
}
