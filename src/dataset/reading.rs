//! The rows of one Parquet file, in their order.
//!
//! In: a file that sonoteca wrote. Out: its header, and rows, one batch of a few megabytes at a time.
//! Refuses columns of other types, rows that do not follow one another as they were written, and, at
//! the end, other rows than its metadata says.

mod cells;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::header::{Header, KEY_FORM};
use super::part::{KEY_CHECKSUM, KEY_FAILURES, KEY_RECORDINGS, KEY_SEGMENTS};
use super::rows::{RecordingRow, Row};
use super::sums::Sums;
use crate::error::{DatasetProblem, Error, Result};
use cells::Cells;

/// Bytes of vectors that are read at once.
const BATCH_BYTES: usize = 4 << 20;
const MOST_ROWS: usize = 8_192;

/// Reads one file.
pub struct PartReader {
    path: PathBuf,
    header: Header,
    written: Sums,
    batches: ParquetRecordBatchReader,
    cells: Option<Cells>,
    /// The next row of the batch.
    next: usize,
    /// Rows of earlier batches.
    before: u64,
    /// The recording that segments belong to, and how many of them came.
    recording: Option<(RecordingRow, u32)>,
    sums: Sums,
}

impl std::fmt::Debug for PartReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PartReader").field("path", &self.path).finish_non_exhaustive()
    }
}

impl PartReader {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Dataset`] when it is none that sonoteca wrote.
    pub fn open(path: &Path) -> Result<Self> {
        let (builder, header, written) = open(path)?;
        let row_bytes = 4 * header.identity.dimension;
        let rows = (BATCH_BYTES / row_bytes.max(1)).clamp(1, MOST_ROWS);
        let batches = builder.with_batch_size(rows).build().map_err(|error| read(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            header,
            written,
            batches,
            cells: None,
            next: 0,
            before: 0,
            recording: None,
            sums: Sums::default(),
        })
    }

    /// What holds for all its rows.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was written into it, as its metadata says.
    pub fn written(&self) -> Sums {
        self.written
    }

    /// The next row; `None` at the end, once everything that was written has been read.
    ///
    /// # Errors
    /// [`Error::Dataset`].
    pub fn next_row(&mut self) -> Result<Option<Row>> {
        let row = self.advance().map_err(|problem| self.failed(problem))?;
        Ok(row)
    }

    fn failed(&self, problem: DatasetProblem) -> Error {
        Error::Dataset { path: self.path.clone(), problem }
    }

    fn advance(&mut self) -> std::result::Result<Option<Row>, DatasetProblem> {
        let (cells, index) = loop {
            match self.cells.take() {
                Some(cells) if self.next < cells.count() => break (cells, self.next),
                Some(cells) => self.before += cells.count() as u64,
                None => {}
            }
            let Some(batch) = self.batches.next() else {
                return self.end().map(|()| None);
            };
            let batch = batch.map_err(|error| DatasetProblem::Parquet {
                action: "read",
                source: error.into(),
            })?;
            self.cells = Some(Cells::new(&batch, &self.header)?);
            self.next = 0;
        };
        let number = self.before + index as u64;
        let row = cells.row(index, number, &self.header)?;
        let recording_id = cells.recording_id(index);
        self.next += 1;
        self.cells = Some(cells);
        match &row {
            Row::Recording(recording) => {
                self.end_recording()?;
                self.sums.add_recording(recording);
                self.recording = Some((recording.clone(), 0));
            }
            Row::Segment(segment) => {
                let misplaced = |expected: String, of: String| DatasetProblem::Order {
                    row: number,
                    segment: i64::from(segment.index),
                    of,
                    expected,
                };
                let Some((recording, came)) = &mut self.recording else {
                    let id = recording_id.map_or("none".to_owned(), |id| id.to_string());
                    let of = format!("the recording {id}");
                    return Err(misplaced("a recording's own row first".to_owned(), of));
                };
                let of = recording.path.display().to_string();
                let is_its =
                    recording_id == Some(super::ids::recording_id(&recording.content_hash));
                if !is_its || segment.index != *came || *came == recording.segments {
                    let expected = format!("segment {came} of {}", recording.segments);
                    return Err(misplaced(expected, of));
                }
                *came += 1;
                self.sums.add_segment(recording, segment);
            }
            Row::Failure(failure) => {
                self.end_recording()?;
                self.sums.add_failure(failure);
            }
        }
        Ok(Some(row))
    }

    /// Whether the last recording has all its segments.
    fn end_recording(&mut self) -> std::result::Result<(), DatasetProblem> {
        match self.recording.take() {
            Some((recording, came)) if came != recording.segments => Err(DatasetProblem::Count {
                what: "segments of a recording",
                found: u64::from(came),
                expected: u64::from(recording.segments),
            }),
            _ => Ok(()),
        }
    }

    /// Whether all that was written was read.
    fn end(&mut self) -> std::result::Result<(), DatasetProblem> {
        self.end_recording()?;
        check_sums(&self.sums, &self.written)
    }
}

/// Refuses rows that are not those that were written.
pub(super) fn check_sums(found: &Sums, written: &Sums) -> std::result::Result<(), DatasetProblem> {
    for (what, found, expected) in [
        ("recordings", found.recordings, written.recordings),
        ("segments", found.segments, written.segments),
        ("failures", found.failures, written.failures),
    ] {
        if found != expected {
            return Err(DatasetProblem::Count { what, found, expected });
        }
    }
    if found.checksum != written.checksum {
        let (found, expected) = (found.checksum_text(), written.checksum_text());
        return Err(DatasetProblem::Rows { found, expected });
    }
    Ok(())
}

/// The header of the file at `path`, and what its metadata says was written: reads no rows.
///
/// # Errors
/// As [`PartReader::open`].
pub(super) fn look(path: &Path) -> Result<(Header, Sums)> {
    open(path).map(|(_, header, written)| (header, written))
}

/// Reads the file at `path` to its end, holds its rows against what its metadata says, and keeps
/// none of them; `false` when `goes_on` said so before.
///
/// # Errors
/// As [`PartReader::next_row`].
pub(super) fn check_rows(path: &Path, goes_on: impl Fn() -> bool) -> Result<bool> {
    let mut reader = PartReader::open(path)?;
    while reader.next_row()?.is_some() {
        if !goes_on() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Calls `visit` with the path of every recording and every failure in the file at `path`; reads
/// no vectors.
///
/// # Errors
/// As [`PartReader::open`].
pub(super) fn for_each_path(path: &Path, mut visit: impl FnMut(PathBuf, bool)) -> Result<()> {
    let (builder, ..) = open(path)?;
    let columns = ["kind", "path", "path_bytes"];
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let batches = builder
        .with_projection(mask)
        .with_batch_size(MOST_ROWS)
        .build()
        .map_err(|error| read(path, error))?;
    for batch in batches {
        let batch = batch.map_err(|error| read(path, error.into()))?;
        cells::for_each_path(&batch, &mut visit)
            .map_err(|problem| Error::Dataset { path: path.to_owned(), problem })?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<(ParquetRecordBatchReaderBuilder<File>, Header, Sums)> {
    let file = File::open(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| read(path, error))?;
    let entries = builder.metadata().file_metadata().key_value_metadata();
    let entries: BTreeMap<String, String> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((entry.key.clone(), entry.value.clone()?)))
        .collect();
    let understand = || -> std::result::Result<(Header, Sums), DatasetProblem> {
        if !entries.contains_key(KEY_FORM) {
            return Err(DatasetProblem::Foreign { key: KEY_FORM });
        }
        Ok((Header::read(&entries)?, sums_of(&entries)?))
    };
    let (header, sums) =
        understand().map_err(|problem| Error::Dataset { path: path.to_owned(), problem })?;
    Ok((builder, header, sums))
}

fn sums_of(entries: &BTreeMap<String, String>) -> std::result::Result<Sums, DatasetProblem> {
    let text = |key| entries.get(key).ok_or(DatasetProblem::Foreign { key });
    let count = |key| {
        let text = text(key)?;
        text.parse().map_err(|_| DatasetProblem::Header {
            key,
            expected: "a count",
            found: text.clone(),
        })
    };
    let checksum = text(KEY_CHECKSUM)?;
    Ok(Sums {
        recordings: count(KEY_RECORDINGS)?,
        segments: count(KEY_SEGMENTS)?,
        failures: count(KEY_FAILURES)?,
        checksum: Sums::checksum_of(checksum).ok_or_else(|| DatasetProblem::Header {
            key: KEY_CHECKSUM,
            expected: "32 hexadecimal digits",
            found: checksum.clone(),
        })?,
    })
}

fn read(path: &Path, error: parquet::errors::ParquetError) -> Error {
    let problem = DatasetProblem::Parquet { action: "read", source: error.into() };
    Error::Dataset { path: path.to_owned(), problem }
}
