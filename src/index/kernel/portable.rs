//! The products in plain code, which the compiler turns into AVX2 or NEON.
//!
//! In: rows, a query, and a function that puts packed bytes back into their places. Out: products.

use super::{MASK_BYTES, PIECE, Piece, Plane, Row, piece_at};
use crate::index::codes::Form;

/// The packed bytes at the places whose bits `mask` has, zeros elsewhere.
#[inline(always)]
pub(super) fn expand(mask: u64, packed: &[u8; PIECE]) -> [u8; PIECE] {
    let mut expanded = [0; PIECE];
    let mut rest = mask;
    for &byte in packed {
        if rest == 0 {
            break;
        }
        expanded[rest.trailing_zeros() as usize] = byte;
        rest &= rest - 1;
    }
    expanded
}

#[inline(always)]
pub(super) fn coarse(
    query: &Plane,
    form: Form,
    row: &[u8],
    expand: impl Fn(u64, &[u8; PIECE]) -> [u8; PIECE] + Copy,
) -> i32 {
    match form {
        Form::Dense => {
            let pieces = Row::dense(row).iter().zip(&query.pieces);
            pieces.map(|(row, query)| dot(row, query)).sum()
        }
        Form::Packed => {
            let row = Row::packed(row, query.pieces.len());
            let pieces = expanded(row.masks, row.upper, expand).zip(&query.pieces);
            pieces.map(|(row, query)| dot(&row, query)).sum()
        }
    }
}

#[inline(always)]
pub(super) fn fine(
    [upper, lower]: &[Plane; 2],
    form: Form,
    row: &[u8],
    expand: impl Fn(u64, &[u8; PIECE]) -> [u8; PIECE] + Copy,
) -> [i32; 3] {
    let product = |plane| coarse(plane, form, row, expand);
    match form {
        Form::Dense => [product(upper), product(lower), 0],
        Form::Packed => {
            let row = Row::packed(row, upper.pieces.len());
            let mut sums = [product(upper), product(lower), 0];
            let queries = upper.pieces.iter().zip(&lower.pieces);
            for (row, (upper, lower)) in expanded(row.masks, row.lower, expand).zip(queries) {
                sums[1] += dot(&row, upper);
                sums[2] += dot(&row, lower);
            }
            sums
        }
    }
}

/// A row's values as a query's: upper bytes, lower bytes.
#[inline(always)]
pub(super) fn planes(
    pieces: usize,
    form: Form,
    row: &[u8],
    expand: impl Fn(u64, &[u8; PIECE]) -> [u8; PIECE] + Copy,
) -> [Plane; 2] {
    match form {
        Form::Dense => {
            let upper = Row::dense(row).iter().take(pieces).map(signed).collect();
            [upper, vec![Piece::ZERO; pieces]]
        }
        Form::Packed => {
            let row = Row::packed(row, pieces);
            [row.upper, row.lower].map(|bytes| {
                expanded(row.masks, bytes, expand).map(|piece| signed(&piece)).collect()
            })
        }
    }
    .map(Plane::of)
}

/// The pieces of packed `bytes`.
#[inline(always)]
fn expanded(
    masks: &[[u8; MASK_BYTES]],
    bytes: &[u8],
    expand: impl Fn(u64, &[u8; PIECE]) -> [u8; PIECE],
) -> impl Iterator<Item = [u8; PIECE]> {
    let mut start = 0;
    masks.iter().map(move |&mask| {
        let mask = u64::from_le_bytes(mask);
        let expanded = expand(mask, piece_at(bytes, start));
        start += mask.count_ones() as usize;
        expanded
    })
}

#[inline(always)]
fn dot(a: &[u8; PIECE], b: &Piece) -> i32 {
    let products = a.iter().zip(&b.0).map(|(&a, &b)| i32::from(a.cast_signed()) * i32::from(b));
    products.sum()
}

#[inline(always)]
fn signed(bytes: &[u8; PIECE]) -> Piece {
    Piece(bytes.map(u8::cast_signed))
}
