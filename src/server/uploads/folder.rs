//! A folder that is one running process's, and goes with it.
//!
//! In: a place for temporary files. Out: a folder in it that only this user can look into. A process
//! that was killed leaves its folder behind; whoever starts next removes it, and knows by a lock, which
//! the system takes back from the dead, that nobody uses it. Refuses to touch what it does not
//! know for such a folder.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use sonoteca::{Error, Result};
use tempfile::TempDir;

/// What names of such folders begin with.
const PREFIX: &str = "sonoteca-uploads-";
/// The file within that is locked as long as the process lives.
const LOCK: &str = "in-use";
/// Folders that are made, should others take them for leftovers before they are locked.
const ATTEMPTS: usize = 10;

/// A folder of this process.
#[derive(Debug)]
pub(super) struct OwnFolder {
    // Removed before the lock is given back.
    folder: TempDir,
    _lock: File,
}

impl OwnFolder {
    /// A new one within `parent`, from which what dead processes left is removed.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made.
    pub(super) fn new(parent: &Path) -> Result<Self> {
        let failed = |source| Error::Io { action: "make a folder in", path: parent.into(), source };
        let own = Self::make(parent).map_err(failed)?;
        match own.remove_leftovers(parent) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed what servers that were killed had left"),
            // What cannot be removed takes room and does no other harm.
            Err(error) => tracing::warn!(%error, "leftovers of other servers were not looked for"),
        }
        Ok(own)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn make(parent: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o700));
        }
        for _ in 0..ATTEMPTS {
            let folder = builder.tempdir_in(parent)?;
            let path = folder.path().join(LOCK);
            let made = OpenOptions::new().write(true).create_new(true).open(&path);
            // Somebody who starts at this moment may take the folder for a leftover, as long as it is
            // not locked, and remove it.
            match made {
                Ok(lock) if is_own(lock.try_lock()) && path.exists() => {
                    return Ok(Self { folder, _lock: lock });
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Err(io::Error::other("every folder that was made was removed by another process"))
    }

    /// Removes folders of processes that live no more; how many.
    fn remove_leftovers(&self, parent: &Path) -> io::Result<usize> {
        let own = self.path().symlink_metadata()?;
        let mut removed = 0;
        for entry in parent.read_dir()? {
            // Another process may be removing it.
            let Ok(entry) = entry else { continue };
            let (path, name) = (entry.path(), entry.file_name());
            if path == self.path() || !name.to_string_lossy().starts_with(PREFIX) {
                continue;
            }
            let is_one = |metadata: Metadata| metadata.is_dir() && is_of_same_user(&metadata, &own);
            if path.symlink_metadata().is_ok_and(is_one) && remove_if_dead(&path) {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Whether a folder is this process's, whose lock was tried. Where there are no locks, as on some shares,
/// it is: nobody removes a folder whose lock cannot be had.
fn is_own(lock: std::result::Result<(), TryLockError>) -> bool {
    match lock {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            tracing::warn!(
                %error,
                "the folder for temporary files has no locks: what is left there of uploads, should this \
                 server be killed, has to be removed by hand"
            );
            true
        }
    }
}

/// Removes `folder` unless a living process holds its lock, or it has none.
fn remove_if_dead(folder: &Path) -> bool {
    let path: PathBuf = folder.join(LOCK);
    if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let Ok(lock) = OpenOptions::new().write(true).open(&path) else { return false };
    match lock.try_lock() {
        // Held while it is being removed.
        Ok(()) => std::fs::remove_dir_all(folder).is_ok(),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

#[cfg(unix)]
fn is_of_same_user(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    one.uid() == other.uid()
}

#[cfg(not(unix))]
fn is_of_same_user(_: &Metadata, _: &Metadata) -> bool {
    // Folders for temporary files are each user's own there.
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_locks_is_kept() {
        assert!(is_own(Ok(())));
        assert!(is_own(Err(TryLockError::Error(io::ErrorKind::Unsupported.into()))));
        assert!(!is_own(Err(TryLockError::WouldBlock)));
    }

    #[test]
    fn only_folders_of_the_dead_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let living = OwnFolder::new(parent.path()).unwrap();
        std::fs::write(living.path().join("upload.wav"), b"x").unwrap();
        // As kill -9 leaves it: there, and locked by nobody.
        let dead = OwnFolder::new(parent.path()).unwrap();
        let OwnFolder { folder, _lock: lock } = dead;
        let left = folder.keep();
        drop(lock);
        std::fs::write(left.join("upload.wav"), b"x").unwrap();
        // Others' folders: one without a lock, one of another name, and a link.
        let unknown = parent.path().join("sonoteca-uploads-unknown");
        let other = parent.path().join("else");
        for folder in [&unknown, &other] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("kept"), b"x").unwrap();
        }
        std::fs::write(other.join(LOCK), b"").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&other, parent.path().join("sonoteca-uploads-link")).unwrap();

        let own = OwnFolder::new(parent.path()).unwrap();
        assert!(!left.exists(), "of a dead process");
        assert!(living.path().join("upload.wav").exists(), "of a living one");
        assert!(unknown.join("kept").exists() && other.join("kept").exists());
        let path = own.path().to_owned();
        drop(own);
        assert!(!path.exists(), "it goes with the process");
    }
}
