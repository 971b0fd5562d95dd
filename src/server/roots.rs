//! The folders that the library's recordings lie in, and what may be read of them.
//!
//! In: a library. Out: the file of a recording, by its real path. Refuses files that are links to somewhere
//! else now: paths come from the library, but what lies there may have changed. Folders in which
//! only imported recordings lie are none of these, unless they are named: somebody else's dataset
//! must not say what is handed out.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use sonoteca::store::Library;
use sonoteca::store::changes::ChangeMark;
use sonoteca::store::recordings::StoredRecording;
use sonoteca::{Error, Result};

use super::error::{Answer, Refusal};

/// Folders, none of which lies in another.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// By their bytes.
    pub(super) all: Vec<PathBuf>,
    /// What all have in common, where that is more than the root of the file system.
    common: Option<PathBuf>,
}

/// The folders at some change of the library.
type Known = (Option<ChangeMark>, Arc<Folders>);

/// The folders that recordings which were indexed here lie in.
#[derive(Debug)]
pub(super) struct Roots {
    /// Named by whoever started the server, by their real names.
    named: Vec<PathBuf>,
    known: Mutex<Option<Known>>,
}

impl Roots {
    /// Roots with the folders `named` besides those that recordings lie in.
    ///
    /// # Errors
    /// [`Error::Io`] when one of them is not there.
    pub(super) fn new(named: &[PathBuf]) -> Result<Self> {
        let real = |folder: &PathBuf| {
            folder.canonicalize().map_err(|source| Error::Io {
                action: "find",
                path: folder.clone(),
                source,
            })
        };
        let named = named.iter().map(real).collect::<Result<_>>()?;
        Ok(Self { named, known: Mutex::default() })
    }

    /// The folders as they are now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) fn folders(&self, library: &Library) -> Result<Arc<Folders>> {
        let mark = library.last_change()?;
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, folders)) = &*known()
            && *of == mark
        {
            return Ok(Arc::clone(folders));
        }
        self.look(library, mark)
    }

    fn look(&self, library: &Library, mark: Option<ChangeMark>) -> Result<Arc<Folders>> {
        let mut all = library.folders()?;
        all.extend(self.named.iter().cloned());
        all.sort();
        let folders = Arc::new(Folders::of(&all));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((mark, Arc::clone(&folders)));
        Ok(folders)
    }

    /// The folders that are looked at for new recordings.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) fn to_index(&self, library: &Library) -> Result<Vec<PathBuf>> {
        if self.named.is_empty() {
            return Ok(self.folders(library)?.all.clone());
        }
        Ok(self.named.clone())
    }

    /// The file of a recording, which lies in one of the folders.
    pub(super) fn file(&self, library: &Library, recording: &StoredRecording) -> Answer<FileOf> {
        let path = &recording.path;
        let folders = self.folders(library)?;
        let name = folders.shown(path);
        let real = path.canonicalize().map_err(|source| {
            let error = Error::Io { action: "open", path: path.clone(), source };
            Refusal::of_file(error, path, &name)
        })?;
        let holds = |folders: &Folders| folders.all.iter().any(|root| real.starts_with(root));
        // A recording that was moved within the library changes no vector.
        let is_inside =
            holds(&folders) || holds(self.look(library, library.last_change()?)?.as_ref());
        if !is_inside {
            let is_known = folders.all.iter().any(|root| path.starts_with(root));
            let message = if is_known {
                "the file is a link to somewhere outside of the collection now"
            } else {
                "the recording was imported, and its file lies in no folder of the collection: \
                 whoever starts the server may name its folder with --folder"
            };
            return Err(Refusal::new(StatusCode::FORBIDDEN, "outside", message));
        }
        if !real.is_file() {
            let message = format!("{name} is no file any more");
            return Err(Refusal::unusable("unreadable", message));
        }
        Ok(FileOf { path: real, name })
    }
}

/// The file of a recording.
#[derive(Clone, Debug)]
pub(super) struct FileOf {
    /// Its real path.
    pub(super) path: PathBuf,
    /// As people know it.
    pub(super) name: String,
}

impl FileOf {
    /// What tells it from its earlier self.
    pub(super) fn metadata(&self) -> Answer<Metadata> {
        self.path.metadata().map_err(|source| self.failed("open", source))
    }

    /// What is said of it when the system refuses to do something with it.
    pub(super) fn failed(&self, action: &'static str, source: std::io::Error) -> Refusal {
        let error = Error::Io { action, path: self.path.clone(), source };
        Refusal::of_file(error, &self.path, &self.name)
    }
}

impl Folders {
    /// What is left of `sorted` folders when those that lie in others are left out.
    fn of(sorted: &[PathBuf]) -> Self {
        let mut all: Vec<PathBuf> = Vec::new();
        for folder in sorted {
            if !all.iter().any(|root| folder.starts_with(root)) {
                all.push(folder.clone());
            }
        }
        let mut common = all.first().cloned();
        for folder in &all {
            while let Some(above) = &common
                && !folder.starts_with(above)
            {
                common = above.parent().map(Path::to_owned);
            }
        }
        Self { all, common: common.filter(|folder| folder.parent().is_some()) }
    }

    /// `path` as it is shown: from what all have in common on.
    pub(super) fn shown(&self, path: &Path) -> String {
        let below = self.common.as_ref().and_then(|common| path.strip_prefix(common).ok());
        below.unwrap_or(path).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_within_others_are_not_listed_twice() {
        let of = |paths: &[&str]| Folders::of(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        let folders = of(&["/a/b", "/a/b/c", "/a/d"]);
        assert_eq!(folders.all, [PathBuf::from("/a/b"), PathBuf::from("/a/d")]);
        assert_eq!(folders.shown(Path::new("/a/b/c/x.wav")), "b/c/x.wav");
        assert_eq!(of(&["/a", "/b"]).shown(Path::new("/a/x.wav")), "/a/x.wav");
        assert_eq!(of(&["/a/b"]).shown(Path::new("/a/b/x.wav")), "x.wav");
        assert_eq!(of(&[]).shown(Path::new("/a/b/x.wav")), "/a/b/x.wav");
    }
}
