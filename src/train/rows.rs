//! The vectors that heads learn from, in memory or, when there are many, in a temporary file.
//!
//! In: vectors, one after another. Out: the same in blocks, or single ones. Refuses nothing but
//! what the disk refuses.

mod widening;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::error::{Error, Result};
use crate::store::vector::Precision;
use widening::widen;

/// Vectors that are kept in memory take this many bytes at most; more are kept in a file. It holds
/// 65,536 vectors of YAMNet's.
pub const BYTES_IN_MEMORY: usize = 256 << 20;

/// Bytes of a block that is read at once.
const BLOCK_BYTES: usize = 32 << 20;

/// Vectors of one length.
#[derive(Debug)]
pub struct Rows {
    dimension: usize,
    count: usize,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<f32>),
    /// As float16 where that is exact, as in libraries that were not told otherwise.
    File(File, Precision),
}

impl Rows {
    /// Rows of `values`, `[rows, dimension]`.
    ///
    /// # Panics
    /// When `values` are no whole number of rows.
    pub fn of(values: Vec<f32>, dimension: usize) -> Self {
        assert!(dimension > 0 && values.len().is_multiple_of(dimension), "whole rows");
        Self { dimension, count: values.len() / dimension, place: Place::Memory(values) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Values of a row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// All values, `[rows, dimension]`, where they are in memory.
    pub fn in_memory(&self) -> Option<&[f32]> {
        match &self.place {
            Place::Memory(values) => Some(values),
            Place::File(..) => None,
        }
    }

    /// Calls `visit` with the number of the first row and the values of every block, in order.
    ///
    /// # Errors
    /// [`Error::Io`], and what `visit` fails with.
    pub fn for_each_block(&self, mut visit: impl FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        let rows = (BLOCK_BYTES / (4 * self.dimension)).max(1);
        match &self.place {
            Place::Memory(values) => values
                .chunks(rows * self.dimension)
                .enumerate()
                .try_for_each(|(block, values)| visit(block * rows, values)),
            Place::File(..) => {
                let (mut values, mut first) = (Vec::new(), 0);
                while first < self.count {
                    let end = (first + rows).min(self.count);
                    values.resize((end - first) * self.dimension, 0.0);
                    self.read(first, &mut values)?;
                    visit(first, &values)?;
                    first = end;
                }
                Ok(())
            }
        }
    }

    /// The rows of these numbers, one behind the other, `[numbers, dimension]`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn gather(&self, numbers: &[usize]) -> Result<Vec<f32>> {
        let mut gathered = vec![0.0; numbers.len() * self.dimension];
        for (row, &number) in gathered.chunks_exact_mut(self.dimension).zip(numbers) {
            self.read(number, row)?;
        }
        Ok(gathered)
    }

    /// Fills `values`, `[rows, dimension]`, with rows from number `first` on.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// # Panics
    /// When there are fewer.
    pub fn read_range(&self, first: usize, values: &mut [f32]) -> Result<()> {
        self.read(first, values)
    }

    /// Fills `values` with rows from number `first` on.
    fn read(&self, first: usize, values: &mut [f32]) -> Result<()> {
        match &self.place {
            Place::Memory(all) => {
                let start = first * self.dimension;
                values.copy_from_slice(&all[start..start + values.len()]);
                Ok(())
            }
            Place::File(file, Precision::Half) => {
                let mut halves = vec![f16::ZERO; values.len()];
                self.read_at(file, first, bytemuck::cast_slice_mut(as_bits(&mut halves)))?;
                widen(&halves, values);
                Ok(())
            }
            Place::File(file, Precision::Single) => {
                self.read_at(file, first, bytemuck::cast_slice_mut(values))
            }
        }
    }

    /// Fills `bytes` from where row number `first` begins in `file`.
    fn read_at(&self, file: &File, first: usize, bytes: &mut [u8]) -> Result<()> {
        let value = match &self.place {
            Place::File(_, Precision::Half) => 2,
            Place::File(..) | Place::Memory(_) => 4,
        };
        let offset = (value * first * self.dimension) as u64;
        file.read_exact_at(bytes, offset).map_err(|source| spilled("read", source))
    }
}

fn read_values(file: &mut impl Read, precision: Precision, values: &mut [f32]) -> io::Result<()> {
    match precision {
        Precision::Half => {
            let mut halves = vec![f16::ZERO; values.len()];
            file.read_exact(bytemuck::cast_slice_mut(as_bits(&mut halves)))?;
            widen(&halves, values);
            Ok(())
        }
        Precision::Single => file.read_exact(bytemuck::cast_slice_mut(values)),
    }
}

/// The bits of halves, in this processor's order: the file never leaves it.
fn as_bits(halves: &mut [f16]) -> &mut [u16] {
    halves.reinterpret_cast_mut()
}

fn spilled(action: &'static str, source: io::Error) -> Error {
    Error::Io { action, path: std::env::temp_dir(), source }
}

/// Collects rows.
#[derive(Debug)]
pub struct RowsBuilder {
    dimension: usize,
    count: usize,
    most_bytes: usize,
    memory: Vec<f32>,
    file: Option<Spill>,
}

impl RowsBuilder {
    /// A builder of rows of `dimension` values that keeps [`BYTES_IN_MEMORY`].
    pub fn new(dimension: usize) -> Self {
        Self::keeping(dimension, BYTES_IN_MEMORY)
    }

    /// A builder that keeps at most so many bytes in memory.
    pub(super) fn keeping(dimension: usize, most_bytes: usize) -> Self {
        Self { dimension, count: 0, most_bytes, memory: Vec::new(), file: None }
    }

    /// How many rows there are by now.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be written.
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        debug_assert_eq!(row.len(), self.dimension);
        self.count += 1;
        if self.file.is_none() && 4 * (self.memory.len() + row.len()) <= self.most_bytes {
            self.memory.extend_from_slice(row);
            return Ok(());
        }
        self.spill(row).map_err(|source| spilled("write", source))
    }

    fn spill(&mut self, row: &[f32]) -> io::Result<()> {
        let mut file = if let Some(file) = self.file.take() {
            file
        } else {
            let mut file = Spill::new(Precision::Half)?;
            for row in std::mem::take(&mut self.memory).chunks_exact(self.dimension) {
                file.write(row)?;
            }
            file
        };
        file.write(row)?;
        self.file = Some(file);
        Ok(())
    }

    /// The rows.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file cannot be written.
    pub fn finish(self) -> Result<Rows> {
        let place = match self.file {
            None => Place::Memory(self.memory),
            Some(Spill { file, precision, .. }) => {
                let file = file.into_inner();
                let file = file.map_err(|error| spilled("write", error.into_error()))?;
                Place::File(file, precision)
            }
        };
        Ok(Rows { dimension: self.dimension, count: self.count, place })
    }
}

/// A temporary file of values: as float16 until one comes that is more than that, as in libraries
/// of float32. Then all are written anew, once.
#[derive(Debug)]
struct Spill {
    file: BufWriter<File>,
    precision: Precision,
    /// Values that are written.
    count: usize,
}

impl Spill {
    fn new(precision: Precision) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, tempfile::tempfile()?);
        Ok(Self { file, precision, count: 0 })
    }

    fn write(&mut self, row: &[f32]) -> io::Result<()> {
        if self.precision == Precision::Half {
            let mut halves = vec![f16::ZERO; row.len()];
            halves.convert_from_f32_slice(row);
            let is_exact = halves.iter().zip(row).all(|(half, value)| {
                half.is_finite() && half.to_f32().to_bits() == value.to_bits()
            });
            if is_exact {
                self.count += row.len();
                return self.file.write_all(bytemuck::cast_slice(as_bits(&mut halves)));
            }
            self.widen()?;
        }
        self.count += row.len();
        self.file.write_all(bytemuck::cast_slice(row))
    }

    /// Writes all values anew, as float32.
    fn widen(&mut self) -> io::Result<()> {
        let mut wide = Self::new(Precision::Single)?;
        let mut file = BufReader::with_capacity(1 << 20, self.file.get_ref().try_clone()?);
        self.file.flush()?;
        file.seek(SeekFrom::Start(0))?;
        let mut values = vec![0.0; BLOCK_BYTES / 4];
        while wide.count < self.count {
            let values = &mut values[..(self.count - wide.count).min(BLOCK_BYTES / 4)];
            read_values(&mut file, Precision::Half, values)?;
            wide.write(values)?;
        }
        *self = wide;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_in_memory_and_in_a_file() {
        let rows: Vec<Vec<f32>> = (0..100_u16)
            .map(|row| (0..3).map(|value| f32::from(row * 3 + value) / 8.0).collect())
            .collect();
        let build = |bytes| {
            let mut builder = RowsBuilder::keeping(3, bytes);
            for row in &rows {
                builder.push(row).unwrap();
            }
            builder.finish().unwrap()
        };
        let (memory, file) = (build(usize::MAX), build(120));
        assert!(memory.in_memory().is_some() && file.in_memory().is_none());
        for stored in [&memory, &file] {
            assert_eq!(stored.len(), 100);
            let mut all = Vec::new();
            stored
                .for_each_block(|first, block| {
                    assert_eq!(first * 3, all.len());
                    all.extend_from_slice(block);
                    Ok(())
                })
                .unwrap();
            assert_eq!(all, rows.concat());
            assert_eq!(stored.gather(&[99, 0]).unwrap(), [&rows[99][..], &rows[0]].concat());
        }
    }

    #[test]
    fn rows_of_float32_stay_what_they_are_in_a_file() {
        // A seventh has no end in binary: half of the rows are no halves, from the 50th on.
        let row = |row: u16| [f32::from(row), if row < 50 { 0.5 } else { 1.0 / 7.0 }];
        for first in [0, 50] {
            let mut builder = RowsBuilder::keeping(2, 80);
            (first..100).for_each(|number| builder.push(&row(number)).unwrap());
            let rows = builder.finish().unwrap();
            assert!(rows.in_memory().is_none());
            let mut found = Vec::new();
            rows.for_each_block(|_, block| {
                found.extend_from_slice(block);
                Ok(())
            })
            .unwrap();
            assert_eq!(found, (first..100).flat_map(row).collect::<Vec<f32>>());
            assert_eq!(rows.gather(&[usize::from(99 - first)]).unwrap(), row(99));
        }
    }
}
