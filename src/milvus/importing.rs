//! Rows of a dataset into a store.
//!
//! In: the files of a dataset. Out: rows on the server, and a [`Report`]. What is there already is passed
//! over, so that a run that was stopped is taken up by running it again. Refuses what the import into a
//! library refuses.
//!
//! Rows have keys that are the same whoever makes them, so that what is written twice is there once. A
//! recording's own row comes behind its segments'. What was written counts as stored when the server
//! has put it on the disk and counts as many rows as were written: the same count says of a recording
//! that was there whether all of it is.

mod group;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Store;
use super::address::Address;
use crate::dataset::Observer;
use crate::dataset::folder::ManifestFile;
use crate::dataset::importing::{Report, Rows, check_part, survey};
use crate::dataset::rows::{RecordingRow, Row, SegmentRow};
use crate::error::{DatasetProblem, Error, Result};
use group::{Group, Written};

/// Rows that are written at once: with 1,024 values 17 MB.
const ROWS_AT_ONCE: usize = 4_096;
/// Bytes of vectors of one message; a server takes 64 MB.
const MESSAGE_BYTES: usize = 16 << 20;
/// Rows behind which the server is made to put them on the disk. Each time leaves files that it puts
/// together later.
const ROWS_A_FLUSH: u64 = 100_000;

/// Brings the dataset of the files `parts` into the collection at `address`, which is made where there is
/// none; `listed` is what its manifest says of them, where it has one. Says what was done, and the
/// store.
///
/// # Errors
/// [`Error::Dataset`] when a file is not what was written, or does not go with the other files;
/// [`Error::Milvus`]; [`Error::Vector`]. What was acknowledged before stays.
pub fn import(
    address: &Address,
    parts: &[PathBuf],
    listed: &[ManifestFile],
    observer: &dyn Observer,
) -> Result<(Report, Option<Store>)> {
    let started = Instant::now();
    let mut report = Report::default();
    let Some((header, rows)) = survey(parts, listed)? else { return Ok((report, None)) };
    let store = Store::open_or_create(address, &header)?;
    let mut import = Import {
        store: &store,
        observer,
        rows,
        read: 0,
        written: Written::default(),
        report: &mut report,
    };
    for part in parts {
        if !check_part(part, listed, observer)? || !import.take_part(part)? {
            break;
        }
    }
    import.acknowledge()?;
    report.interrupted = observer.is_cancelled();
    report.elapsed_s = started.elapsed().as_secs_f64();
    Ok((report, Some(store)))
}

struct Import<'a> {
    store: &'a Store,
    observer: &'a dyn Observer,
    /// Rows of all files.
    rows: u64,
    /// Of these, those that were read.
    read: u64,
    /// What waits for being on the disk.
    written: Written,
    report: &'a mut Report,
}

impl Import<'_> {
    /// Stores a file's rows; `false` when it was stopped.
    fn take_part(&mut self, part: &Path) -> Result<bool> {
        let mut rows = Rows::open(part)?;
        let mut group = Group::default();
        while let Some(row) = rows.take()? {
            match row {
                Row::Recording(recording) if recording.segments as usize > ROWS_AT_ONCE => {
                    self.put(std::mem::take(&mut group))?;
                    self.put_long(&recording, &mut rows)?;
                }
                Row::Recording(recording) => {
                    let segments = all_segments(&mut rows)?;
                    if !group::fits(self.store, &recording, &segments) {
                        self.report.failed += 1;
                        continue;
                    }
                    if group.has(&recording.path) {
                        // One message with two rows of one key would leave both.
                        self.put(std::mem::take(&mut group))?;
                    }
                    group.add(recording, segments);
                }
                Row::Failure(_) => self.report.failures += 1,
                // Whoever reads rows refuses segments without their recording.
                Row::Segment(_) => {}
            }
            if group.rows() >= ROWS_AT_ONCE {
                self.put(std::mem::take(&mut group))?;
            }
            self.observer.advanced(self.read + rows.read, self.rows);
            if self.observer.is_cancelled() {
                self.put(std::mem::take(&mut group))?;
                return Ok(false);
            }
        }
        self.put(group)?;
        self.read += rows.read;
        self.report.files += 1;
        Ok(true)
    }

    /// Writes what of `group` is not there.
    fn put(&mut self, group: Group) -> Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        let done = group.write(self.store, &mut self.written)?;
        self.report.unchanged += done;
        self.acknowledge_if_many()
    }

    /// Writes a recording of more segments than memory should hold, as it is read.
    fn put_long(&mut self, recording: &RecordingRow, rows: &mut Rows) -> Result<()> {
        let mut long = group::Long::begin(self.store, recording)?;
        let mut segments = Vec::new();
        while let Some(segment) = rows.take_segment()? {
            if long.is_there() {
                continue;
            }
            segments.push(segment);
            if segments.len() >= ROWS_AT_ONCE {
                long.put(&std::mem::take(&mut segments))?;
            }
        }
        if long.is_there() {
            self.report.unchanged += 1;
            return Ok(());
        }
        long.put(&segments)?;
        long.end(&mut self.written)?;
        self.acknowledge_if_many()
    }

    fn acknowledge_if_many(&mut self) -> Result<()> {
        if self.written.rows() >= ROWS_A_FLUSH { self.acknowledge() } else { Ok(()) }
    }

    /// Has what was written put on the disk, and counts it there: only then is it true.
    fn acknowledge(&mut self) -> Result<()> {
        let written = std::mem::take(&mut self.written);
        if written.rows() > 0 {
            self.store.client.flush()?;
            written.check(self.store)?;
            self.report.imported += written.recordings();
            self.report.segments += written.segments();
        }
        Ok(())
    }
}

fn all_segments(rows: &mut Rows) -> Result<Vec<SegmentRow>> {
    std::iter::from_fn(|| rows.take_segment().transpose()).collect()
}

/// Refuses a path that no column holds.
fn too_long(recording: &RecordingRow, length: usize) -> Error {
    Error::Dataset {
        path: recording.path.clone(),
        problem: DatasetProblem::Cell {
            row: 0,
            column: "path",
            found: format!("{length} bytes"),
            expected: "at most 65,535 bytes, which is what Milvus takes",
        },
    }
}
