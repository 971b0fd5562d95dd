//! Vectors out of the library: as an array for numpy, or as a table.
//!
//! In: a library and which of its vectors. Out: bytes, row by row, so that a million vectors need
//! no more memory than one. Refuses nothing that reading the library does not.
//!
//! The array is numpy's `.npy`, version 1.0 (numpy.lib.format): a magic string, a header of text
//! that is padded to 64 bytes, and the values, little-endian, row after row. How many rows there
//! are stands in the header and is known at the end only, so that the header is written twice.

use std::io::{self, Seek, SeekFrom, Write};

use crate::error::{Error, Result};
use crate::index::scope::Scope;
use crate::store::Library;
use crate::store::models::StoredModel;
use crate::store::segments::Level;
use crate::store::stretches::ExportedRow;

/// Bytes of the header with its magic: enough for any number of rows, and a multiple of 64.
const HEADER_BYTES: usize = 128;

/// Which vectors are written.
#[derive(Clone, Copy, Debug)]
pub struct ExportSpec<'a> {
    /// The model that made them.
    pub model: &'a StoredModel,
    /// Segments that are fit to be searched, or pooled recordings.
    pub level: Level,
    /// What of these.
    pub scope: &'a Scope,
}

/// Writes float32 vectors as an array, `[rows, dimension]`, to `array`, and a CSV row for each, in
/// the same order, to `table`. Returns how many rows there were.
///
/// # Errors
/// [`Error::Output`] when it cannot be written, [`Error::Store`], and [`Error::Vector`] when
/// stored bytes are damaged.
pub fn write_npy(
    library: &Library,
    spec: &ExportSpec<'_>,
    array: &mut (impl Write + Seek),
    table: Option<&mut dyn Write>,
) -> Result<u64> {
    let dimension = spec.model.identity.dimension;
    array.write_all(&npy_header(u64::MAX, dimension)).map_err(Error::Output)?;
    let mut table = table.map(csv::Writer::from_writer);
    if let Some(table) = &mut table {
        table.write_record(COLUMNS).map_err(csv_error)?;
    }
    let mut bytes = Vec::with_capacity(4 * dimension);
    let rows = for_each(library, spec, |row, vector| {
        bytes.clear();
        bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
        array.write_all(&bytes).map_err(Error::Output)?;
        match &mut table {
            Some(table) => table.write_record(cells(spec.level, row)).map_err(csv_error),
            None => Ok(()),
        }
    })?;
    if let Some(table) = &mut table {
        table.flush().map_err(Error::Output)?;
    }
    let rewritten = array
        .seek(SeekFrom::Start(0))
        .and_then(|_| array.write_all(&npy_header(rows, dimension)))
        .and_then(|()| array.seek(SeekFrom::End(0)))
        .and_then(|_| array.flush());
    rewritten.map_err(Error::Output)?;
    Ok(rows)
}

/// Writes a CSV table of vectors: what each stands for, then its values in columns `v0`, `v1` and
/// so on. Returns how many rows there were.
///
/// # Errors
/// As [`write_npy`].
pub fn write_csv(library: &Library, spec: &ExportSpec<'_>, output: &mut dyn Write) -> Result<u64> {
    let mut table = csv::Writer::from_writer(output);
    let values = (0..spec.model.identity.dimension).map(|index| format!("v{index}"));
    table
        .write_record(COLUMNS.iter().map(|&column| column.to_owned()).chain(values))
        .map_err(csv_error)?;
    let rows = for_each(library, spec, |row, vector| {
        let values = vector.iter().map(f32::to_string);
        table.write_record(cells(spec.level, row).into_iter().chain(values)).map_err(csv_error)
    })?;
    table.flush().map_err(Error::Output)?;
    Ok(rows)
}

/// What is said of a row.
const COLUMNS: [&str; 5] = ["id", "recording_id", "path", "start_s", "end_s"];

fn cells(level: Level, row: &ExportedRow) -> [String; 5] {
    let id = match level {
        Level::Segment => row.key.segment,
        Level::Recording => row.key.recording,
    };
    [
        id.to_string(),
        row.key.recording.to_string(),
        row.path.to_string_lossy().into_owned(),
        row.range.start_s.to_string(),
        row.range.end_s.to_string(),
    ]
}

fn for_each(
    library: &Library,
    spec: &ExportSpec<'_>,
    mut write: impl FnMut(&ExportedRow, &[f32]) -> Result<()>,
) -> Result<u64> {
    let mut rows = 0;
    let (model, dimension) = (spec.model.id, spec.model.identity.dimension);
    library.for_each_exported(model, spec.level, dimension, |row, vector| {
        if spec.scope.contains(row.key) {
            rows += 1;
            write(row, vector)?;
        }
        Ok(())
    })?;
    Ok(rows)
}

fn csv_error(error: csv::Error) -> Error {
    Error::Output(io::Error::from(error))
}

fn npy_header(rows: u64, dimension: usize) -> [u8; HEADER_BYTES] {
    let mut header = [b' '; HEADER_BYTES];
    header[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    // Behind the magic and these two bytes themselves.
    let length = u16::try_from(HEADER_BYTES - 10).unwrap_or(u16::MAX);
    header[8..10].copy_from_slice(&length.to_le_bytes());
    let text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimension}), }}");
    header[10..10 + text.len()].copy_from_slice(text.as_bytes());
    header[HEADER_BYTES - 1] = b'\n';
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_room_for_any_shape() {
        let header = npy_header(u64::MAX, usize::MAX);
        let text = str::from_utf8(&header[10..]).unwrap();
        assert!(text.ends_with(" \n") && text.contains("18446744073709551615"));
    }
}
