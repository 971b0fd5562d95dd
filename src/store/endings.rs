//! Recordings by what people call them: a path, or the end of one.
//!
//! In: all paths of the library, once. Out: the recording that a name means. Refuses to choose
//! between several.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Library;
use super::paths::OwnedPath;
use crate::error::Result;

/// The library's paths, ready to be looked up by their ends.
#[derive(Debug)]
pub struct Endings {
    by_path: HashMap<PathBuf, i64>,
    by_name: HashMap<Vec<u8>, Vec<(PathBuf, i64)>>,
}

/// How far a recording reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Its length in seconds.
    pub duration_s: f64,
    /// Frames per second.
    pub sample_rate: u32,
}

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// This recording.
    One(i64),
    /// So many, none of them more than the others.
    Several(usize),
    /// No recording.
    None,
}

impl Library {
    /// Reads all paths.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn endings(&self) -> Result<Endings> {
        let read = || -> rusqlite::Result<Endings> {
            let mut endings = Endings { by_path: HashMap::new(), by_name: HashMap::new() };
            let mut query = self.connection.prepare("SELECT id, path FROM recordings")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let (id, OwnedPath(path)) = (row.get(0)?, row.get(1)?);
                let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec());
                let same = endings.by_name.entry(name.unwrap_or_default()).or_default();
                same.push((path.clone(), id));
                endings.by_path.insert(path, id);
            }
            Ok(endings)
        };
        read().map_err(|error| self.error("read", error))
    }

    /// Reads how far every recording reaches, by its id.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn extents(&self) -> Result<HashMap<i64, Extent>> {
        let read = || -> rusqlite::Result<HashMap<i64, Extent>> {
            self.connection
                .prepare("SELECT id, duration_s, sample_rate FROM recordings")?
                .query_map([], |row| {
                    Ok((row.get(0)?, Extent { duration_s: row.get(1)?, sample_rate: row.get(2)? }))
                })?
                .collect()
        };
        read().map_err(|error| self.error("read", error))
    }
}

impl Endings {
    /// All paths and the ids of their recordings, in no order.
    pub fn paths(&self) -> impl Iterator<Item = (&Path, i64)> {
        self.by_path.iter().map(|(path, &id)| (path.as_path(), id))
    }

    /// The recording that `name` means: its path, absolute or relative to one of `folders`, tried
    /// in their order, or else the only one that ends with these parts.
    pub fn find(&self, name: &Path, folders: &[PathBuf]) -> Meant {
        for folder in folders {
            // An absolute name takes the folder's place.
            let path = tidy(&folder.join(name));
            if let Some(&id) = self.by_path.get(&path) {
                return Meant::One(id);
            }
        }
        let name = tidy(name);
        let Some(file_name) = name.file_name() else { return Meant::None };
        let same = self.by_name.get(file_name.as_encoded_bytes()).map_or(&[][..], Vec::as_slice);
        let mut fitting = same.iter().filter(|(path, _)| path.ends_with(&name));
        match (fitting.next(), fitting.count()) {
            (None, _) => Meant::None,
            (Some(&(_, id)), 0) => Meant::One(id),
            (Some(_), others) => Meant::Several(others + 1),
        }
    }
}

/// `path` without `.` and, where a part stands before it, `..`.
fn tidy(path: &Path) -> PathBuf {
    use std::path::Component::{CurDir, Normal, ParentDir};
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            CurDir => {}
            ParentDir if matches!(tidy.components().next_back(), Some(Normal(_))) => {
                tidy.pop();
            }
            _ => tidy.push(part),
        }
    }
    tidy
}
