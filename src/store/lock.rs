//! One indexer at a time: a lock beside the library, and who holds it.
//!
//! In: a library's path. Out: [`WriterLock`], or the [`Holder`] that has it. The operating system
//! lets go of it when its process ends, however that ends. Searching needs no lock.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The lock's file in the cache folder.
const FILE_NAME: &str = "writer.lock";

/// A process that indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub process: u32,
    /// What it does, such as `index`.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} (sonoteca {})", self.process, self.command)
    }
}

/// The right to change a library; dropping it gives it back.
#[derive(Debug)]
pub struct WriterLock {
    /// Locked. `None` on file systems that know no locks: there, nobody is kept out.
    _file: Option<File>,
}

impl WriterLock {
    /// Takes the lock of the library whose cache folder is `cache`, for `command`; `Err` with who
    /// has it, where that is known, when it is taken.
    ///
    /// # Errors
    /// [`Error::Io`] when the lock's file cannot be made.
    pub fn try_take(
        cache: &Path,
        command: &str,
    ) -> Result<std::result::Result<Self, Option<Holder>>> {
        Self::try_take_file(cache, FILE_NAME, command)
    }

    /// As [`try_take`](Self::try_take), of the lock in the file `name`.
    ///
    /// # Errors
    /// As of [`try_take`](Self::try_take).
    pub fn try_take_file(
        cache: &Path,
        name: &str,
        command: &str,
    ) -> Result<std::result::Result<Self, Option<Holder>>> {
        let path = cache.join(name);
        let failed = |source| Error::Io { action: "make", path: path.clone(), source };
        std::fs::create_dir_all(cache).map_err(failed)?;
        // Not truncated: it may be another's.
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                let holder = Holder { process: std::process::id(), command: command.to_owned() };
                // Who holds it is a courtesy: the lock holds without.
                let _ =
                    file.set_len(0).and_then(|()| file.write_all(&serde_json::to_vec(&holder)?));
                Ok(Ok(Self { _file: Some(file) }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = Vec::new();
                let read = file.rewind().and_then(|()| file.read_to_end(&mut text));
                Ok(Err(read.ok().and_then(|_| serde_json::from_slice(&text).ok())))
            }
            Err(TryLockError::Error(_)) => Ok(Ok(Self { _file: None })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_learns_who_has_it_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("a.db.cache");
        let first = WriterLock::try_take(&cache, "index").unwrap().unwrap();
        let holder = WriterLock::try_take(&cache, "sync").unwrap().unwrap_err().unwrap();
        assert_eq!(holder.process, std::process::id());
        assert!(holder.to_string().contains("sonoteca index"), "{holder}");
        drop(first);
        assert!(WriterLock::try_take(&cache, "sync").unwrap().is_ok());
    }
}
