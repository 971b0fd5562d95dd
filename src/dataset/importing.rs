//! Rows of a dataset into a library.
//!
//! In: the files of a dataset. Out: recordings with their vectors, several in a commit, and a
//! [`Report`]. What is there already is passed over, so that a run that was stopped is taken up by
//! running it again. Refuses vectors of another version of a model than the library holds, segments
//! of another length, and files that are not what was written; a recording with a vector that the
//! library cannot hold costs itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Observer;
use super::folder::{ManifestFile, check_content, or_damage};
use super::header::Header;
use super::reading::{PartReader, check_rows, look};
use super::rows::{FailureRow, RecordingRow, Row, Scores, SegmentRow};
use crate::audio::segment::Segmentation;
use crate::error::{DatasetProblem, Error, Result};
use crate::store::failures::NewFailure;
use crate::store::recordings::NewRecording;
use crate::store::runs::NewRun;
use crate::store::segments::{NewSegment, VectorsOf};
use crate::store::vector::{Precision, encode};
use crate::store::{Library, Writer, scores};

/// Longest time that rows wait for their commit, and most that share one: a commit syncs the disk.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
const COMMIT_RECORDINGS: u64 = 1_024;

/// How long another program may hold the library.
const PATIENCE: Duration = Duration::from_mins(5);

/// How to import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// How much of a value is stored.
    pub vectors: Precision,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Recordings that were stored.
    pub imported: u64,
    /// Recordings that were there already.
    pub unchanged: u64,
    /// Recordings that hold a vector that cannot be stored: nothing of them was.
    pub failed: u64,
    /// Segments that were stored.
    pub segments: u64,
    /// Failures that were noted, and were not before.
    pub failures: u64,
    /// Files of the dataset that were read to their end.
    pub files: u64,
    /// Wall time in seconds.
    pub elapsed_s: f64,
    /// Whether it was stopped before everything was done.
    pub interrupted: bool,
}

/// Brings the dataset of the files `parts` into `library`; `listed` is what its manifest says of
/// them, where it has one.
///
/// # Errors
/// [`Error::Dataset`] when a file is not what was written, or does not go with the library or the
/// other files; [`Error::OtherSegments`]; [`Error::Store`]. What was committed before stays.
pub fn import(
    library: &mut Library,
    parts: &[PathBuf],
    listed: &[ManifestFile],
    options: ImportOptions,
    observer: &dyn Observer,
) -> Result<Report> {
    let started = Instant::now();
    let mut report = Report::default();
    let (Some((header, rows)), Some(first)) = (survey(parts, listed)?, parts.first()) else {
        return Ok(report);
    };
    check_library(library, &header, first)?;
    library.wait_for_others(PATIENCE)?;
    let run = begin_run(library, &header)?;
    let mut import = Import { library, run, options, observer, rows, read: 0, report: &mut report };
    for part in parts {
        let is_checked = check_part(part, listed, observer)?;
        if !is_checked || !import.take_part(part)? {
            break;
        }
    }
    let writer = library.begin()?;
    writer.finish_run(run.run)?;
    writer.commit()?;
    report.interrupted = observer.is_cancelled();
    report.elapsed_s = started.elapsed().as_secs_f64();
    Ok(report)
}

/// What holds for the rows of all `parts`, and how many rows they say that they have. All are looked at
/// before anything is changed; they are opened again when their turn comes, since a dataset may have more
/// files than a process.
///
/// # Errors
/// [`Error::Dataset`] when a file is not what was written, or is of another model or form than others.
pub(crate) fn survey(parts: &[PathBuf], listed: &[ManifestFile]) -> Result<Option<(Header, u64)>> {
    let (mut header, mut rows) = (None::<Header>, 0_u64);
    for part in parts {
        let (other, written) = look(part)
            .and_then(|(other, written)| {
                if let Some(header) = &header {
                    header
                        .check_same(&other, "the files before it")
                        .map_err(|problem| Error::Dataset { path: part.clone(), problem })?;
                }
                Ok((other, written))
            })
            .map_err(|error| or_damage(part, listed, error))?;
        header.get_or_insert(other);
        for count in [written.recordings, written.segments, written.failures] {
            rows = rows.saturating_add(count);
        }
    }
    Ok(header.map(|header| (header, rows)))
}

/// Holds the file `part` against what its manifest or its own metadata says; `false` when it was stopped.
/// Nothing of a file that was damaged on its way is stored: what is once stored would be taken for what a
/// mended copy says.
///
/// # Errors
/// [`Error::Dataset`], [`Error::Io`].
pub(crate) fn check_part(
    part: &Path,
    listed: &[ManifestFile],
    observer: &dyn Observer,
) -> Result<bool> {
    let name = part.file_name().unwrap_or_default().to_string_lossy();
    match listed.iter().find(|file| file.name == name) {
        Some(file) => check_content(part, file).map(|()| true),
        None => check_rows(part, || !observer.is_cancelled()),
    }
}

/// Refuses vectors that could not be compared with those that are there.
fn check_library(library: &Library, header: &Header, part: &Path) -> Result<()> {
    for stored in library.models()? {
        if stored.identity.name != header.identity.name || stored.recordings == 0 {
            continue;
        }
        let place = library.path().display().to_string();
        if stored.identity != header.identity {
            let mut there = header.clone();
            there.identity = stored.identity;
            let (found, expected) = (header.model(), there.model());
            let problem = DatasetProblem::OtherModel { found, expected, place };
            return Err(Error::Dataset { path: part.to_owned(), problem });
        }
        if stored.segmentation != header.segmentation {
            let path = library.path().to_owned();
            return Err(Error::OtherSegments { path, found: stored.segmentation });
        }
    }
    Ok(())
}

fn begin_run(library: &mut Library, header: &Header) -> Result<Run> {
    let writer = library.begin()?;
    let patch = Segmentation { segment_s: header.window_s, hop_s: header.hop_s };
    let model = writer.model_of_patches(&header.identity, patch, &header.classes)?;
    writer.segmentation(model, header.segmentation)?;
    let (device, precision) = (&*header.device, &*header.precision);
    let run = writer.begin_import(&NewRun { model, device, precision })?;
    writer.commit()?;
    Ok(Run { model, run })
}

#[derive(Clone, Copy)]
struct Run {
    model: i64,
    run: i64,
}

struct Import<'a> {
    library: &'a mut Library,
    run: Run,
    options: ImportOptions,
    observer: &'a dyn Observer,
    /// Rows of all files.
    rows: u64,
    /// Of these, those that were read.
    read: u64,
    report: &'a mut Report,
}

/// The rows of a file, of which the next one can be looked at.
pub(crate) struct Rows {
    reader: PartReader,
    next: Option<Row>,
    pub(crate) read: u64,
}

impl Rows {
    pub(crate) fn open(part: &Path) -> Result<Self> {
        let mut reader = PartReader::open(part)?;
        let next = reader.next_row()?;
        Ok(Self { reader, next, read: 0 })
    }

    pub(crate) fn take(&mut self) -> Result<Option<Row>> {
        let Some(row) = self.next.take() else { return Ok(None) };
        self.read += 1;
        self.next = self.reader.next_row()?;
        Ok(Some(row))
    }

    /// The next row, if it is a segment.
    pub(crate) fn take_segment(&mut self) -> Result<Option<SegmentRow>> {
        if !matches!(self.next, Some(Row::Segment(_))) {
            return Ok(None);
        }
        match self.take()? {
            Some(Row::Segment(segment)) => Ok(Some(segment)),
            _ => Ok(None),
        }
    }
}

impl Import<'_> {
    /// Stores a file's rows; `false` when it was stopped.
    fn take_part(&mut self, part: &Path) -> Result<bool> {
        let mut rows = Rows::open(part)?;
        while rows.next.is_some() {
            self.take_batch(part, &mut rows)?;
            self.observer.advanced(self.read + rows.read, self.rows);
            if self.observer.is_cancelled() {
                return Ok(false);
            }
        }
        self.read += rows.read;
        self.report.files += 1;
        Ok(true)
    }

    /// Stores what comes in [`COMMIT_EVERY`] in one transaction.
    fn take_batch(&mut self, part: &Path, rows: &mut Rows) -> Result<()> {
        let started = Instant::now();
        let writer = self.library.begin()?;
        let mut storing = Storing {
            writer: &writer,
            run: self.run,
            vectors: self.options.vectors,
            part,
            done: Report::default(),
        };
        while let Some(row) = rows.take()? {
            storing.take(row, rows)?;
            if started.elapsed() >= COMMIT_EVERY || storing.done.imported >= COMMIT_RECORDINGS {
                break;
            }
        }
        let done = storing.done;
        writer.commit()?;
        // Only now is it true.
        self.report.imported += done.imported;
        self.report.unchanged += done.unchanged;
        self.report.failed += done.failed;
        self.report.segments += done.segments;
        self.report.failures += done.failures;
        Ok(())
    }
}

/// Rows on their way into a transaction.
struct Storing<'a> {
    writer: &'a Writer<'a>,
    run: Run,
    vectors: Precision,
    part: &'a Path,
    done: Report,
}

impl Storing<'_> {
    fn take(&mut self, row: Row, rows: &mut Rows) -> Result<()> {
        match row {
            Row::Recording(recording) => self.take_recording(&recording, rows),
            Row::Failure(failure) => self.take_failure(&failure),
            // Whoever reads rows refuses segments without their recording.
            Row::Segment(_) => Ok(()),
        }
    }

    fn take_recording(&mut self, recording: &RecordingRow, rows: &mut Rows) -> Result<()> {
        let (path, content_hash) = (&recording.path, &recording.content_hash);
        let model = self.run.model;
        let there = self.writer.embedded_as(path, content_hash, model)?;
        if there == Some(u64::from(recording.segments)) {
            while rows.take_segment()?.is_some() {}
            self.done.unchanged += 1;
            return Ok(());
        }
        match self.writer.attempt(|| self.put_recording(recording, rows)) {
            Ok(segments) => {
                self.done.imported += 1;
                self.done.segments += segments;
                Ok(())
            }
            Err(error @ Error::Vector { .. }) => {
                while rows.take_segment()?.is_some() {}
                self.done.failed += 1;
                self.writer.put_failure(&NewFailure {
                    path,
                    stamp: Some(recording.stamp),
                    stage: error.stage(),
                    reason: &error.reason(),
                    hint: error.hint().as_deref(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Stores a recording with its segments, and says how many these are.
    fn put_recording(&self, recording: &RecordingRow, rows: &mut Rows) -> Result<u64> {
        let (path, model) = (&recording.path, self.run.model);
        let id = self.row_of(recording)?;
        let vectors = self.vectors;
        let encoded = |vector: &[f32]| {
            encode(vector, vectors).map_err(|problem| Error::Vector {
                what: format!("a vector of {} in {}", path.display(), self.part.display()),
                problem,
            })
        };
        let segments = std::iter::from_fn(|| rows.take_segment().transpose()).map(|segment| {
            let SegmentRow { range, vector, scores, health, .. } = segment?;
            let (vector, classes) = (encoded(&vector)?, scores::encode(&numbered(&scores)));
            Ok(NewSegment { range, vector, classes, health })
        });
        let of = VectorsOf { recording: id, model, run: self.run.run };
        let count = self.writer.put_vectors(of, segments, &encoded(&recording.vector)?)?;
        self.writer.put_classes(id, model, &numbered(&recording.scores))?;
        self.writer.remove_failure(path)?;
        Ok(count as u64)
    }

    /// The row of a recording, which is made or renewed where it has to be. What people said of a
    /// recording that was there stays as it is, and so does what is known of the same content.
    fn row_of(&self, recording: &RecordingRow) -> Result<i64> {
        let (path, content_hash) = (&recording.path, recording.content_hash);
        let known = self.writer.recording_at(path)?;
        if let Some((id, _)) = known.filter(|(_, hash)| *hash == content_hash) {
            return Ok(id);
        }
        let id = self.writer.put_recording(&NewRecording {
            path,
            stamp: recording.stamp,
            content_hash,
            format: &recording.format,
            duration_s: recording.duration_s,
            integrity: recording.integrity,
        })?;
        self.writer.put_recorded(id, path, recording.recorded)?;
        if known.is_none() {
            for (key, value) in &recording.metadata {
                self.writer.put_metadata(id, key, value)?;
            }
        }
        Ok(id)
    }

    fn take_failure(&mut self, failure: &FailureRow) -> Result<()> {
        let FailureRow { path, stamp, stage, reason, hint, .. } = failure;
        if self.writer.knows_failure(path, stage, reason)? {
            return Ok(());
        }
        let (stamp, hint) = (*stamp, hint.as_deref());
        self.writer.put_failure(&NewFailure { path, stamp, stage, reason, hint })?;
        self.done.failures += 1;
        Ok(())
    }
}

fn numbered(scores: &Scores) -> Vec<(usize, f32)> {
    let known =
        scores.iter().filter_map(|&(class, score)| Some((usize::try_from(class).ok()?, score)));
    known.collect()
}
