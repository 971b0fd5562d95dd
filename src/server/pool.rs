//! Open libraries, for whoever needs one for a moment.
//!
//! In: a path. Out: [`Lent`] libraries, each to one thread at a time. SQLite's journal lets them read
//! while another writes.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use sonoteca::Result;
use sonoteca::store::Library;

/// Libraries that are kept open.
const MOST_KEPT: usize = 8;

/// Open libraries.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Library>>,
}

impl Pool {
    /// Opens the library at `path`, once.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let first = Library::open(&path)?;
        Ok(Self { path, idle: Mutex::new(vec![first]) })
    }

    /// One that is idle, or a new one.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub(super) fn lend(&self) -> Result<Lent<'_>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let library = match idle {
            Some(library) => library,
            None => Library::open(&self.path)?,
        };
        Ok(Lent { pool: self, library: Some(library) })
    }
}

/// A library that is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    pool: &'a Pool,
    /// There until it is dropped.
    library: Option<Library>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // What a panic left behind is not used again.
        if std::thread::panicking() {
            return;
        }
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_KEPT {
            idle.extend(self.library.take());
        }
    }
}

impl Deref for Lent<'_> {
    type Target = Library;

    #[expect(clippy::expect_used, reason = "it is there until it is dropped")]
    fn deref(&self) -> &Library {
        self.library.as_ref().expect("lent until it is dropped")
    }
}

impl DerefMut for Lent<'_> {
    #[expect(clippy::expect_used, reason = "it is there until it is dropped")]
    fn deref_mut(&mut self) -> &mut Library {
        self.library.as_mut().expect("lent until it is dropped")
    }
}
