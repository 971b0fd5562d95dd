//! Files that appear when they are whole.
//!
//! In: the path that a file will have. Out: a file under a temporary name beside it, which goes away
//! unless it is given its own. Refuses what the folder refuses, in words that say nothing of temporary
//! names, which nobody has chosen.
//!
//! A process that is interrupted removes what it has not finished ([`remove_unfinished`]), if its
//! handler of signals says so. One that is killed cannot: the next one that makes a file in the same
//! folder removes what was left there. Whoever writes holds a lock on his file, so that it is known
//! whose are left.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::{Builder, NamedTempFile, TempDir};

/// How temporary names begin. Where datasets are written, all that begins with `.tmp` is left over.
const PREFIX: &str = ".tmp-sonoteca-";

/// How old what is left must be: between making a file and locking it there is a moment.
const LEAST_AGE: Duration = Duration::from_mins(1);

/// Paths that are remembered before it is looked which of them are still there.
const REMEMBERED: usize = 64;

/// What this process has not finished.
static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished {
    paths: BTreeSet::new(),
    most: REMEMBERED,
    swept: BTreeSet::new(),
    is_over: false,
});

struct Unfinished {
    /// Files and folders that go away when the process is interrupted; some may be gone already.
    paths: BTreeSet<PathBuf>,
    /// With how many it is looked which are gone.
    most: usize,
    /// Folders in which it was looked for what others left.
    swept: BTreeSet<PathBuf>,
    /// Whether the process is ending, and nothing may be begun.
    is_over: bool,
}

/// A file under a temporary name, which goes away unless it is given its own.
#[derive(Debug)]
pub struct NewFile(NamedTempFile<File>);

impl NewFile {
    /// A new file in the folder of `path`. Whoever may read other new files may read it.
    ///
    /// # Errors
    /// What making it fails with.
    pub fn beside(path: &Path) -> io::Result<Self> {
        temporary_beside(path).map(Self)
    }

    /// Waits until what was written is on the disk.
    ///
    /// # Errors
    /// What the disk fails with.
    pub fn sync(&self) -> io::Result<()> {
        self.0.as_file().sync_all()
    }

    /// Gives it the name `path`, in place of a file that has it, if `replace` says so.
    ///
    /// # Errors
    /// What renaming fails with; [`io::ErrorKind::AlreadyExists`] where there is one of that name.
    pub fn publish(self, path: &Path, replace: bool) -> io::Result<()> {
        if replace { self.0.persist(path) } else { self.0.persist_noclobber(path) }?;
        Ok(())
    }

    /// The same file, opened once more.
    ///
    /// # Errors
    /// What opening it fails with.
    pub fn reopen(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.0.path())
    }
}

/// Not through [`NamedTempFile`], whose errors tell the temporary name.
impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_file_mut().flush()
    }
}

impl Seek for NewFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.as_file_mut().seek(position)
    }
}

/// A new file in the folder of `path`, which goes away unless it is given a name. Whoever may read
/// other new files may read it.
///
/// # Errors
/// What making it fails with.
pub fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let (mut unfinished, folder) = begin_beside(path)?;
    let file = Builder::new().prefix(PREFIX).make_in(folder, create)?;
    // File systems without locks have nothing removed.
    let _ = file.as_file().try_lock();
    unfinished.add(file.path());
    Ok(file)
}

/// A new folder in the folder of `path`, which goes away with all that is in it. It is for what takes a
/// moment: one that is a minute old counts as left over.
///
/// # Errors
/// What making it fails with.
pub fn temporary_folder_beside(path: &Path) -> io::Result<TempDir> {
    let (mut unfinished, beside) = begin_beside(path)?;
    let folder = Builder::new().prefix(PREFIX).tempdir_in(beside)?;
    unfinished.add(folder.path());
    Ok(folder)
}

/// The folder of `path`, rid of what was left there, and what nobody else may add to meanwhile.
fn begin_beside(path: &Path) -> io::Result<(MutexGuard<'static, Unfinished>, &Path)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut unfinished = unfinished();
    if unfinished.is_over {
        return Err(io::ErrorKind::Interrupted.into());
    }
    if unfinished.swept.insert(folder.to_owned()) {
        remove_left_over(folder, LEAST_AGE);
    }
    Ok((unfinished, folder))
}

/// Has `path`, a temporary file or folder of somebody else's making, go away when the process is
/// interrupted.
pub fn remove_if_interrupted(path: &Path) {
    unfinished().add(path);
}

/// Removes all that this process has begun and not finished. For whoever is about to end it: no
/// file can be begun any more.
pub fn remove_unfinished() {
    let mut unfinished = unfinished();
    unfinished.is_over = true;
    for path in std::mem::take(&mut unfinished.paths) {
        remove(&path);
    }
}

/// Removes a file or a folder, if it is there: it may have its own name by now, or somebody else may have
/// been faster.
fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

fn unfinished() -> MutexGuard<'static, Unfinished> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Unfinished {
    fn add(&mut self, path: &Path) {
        if self.paths.len() >= self.most {
            self.paths.retain(|path| path.symlink_metadata().is_ok());
            self.most = REMEMBERED.max(2 * self.paths.len());
        }
        self.paths.insert(path.to_owned());
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // As for any new file; the system takes from it what the user's mask says.
        options.mode(0o666);
    }
    options.open(path)
}

/// Removes temporary files in `folder` that nobody holds, and folders, that have been there for `age`.
fn remove_left_over(folder: &Path, age: Duration) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let is_left = || -> io::Result<bool> {
            let metadata = entry.metadata()?;
            let is_old = metadata.modified()?.elapsed().is_ok_and(|elapsed| elapsed >= age);
            if !is_old || metadata.is_dir() {
                return Ok(is_old);
            }
            if !metadata.is_file() {
                return Ok(false);
            }
            let file = OpenOptions::new().read(true).write(true).open(entry.path())?;
            Ok(file.try_lock().is_ok())
        };
        if is_left().unwrap_or(false) {
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_whole_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        drop(NewFile::beside(&path).unwrap());
        assert!(names(folder.path()).is_empty());
        let mut file = NewFile::beside(&path).unwrap();
        file.write_all(b"one").unwrap();
        assert!(!path.exists());
        file.publish(&path, false).unwrap();
        for (replace, content) in [(false, "one"), (true, "two")] {
            let mut file = NewFile::beside(&path).unwrap();
            file.write_all(b"two").unwrap();
            let published = file.publish(&path, replace);
            assert_eq!(published.is_ok(), replace, "{published:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn errors_say_nothing_of_temporary_names() {
        let folder = tempfile::tempdir().unwrap();
        let error = NewFile::beside(&folder.path().join("nowhere/a.txt")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(".tmp"), "{error}");
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_somebody_holds_stays() {
        let folder = tempfile::tempdir().unwrap();
        let held = temporary_beside(&folder.path().join("a")).unwrap();
        for name in ["left", "held"] {
            fs::write(folder.path().join(format!("{PREFIX}{name}")), "half").unwrap();
        }
        let other = File::open(folder.path().join(format!("{PREFIX}held"))).unwrap();
        other.try_lock().unwrap();
        fs::write(folder.path().join(".tmp-not-ours"), "half").unwrap();
        remove_left_over(folder.path(), LEAST_AGE);
        assert_eq!(names(folder.path()).len(), 4, "all of them are young");
        remove_left_over(folder.path(), Duration::ZERO);
        let left = names(folder.path());
        assert_eq!(left.len(), 3, "{left:?}");
        let scratch = temporary_folder_beside(&folder.path().join("b")).unwrap();
        fs::write(scratch.path().join("half"), "half").unwrap();
        let scratch = scratch.keep();
        remove_left_over(folder.path(), LEAST_AGE);
        assert!(scratch.exists());
        remove_left_over(folder.path(), Duration::ZERO);
        assert!(!scratch.exists());
        assert!(left.contains(&held.path().file_name().unwrap().to_str().unwrap().to_owned()));
        assert!(!left.contains(&format!("{PREFIX}left")), "{left:?}");
    }
}
