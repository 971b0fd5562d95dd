//! A folder of Parquet files that are one dataset.
//!
//! In: rows. Out: files of a bounded size, each published whole, and, when all is done, a manifest
//! that counts them. A run that was stopped leaves whole files and no manifest; another one goes on
//! behind them. Refuses a folder with files of another model or form.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::header::{FORM, Header, hex, vectors_name};
use super::part::{Part, PartWriter, sync_folder_of};
use super::reading::{check_rows, check_sums, for_each_path, look};
use super::rows::{FailureRow, RecordingRow, RowWriter, SegmentRow};
use super::sums::Sums;
use crate::error::{DatasetProblem, Error, Result};
use crate::files::temporary_beside;
use crate::store::lock::WriterLock;

/// The manifest's name: programs that read folders of Parquet pass over what begins like this.
pub const MANIFEST: &str = "_manifest.json";
/// The lock's.
const LOCK: &str = "_writer.lock";

/// Bytes of vectors in a file, unless something else is asked for: with YAMNet's some 17 hours of
/// sound, and 100 MB on the disk.
pub const PART_BYTES: u64 = 512 << 20;

/// Files and their rows, as a whole dataset's manifest counts them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of its rows.
    pub form: u32,
    /// The version of sonoteca that wrote it.
    pub sonoteca: String,
    /// The model.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
    /// Version of its front end.
    pub front_end_version: u32,
    /// Length of a vector.
    pub dimension: usize,
    /// `f32` or `f16`.
    pub vectors: String,
    /// Recordings, in all.
    pub recordings: u64,
    /// Segments, in all.
    pub segments: u64,
    /// Failures, in all.
    pub failures: u64,
    /// The checksum of all rows.
    pub rows_checksum: String,
    /// The files, by name.
    pub files: Vec<ManifestFile>,
}

/// A file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its name in the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Its recordings.
    pub recordings: u64,
    /// Its segments.
    pub segments: u64,
    /// Its failures.
    pub failures: u64,
    /// The checksum of its rows.
    pub rows_checksum: String,
}

impl Manifest {
    /// What counts `parts`, whose header is `header`.
    pub fn new(header: &Header, parts: &[Part]) -> Self {
        let sums = parts.iter().fold(Sums::default(), |sums, part| sums.and(part.sums));
        Self {
            form: FORM,
            sonoteca: env!("CARGO_PKG_VERSION").to_owned(),
            model: header.identity.name.clone(),
            weights_sha256: hex(&header.identity.weights_sha256),
            front_end_version: header.identity.front_end_version,
            dimension: header.identity.dimension,
            vectors: vectors_name(header.vectors).to_owned(),
            recordings: sums.recordings,
            segments: sums.segments,
            failures: sums.failures,
            rows_checksum: sums.checksum_text(),
            files: parts.iter().map(ManifestFile::of).collect(),
        }
    }

    /// In what a file with this header is another one than those that it counts.
    fn other_than(&self, header: &Header) -> Option<&'static str> {
        let identity = &header.identity;
        [
            ("model", self.model == identity.name),
            ("weights", self.weights_sha256 == hex(&identity.weights_sha256)),
            ("front end", self.front_end_version == identity.front_end_version),
            ("dimension", self.dimension == identity.dimension),
            ("precision of vectors", self.vectors == vectors_name(header.vectors)),
        ]
        .into_iter()
        .find_map(|(what, is_same)| (!is_same).then_some(what))
    }

    /// What is in all its files; `None` when its checksum does not read.
    fn sums(&self) -> Option<Sums> {
        Some(Sums {
            recordings: self.recordings,
            segments: self.segments,
            failures: self.failures,
            checksum: Sums::checksum_of(&self.rows_checksum)?,
        })
    }
}

impl ManifestFile {
    /// What the manifest says of `part`.
    pub fn of(part: &Part) -> Self {
        let sums = &part.sums;
        Self {
            name: part.name.clone(),
            bytes: part.bytes,
            sha256: part.sha256.clone(),
            recordings: sums.recordings,
            segments: sums.segments,
            failures: sums.failures,
            rows_checksum: sums.checksum_text(),
        }
    }

    /// What is in it; `None` when its checksum does not read.
    pub fn sums(&self) -> Option<Sums> {
        Some(Sums {
            recordings: self.recordings,
            segments: self.segments,
            failures: self.failures,
            checksum: Sums::checksum_of(&self.rows_checksum)?,
        })
    }
}

/// The files of the dataset at `path`, which is a folder or one file, by name.
///
/// # Errors
/// [`Error::Io`], and [`Error::Dataset`] where there are none.
pub fn parts(path: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    if !path.metadata().map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = parts_in(path).map_err(failed)?;
    if files.is_empty() {
        return Err(Error::Dataset { path: path.to_owned(), problem: DatasetProblem::Empty });
    }
    Ok(files)
}

fn parts_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("part-") && name.ends_with(".parquet") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The manifest of the dataset in `folder`; nothing, where there is none.
///
/// # Errors
/// [`Error::Io`], and [`Error::Dataset`] when it does not read or does not fit `parts`.
pub fn manifest(folder: &Path, parts: &[PathBuf]) -> Result<Option<Manifest>> {
    let Some(manifest) = read_manifest(folder)? else { return Ok(None) };
    let wrong = |what: String| Error::Dataset {
        path: folder.join(MANIFEST),
        problem: DatasetProblem::Manifest { what },
    };
    if manifest.form > FORM {
        let problem = DatasetProblem::TooNew { found: manifest.form, known: FORM };
        return Err(Error::Dataset { path: folder.join(MANIFEST), problem });
    }
    let (mut names, mut total) = (HashSet::new(), Sums::default());
    for file in &manifest.files {
        // Only names in the folder: `../x` would be looked at here and never be imported.
        let Some(part) = parts.iter().find(|part| part.file_name() == Some(file.name.as_ref()))
        else {
            return Err(wrong(format!("{} is not there", file.name)));
        };
        if !names.insert(&file.name) {
            return Err(wrong(format!("it lists {} twice", file.name)));
        }
        let found = match part.metadata() {
            Ok(metadata) => metadata.len(),
            Err(source) => return Err(Error::Io { action: "read", path: part.clone(), source }),
        };
        let of_part = |problem| Error::Dataset { path: part.clone(), problem };
        if found != file.bytes {
            return Err(of_part(DatasetProblem::Size { found, expected: file.bytes }));
        }
        let (header, written) =
            look(part).map_err(|error| or_damage(part, &manifest.files, error))?;
        let Some(sums) = file.sums() else {
            return Err(wrong(format!("{} has no checksum that reads", file.name)));
        };
        check_sums(&written, &sums)
            .map_err(|problem| or_damage(part, &manifest.files, of_part(problem)))?;
        if let Some(what) = manifest.other_than(&header) {
            let error = wrong(format!("it has another {what} than {}", file.name));
            return Err(or_damage(part, &manifest.files, error));
        }
        total = total.and(sums);
    }
    let said = manifest.sums().ok_or_else(|| wrong("its checksum does not read".to_owned()))?;
    check_sums(&total, &said)
        .map_err(|problem| Error::Dataset { path: folder.join(MANIFEST), problem })?;
    for part in parts {
        let name = part.file_name().unwrap_or_default().to_string_lossy();
        if !manifest.files.iter().any(|file| file.name == name) {
            return Err(wrong(format!("{name} is there and not in it")));
        }
    }
    Ok(Some(manifest))
}

/// The manifest in `folder` as it stands there.
fn read_manifest(folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join(MANIFEST);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(source) => return Err(Error::Io { action: "read", path, source }),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let problem = DatasetProblem::Manifest { what: format!("it is no manifest: {error}") };
        Error::Dataset { path, problem }
    })
}

fn remove_manifest(folder: &Path) -> Result<()> {
    let path = folder.join(MANIFEST);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Io { action: "replace", path, source })
        }
        _ => Ok(()),
    }
}

/// What an earlier run left in a folder.
#[derive(Debug, Default)]
pub struct Earlier {
    /// 64 bits of a hash for each path: for millions of them there is room.
    paths: HashSet<u64>,
    /// Recordings that are there.
    pub recordings: u64,
    /// Failures that are there.
    pub failures: u64,
}

impl Earlier {
    /// Whether there is a row of `path`. In 10⁷ paths the odds that any is taken for another are
    /// one in 370,000.
    pub fn has(&self, path: &Path) -> bool {
        self.paths.contains(&hash_of(path))
    }
}

/// 64 bits for a path.
pub(crate) fn hash_of(path: &Path) -> u64 {
    let hash = blake3::hash(path.as_os_str().as_encoded_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// Writes a dataset into a folder, or into one file.
pub struct DatasetWriter {
    header: Header,
    place: Place,
    part_bytes: u64,
    current: Option<PartWriter>,
    parts: Vec<Part>,
    /// Held to the end.
    _lock: Option<WriterLock>,
}

enum Place {
    /// The folder, and the number of its next file.
    Folder(PathBuf, u32),
    File {
        path: PathBuf,
        replace: bool,
    },
}

impl std::fmt::Debug for DatasetWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DatasetWriter").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl DatasetWriter {
    /// Writes into the folder at `path`, which is made where there is none, and says what is there;
    /// `command` is told to whoever finds it locked. A manifest that is there stays until there is
    /// a file that it does not count.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Dataset`] when it holds a dataset of another model or form, or
    /// files that were damaged since they were written, or somebody else is writing it.
    pub fn in_folder(
        path: &Path,
        header: Header,
        part_bytes: u64,
        command: &str,
    ) -> Result<(Self, Earlier)> {
        let failed = |action| move |source| Error::Io { action, path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(failed("make"))?;
        let lock = match WriterLock::try_take_file(path, LOCK, command)? {
            Ok(lock) => lock,
            Err(holder) => {
                let holder = holder.map_or("another process".to_owned(), |who| who.to_string());
                let problem = DatasetProblem::Busy { holder };
                return Err(Error::Dataset { path: path.to_owned(), problem });
            }
        };
        remove_left_over(path).map_err(failed("tidy"))?;
        let (mut earlier, mut next, mut parts) = (Earlier::default(), 0, Vec::new());
        // Files that it lists and that are not there are extracted again.
        let listed = read_manifest(path)?.map_or_else(Vec::new, |manifest| manifest.files);
        for part in parts_in(path).map_err(failed("read"))? {
            let sums = look(&part)
                .and_then(|(other, sums)| {
                    header
                        .check_same(&other, "what is to be written")
                        .map_err(|problem| Error::Dataset { path: part.clone(), problem })?;
                    Ok(sums)
                })
                .map_err(|error| or_damage(&part, &listed, error))?;
            let found = part_at(&part, sums)?;
            // A new manifest vouches for all files: of one that was damaged since it was written,
            // it would say that it is whole.
            match listed.iter().find(|file| file.name == found.name) {
                Some(file) => check_same_content(&part, &found, file)?,
                None => {
                    check_rows(&part, || true)?;
                }
            }
            for_each_path(&part, |path, _| {
                earlier.paths.insert(hash_of(&path));
            })?;
            earlier.recordings += sums.recordings;
            earlier.failures += sums.failures;
            parts.push(found);
            let name = part.file_stem().unwrap_or_default().to_string_lossy();
            let number = name.strip_prefix("part-").and_then(|number| number.parse::<u32>().ok());
            next = next.max(number.map_or(0, |number| number.saturating_add(1)));
        }
        let place = Place::Folder(path.to_owned(), next);
        let writer = Self { header, place, part_bytes, current: None, parts, _lock: Some(lock) };
        Ok((writer, earlier))
    }

    /// Writes into the one file at `path`, in place of what is there if `replace` says so.
    ///
    /// # Errors
    /// [`Error::Exists`].
    pub fn to_file(path: &Path, header: Header, replace: bool) -> Result<Self> {
        if !replace && path.symlink_metadata().is_ok() {
            let options = "name another file or folder with --out";
            return Err(Error::Exists { path: path.to_owned(), options });
        }
        let place = Place::File { path: path.to_owned(), replace };
        let (current, parts) = (None, Vec::new());
        Ok(Self { header, place, part_bytes: u64::MAX, current, parts, _lock: None })
    }

    /// What holds for all its rows.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Publishes what is written; when it `is_whole`, also the manifest. Says which files there
    /// are, those of earlier runs included.
    ///
    /// # Errors
    /// As writing.
    pub fn finish(mut self, is_whole: bool) -> Result<Vec<Part>> {
        let is_file = matches!(self.place, Place::File { .. });
        if self.parts.is_empty() && self.current.is_none() && (is_file || is_whole) {
            // A dataset of no rows is one.
            self.current = Some(self.begin()?);
        }
        self.publish()?;
        if let (Place::Folder(folder, _), true) = (&self.place, is_whole) {
            write_manifest(folder, &self.header, &self.parts)?;
        }
        Ok(self.parts)
    }

    fn begin(&mut self) -> Result<PartWriter> {
        let path = match &mut self.place {
            Place::Folder(folder, next) => {
                let path = folder.join(format!("part-{next:05}.parquet"));
                *next += 1;
                path
            }
            Place::File { path, .. } => path.clone(),
        };
        PartWriter::new(path, &self.header)
    }

    fn part(&mut self) -> Result<&mut PartWriter> {
        let part = match self.current.take() {
            Some(part) => part,
            None => self.begin()?,
        };
        Ok(self.current.insert(part))
    }

    fn publish(&mut self) -> Result<()> {
        if let Some(part) = self.current.take() {
            if let Place::Folder(folder, _) = &self.place {
                // What it counts is not all any more.
                remove_manifest(folder)?;
            }
            let replace = matches!(self.place, Place::File { replace: true, .. });
            self.parts.push(part.publish(replace)?);
        }
        Ok(())
    }

    /// Publishes the file that is being written once it has its size.
    fn publish_full(&mut self) -> Result<()> {
        let is_full =
            |part: &PartWriter| part.content_bytes() >= self.part_bytes && !part.is_empty();
        if self.current.as_ref().is_some_and(is_full) { self.publish() } else { Ok(()) }
    }
}

impl RowWriter for DatasetWriter {
    fn write_recording(
        &mut self,
        recording: &RecordingRow,
        segments: &mut dyn Iterator<Item = Result<SegmentRow>>,
    ) -> Result<()> {
        self.part()?.write_recording(recording, segments)?;
        self.publish_full()
    }

    fn write_failure(&mut self, failure: &FailureRow) -> Result<()> {
        self.part()?.write_failure(failure)?;
        self.publish_full()
    }
}

/// Removes what runs that were killed were writing: nobody else is at work, and it has no name.
fn remove_left_over(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(".tmp") && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A file that lies there already.
fn part_at(path: &Path, sums: Sums) -> Result<Part> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut hasher = Hasher { hasher: Sha256::new(), bytes: 0 };
    File::open(path).and_then(|mut file| io::copy(&mut file, &mut hasher)).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sha256 = hex(&hasher.hasher.finalize());
    Ok(Part { name, bytes: hasher.bytes, sha256, sums })
}

/// Refuses the file at `path` when it is not the one that the manifest calls `file`.
pub(super) fn check_content(path: &Path, file: &ManifestFile) -> Result<()> {
    let expected = file.sums().unwrap_or_default();
    check_same_content(path, &part_at(path, expected)?, file)
}

/// Why the file at `path` cannot be used: that it was damaged since it was `listed`, which it may say in
/// many ways, or else what it says.
pub(super) fn or_damage(path: &Path, listed: &[ManifestFile], error: Error) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = listed.iter().find(|file| file.name == name);
    file.and_then(|file| check_content(path, file).err()).unwrap_or(error)
}

fn check_same_content(path: &Path, part: &Part, file: &ManifestFile) -> Result<()> {
    if part.sha256 == file.sha256 {
        return Ok(());
    }
    let what = format!("its SHA-256 is {}, and the manifest says {}", part.sha256, file.sha256);
    let problem = DatasetProblem::Manifest { what };
    Err(Error::Dataset { path: path.to_owned(), problem })
}

struct Hasher {
    hasher: Sha256,
    bytes: u64,
}

impl Write for Hasher {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.hasher.update(buffer);
        self.bytes += buffer.len() as u64;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_manifest(folder: &Path, header: &Header, parts: &[Part]) -> Result<()> {
    let manifest = Manifest::new(header, parts);
    let path = folder.join(MANIFEST);
    let write = || -> io::Result<()> {
        let mut file = temporary_beside(&path)?;
        serde_json::to_writer_pretty(&mut file, &manifest)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        sync_folder_of(&path)
    };
    write().map_err(|source| Error::Io { action: "write", path: path.clone(), source })
}
