//! What there is to do: the files under some paths, beside what the library knows of them.
//!
//! In: paths, and a library. Out: [`Plan`]. Files that are in the library with the same length and
//! modification time are not even opened, unless checksums are asked for.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use walkdir::WalkDir;

use super::Cancel;
use super::reading::hash_file;
use crate::audio::sniff::{FileKind, by_extension, kind_of};
use crate::error::{Error, Result};
use crate::store::Library;
use crate::store::recordings::{FileStamp, ModelSet};
use crate::store::worklist::{FileState, FoundFile, GoneRecording, Sum, Worklist};

/// What is planned for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Folders, which are walked, and files.
    Paths(Vec<PathBuf>),
    /// Files that failed before, and nothing else.
    Failures,
}

/// How to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Compare contents rather than lengths and dates.
    pub checksum: bool,
    /// Find out whether what is gone lies elsewhere now.
    pub find_moved: bool,
    /// Try files again that failed as they are.
    pub retry_failed: bool,
}

/// What there is to do, and what was settled by looking.
#[derive(Debug)]
pub struct Plan {
    worklist: Worklist,
    /// The models that are to embed.
    all: ModelSet,
    options: PlanOptions,
    /// Paths that could not be looked at.
    failed: Vec<(PathBuf, Error)>,
    skipped: u64,
    /// The library, and what lies beside it. Not even to be opened: when a process closes a file,
    /// it loses all locks that it has on it, SQLite's too.
    own_files: Vec<PathBuf>,
    cancel: Cancel,
    /// What was walked, the targets of links included.
    roots: Vec<PathBuf>,
    emptied: Vec<PathBuf>,
}

impl Plan {
    /// Looks at what `selection` names; links are followed, and each file counts once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn make(
        library: &Library,
        models: &[i64],
        selection: &Selection,
        options: PlanOptions,
        cancel: &Cancel,
    ) -> Result<Self> {
        let worklist = Worklist::new(library, models)?;
        let own_files = library.own_files();
        let mut plan = Self {
            worklist,
            all: ModelSet::first(models.len()),
            options,
            cancel: cancel.clone(),
            failed: Vec::new(),
            skipped: 0,
            own_files,
            roots: Vec::new(),
            emptied: Vec::new(),
        };
        match selection {
            Selection::Paths(paths) => {
                for path in paths {
                    // The same file must have the same name however it was reached.
                    match path.canonicalize() {
                        Ok(root) => {
                            plan.walk(&root)?;
                            plan.roots.push(root);
                        }
                        Err(source) => {
                            let error = Error::Io { action: "find", path: path.clone(), source };
                            plan.fail(path.clone(), error);
                        }
                    }
                }
            }
            Selection::Failures => {
                plan.options.retry_failed = true;
                for path in plan.worklist.failed_paths()? {
                    match path.canonicalize().and_then(|path| Ok((path.metadata()?, path))) {
                        Ok((metadata, path)) => plan.add(path, &metadata)?,
                        // It is forgotten before anything is done.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(source) => {
                            let error = Error::Io { action: "find", path: path.clone(), source };
                            plan.fail(path, error);
                        }
                    }
                }
            }
        }
        for root in &plan.roots {
            if plan.worklist.find_gone(root)? {
                plan.emptied.push(root.clone());
            }
        }
        plan.find_emptied()?;
        if options.find_moved && !cancel.is_cancelled() {
            plan.find_moved()?;
        }
        if options.checksum && !cancel.is_cancelled() {
            plan.compare_contents()?;
        }
        plan.worklist.finish()?;
        Ok(plan)
    }

    /// Files and bytes in `state`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn sum(&self, state: FileState) -> Result<Sum> {
        match state {
            FileState::Skipped => Ok(Sum { files: self.skipped, bytes: 0 }),
            state => self.worklist.sum(state),
        }
    }

    /// What is to be read, by the files' extension.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn workload(&self) -> Result<Vec<(String, Sum)>> {
        self.worklist.workload()
    }

    /// The files in `state`, by path.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn files(&self, state: FileState) -> Result<Vec<FoundFile>> {
        self.worklist.files(state)
    }

    /// The recordings below the paths whose files are not where they were.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn gone(&self) -> Result<Vec<GoneRecording>> {
        self.worklist.gone()
    }

    /// The folders in which not one recording is left: so it looks where a disk is missing. What was
    /// walked counts so when there is no audio in it, and what lies below it when there is nothing at
    /// all in it: a disk leaves an empty folder behind where it was mounted.
    pub fn emptied(&self) -> &[PathBuf] {
        &self.emptied
    }

    /// Paths that could not be looked at, and why.
    pub fn failed(&self) -> &[(PathBuf, Error)] {
        &self.failed
    }

    pub(super) fn into_parts(self) -> (Worklist, Vec<(PathBuf, Error)>) {
        (self.worklist, self.failed)
    }

    fn walk(&mut self, root: &Path) -> Result<()> {
        let mut linked = false;
        for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            let (path, metadata) = match entry {
                Ok(entry) => {
                    linked |= entry.path_is_symlink();
                    if entry.path_is_symlink() && entry.depth() > 0 {
                        self.roots.extend(entry.path().canonicalize().ok());
                    }
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
                        self.fail_to_read(path, io_error(error));
                    }
                    continue;
                }
            };
            match metadata {
                Ok(metadata) => self.add(path, &metadata)?,
                Err(error) => self.fail_to_read(path, io_error(error)),
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, metadata: &Metadata) -> Result<()> {
        if self.own_files.iter().any(|own| path.starts_with(own)) || self.worklist.has(&path)? {
            return Ok(());
        }
        // Pipes, sockets and devices: opening one could wait for ever.
        if !metadata.is_file() {
            self.skipped += 1;
            let stamp = FileStamp { size_bytes: 0, modified_ns: 0 };
            let state = FileState::Skipped;
            return self.worklist.put(&FoundFile { path, stamp, state, known: None });
        }
        let stamp = match stamp(&path, metadata) {
            Ok(stamp) => stamp,
            Err(error) => {
                self.fail(path, error);
                return Ok(());
            }
        };
        let known = self.worklist.known(&path)?;
        let state = match &known {
            Some(known) if known.indexed.has_all(self.all) && known.stamp == stamp => {
                FileState::Unchanged
            }
            _ if !self.options.retry_failed && self.worklist.failed_before(&path, stamp)? => {
                FileState::FailedBefore
            }
            // Each model has its own: what others made of it stays as it is.
            Some(known) if known.stamp == stamp => FileState::NewToModel,
            // What became of a recording is worth telling, whatever it is now.
            Some(_) => FileState::Changed,
            None => match kind_of(&path) {
                Ok(FileKind::Other) => FileState::Skipped,
                Ok(_) => FileState::New,
                // What cannot be read and does not look like audio is most likely none.
                Err(_) if by_extension(&path) == FileKind::Other => FileState::Skipped,
                Err(error) => {
                    self.fail(path, error);
                    return Ok(());
                }
            },
        };
        self.skipped += u64::from(state == FileState::Skipped);
        self.worklist.put(&FoundFile { path, stamp, state, known })
    }

    /// Looks for folders below the roots in which recordings were, and now is nothing.
    fn find_emptied(&mut self) -> Result<()> {
        let gone = self.worklist.gone()?;
        let folders: BTreeSet<&Path> =
            gone.iter().filter_map(|recording| recording.path.parent()).collect();
        let found: BTreeSet<PathBuf> =
            folders.into_iter().filter_map(|folder| self.emptied_above(folder)).collect();
        self.emptied.extend(found);
        Ok(())
    }

    /// The nearest folder at or above `folder` that is still there, if nothing is in it and it lies below
    /// a root that is not known to be empty itself.
    fn emptied_above(&self, folder: &Path) -> Option<PathBuf> {
        let is_below = |folder: &Path| {
            !self.emptied.iter().any(|root| folder.starts_with(root))
                && folder
                    .ancestors()
                    .skip(1)
                    .any(|above| self.roots.iter().any(|root| root == above))
        };
        let mut folders = folder.ancestors().take_while(|folder| is_below(folder));
        let left = folders.find(|folder| folder.is_dir())?;
        let is_empty = left.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        is_empty.then(|| left.to_owned())
    }

    /// Looks for the content of what is gone among the new files of the same length.
    fn find_moved(&mut self) -> Result<()> {
        for (file, hash) in self.hashed(self.worklist.perhaps_moved()?) {
            // What cannot be read now fails again where it is decoded, and is told then.
            if let Ok(hash) = hash {
                self.worklist.note_moved(file, hash)?;
            }
        }
        Ok(())
    }

    /// Looks whether the content of the files that seem unchanged is what it was.
    fn compare_contents(&mut self) -> Result<()> {
        for (mut file, hash) in self.hashed(self.worklist.files(FileState::Unchanged)?) {
            let known = file.known.as_ref().map(|known| known.content_hash);
            // What cannot be read now fails again where it is decoded, and is told then.
            if hash.ok() != known {
                file.state = FileState::Changed;
                self.worklist.put(&file)?;
            }
        }
        Ok(())
    }

    /// The files with their contents' hashes; several are read at once. Fewer, when it is to stop.
    fn hashed(&self, files: Vec<FoundFile>) -> Vec<(FoundFile, Result<[u8; 32]>)> {
        let cancel = &self.cancel;
        files
            .into_par_iter()
            .filter(|_| !cancel.is_cancelled())
            .map(|file| {
                let hash = hash_file(&file.path);
                (file, hash)
            })
            .collect()
    }

    fn fail_to_read(&mut self, path: PathBuf, source: io::Error) {
        self.fail(path.clone(), Error::Io { action: "read", path, source });
    }

    fn fail(&mut self, path: PathBuf, error: Error) {
        self.failed.push((path, error));
    }
}

/// The operating system's error, without walkdir's repetition of path and words.
pub(super) fn io_error(error: walkdir::Error) -> io::Error {
    error.into_io_error().unwrap_or_else(|| io::Error::other("its folder could not be read"))
}

/// The stamp of the file at `path`, as far as it can be looked at.
pub(super) fn stamp_of(path: &Path) -> Option<FileStamp> {
    path.metadata().ok().and_then(|metadata| FileStamp::of(&metadata).ok())
}

/// The stamp of the file at `path`, whose metadata is `metadata`.
///
/// # Errors
/// [`Error::Io`] where the system knows no dates.
pub(super) fn stamp(path: &Path, metadata: &Metadata) -> Result<FileStamp> {
    FileStamp::of(metadata).map_err(|source| Error::Io {
        action: "read the date of",
        path: path.to_owned(),
        source,
    })
}
