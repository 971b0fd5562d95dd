//! Recordings into a dataset: what [`Indexer`] does without a library.
//!
//! In: a manifest. Out: rows for whoever writes them, and a [`Report`]. The same decoders, batches
//! and bounds as indexing; only what there is to do, and where it goes, are others. A file that is
//! named twice is extracted once.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::assembly::{AssemblyPlan, Finished};
use super::fetching::FETCHERS_PER_JOB;
use super::pipeline::Pipeline;
use super::plan::{stamp, stamp_of};
use super::working::{Listed, Tasks};
use super::writing::{Message, Settled, Sink};
use super::{Indexer, Outcome, Report, patches_of};
use crate::dataset::folder::{Earlier, hash_of};
use crate::dataset::header::Header;
use crate::dataset::rows::{FailureRow, Metadata, RecordingRow, RowWriter, Scores, SegmentRow};
use crate::error::{Error, Result, VectorProblem};
use crate::manifest::{Entries, Entry};
use crate::model::card::MemoryNeed;
use crate::model::{registry, set_threads_per_operation};
use crate::objects::{Objects, RANGE_BYTES, fault_of, scheme_of, without_user};
use crate::store::dates::recorded_or_named;
use crate::store::recordings::FileStamp;
use crate::store::scores;
use crate::store::segments::NewSegment;
use crate::store::vector::decode;
use crate::store::worklist::{FileState, FoundFile, Sum};

/// What a dataset takes beside what indexing does: a row group of vectors, raw and compressed, and
/// for each job what is being fetched.
const DATASET: MemoryNeed = MemoryNeed {
    network_mb: 100,
    job_mb: if cfg!(feature = "objects") {
        FETCHERS_PER_JOB as u64 * RANGE_BYTES / 1_000_000 + 1
    } else {
        0
    },
};

/// What is to be extracted.
pub struct Wanted<R> {
    /// The list.
    pub manifest: R,
    /// How many lines it has, where that is known.
    pub entries: Option<u64>,
    /// What an earlier run has written already.
    pub earlier: Earlier,
}

impl<R> std::fmt::Debug for Wanted<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Wanted").field("entries", &self.entries).finish_non_exhaustive()
    }
}

/// Where rows go, and where what does not fit into memory waits.
pub struct Output<'a> {
    /// Takes the rows.
    pub rows: &'a mut dyn RowWriter,
    /// A folder for temporary files.
    pub folder: &'a Path,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Output").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Indexer<'_> {
    /// What holds for all rows that [`extract`](Self::extract) makes.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is not exactly one model, [`Error::Segments`],
    /// [`Error::TooLittleMemory`].
    pub fn header(&self) -> Result<Header> {
        let [model] = self.models else {
            return Err(Error::Usage {
                problem: "a dataset has the vectors of one model",
                hint: "extract once for each model, into a dataset each",
            });
        };
        self.options.check(model.card())?;
        let classes = registry::class_names(&model.card().name)?;
        let mut header = Header::new(model.identity().clone(), model.card(), classes);
        header.segmentation = self.options.segments.or(header.segmentation);
        header.vectors = self.options.vectors;
        header.device = model.compute().device.to_string();
        header.precision = model.compute().precision.to_string();
        Ok(header)
    }

    /// Extracts what a manifest names, in the order in which it is done.
    ///
    /// # Errors
    /// Only what ends the whole run: that rows cannot be written, or the manifest not be read.
    /// Everything else is a row and in the report.
    pub fn extract<R: BufRead + Send>(
        &self,
        wanted: Wanted<R>,
        output: &mut Output<'_>,
    ) -> Result<Report> {
        let started = Instant::now();
        let header = self.header()?;
        set_threads_per_operation(1);
        let mut needs: Vec<_> = self.models.iter().map(|model| model.card().memory).collect();
        needs.push(DATASET);
        let share = self.options.share(&needs)?;
        let files = wanted.entries.unwrap_or(0);
        self.observer.planned(&[(String::new(), Sum { files, bytes: 0 })]);
        let assembly = AssemblyPlan {
            dimension: header.identity.dimension,
            classes: header.classes.len(),
            patch: patches_of(self.models[0].card()),
            segments: header.segmentation,
            // What a row cannot hold costs its recording here.
            vectors: header.vectors,
            scores: self.options.scores,
            folder: output.folder.to_owned(),
        };
        let known = Known::default();
        let mut report = Report { failed_before: wanted.earlier.failures, ..Report::default() };
        let tasks = ManifestTasks {
            entries: Entries::new(wanted.manifest),
            earlier: wanted.earlier,
            known: &known,
        };
        let mut sink = RowSink {
            rows: &mut *output.rows,
            known: &known,
            dimension: header.identity.dimension,
        };
        let assemblies = vec![assembly];
        let objects = Objects::new()?;
        let pipeline = Pipeline {
            indexer: self,
            assemblies,
            folder: output.folder,
            share,
            objects: Some(&objects),
        };
        pipeline.run(tasks, &mut sink, &mut report)?;
        report.unchanged = known.passed.load(Ordering::Relaxed);
        report.skipped = known.repeated.load(Ordering::Relaxed);
        report.end(self.cancel, started);
        Ok(report)
    }
}

/// What the list says of files that are on their way, which are a few hundred.
#[derive(Debug, Default)]
struct Known {
    metadata: Mutex<HashMap<PathBuf, Metadata>>,
    /// Entries that an earlier run has written.
    passed: AtomicU64,
    /// Entries that were there before.
    repeated: AtomicU64,
}

impl Known {
    fn put(&self, path: &Path, metadata: Metadata) {
        if !metadata.is_empty() {
            self.lock().insert(path.to_owned(), metadata);
        }
    }

    fn take(&self, path: &Path) -> Metadata {
        self.lock().remove(path).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Metadata>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the list as far ahead as the readers want it.
struct ManifestTasks<'a, R> {
    entries: Entries<R>,
    earlier: Earlier,
    known: &'a Known,
}

impl<R: BufRead + Send> Tasks for ManifestTasks<'_, R> {
    fn for_each(mut self, visit: &mut dyn FnMut(Listed) -> bool) -> Result<()> {
        let mut seen = HashSet::new();
        loop {
            let entry = self.entries.next_entry().map_err(|source| Error::Io {
                action: "read",
                path: PathBuf::from("the manifest"),
                source,
            })?;
            let (file, metadata, error) = match entry {
                None => return Ok(()),
                Some(Ok(Entry { path, metadata })) => {
                    let (file, error) = look_at(path);
                    (file, metadata, error)
                }
                Some(Err((text, error))) => (found(text, NO_STAMP), Metadata::new(), Some(error)),
            };
            if self.earlier.has(&file.path) {
                self.known.passed.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            if !seen.insert(hash_of(&file.path)) {
                self.known.repeated.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.known.put(&file.path, metadata);
            let listed = match error {
                None => Listed::File(file),
                Some(error) => Listed::Failed(file, error),
            };
            if !visit(listed) {
                return Ok(());
            }
        }
    }
}

/// Of what could not be looked at.
const NO_STAMP: FileStamp = FileStamp { size_bytes: 0, modified_ns: 0 };

fn found(path: PathBuf, stamp: FileStamp) -> FoundFile {
    FoundFile { path, stamp, state: FileState::New, known: None }
}

/// The file at `path`, by the name that indexing knows it by; and why it cannot be read, where that
/// is clear already.
fn look_at(path: PathBuf) -> (FoundFile, Option<Error>) {
    let path = match scheme_of(&path) {
        None => path,
        Some(scheme) if scheme.eq_ignore_ascii_case("file") => of_file_address(&path),
        // It is looked at where it is fetched.
        Some(_) => return look_at_address(path),
    };
    let looked = path.canonicalize().and_then(|real| Ok((real.metadata()?, real)));
    match looked {
        // Opening a pipe or a device could wait for ever.
        Ok((metadata, real)) if !metadata.is_file() => {
            let source = std::io::Error::other("it is no file");
            let error = Error::Io { action: "read", path: real.clone(), source };
            (found(real, NO_STAMP), Some(error))
        }
        Ok((metadata, real)) => match stamp(&real, &metadata) {
            Ok(stamp) => (found(real, stamp), None),
            Err(error) => (found(real, NO_STAMP), Some(error)),
        },
        Err(source) => {
            let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
            (found(absolute, NO_STAMP), Some(Error::Io { action: "find", path, source }))
        }
    }
}

/// What is at an address, as far as the address itself says.
fn look_at_address(path: PathBuf) -> (FoundFile, Option<Error>) {
    let Some(fault) = fault_of(&path) else { return (found(path, NO_STAMP), None) };
    // Nobody's password is stored or shown, in a failure neither.
    let path = without_user(&path).unwrap_or(path);
    let source = std::io::Error::other(fault);
    let error = Error::Io { action: "fetch", path: path.clone(), source };
    (found(path, NO_STAMP), Some(error))
}

/// The path that an address such as `file:///a%20b.wav` stands for.
fn of_file_address(address: &Path) -> PathBuf {
    let text = address.to_str().unwrap_or_default();
    let path = text.split_once("://").map_or(text, |(_, path)| path);
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        let code = behind.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(code) = code.filter(|_| byte == b'%') {
            bytes.push(code);
            rest = &behind[2..];
        } else {
            bytes.push(byte);
            rest = behind;
        }
    }
    path_of(bytes)
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

/// Recordings that are done, as rows.
struct RowSink<'a> {
    rows: &'a mut dyn RowWriter,
    known: &'a Known,
    dimension: usize,
}

impl Sink for RowSink<'_> {
    fn take(&mut self, batch: Vec<Message>) -> Result<Vec<Settled>> {
        batch.into_iter().map(|message| self.take_one(message)).collect()
    }
}

impl RowSink<'_> {
    fn take_one(&mut self, message: Message) -> Result<Settled> {
        match message {
            Message::Done(finished) => {
                let mut finished = finished.into_iter();
                match (finished.next(), finished.next()) {
                    (Some((_, finished)), None) => self.write_recording(finished),
                    _ => Err(Error::Output(std::io::Error::other("not one network's recording"))),
                }
            }
            Message::Failed(file, error) => self.write_failure(file, error),
            // Nothing was known of any content.
            Message::Same(file) => Ok((file.path, file.stamp, Outcome::Unchanged)),
            Message::Broken(error) => Err(error),
        }
    }

    fn write_recording(&mut self, finished: Finished) -> Result<Settled> {
        let Finished { file, content_hash, format, recorded, end, pooled, scores, segments } =
            finished;
        let dimension = self.dimension;
        let values = |bytes: &[u8]| {
            let mut vector = Vec::with_capacity(dimension);
            decode(bytes, dimension, &mut vector)
                .map(|()| vector)
                .map_err(|problem| vector_error(&file.path, problem))
        };
        let count = segments.total();
        let recording = RecordingRow {
            path: file.path.clone(),
            content_hash,
            stamp: file.stamp,
            format,
            duration_s: end.duration_s,
            integrity: end.integrity,
            recorded: recorded_or_named(&file.path, recorded),
            metadata: self.known.take(&file.path),
            segments: u32::try_from(count)
                .map_err(|_| vector_error(&file.path, VectorProblem::TooMany))?,
            vector: values(&pooled)?,
            scores: scores
                .into_iter()
                .filter_map(|(class, score)| Some((u32::try_from(class).ok()?, score)))
                .collect(),
        };
        let mut segments = (0..).zip(segments).map(|(index, segment)| {
            let NewSegment { range, vector, classes, health } = segment?;
            let (vector, scores) = (values(&vector)?, scores_of(&classes));
            Ok(SegmentRow { index, range, vector, scores, health })
        });
        self.rows.write_recording(&recording, &mut segments)?;
        let (duration_s, flaw) = (end.duration_s, end.integrity.flaw());
        Ok((file.path, file.stamp, Outcome::Indexed { duration_s, segments: count, flaw }))
    }

    fn write_failure(&mut self, file: FoundFile, error: Error) -> Result<Settled> {
        let is_known = file.stamp != NO_STAMP;
        self.rows.write_failure(&FailureRow {
            metadata: self.known.take(&file.path),
            stamp: if is_known { Some(file.stamp) } else { stamp_of(&file.path) },
            stage: error.stage().to_owned(),
            reason: error.reason(),
            hint: error.hint().map(std::borrow::Cow::into_owned),
            path: file.path.clone(),
        })?;
        Ok((file.path, file.stamp, Outcome::Failed(error)))
    }
}

/// A segment's class scores, as stored.
#[expect(clippy::cast_possible_truncation, reason = "a 65,535th is more than float32 loses")]
fn scores_of(classes: &[u8]) -> Scores {
    scores::decode(classes)
        .filter_map(|(class, score)| Some((u32::try_from(class).ok()?, score as f32)))
        .collect()
}

fn vector_error(path: &Path, problem: VectorProblem) -> Error {
    Error::Vector { what: format!("a vector of {}", path.display()), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_gets_into_no_row() {
        let (file, error) = look_at(PathBuf::from("https://user:word@host/a.wav"));
        assert_eq!(file.path, Path::new("https://host/a.wav"));
        let error = error.unwrap();
        assert!(!format!("{error} {}", error.reason()).contains("word@"), "{error:?}");
        assert_eq!(error.stage(), "fetch");
        let (file, error) = look_at(PathBuf::from("https://host/get?id=1"));
        assert_eq!(file.path, Path::new("https://host/get?id=1"), "told from `?id=2`");
        assert!(error.unwrap().reason().contains("%3F"));
    }

    #[test]
    fn addresses_of_files_are_paths() {
        for (address, path) in [
            ("file:///a/b.wav", "/a/b.wav"),
            ("file://localhost/a%20b.wav", "/a b.wav"),
            ("file:///100%.wav", "/100%.wav"),
            ("FILE:///a.wav", "/a.wav"),
            ("file:///%C3%A4.wav", "/ä.wav"),
        ] {
            assert_eq!(of_file_address(Path::new(address)), PathBuf::from(path));
        }
    }
}
