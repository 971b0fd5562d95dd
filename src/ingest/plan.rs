//! What there is to do: the files under some paths that are audio and not in the library yet.
//!
//! In: paths, and what the library knows. Out: [`Plan`]. Files that are in the library with the
//! same length and modification time are not even opened.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use walkdir::WalkDir;

use crate::audio::sniff::{FileKind, by_extension, kind_of};
use crate::error::{Error, Result};
use crate::store::recordings::{FileStamp, KnownFile};

/// A file to read.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) path: PathBuf,
    pub(super) stamp: FileStamp,
    /// What the library has under this path.
    pub(super) known: Option<KnownFile>,
}

/// What there is to do, and what was settled by looking.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Files to read, in the order of their paths.
    pub(super) tasks: Vec<Task>,
    /// Files that are indexed and have not changed.
    pub(super) unchanged: usize,
    /// Files that are no audio.
    pub(super) skipped: usize,
    /// Recordings of the library that lie under the paths and were not found.
    pub(super) missing: usize,
    /// Paths that could not be looked at.
    pub(super) failed: Vec<(PathBuf, Error)>,
}

impl Plan {
    /// Walks `paths`; links are followed, and each file counts once.
    pub(super) fn make(paths: &[PathBuf], known: &HashMap<PathBuf, KnownFile>) -> Self {
        let mut plan = Self::default();
        let mut seen = HashSet::new();
        let mut roots = Vec::new();
        for path in paths {
            // The same file must have the same name however it was reached.
            match path.canonicalize() {
                Ok(root) => {
                    plan.walk(&root, known, &mut seen);
                    roots.push(root);
                }
                Err(source) => {
                    let error = Error::Io { action: "find", path: path.clone(), source };
                    plan.failed.push((path.clone(), error));
                }
            }
        }
        plan.missing = known
            .keys()
            .filter(|path| !seen.contains(*path))
            .filter(|path| roots.iter().any(|root| path.starts_with(root)) && !path.exists())
            .count();
        plan
    }

    fn walk(
        &mut self,
        root: &Path,
        known: &HashMap<PathBuf, KnownFile>,
        seen: &mut HashSet<PathBuf>,
    ) {
        let mut linked = false;
        for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
            let (path, metadata) = match entry {
                Ok(entry) => {
                    linked |= entry.path_is_symlink();
                    if entry.file_type().is_dir() {
                        continue;
                    }
                    let metadata = entry.metadata();
                    let path = entry.into_path();
                    // Asking for the real name costs a look at every folder above, so it is left
                    // until there is a link at all.
                    let real = if linked { path.canonicalize().ok() } else { None };
                    (real.unwrap_or(path), metadata)
                }
                // A link to a folder above it, whose files are visited anyway.
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    // A link that leads nowhere is no recording that could be missing.
                    if !path.is_symlink() {
                        self.fail(path, io_error(error));
                    }
                    continue;
                }
            };
            if !seen.insert(path.clone()) {
                continue;
            }
            match metadata {
                Ok(metadata) => self.add(path, &metadata, known),
                Err(error) => self.fail(path, io_error(error)),
            }
        }
    }

    fn add(&mut self, path: PathBuf, metadata: &Metadata, known: &HashMap<PathBuf, KnownFile>) {
        // Pipes, sockets and devices: opening one could wait for ever.
        if !metadata.is_file() {
            self.skipped += 1;
            return;
        }
        let stamp = match stamp(&path, metadata) {
            Ok(stamp) => stamp,
            Err(error) => return self.failed.push((path, error)),
        };
        let known = known.get(&path);
        if known.is_some_and(|known| known.indexed && known.stamp == stamp) {
            self.unchanged += 1;
            return;
        }
        match kind_of(&path) {
            Ok(FileKind::Other) => self.skipped += 1,
            Ok(_) => self.tasks.push(Task { path, stamp, known: known.cloned() }),
            // What cannot be read and does not look like audio is most likely none.
            Err(_) if by_extension(&path) == FileKind::Other => self.skipped += 1,
            Err(error) => self.failed.push((path, error)),
        }
    }

    fn fail(&mut self, path: PathBuf, source: io::Error) {
        self.failed.push((path.clone(), Error::Io { action: "read", path, source }));
    }
}

/// The operating system's error, without walkdir's repetition of path and words.
fn io_error(error: walkdir::Error) -> io::Error {
    error.into_io_error().unwrap_or_else(|| io::Error::other("its folder could not be read"))
}

fn stamp(path: &Path, metadata: &Metadata) -> Result<FileStamp> {
    let modified = metadata.modified().map_err(|source| Error::Io {
        action: "read the date of",
        path: path.to_owned(),
        source,
    })?;
    // Dates before 1970 exist on disks with a dead clock battery.
    let nanoseconds = match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    };
    Ok(FileStamp { size_bytes: metadata.len(), modified_ns: nanoseconds })
}
