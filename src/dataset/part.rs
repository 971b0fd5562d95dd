//! One Parquet file, which appears when it is whole.
//!
//! In: rows. Out: a file, and what is in it. Holds a row group at most: some tens of megabytes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::columns::{Columns, VECTOR_VALUES, schema};
use super::header::{Header, hex};
use super::ids::SegmentIds;
use super::rows::{FailureRow, RecordingRow, RowWriter, SegmentRow};
use super::sums::Sums;
use crate::error::{DatasetProblem, Error, Result};
use crate::files::temporary_beside;
use crate::store::vector::Precision;

pub(super) const KEY_RECORDINGS: &str = "sonoteca.recordings";
pub(super) const KEY_SEGMENTS: &str = "sonoteca.segments";
pub(super) const KEY_FAILURES: &str = "sonoteca.failures";
pub(super) const KEY_CHECKSUM: &str = "sonoteca.rows_checksum";

/// Bytes of vectors in a row group: what a reader holds at least, and a writer at most.
const ROW_GROUP_BYTES: usize = 32 << 20;
const MOST_ROWS: usize = 1 << 16;

/// Of what was tried on ESC-10's vectors (`docs/scale.md`), this is as small as any and costs least.
const ZSTD_LEVEL: i32 = 1;

const BUFFER_BYTES: usize = 1 << 18;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name in its folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// What is in it.
    pub sums: Sums,
}

/// A file that is being written.
pub(super) struct PartWriter {
    path: PathBuf,
    ids: Header,
    columns: Columns,
    writer: ArrowWriter<Hashing>,
    sums: Sums,
    content_bytes: u64,
}

impl PartWriter {
    /// Begins the file that will lie at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Dataset`].
    pub(super) fn new(path: PathBuf, header: &Header) -> Result<Self> {
        let file = temporary_beside(&path).map_err(|source| Error::Io {
            action: "write",
            path: path.clone(),
            source,
        })?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let hashing = Hashing { file, hasher: Sha256::new(), bytes: 0 };
        let writer = ArrowWriter::try_new(hashing, schema(header), Some(properties(header)))
            .map_err(|error| written(&path, error))?;
        Ok(Self {
            path,
            ids: header.clone(),
            columns: Columns::new(header),
            writer,
            sums: Sums::default(),
            content_bytes: 0,
        })
    }

    /// Bytes of vectors, and of what failures say, that were written, before they were compressed.
    pub(super) fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.sums == Sums::default()
    }

    /// Ends the file, syncs it, and gives it its name, in place of a file that has it if `replace`
    /// says so.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Exists`] and [`Error::Dataset`].
    pub(super) fn publish(mut self, replace: bool) -> Result<Part> {
        self.flush_columns()?;
        for (key, value) in [
            (KEY_RECORDINGS, self.sums.recordings.to_string()),
            (KEY_SEGMENTS, self.sums.segments.to_string()),
            (KEY_FAILURES, self.sums.failures.to_string()),
            (KEY_CHECKSUM, self.sums.checksum_text()),
        ] {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let path = self.path;
        let Hashing { file, hasher, bytes } =
            self.writer.into_inner().map_err(|error| written(&path, error))?;
        let publish = || -> io::Result<()> {
            let file: NamedTempFile<File> =
                file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            if replace { file.persist(&path) } else { file.persist_noclobber(&path) }?;
            sync_folder_of(&path)
        };
        match publish() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists {
                    path,
                    options: "name another file or folder with --out",
                });
            }
            Err(source) => return Err(Error::Io { action: "write", path, source }),
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Part { name, bytes, sha256: hex(&hasher.finalize()), sums: self.sums })
    }

    fn push(
        &mut self,
        push: impl FnOnce(&mut Columns) -> std::result::Result<(), ArrowError>,
    ) -> Result<()> {
        push(&mut self.columns).map_err(|error| written(&self.path, error.into()))?;
        if self.columns.is_full() { self.flush_columns() } else { Ok(()) }
    }

    fn flush_columns(&mut self) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let batch = self.columns.take().map_err(|error| written(&self.path, error.into()))?;
        self.writer.write(&batch).map_err(|error| written(&self.path, error))
    }

    /// What is written of a vector: checksums are of that.
    fn rounded(&self, vector: &mut [f32]) {
        if self.ids.vectors == Precision::Half {
            for value in vector {
                *value = f16::from_f32(*value).to_f32();
            }
        }
    }

    fn value_bytes(&self) -> u64 {
        let bytes = if self.ids.vectors == Precision::Half { 2 } else { 4 };
        bytes * self.ids.identity.dimension as u64
    }
}

impl RowWriter for PartWriter {
    fn write_recording(
        &mut self,
        recording: &RecordingRow,
        segments: &mut dyn Iterator<Item = Result<SegmentRow>>,
    ) -> Result<()> {
        let mut recording = recording.clone();
        self.rounded(&mut recording.vector);
        let ids = SegmentIds::new(&self.ids, &recording.content_hash);
        self.sums.add_recording(&recording);
        self.push(|columns| columns.push_recording(&recording))?;
        let mut count = 0;
        for segment in segments {
            let mut segment = segment?;
            count += 1;
            self.rounded(&mut segment.vector);
            self.sums.add_segment(&recording, &segment);
            self.push(|columns| columns.push_segment(&recording, &ids, &segment))?;
        }
        if count != recording.segments {
            let problem = DatasetProblem::Count {
                what: "segments of a recording",
                found: u64::from(count),
                expected: u64::from(recording.segments),
            };
            return Err(Error::Dataset { path: self.path.clone(), problem });
        }
        self.content_bytes += (u64::from(recording.segments) + 1) * self.value_bytes();
        Ok(())
    }

    fn write_failure(&mut self, failure: &FailureRow) -> Result<()> {
        self.sums.add_failure(failure);
        let hint = failure.hint.as_deref().unwrap_or_default();
        let text = failure.path.as_os_str().len() + failure.reason.len() + hint.len();
        self.content_bytes += text as u64;
        self.push(|columns| columns.push_failure(failure))
    }
}

/// How the file is written: vectors without a dictionary, which never repeats, and without
/// statistics, which say nothing.
fn properties(header: &Header) -> WriterProperties {
    let row_bytes = 4 * header.identity.dimension.max(1);
    let rows = (ROW_GROUP_BYTES / row_bytes).clamp(1, MOST_ROWS);
    let vectors = || ColumnPath::new(VECTOR_VALUES.map(str::to_owned).to_vec());
    let entries = header.entries().into_iter();
    // The level is one that there is.
    let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    WriterProperties::builder()
        .set_created_by(format!("sonoteca version {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(rows))
        .set_column_dictionary_enabled(vectors(), false)
        .set_column_statistics_enabled(vectors(), EnabledStatistics::None)
        .set_key_value_metadata(Some(
            entries.map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect(),
        ))
        .build()
}

/// A new name in a folder lasts once the folder is synced; where folders cannot be, it has to do.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        _ => Ok(()),
    }
}

fn written(path: &Path, error: ParquetError) -> Error {
    let problem = DatasetProblem::Parquet { action: "written", source: error.into() };
    Error::Dataset { path: path.to_owned(), problem }
}

/// Hashes and counts what goes to the file.
struct Hashing {
    file: BufWriter<NamedTempFile<File>>,
    hasher: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
