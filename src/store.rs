//! The library: one SQLite file that holds recordings, models, segments and vectors.
//!
//! In: what indexing found. Out: what searching needs. Refuses files that are not ours and files
//! that a newer version wrote. The only room that imports rusqlite. What it acknowledged is on
//! the disk: the journal is write-ahead and every commit is synced.

pub mod changes;
pub mod contents;
mod creating;
pub mod dates;
pub mod embedded;
pub mod endings;
pub mod failures;
pub mod filtering;
mod functions;
pub mod heads;
pub mod heard;
pub mod labelled;
pub mod labels;
pub mod lock;
pub mod metadata;
pub mod migrate;
pub mod models;
mod paths;
pub mod recordings;
pub mod runs;
pub mod scores;
pub mod searched;
pub mod segments;
pub mod stretches;
pub mod text;
pub mod vector;
pub mod worklist;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result};

/// Bytes of a page, fixed when a library is made. A dense 1024-d float16 vector with its row
/// takes 4,119 bytes of file with pages of 4 KiB, 2,210 with these; vectors with many zeros are
/// stored in a third of that (see [`vector`]).
const PAGE_BYTES: i64 = 32_768;

/// "SNTC", in SQLite's header, tells a library from other programs' files.
const APPLICATION_ID: i64 = 0x534e_5443;

/// How long a write waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements that a connection keeps prepared: there are some 60 of them, and a search takes a dozen,
/// hundreds of times.
const STATEMENTS: usize = 128;

/// KiB of pages that a connection keeps: 512 pages. SQLite's own choice, 2,000, is 62 pages of ours, of
/// which a search reads a hundred.
const CACHE_KIB: i64 = 16_384;

/// The present as SQL: RFC 3339, UTC.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')";

/// The first bytes of every SQLite file.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// An open library.
#[derive(Debug)]
pub struct Library {
    connection: Connection,
    path: PathBuf,
    /// Which file it is, whatever its name comes to stand for.
    file: Option<FileId>,
}

/// Device and number of a file.
type FileId = (u64, u64);

impl Library {
    /// Opens the library at `path`; makes it when there is none.
    ///
    /// # Errors
    /// [`Error::NotALibrary`], [`Error::LibraryTooNew`], [`Error::LibraryBusy`] or
    /// [`Error::Store`].
    pub fn open_or_create(path: &Path) -> Result<Self> {
        creating::make_whole(path);
        Self::open_in_place(path)
    }

    /// The same; a new one is made where it stands.
    fn open_in_place(path: &Path) -> Result<Self> {
        Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens the library at `path`; `None` where [`open_or_create`](Self::open_or_create) would make one.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create).
    pub fn open_if_any(path: &Path) -> Result<Option<Self>> {
        if check_file(path)? { Ok(None) } else { Self::open(path).map(Some) }
    }

    /// Opens the library at `path`.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create), and [`Error::LibraryMissing`].
    pub fn open(path: &Path) -> Result<Self> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 => {
                Err(Error::NotALibrary { path: path.to_owned(), found: "it is empty" })
            }
            Ok(_) => Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::LibraryMissing { path: path.to_owned() })
            }
            Err(source) => Err(Error::Io { action: "read", path: path.to_owned(), source }),
        }
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self> {
        let fresh = check_file(path)?;
        // SQLite takes some names, such as `:memory:`, for more than a file's; no absolute one.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let connection = match configured(&absolute, flags, fresh) {
            // On a disk that cannot be written to, the journal's companions cannot be made.
            Err(error) if is_read_only(&error) && !has_journal(&absolute) => configured(
                Path::new(&immutable_uri(&absolute)),
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
                false,
            )
            // That was our idea; what the user asked for is what failed.
            .map_err(|_| error),
            result => result,
        }
        .map_err(|error| store_error("open", path, error))?;
        let file = file_id(&absolute);
        let mut library = Self { connection, path: path.to_owned(), file };
        let application_id = library.pragma("application_id")?;
        if application_id != APPLICATION_ID {
            let found = "it is another program's SQLite file";
            return Err(Error::NotALibrary { path: path.to_owned(), found });
        }
        migrate::run(&mut library)?;
        Ok(library)
    }

    /// Where the library is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a transaction that writes; dropping it without a commit undoes it.
    ///
    /// # Errors
    /// [`Error::LibraryBusy`] when another process writes for too long, [`Error::LibraryMissing`]
    /// when the file was removed or replaced: what is written into it would be lost.
    pub fn begin(&mut self) -> Result<Writer<'_>> {
        let path = self.path.clone();
        if self.file.is_some() && file_id(&path) != self.file {
            return Err(Error::LibraryMissing { path });
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| store_error("write to", &path, error))?;
        Ok(Writer { transaction, path, added: RefCell::default() })
    }

    /// Sets how long a write waits for another process's; ten seconds, where nothing is said.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn wait_for_others(&self, patience: Duration) -> Result<()> {
        self.connection.busy_timeout(patience).map_err(|error| self.error("open", error))
    }

    /// Makes ready for many small writes: keeps up to `megabytes` of pages in memory, instead of
    /// the few that are kept otherwise, and there too what a statement would need to be undone. Rows that go into several
    /// indexes and fire triggers otherwise write some 128 kB each to a temporary file: a million
    /// labels 127 GB.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn expect_many_writes(&self, megabytes: u32) -> Result<()> {
        // SQLite takes a negative number for kibibytes.
        self.connection
            .pragma_update(None, "cache_size", -1024 * i64::from(megabytes))
            .and_then(|()| self.connection.pragma_update(None, "temp_store", "MEMORY"))
            .map_err(|error| self.error("open", error))
    }

    /// Bytes that the library takes on the disk, its journal not counted.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn file_bytes(&self) -> Result<u64> {
        let bytes = self.pragma("page_count")? * self.pragma("page_size")?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Gives the room of what was removed back to the disk, and forgets changes of vectors but the
    /// last [`changes::KEPT`] and those from the serial `needed` on: the oldest that a copy of the
    /// vectors comes from, which is told by `search::generation::oldest_change`. Needs as much again
    /// while it works.
    ///
    /// # Errors
    /// [`Error::LibraryBusy`] when another process uses the library, [`Error::Store`].
    pub fn compact(&mut self, needed: Option<i64>) -> Result<()> {
        self.forget_changes(changes::KEPT, needed)?;
        self.connection
            .execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
            .map_err(|error| self.error("compact", error))
    }

    /// Folds the journal into the file, where nobody else is reading.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn checkpoint(&self) -> Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|error| self.error("write to", error))
    }

    /// The folder of what can be made again, beside the library.
    pub fn cache_folder(&self) -> PathBuf {
        // By the real name: two names of one library have one cache, and one lock.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let mut name = path.into_os_string();
        name.push(".cache");
        PathBuf::from(name)
    }

    /// The library's file and everything of its that lies beside it, by their real names.
    pub fn own_files(&self) -> Vec<PathBuf> {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        ["", "-wal", "-shm", ".cache"]
            .into_iter()
            .map(|suffix| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                PathBuf::from(name)
            })
            .collect()
    }

    fn pragma(&self, name: &str) -> Result<i64> {
        self.connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(|error| self.error("read", error))
    }

    fn error(&self, action: &'static str, error: rusqlite::Error) -> Error {
        store_error(action, &self.path, error)
    }
}

/// A transaction that writes.
#[derive(Debug)]
pub struct Writer<'a> {
    transaction: Transaction<'a>,
    path: PathBuf,
    /// First and last segment that were added, by model.
    added: RefCell<BTreeMap<i64, (i64, i64)>>,
}

impl Writer<'_> {
    /// Makes everything that was written durable.
    ///
    /// # Errors
    /// [`Error::Store`], for example when the disk is full; nothing of it was written then.
    pub fn commit(self) -> Result<()> {
        self.put_changes()
            .and_then(|()| text::catch_up(&self.transaction, text::AT_A_COMMIT))
            .and_then(|_| self.transaction.commit())
            .map_err(|error| store_error("write to", &self.path, error))
    }

    /// Does all that `write` does, or nothing of it when it fails; what was written before stays.
    ///
    /// # Errors
    /// As `write`, and [`Error::Store`].
    pub fn attempt<T>(&self, write: impl FnOnce() -> Result<T>) -> Result<T> {
        let run = |sql| self.transaction.execute_batch(sql).map_err(|error| self.error(error));
        let added = self.added.borrow().clone();
        run("SAVEPOINT attempt")?;
        let done = write();
        match done {
            Ok(done) => run("RELEASE attempt").map(|()| done),
            Err(error) => {
                self.added.replace(added);
                // SQLite may have taken everything back by itself, where the disk is full: then there is
                // nothing to go back to, and why is what has to be said.
                let _ = run("ROLLBACK TO attempt; RELEASE attempt");
                Err(error)
            }
        }
    }

    fn error(&self, error: rusqlite::Error) -> Error {
        store_error("write to", &self.path, error)
    }
}

/// Opens a connection with the settings that every one has, and those that only a new file can
/// be given.
fn configured(name: &Path, flags: OpenFlags, fresh: bool) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Without this, every new value of a parameter may have a statement planned anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    functions::register(&connection)?;
    if fresh {
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
    }
    // Opening alone touches nothing: what is wrong with the file shows now or never.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<FileId> {
    None
}

fn is_read_only(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

/// Whether the library's journal holds what its file does not.
fn has_journal(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).is_ok_and(|journal| journal.len() > 0)
}

/// The URI by which SQLite reads the file at `path` as one that nobody changes.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?immutable=1"
}

/// Looks at a file before SQLite may touch it; `true` when there is nothing in it yet.
fn check_file(path: &Path) -> Result<bool> {
    let not_a_library = |found| Err(Error::NotALibrary { path: path.to_owned(), found });
    match std::fs::metadata(path) {
        // Opening a pipe would wait for ever.
        Ok(metadata) if !metadata.is_file() => return not_a_library("it is no file"),
        _ => {}
    }
    let mut head = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut head));
    match read {
        Ok(0) => Ok(true),
        Ok(_) if head == SQLITE_MAGIC => Ok(false),
        Ok(_) => not_a_library("it is no SQLite file"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(source) => Err(Error::Io { action: "open", path: path.to_owned(), source }),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it on")]
fn store_error(action: &'static str, path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => Error::LibraryBusy { path },
        // As text: SQLite's own error repeats itself as its source.
        _ => Error::Store { action, path, source: error.to_string().into() },
    }
}

#[cfg(test)]
mod tests;
