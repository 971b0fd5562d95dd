//! Unit vectors as small whole numbers, and how wrong that can make a cosine.
//!
//! In: float32 vectors of length one. Out: rows (see `codes.rs`), queries prepared for them,
//! cosines with bounds. Refuses nothing; vectors were checked by `metric.rs`.
//!
//! A vector x becomes x̂ = scale · c, where the whole numbers c are 16 bits wide and the scale is
//! the vector's own: with one scale for all, recall stops at 0.97. A *coarse* product reads only
//! the upper bytes of c; a *fine* one all there are, which in a dense row are the same. The query q
//! is quantised likewise, to q̂.
//!
//! # How wrong
//! Let r = ‖x − x̂‖, stored in the row, and s = ‖q − q̂‖, known to the query. By the triangle
//! inequality and Cauchy and Schwarz
//!
//! ```text
//! |q·x − q̂·x̂| ≤ |q·(x − x̂)| + |(q − q̂)·x̂| ≤ ‖q‖ r + s ‖x̂‖ ≤ ‖q‖ r + s (‖x‖ + r)
//! ```
//!
//! The product of whole numbers is exact. What is rounded: the norms of q and x (each within
//! d · 2⁻²⁴ of one, generously, after `normalise`), the exact cosine that the result is compared
//! with (a float32 sum of d products of unit vectors errs by less than d · 2⁻²⁴ in any order), and
//! a few single operations. [`PreparedQuery::bound`] adds (d + 16) · 2⁻²² for all of it, four times
//! what they come to; residuals are rounded up.

#![expect(clippy::cast_possible_truncation, reason = "rounded and clamped to their range before")]

use super::codes::{Blob, Damaged, Form, HEADER_BYTES, Header, Layout, Rows};
use super::kernel::{self, MASK_BYTES, PIECE, Plane};

/// The largest of the whole numbers, so that its upper byte, rounded, is 127.
const LARGEST: f32 = 32_512.0;
/// What one in an upper byte stands for.
const UPPER: i32 = 256;

/// A query, quantised once for many rows.
#[derive(Clone, Debug)]
pub struct PreparedQuery {
    layout: Layout,
    /// Upper bytes, lower bytes.
    planes: [Plane; 2],
    header: Header,
    slack: f32,
}

impl PreparedQuery {
    /// Prepares a unit vector.
    ///
    /// # Panics
    /// When it has not the dimension of `layout`.
    pub fn new(unit_vector: &[f32], layout: Layout) -> Self {
        assert_eq!(unit_vector.len(), layout.dimension, "a query of the rows' dimension");
        let Quantised { header, values } = Quantised::of(unit_vector);
        let (upper, lower): (Vec<i8>, Vec<i8>) = values.iter().map(|&value| split(value)).unzip();
        Self {
            layout,
            planes: [Plane::new(&upper), Plane::new(&lower)],
            header,
            slack: (layout.dimension as f32 + 16.0) * f32::EPSILON / 0.5,
        }
    }

    /// Prepares the vector that a row stands for. What it says of that row and another is what the
    /// other one's would say.
    ///
    /// # Errors
    /// [`Damaged`] when the row is.
    pub fn of_row<B: Blob + ?Sized>(rows: Rows<'_, B>, position: usize) -> Result<Self, Damaged> {
        let layout = rows.layout();
        let row = rows.row(position)?;
        let slack = (layout.dimension as f32 + 16.0) * f32::EPSILON / 0.5;
        let planes = kernel::planes(layout.pieces(), layout.form, row);
        Ok(Self { layout, planes, header: Header::of(row), slack })
    }

    /// The vector that it stands for, `[dimension]`, within what quantisation lost.
    pub fn vector(&self) -> Vec<f32> {
        let bytes = |plane: &Plane| plane.pieces.iter().flat_map(|piece| piece.0).collect();
        let [upper, lower]: [Vec<i8>; 2] = [bytes(&self.planes[0]), bytes(&self.planes[1])];
        let whole = upper.iter().zip(&lower).take(self.layout.dimension);
        whole
            .map(|(&upper, &lower)| {
                self.header.scale * (UPPER * i32::from(upper) + i32::from(lower)) as f32
            })
            .collect()
    }

    /// Coarse cosines to `rows`, to `cosines`.
    #[inline]
    pub fn coarse(&self, rows: &[&[u8]], cosines: &mut [f32]) {
        const AT_ONCE: usize = 16;
        let mut products = [0; AT_ONCE];
        let scale = self.header.scale * (UPPER * UPPER) as f32;
        for (rows, cosines) in rows.chunks(AT_ONCE).zip(cosines.chunks_mut(AT_ONCE)) {
            kernel::coarse(&self.planes[0], self.layout.form, rows, &mut products);
            for ((row, cosine), product) in rows.iter().zip(cosines).zip(products) {
                *cosine = product as f32 * (scale * Header::of(row).scale);
            }
        }
    }

    /// The cosine to a row by all bits that it has.
    #[inline]
    pub fn fine(&self, row: &[u8]) -> f32 {
        let product = kernel::fine(&self.planes, self.layout.form, row);
        (product as f64 * (f64::from(self.header.scale) * f64::from(Header::of(row).scale))) as f32
    }

    /// The greatest possible difference between a [`fine`](Self::fine) cosine and the exact one,
    /// for a row whose `residual` is this.
    pub fn bound(&self, residual: f32) -> f32 {
        bound(residual, self.header.residual, self.slack)
    }

    /// The greatest possible difference between a [`coarse`](Self::coarse) cosine and the exact
    /// one, for a row whose `coarse_residual` is this.
    pub fn coarse_bound(&self, coarse_residual: f32) -> f32 {
        bound(coarse_residual, self.header.coarse_residual, self.slack)
    }
}

fn bound(row: f32, query: f32, slack: f32) -> f32 {
    row + query * (1.0 + row) + slack
}

/// Appends a unit vector's row, not padded.
pub(super) fn append(unit_vector: &[f32], form: Form, bytes: &mut Vec<u8>) {
    let Quantised { header, values } = Quantised::of(unit_vector);
    match form {
        Form::Dense => append_upper(header, values.iter().map(|&value| split(value).0), bytes),
        Form::Packed => {
            let stored = values.iter().filter(|&&value| value != 0);
            bytes.extend(Header { stored: count(stored.clone()), ..header }.to_bytes());
            for piece in values.chunks(PIECE) {
                let bits = piece.iter().enumerate();
                let mask =
                    bits.fold(0_u64, |mask, (bit, &value)| mask | u64::from(value != 0) << bit);
                bytes.extend(mask.to_le_bytes());
            }
            bytes.extend(stored.clone().map(|&value| split(value).0.cast_unsigned()));
            bytes.extend(stored.map(|&value| split(value).1.cast_unsigned()));
        }
    }
}

/// Appends the dense row that has the upper bytes of a packed one.
pub(super) fn append_dense(packed: &[u8], layout: Layout, bytes: &mut Vec<u8>) {
    let header = Header::of(packed);
    let (masks, values) = packed[HEADER_BYTES..].split_at(layout.pieces() * MASK_BYTES);
    let mut values = values.iter();
    let upper = (0..layout.dimension).map(|index| {
        let stored = masks[index / 8] >> (index % 8) & 1 == 1;
        if stored { values.next().map_or(0, |&byte| byte.cast_signed()) } else { 0 }
    });
    append_upper(header, upper, bytes);
}

fn append_upper(header: Header, upper: impl Iterator<Item = i8>, bytes: &mut Vec<u8>) {
    let start = bytes.len() + HEADER_BYTES;
    let header = Header { residual: header.coarse_residual, ..header };
    bytes.extend(header.to_bytes());
    bytes.extend(upper.map(i8::cast_unsigned));
    let values = bytes.len() - start;
    bytes.resize(start + values.next_multiple_of(PIECE), 0);
    let stored = (values as u32).to_le_bytes();
    bytes[start - stored.len()..start].copy_from_slice(&stored);
}

fn count<T>(values: impl Iterator<Item = T>) -> u32 {
    values.count() as u32
}

struct Quantised {
    header: Header,
    values: Vec<i16>,
}

impl Quantised {
    fn of(vector: &[f32]) -> Self {
        let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        // No value where all are zero: 0 / 1 rather than 0 / 0.
        let scale = if largest > 0.0 { largest / LARGEST } else { 1.0 };
        let quantise = |&value: &f32| (value / scale).round().clamp(-LARGEST, LARGEST) as i16;
        let values: Vec<i16> = vector.iter().map(quantise).collect();
        let residual = |restored: &dyn Fn(i16) -> i32| {
            let losses = vector.iter().zip(&values).map(|(&value, &quantised)| {
                f64::from(value) - f64::from(scale) * f64::from(restored(quantised))
            });
            (losses.map(|loss| loss * loss).sum::<f64>().sqrt() as f32).next_up()
        };
        let header = Header {
            scale,
            residual: residual(&i32::from),
            coarse_residual: residual(&|value| UPPER * i32::from(split(value).0)),
            stored: count(values.iter()),
        };
        Self { header, values }
    }
}

/// The upper and the lower byte, both signed: value = 256 × upper + lower.
fn split(value: i16) -> (i8, i8) {
    let upper = (i32::from(value) + UPPER / 2).div_euclid(UPPER);
    (upper as i8, (i32::from(value) - UPPER * upper) as i8)
}

#[cfg(test)]
mod tests;
