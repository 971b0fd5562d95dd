//! What was found on the disk, beside what the library knows of it.
//!
//! In: files, as a walk meets them. Out: those that need work, those that are gone, those that
//! moved. Lives in a temporary database of its own, which SQLite spills to the disk, so that a
//! collection's size does not set the memory that planning takes.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::paths::{Below, OwnedPath, PathBytes, TextBytes};
use super::recordings::{FileStamp, KnownFile, ModelSet};
use super::{Library, store_error};
use crate::error::{Error, Result};
use crate::units::signed;

/// What a file is to the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Indexed, and as it was.
    Unchanged,
    /// No audio.
    Skipped,
    /// It failed as it is, and is not tried again.
    FailedBefore,
    /// Not indexed yet.
    New,
    /// In the library, and not as it was.
    Changed,
    /// In the library as it was, without vectors of one of the models.
    NewToModel,
    /// New, with the content of a recording that is gone from its place.
    Moved,
}

impl FileState {
    const ALL: [Self; 7] = [
        Self::Unchanged,
        Self::Skipped,
        Self::FailedBefore,
        Self::New,
        Self::Changed,
        Self::NewToModel,
        Self::Moved,
    ];

    fn code(self) -> i64 {
        self as i64
    }

    /// The state of a code, which is written here and nowhere else.
    fn of(code: i64) -> Self {
        Self::ALL.into_iter().find(|state| state.code() == code).unwrap_or(Self::New)
    }
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// What it is like.
    pub stamp: FileStamp,
    /// What it is to the library.
    pub state: FileState,
    /// What the library has under its path.
    pub known: Option<KnownFile>,
}

/// A recording whose file is not where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoneRecording {
    /// Its row id.
    pub id: i64,
    /// Where it was.
    pub path: PathBuf,
    /// Where its content was found.
    pub moved_to: Option<(PathBuf, FileStamp)>,
}

/// Files and bytes of one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Whether a file is to be read; the parameters are [`TASK_STATES`]. A recording that moved is,
/// when not all of the models have embedded it.
const IS_TASK: &str = "(state IN (?1, ?2, ?3)
    OR state = ?4 AND path IN (SELECT moved_to FROM gone WHERE NOT indexed))";
const TASK_STATES: [FileState; 4] =
    [FileState::New, FileState::Changed, FileState::NewToModel, FileState::Moved];

/// A temporary database of files.
#[derive(Debug)]
pub struct Worklist {
    connection: Connection,
    library: PathBuf,
    all: ModelSet,
}

impl Worklist {
    /// An empty one, that looks files up in `library` and which of `models`, by their row ids,
    /// they are indexed with.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn new(library: &Library, models: &[i64]) -> Result<Self> {
        let open = || -> rusqlite::Result<Connection> {
            // An empty name is a temporary database on the disk.
            let connection = Connection::open("")?;
            let path = std::path::absolute(&library.path).unwrap_or_else(|_| library.path.clone());
            connection.execute("ATTACH ?1 AS library", [PathBytes(&path)])?;
            connection.execute_batch(
                "PRAGMA main.journal_mode = OFF;
                 PRAGMA main.synchronous = OFF;
                 CREATE TABLE main.found (
                     path TEXT PRIMARY KEY, size_bytes INTEGER, modified_ns INTEGER, state INTEGER,
                     known_id INTEGER, known_size INTEGER, known_modified INTEGER, known_hash BLOB,
                     known_indexed INTEGER, extension TEXT
                 ) WITHOUT ROWID;
                 CREATE TABLE main.failed (path TEXT PRIMARY KEY) WITHOUT ROWID;
                 CREATE TABLE main.wanted (model_id INTEGER, bit INTEGER);
                 CREATE TABLE main.gone (
                     id INTEGER PRIMARY KEY, path TEXT, size_bytes INTEGER, content_hash BLOB,
                     indexed INTEGER, moved_to TEXT
                 );
                 BEGIN",
            )?;
            for (place, model) in models.iter().enumerate() {
                connection.execute(
                    "INSERT INTO wanted VALUES (?1, 1 << ?2)",
                    params![model, signed(place)],
                )?;
            }
            Ok(connection)
        };
        let connection = open().map_err(|error| store_error("plan for", &library.path, error))?;
        let all = ModelSet::first(models.len());
        Ok(Self { connection, library: library.path.clone(), all })
    }

    /// What the library has under `path`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn known(&self, path: &Path) -> Result<Option<KnownFile>> {
        self.connection
            .prepare_cached(
                "SELECT id, size_bytes, modified_ns, content_hash, (
                     SELECT coalesce(sum(bit), 0) FROM wanted
                     JOIN library.recording_vectors AS known USING (model_id)
                     WHERE known.recording_id = id)
                 FROM library.recordings WHERE path = ?1",
            )
            .and_then(|mut query| {
                query.query_row([PathBytes(path)], |row| read_known(row, 0)).optional()
            })
            .map_err(|error| self.error(error))
    }

    /// Whether this version of sonoteca could not decode the file at `path` as it is. What failed
    /// otherwise, for example to be opened, may succeed next time.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn failed_before(&self, path: &Path, stamp: FileStamp) -> Result<bool> {
        self.connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM library.failures WHERE path = ?1 AND size_bytes = ?2
                     AND modified_ns = ?3 AND sonoteca_version = ?4
                     AND stage IN ('decode', 'panic'))",
            )
            .and_then(|mut query| {
                query.query_row(
                    params![
                        PathBytes(path),
                        stamp.size_bytes.cast_signed(),
                        stamp.modified_ns,
                        env!("CARGO_PKG_VERSION")
                    ],
                    |row| row.get(0),
                )
            })
            .map_err(|error| self.error(error))
    }

    /// The paths in the ledger of failures.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn failed_paths(&self) -> Result<Vec<PathBuf>> {
        let list = || -> rusqlite::Result<Vec<PathBuf>> {
            self.connection
                .prepare("SELECT path FROM library.failures ORDER BY path")?
                .query_map([], |row| row.get(0).map(|OwnedPath(path)| path))?
                .collect()
        };
        list().map_err(|error| self.error(error))
    }

    /// Whether `path` was met before.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn has(&self, path: &Path) -> Result<bool> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM found WHERE path = ?1)")
            .and_then(|mut query| query.query_row([PathBytes(path)], |row| row.get(0)))
            .map_err(|error| self.error(error))
    }

    /// Takes a file that was met, in place of what was said of its path before.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn put(&self, file: &FoundFile) -> Result<()> {
        let known = file.known.as_ref();
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO found
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    PathBytes(&file.path),
                    file.stamp.size_bytes.cast_signed(),
                    file.stamp.modified_ns,
                    file.state.code(),
                    known.map(|known| known.id),
                    known.map(|known| known.stamp.size_bytes.cast_signed()),
                    known.map(|known| known.stamp.modified_ns),
                    known.map(|known| known.content_hash),
                    known.map(|known| known.indexed.0.cast_signed()),
                    extension_of(&file.path),
                ])
            })
            .map(drop)
            .map_err(|error| self.error(error))
    }

    /// Finds the recordings below `root`, or at it, that were not met and are not there. Returns
    /// whether that is all of them: so it looks where a disk is missing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn find_gone(&self, root: &Path) -> Result<bool> {
        let failed = |error| self.error(error);
        let below = Below::new(root);
        let mut any_gone = false;
        let mut query = self
            .connection
            .prepare(
                "SELECT id, path, size_bytes, content_hash, ?4 = (
                     SELECT coalesce(sum(bit), 0) FROM wanted
                     JOIN library.recording_vectors USING (model_id)
                     WHERE recording_id = known.id)
                 FROM library.recordings AS known
                 WHERE (path >= ?1 AND path < ?2 OR path = ?3)
                   AND NOT EXISTS (SELECT 1 FROM found WHERE found.path = known.path)",
            )
            .map_err(failed)?;
        let mut rows = query
            .query(params![
                TextBytes(&below.first),
                TextBytes(&below.behind),
                PathBytes(root),
                self.all.0.cast_signed()
            ])
            .map_err(failed)?;
        let mut insert = self
            .connection
            .prepare("INSERT OR IGNORE INTO gone VALUES (?1, ?2, ?3, ?4, ?5, NULL)")
            .map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let OwnedPath(path) = row.get(1).map_err(failed)?;
            // A file that may not be looked at is not gone.
            if matches!(path.try_exists(), Ok(false)) {
                let (id, size, hash, indexed): (i64, i64, Vec<u8>, bool) =
                    (|| Ok((row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?)))()
                        .map_err(failed)?;
                insert
                    .execute(params![id, PathBytes(&path), size, hash, indexed])
                    .map_err(failed)?;
                any_gone = true;
            }
        }
        let any_found: bool = self
            .connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM found WHERE state <> ?4
                     AND (path >= ?1 AND path < ?2 OR path = ?3))",
                params![
                    TextBytes(&below.first),
                    TextBytes(&below.behind),
                    PathBytes(root),
                    FileState::Skipped.code()
                ],
                |row| row.get(0),
            )
            .map_err(failed)?;
        Ok(any_gone && !any_found)
    }

    /// New files that are as long as a recording that is gone: perhaps it moved there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn perhaps_moved(&self) -> Result<Vec<FoundFile>> {
        self.list(
            "WHERE state = ?1 AND size_bytes IN (SELECT size_bytes FROM gone)
             ORDER BY path",
            FileState::New,
        )
    }

    /// What was said of the file at `path`, if it was met.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn state_of(&self, path: &Path) -> Result<Option<FileState>> {
        self.connection
            .prepare_cached("SELECT state FROM found WHERE path = ?1")
            .and_then(|mut query| query.query_row([PathBytes(path)], |row| row.get(0)).optional())
            .map(|code| code.map(FileState::of))
            .map_err(|error| self.error(error))
    }

    /// Takes `file`, whose content has `content_hash`, for the gone recording of that content, if
    /// there is one left; whether there was.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn note_moved(&self, mut file: FoundFile, content_hash: [u8; 32]) -> Result<bool> {
        let updated = self
            .connection
            .execute(
                "UPDATE gone SET moved_to = ?1 WHERE id = (
                     SELECT min(id) FROM gone WHERE content_hash = ?2 AND moved_to IS NULL)",
                params![PathBytes(&file.path), content_hash],
            )
            .map_err(|error| self.error(error))?;
        if updated > 0 {
            file.state = FileState::Moved;
        }
        self.put(&file)?;
        Ok(updated > 0)
    }

    /// Ends the planning: the library is not looked at any more.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn finish(&self) -> Result<()> {
        // Cached statements would keep the library open. While it is, its journal cannot shrink.
        self.connection.flush_prepared_statement_cache();
        self.connection
            .execute_batch(
                "INSERT OR IGNORE INTO main.failed SELECT path FROM library.failures;
                 COMMIT; DETACH library",
            )
            .map_err(|error| self.error(error))
    }

    /// Files and bytes in `state`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn sum(&self, state: FileState) -> Result<Sum> {
        self.connection
            .query_row(
                "SELECT count(*), coalesce(sum(size_bytes), 0) FROM found WHERE state = ?1",
                [state.code()],
                |row| {
                    let (files, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
                    Ok(Sum { files: files.cast_unsigned(), bytes: bytes.cast_unsigned() })
                },
            )
            .map_err(|error| self.error(error))
    }

    /// The files that are to be read, by their extension.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn workload(&self) -> Result<Vec<(String, Sum)>> {
        let list = || -> rusqlite::Result<Vec<(String, Sum)>> {
            self.connection
                .prepare(&format!(
                    "SELECT extension, count(*), sum(size_bytes) FROM found
                         WHERE {IS_TASK} GROUP BY extension"
                ))?
                .query_map(TASK_STATES.map(FileState::code), |row| {
                    let (files, bytes): (i64, i64) = (row.get(1)?, row.get(2)?);
                    let sum = Sum { files: files.cast_unsigned(), bytes: bytes.cast_unsigned() };
                    Ok((row.get(0)?, sum))
                })?
                .collect()
        };
        list().map_err(|error| self.error(error))
    }

    /// Calls `visit` with every file that is to be read, by path, until it says `false`. Those that
    /// failed before come last: should a network fail on them again and end the run, the others are
    /// done.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn for_each_task(&self, mut visit: impl FnMut(FoundFile) -> bool) -> Result<()> {
        let failed = |error| self.error(error);
        let mut query = self
            .connection
            .prepare(&format!(
                "SELECT * FROM found WHERE {IS_TASK}
                 ORDER BY path IN (SELECT path FROM main.failed), path"
            ))
            .map_err(failed)?;
        let mut rows = query.query(TASK_STATES.map(FileState::code)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if !visit(read_found(row).map_err(failed)?) {
                break;
            }
        }
        Ok(())
    }

    /// Files in `state`, by path.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn files(&self, state: FileState) -> Result<Vec<FoundFile>> {
        self.list("WHERE state = ?1 ORDER BY path", state)
    }

    fn list(&self, rest: &str, state: FileState) -> Result<Vec<FoundFile>> {
        let list = || -> rusqlite::Result<Vec<FoundFile>> {
            self.connection
                .prepare(&format!("SELECT * FROM found {rest}"))?
                .query_map([state.code()], read_found)?
                .collect()
        };
        list().map_err(|error| self.error(error))
    }

    /// Recordings that are gone from their place, by path.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn gone(&self) -> Result<Vec<GoneRecording>> {
        let list = || -> rusqlite::Result<Vec<GoneRecording>> {
            self.connection
                .prepare(
                    "SELECT gone.id, gone.path, moved_to, found.size_bytes, modified_ns
                     FROM gone LEFT JOIN found ON found.path = moved_to ORDER BY gone.path",
                )?
                .query_map([], |row| {
                    let OwnedPath(path) = row.get(1)?;
                    let moved_to = match row.get::<_, Option<OwnedPath>>(2)? {
                        Some(OwnedPath(to)) => Some((to, read_stamp(row, 3)?)),
                        None => None,
                    };
                    Ok(GoneRecording { id: row.get(0)?, path, moved_to })
                })?
                .collect()
        };
        list().map_err(|error| self.error(error))
    }

    fn error(&self, error: rusqlite::Error) -> Error {
        store_error("plan for", &self.library, error)
    }
}

/// The extension of `path`, in lower case: files of one are about as long for their size.
pub fn extension_of(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn read_stamp(row: &Row<'_>, first: usize) -> rusqlite::Result<FileStamp> {
    let size: i64 = row.get(first)?;
    Ok(FileStamp { size_bytes: size.cast_unsigned(), modified_ns: row.get(first + 1)? })
}

/// A known file from its id, stamp, hash and whether it is indexed, from column `first` on.
fn read_known(row: &Row<'_>, first: usize) -> rusqlite::Result<KnownFile> {
    Ok(KnownFile {
        id: row.get(first)?,
        stamp: read_stamp(row, first + 1)?,
        content_hash: row.get(first + 3)?,
        indexed: ModelSet(row.get::<_, i64>(first + 4)?.cast_unsigned()),
    })
}

fn read_found(row: &Row<'_>) -> rusqlite::Result<FoundFile> {
    let OwnedPath(path) = row.get(0)?;
    let code: i64 = row.get(3)?;
    let known: Option<i64> = row.get(4)?;
    Ok(FoundFile {
        path,
        stamp: read_stamp(row, 1)?,
        // Written above, and nowhere else.
        state: FileState::ALL
            .into_iter()
            .find(|state| state.code() == code)
            .unwrap_or(FileState::New),
        known: known.map(|_| read_known(row, 4)).transpose()?,
    })
}
