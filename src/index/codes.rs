//! Rows of quantised vectors, one after another.
//!
//! In: unit vectors, or the bytes that they became earlier. Out: the bytes of each row. Refuses
//! offsets that no row can have.
//!
//! A row is a header of 16 bytes, little-endian, and the values (see `quantise.rs` for what they
//! mean), zeros behind them to a multiple of 8 bytes:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `scale`, float32 |
//! | 4 | `residual`, float32: what quantisation lost, all bits used |
//! | 4 | `coarse_residual`, float32: what it lost, upper bytes only |
//! | 4 | how many values are stored, u32 |
//!
//! *Dense*: a signed byte a value. *Packed*: a bit a value, which says whether it is stored, in
//! words of 64; then the upper byte of each stored value; then the lower byte of each. Embeddings
//! behind a `ReLU` are mostly zeros: YAMNet's 1024 values take some 600 bytes with 16 bits each,
//! of which a search reads the first 350, where 8 bits each take 1,040 dense.
//!
//! Rows lie in a [`Blob`], which may check its bytes when they are first asked for.

use std::ops::Range;

use super::kernel::{MASK_BYTES, PIECE};
use super::{mapped, quantise};

/// Bytes before a row's values.
pub const HEADER_BYTES: usize = 16;
/// Offsets count these: 32-bit ones reach 32 GiB.
pub const OFFSET_UNIT: usize = 8;
/// Bytes behind the last row, so that a whole piece can be read from any value on.
pub const SLACK_BYTES: usize = PIECE;
/// Values of a vector at most, so that sums of products fit into 32 bits.
pub const MAX_DIMENSION: usize = 1 << 16;
/// Rows after which a builder looks which form is the shorter.
const TRIAL_ROWS: usize = 4_096;

/// How the values of a row lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// A signed byte a value.
    Dense = 0,
    /// Sixteen bits a value that is not zero.
    Packed = 1,
}

/// What all rows have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Values of a vector, [`MAX_DIMENSION`] at most.
    pub dimension: usize,
    /// How they lie.
    pub form: Form,
}

impl Layout {
    /// Pieces of 64 values.
    pub(super) fn pieces(self) -> usize {
        self.dimension.div_ceil(PIECE)
    }

    /// Bytes of a row with `stored` values.
    fn row_bytes(self, stored: usize) -> usize {
        let values = match self.form {
            Form::Dense => self.pieces() * PIECE,
            Form::Packed => self.pieces() * MASK_BYTES + 2 * stored,
        };
        (HEADER_BYTES + values).next_multiple_of(OFFSET_UNIT)
    }

    /// How much of a row of `length` bytes a coarse product reads.
    fn coarse_bytes(self, length: usize) -> usize {
        match self.form {
            Form::Dense => length,
            Form::Packed => {
                let before = HEADER_BYTES + self.pieces() * MASK_BYTES;
                before + length.saturating_sub(before) / 2
            }
        }
    }
}

/// Bytes that were found damaged when they were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the index is damaged")]
pub struct Damaged;

/// Where rows lie: in memory, or in a file whose bytes are checked at first touch.
pub trait Blob: Sync {
    /// The bytes of `range`.
    ///
    /// # Errors
    /// [`Damaged`] when they are not what was written, or there are not so many.
    fn bytes(&self, range: Range<usize>) -> Result<&[u8], Damaged>;

    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks the processor to load the bytes of `range`, and waits for nothing.
    fn prefetch(&self, range: Range<usize>) {
        let _ = range;
    }
}

impl Blob for [u8] {
    #[inline]
    fn bytes(&self, range: Range<usize>) -> Result<&[u8], Damaged> {
        self.get(range).ok_or(Damaged)
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    #[inline]
    fn prefetch(&self, range: Range<usize>) {
        mapped::prefetch(self.get(range).unwrap_or_default());
    }
}

/// Rows in a blob.
#[derive(Debug)]
pub struct Rows<'a, B: ?Sized> {
    layout: Layout,
    /// `[len + 1]`, in units of [`OFFSET_UNIT`].
    offsets: &'a [u32],
    blob: &'a B,
}

// Derived, it would ask the same of the blob.
impl<B: ?Sized> Clone for Rows<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: ?Sized> Copy for Rows<'_, B> {}

impl<'a, B: Blob + ?Sized> Rows<'a, B> {
    /// The rows that begin and end at `offsets`, in units of [`OFFSET_UNIT`] bytes, one more than
    /// there are rows. Reads the offsets, not the rows.
    ///
    /// # Errors
    /// [`Damaged`] when the offsets do not ascend, leave a row too little room, or leave less than
    /// [`SLACK_BYTES`] behind the last one.
    pub fn new(layout: Layout, offsets: &'a [u32], blob: &'a B) -> Result<Self, Damaged> {
        // Before anything is computed from it: a file may say anything.
        if layout.dimension > MAX_DIMENSION {
            return Err(Damaged);
        }
        let least = layout.row_bytes(0);
        let room = |pair: &[u32]| pair[1].checked_sub(pair[0]).map(bytes);
        let fit = offsets.windows(2).all(|pair| room(pair).is_some_and(|room| room >= least));
        let end = bytes(*offsets.last().ok_or(Damaged)?);
        if !fit || blob.len().checked_sub(end).is_none_or(|rest| rest < SLACK_BYTES) {
            return Err(Damaged);
        }
        Ok(Self { layout, offsets, blob })
    }

    /// As [`new`](Self::new), with what that has accepted before: checking a million offsets takes
    /// longer than a search.
    pub(crate) fn of_checked(layout: Layout, offsets: &'a [u32], blob: &'a B) -> Self {
        Self { layout, offsets, blob }
    }

    /// What all rows have in common.
    pub fn layout(self) -> Layout {
        self.layout
    }

    /// How many rows there are.
    pub fn len(self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes of a row, and [`SLACK_BYTES`] behind it, which may be anything.
    ///
    /// # Errors
    /// [`Damaged`] when they are, or there is no such row.
    #[inline]
    pub fn row(self, position: usize) -> Result<&'a [u8], Damaged> {
        let (start, end) = self.place(position)?;
        self.blob.bytes(start..end + SLACK_BYTES)
    }

    /// The bytes of a row and nothing behind it.
    ///
    /// # Errors
    /// As of [`row`](Self::row).
    pub fn values(self, position: usize) -> Result<&'a [u8], Damaged> {
        let (start, end) = self.place(position)?;
        self.blob.bytes(start..end)
    }

    /// What was stored beside a row's values.
    ///
    /// # Errors
    /// As of [`row`](Self::row).
    pub fn header(self, position: usize) -> Result<Header, Damaged> {
        self.row(position).map(Header::of)
    }

    /// Has the bytes loaded that a coarse product with the row needs.
    #[inline]
    pub fn prefetch(self, position: usize) {
        if let Ok((start, end)) = self.place(position) {
            self.blob.prefetch(start..start + self.layout.coarse_bytes(end - start));
        }
    }

    #[inline]
    fn place(self, position: usize) -> Result<(usize, usize), Damaged> {
        match self.offsets.get(position..).and_then(<[u32]>::first_chunk) {
            Some(&[start, end]) => Ok((bytes(start), bytes(end))),
            None => Err(Damaged),
        }
    }
}

/// What is stored beside a row's values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Header {
    /// What a whole value stands for: value = `scale` × (256 × upper byte + lower byte).
    pub scale: f32,
    /// The norm of what was lost.
    pub residual: f32,
    /// The norm of what was lost where only the upper bytes are read.
    pub coarse_residual: f32,
    /// Values that are stored.
    pub stored: u32,
}

impl Header {
    /// Of a row; zeros where it is cut short.
    #[inline]
    pub fn of(row: &[u8]) -> Self {
        let Some((header, _)) = row.split_first_chunk::<HEADER_BYTES>() else {
            return Self::default();
        };
        let [scale, residual, coarse_residual, stored]: [[u8; 4]; 4] = bytemuck::cast(*header);
        Self {
            scale: f32::from_le_bytes(scale),
            residual: f32::from_le_bytes(residual),
            coarse_residual: f32::from_le_bytes(coarse_residual),
            stored: u32::from_le_bytes(stored),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        bytemuck::cast([
            self.scale.to_le_bytes(),
            self.residual.to_le_bytes(),
            self.coarse_residual.to_le_bytes(),
            self.stored.to_le_bytes(),
        ])
    }
}

/// Rows in memory, to which more can be added.
#[derive(Clone, Debug)]
pub struct OwnedRows {
    layout: Layout,
    offsets: Vec<u32>,
    /// The rows, and [`SLACK_BYTES`] zeros.
    bytes: Vec<u8>,
}

impl OwnedRows {
    /// No rows yet. They are packed, until it shows that dense ones are shorter.
    ///
    /// # Panics
    /// When `dimension` exceeds [`MAX_DIMENSION`].
    pub fn new(dimension: usize) -> Self {
        Self::with_layout(Layout { dimension, form: Form::Packed })
    }

    /// No rows yet, of a given form.
    ///
    /// # Panics
    /// When the dimension exceeds [`MAX_DIMENSION`].
    pub fn with_layout(layout: Layout) -> Self {
        assert!(layout.dimension <= MAX_DIMENSION, "{} values a vector", layout.dimension);
        Self { layout, offsets: vec![0], bytes: vec![0; SLACK_BYTES] }
    }

    /// Adds a unit vector. Returns whether there was room: 32 GiB are the most.
    ///
    /// # Panics
    /// When it has another dimension.
    #[must_use]
    pub fn push(&mut self, unit_vector: &[f32]) -> bool {
        assert_eq!(unit_vector.len(), self.layout.dimension, "a vector of this dimension");
        let end = self.bytes.len() - SLACK_BYTES;
        self.bytes.truncate(end);
        quantise::append(unit_vector, self.layout.form, &mut self.bytes);
        let pushed = self.close_row(end);
        if self.offsets.len() == TRIAL_ROWS + 1 {
            self.choose_form();
        }
        pushed
    }

    /// Makes rows dense where that is shorter. To be called after the last row; it happens by
    /// itself after the first few thousand too.
    pub fn choose_form(&mut self) {
        let dense = Layout { form: Form::Dense, ..self.layout };
        let rows = self.offsets.len() - 1;
        if self.layout.form == Form::Packed
            && self.bytes.len() - SLACK_BYTES > rows * dense.row_bytes(0)
        {
            *self = self.to_dense();
        }
    }

    /// The rows, to be read.
    pub fn rows(&self) -> Rows<'_, [u8]> {
        Rows { layout: self.layout, offsets: &self.offsets, blob: &self.bytes }
    }

    /// Where rows begin and end: what [`Rows::new`] takes.
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// All bytes, those behind the last row included: what [`Rows::new`] takes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn to_dense(&self) -> Self {
        let mut dense = Self::with_layout(Layout { form: Form::Dense, ..self.layout });
        for pair in self.offsets.windows(2) {
            let packed = &self.bytes[bytes(pair[0])..bytes(pair[1])];
            dense.append(|bytes| quantise::append_dense(packed, self.layout, bytes));
        }
        dense
    }

    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let end = self.bytes.len() - SLACK_BYTES;
        self.bytes.truncate(end);
        write(&mut self.bytes);
        self.close_row(end);
    }

    /// Pads what was written from `start` on; takes it back when it is too much.
    fn close_row(&mut self, start: usize) -> bool {
        let end = self.bytes.len().next_multiple_of(OFFSET_UNIT);
        let offset = u32::try_from(end / OFFSET_UNIT);
        self.bytes.resize(if offset.is_ok() { end } else { start } + SLACK_BYTES, 0);
        self.bytes[offset.map_or(start, |_| end)..].fill(0);
        self.offsets.extend(offset.ok());
        offset.is_ok()
    }
}

/// Bytes of so many units.
#[inline]
fn bytes(units: u32) -> usize {
    units as usize * OFFSET_UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_that_a_crafted_file_gives_are_refused_before_they_are_used() {
        for form in [Form::Dense, Form::Packed] {
            for dimension in [MAX_DIMENSION + 1, usize::MAX / 2, usize::MAX] {
                let layout = Layout { dimension, form };
                assert!(Rows::new(layout, &[0, 1], &[0; 4_096][..]).is_err(), "{layout:?}");
            }
        }
    }
}
