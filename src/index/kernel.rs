//! Dot products of quantised rows, with the processor's widest instructions.
//!
//! In: the bytes of rows as `codes.rs` lays them out, and a query's planes. Out: whole numbers, the
//! same on every processor: AVX-512 (VNNI and VBMI2), AVX2, or what the compiler makes of the
//! portable code. Refuses nothing: a row that is cut short counts as zeros.
//!
//! A packed row has no zeros; its values are put back into their places ("expanded") 64 at a time,
//! one instruction on AVX-512, eight deposits of bits on AVX2.

#![expect(
    clippy::inline_always,
    reason = "a loop is compiled for other instructions only where it is inlined"
)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use multiversion::multiversion;

use super::codes::{Form, HEADER_BYTES};

/// Values that are multiplied at once: a cache line, a register of AVX-512, a mask of 64 bits.
pub(super) const PIECE: usize = 64;
/// Bytes of a piece's mask in a packed row.
pub(super) const MASK_BYTES: usize = 8;

/// Consecutive values of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Piece(pub(super) [i8; PIECE]);

impl Piece {
    pub(super) const ZERO: Self = Self([0; PIECE]);
}

/// One byte of each of a query's values.
#[derive(Clone, Debug, Default)]
pub(super) struct Plane {
    pub(super) pieces: Vec<Piece>,
    /// Of all values: AVX-512 multiplies unsigned by signed bytes only, so 128 is added to a row's
    /// values, and 128 times this taken off at the end.
    pub(super) sum: i32,
}

impl Plane {
    /// Lays `values` out, zeros behind them to a whole piece.
    pub(super) fn new(values: &[i8]) -> Self {
        let mut pieces = vec![Piece::ZERO; values.len().div_ceil(PIECE)];
        for (piece, values) in pieces.iter_mut().zip(values.chunks(PIECE)) {
            piece.0[..values.len()].copy_from_slice(values);
        }
        Self::of(pieces)
    }

    #[inline(always)]
    fn of(pieces: Vec<Piece>) -> Self {
        let sum = pieces.iter().flat_map(|piece| piece.0).map(i32::from).sum();
        Self { pieces, sum }
    }
}

/// A row's bytes, taken apart. What is behind its end may be anything.
#[derive(Clone, Copy)]
struct Row<'a> {
    masks: &'a [[u8; MASK_BYTES]],
    /// From the first value's upper byte on.
    upper: &'a [u8],
    /// From the first value's lower byte on; nothing where there are none.
    lower: &'a [u8],
}

impl<'a> Row<'a> {
    /// Of a packed row with `pieces` masks.
    #[inline(always)]
    fn packed(row: &'a [u8], pieces: usize) -> Self {
        let (header, rest) = row.split_at_checked(HEADER_BYTES).unwrap_or_default();
        let (masks, upper) = rest.split_at_checked(pieces * MASK_BYTES).unwrap_or_default();
        let count = header.last_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes));
        let lower = usize::try_from(count).ok().and_then(|count| upper.get(count..));
        Self { masks: masks.as_chunks().0, upper, lower: lower.unwrap_or_default() }
    }

    /// Of a dense row.
    #[inline(always)]
    fn dense(row: &'a [u8]) -> &'a [[u8; PIECE]] {
        row.get(HEADER_BYTES..).unwrap_or_default().as_chunks().0
    }
}

/// 64 bytes of `bytes` from `start`; zeros where there are not so many.
#[inline(always)]
fn piece_at(bytes: &[u8], start: usize) -> &[u8; PIECE] {
    bytes.get(start..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; PIECE])
}

/// The upper and lower bytes of a row with `pieces` pieces, as a query's.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512vl+avx512vnni+avx512vbmi2+avx2+bmi1+bmi2+popcnt",
    "x86_64+avx2+bmi1+bmi2+popcnt"
))]
pub(super) fn planes(pieces: usize, form: Form, row: &[u8]) -> [Plane; 2] {
    multiversion::target::match_target! {
        "x86_64+avx512f+avx512bw+avx512vl+avx512vnni+avx512vbmi2+avx2+bmi1+bmi2+popcnt" => {
            portable::planes(pieces, form, row, |mask, packed| x86::expanded(mask, packed))
        }
        "x86_64+avx2+bmi1+bmi2+popcnt" => {
            portable::planes(pieces, form, row, |mask, packed| x86::deposit(mask, packed))
        }
        _ => portable::planes(pieces, form, row, portable::expand),
    }
}

/// The products of a query's upper bytes with those of each of `rows`, to `products`.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512vl+avx512vnni+avx512vbmi2+avx2+bmi1+bmi2+popcnt",
    "x86_64+avx2+bmi1+bmi2+popcnt"
))]
pub(super) fn coarse(query: &Plane, form: Form, rows: &[&[u8]], products: &mut [i32]) {
    for (row, product) in rows.iter().zip(products) {
        *product = multiversion::target::match_target! {
            "x86_64+avx512f+avx512bw+avx512vl+avx512vnni+avx512vbmi2+avx2+bmi1+bmi2+popcnt" => {
                x86::coarse(query, form, row)
            }
            "x86_64+avx2+bmi1+bmi2+popcnt" => {
                portable::coarse(query, form, row, |mask, packed| x86::deposit(mask, packed))
            }
            _ => portable::coarse(query, form, row, portable::expand),
        };
    }
}

/// The product of a query and a row in all their bits, the query's two planes given upper first:
/// 2¹⁶ × upper·upper + 2⁸ × (upper·lower + lower·upper) + lower·lower.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512vl+avx512vnni+avx512vbmi2+avx2+bmi1+bmi2+popcnt",
    "x86_64+avx2+bmi1+bmi2+popcnt"
))]
pub(super) fn fine(query: &[Plane; 2], form: Form, row: &[u8]) -> i64 {
    let [upper, middle, lower] = multiversion::target::match_target! {
        "x86_64+avx512f+avx512bw+avx512vl+avx512vnni+avx512vbmi2+avx2+bmi1+bmi2+popcnt" => {
            x86::fine(query, form, row)
        }
        "x86_64+avx2+bmi1+bmi2+popcnt" => {
            portable::fine(query, form, row, |mask, packed| x86::deposit(mask, packed))
        }
        _ => portable::fine(query, form, row, portable::expand),
    };
    (i64::from(upper) << 16) + (i64::from(middle) << 8) + i64::from(lower)
}

#[cfg(test)]
mod tests;
