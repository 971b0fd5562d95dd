//! The products on x86: all of them with AVX-512, and for AVX2 a way to put packed bytes into place.
//!
//! In: rows and a query. Out: products. Needs the instructions that `kernel.rs` asks for.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_maskz_expand_epi8,
    _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_xor_si512, _pdep_u64,
};

use bytemuck::{cast, cast_ref};

use super::{PIECE, Plane, Row, piece_at};
use crate::index::codes::Form;

/// What is added to a row's values to make them unsigned.
const OFFSET: i32 = 128;

/// The packed bytes at the places whose bits `mask` has, eight at a time.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) fn deposit(mask: u64, packed: &[u8; PIECE]) -> [u8; PIECE] {
    const LOWEST_BITS: u64 = 0x0101_0101_0101_0101;
    let mut expanded = [[0; 8]; 8];
    let mut start = 0;
    for (bits, expanded) in mask.to_le_bytes().into_iter().zip(&mut expanded) {
        // At most 56 bytes come before the last eight.
        let bytes = packed.get(start..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        let places = _pdep_u64(u64::from(bits), LOWEST_BITS) * 0xff;
        *expanded = _pdep_u64(u64::from_le_bytes(bytes), places).to_le_bytes();
        start += bits.count_ones() as usize;
    }
    cast(expanded)
}

/// As [`deposit`], by one instruction.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
pub(super) fn expanded(mask: u64, packed: &[u8; PIECE]) -> [u8; PIECE] {
    cast(_mm512_maskz_expand_epi8(mask, cast(*packed)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(super) fn coarse(query: &Plane, form: Form, row: &[u8]) -> i32 {
    // Two sums, so that one product need not wait for the one before.
    let mut sums = [_mm512_setzero_si512(); 2];
    match form {
        Form::Dense => {
            for (index, (row, query)) in Row::dense(row).iter().zip(&query.pieces).enumerate() {
                let sum = &mut sums[index % 2];
                *sum = _mm512_dpbusd_epi32(*sum, unsigned(cast(*row)), *cast_ref(&query.0));
            }
        }
        Form::Packed => {
            let row = Row::packed(row, query.pieces.len());
            let mut start = 0;
            for (index, (&mask, query)) in row.masks.iter().zip(&query.pieces).enumerate() {
                let mask = u64::from_le_bytes(mask);
                let values = expand(mask, row.upper, start);
                let sum = &mut sums[index % 2];
                *sum = _mm512_dpbusd_epi32(*sum, values, *cast_ref(&query.0));
                start += mask.count_ones() as usize;
            }
        }
    }
    total(_mm512_add_epi32(sums[0], sums[1]), query)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(super) fn fine(query: &[Plane; 2], form: Form, row: &[u8]) -> [i32; 3] {
    let [upper, lower] = query;
    match form {
        Form::Dense => [coarse(upper, form, row), coarse(lower, form, row), 0],
        Form::Packed => {
            let row = Row::packed(row, upper.pieces.len());
            let mut sums = [_mm512_setzero_si512(); 4];
            let mut start = 0;
            let queries = upper.pieces.iter().zip(&lower.pieces);
            for (&mask, (upper, lower)) in row.masks.iter().zip(queries) {
                let mask = u64::from_le_bytes(mask);
                let (upper, lower): (__m512i, __m512i) = (cast(upper.0), cast(lower.0));
                let values = expand(mask, row.upper, start);
                sums[0] = _mm512_dpbusd_epi32(sums[0], values, upper);
                sums[1] = _mm512_dpbusd_epi32(sums[1], values, lower);
                let values = expand(mask, row.lower, start);
                sums[2] = _mm512_dpbusd_epi32(sums[2], values, upper);
                sums[3] = _mm512_dpbusd_epi32(sums[3], values, lower);
                start += mask.count_ones() as usize;
            }
            [
                total(sums[0], upper),
                total(sums[1], lower).wrapping_add(total(sums[2], upper)),
                total(sums[3], lower),
            ]
        }
    }
}

/// Bytes of a packed row from `start` in their places, 128 added.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
fn expand(mask: u64, bytes: &[u8], start: usize) -> __m512i {
    unsigned(_mm512_maskz_expand_epi8(mask, cast(*piece_at(bytes, start))))
}

/// Signed bytes plus 128.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn unsigned(values: __m512i) -> __m512i {
    _mm512_xor_si512(values, _mm512_set1_epi8(i8::MIN))
}

/// The sum of all products with `query`, without what the added 128s made of it. Sums wrap on the
/// way; what they come to fits.
#[inline]
#[target_feature(enable = "avx512f")]
fn total(sum: __m512i, query: &Plane) -> i32 {
    _mm512_reduce_add_epi32(sum).wrapping_sub(OFFSET.wrapping_mul(query.sum))
}
