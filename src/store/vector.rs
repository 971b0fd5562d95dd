//! How a vector lies in the library: float16, without its zeros where that is shorter.
//!
//! In: float32 values. Out: bytes, and back. Refuses values that are no numbers or too large for
//! float16, and bytes that are no vector.
//!
//! The first byte says the form, the rest is little-endian:
//!
//! | form | bytes |
//! | --- | --- |
//! | 0 | every value as float16 |
//! | 1 | a bit per value, lowest first, padded to bytes; then as float16 those whose bit is set |
//!
//! YAMNet's patch embeddings come out of a `ReLU` and are 70 to 80 % zeros, so that form 1 stores 1024
//! values in some 650 bytes instead of 2,049, and loses nothing against form 0.

use half::f16;

use crate::error::VectorProblem;

const DENSE: u8 = 0;
const WITHOUT_ZEROS: u8 = 1;

/// Encodes `values`.
///
/// # Errors
/// [`VectorProblem::NonFinite`] when a value is no number, or exceeds float16's 65,504.
pub fn encode(values: &[f32]) -> Result<Vec<u8>, VectorProblem> {
    let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
    if halves.iter().any(|half| !half.is_finite()) {
        return Err(VectorProblem::NonFinite);
    }
    // Minus zero counts as zero: the two are equal, and only one of them has no bits.
    let is_zero = |half: &f16| half.to_f32() == 0.0;
    let mask_bytes = halves.len().div_ceil(8);
    let kept = halves.iter().filter(|half| !is_zero(half)).count();
    if mask_bytes + 2 * kept >= 2 * halves.len() {
        let mut bytes = Vec::with_capacity(1 + 2 * halves.len());
        bytes.push(DENSE);
        bytes.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        return Ok(bytes);
    }
    let mut bytes = vec![0; 1 + mask_bytes];
    bytes.reserve(2 * kept);
    bytes[0] = WITHOUT_ZEROS;
    for (index, half) in halves.iter().enumerate().filter(|(_, half)| !is_zero(half)) {
        bytes[1 + index / 8] |= 1 << (index % 8);
        bytes.extend(half.to_le_bytes());
    }
    Ok(bytes)
}

/// Appends the `dimension` values that `bytes` hold to `values`.
///
/// # Errors
/// [`VectorProblem::Encoding`] when `bytes` are no such vector; `values` is as it was then.
pub fn decode(bytes: &[u8], dimension: usize, values: &mut Vec<f32>) -> Result<(), VectorProblem> {
    let before = values.len();
    let decoded = match bytes.split_first() {
        Some((&DENSE, halves)) => decode_dense(halves, dimension, values),
        Some((&WITHOUT_ZEROS, rest)) => decode_without_zeros(rest, dimension, values),
        _ => None,
    };
    if decoded.is_none() || values[before..].iter().any(|value| !value.is_finite()) {
        values.truncate(before);
        return Err(VectorProblem::Encoding);
    }
    Ok(())
}

fn decode_dense(halves: &[u8], dimension: usize, values: &mut Vec<f32>) -> Option<()> {
    let (halves, rest) = halves.as_chunks::<2>();
    if !rest.is_empty() || halves.len() != dimension {
        return None;
    }
    values.extend(halves.iter().map(|&half| f16::from_le_bytes(half).to_f32()));
    Some(())
}

fn decode_without_zeros(rest: &[u8], dimension: usize, values: &mut Vec<f32>) -> Option<()> {
    let (mask, halves) = rest.split_at_checked(dimension.div_ceil(8))?;
    let (halves, odd) = halves.as_chunks::<2>();
    let kept: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    if !odd.is_empty() || halves.len() != kept as usize {
        return None;
    }
    let start = values.len();
    values.resize(start + dimension, 0.0);
    let vector = &mut values[start..];
    let mut halves = halves.iter();
    for (index, &byte) in mask.iter().enumerate() {
        let mut bits = byte;
        while bits != 0 {
            let position = 8 * index + bits.trailing_zeros() as usize;
            *vector.get_mut(position)? = f16::from_le_bytes(*halves.next()?).to_f32();
            bits &= bits - 1;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f32]) -> Vec<f32> {
        let mut decoded = Vec::new();
        decode(&encode(values).unwrap(), values.len(), &mut decoded).unwrap();
        decoded
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_as_float16(
            values in prop::collection::vec(
                prop_oneof![3 => Just(0.0_f32), 1 => -60_000.0_f32..60_000.0, 1 => -1.0_f32..1.0],
                1..200,
            )
        ) {
            let expected: Vec<f32> = values.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
            prop_assert_eq!(round_trip(&values), expected);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), dimension in 0_usize..40) {
            let mut values = vec![1.0];
            if decode(&bytes, dimension, &mut values).is_err() {
                prop_assert_eq!(values, vec![1.0]);
            } else {
                prop_assert_eq!(values.len(), 1 + dimension);
            }
        }
    }

    #[test]
    fn zeros_cost_a_bit_each() {
        let mut values = vec![0.0; 1024];
        values[7] = 1.5;
        values[1023] = -2.0;
        assert_eq!(encode(&values).unwrap().len(), 1 + 128 + 4);
        assert_eq!(round_trip(&values), values);
        assert_eq!(encode(&vec![1.0; 1024]).unwrap().len(), 1 + 2048);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for value in [f32::NAN, f32::INFINITY, 70_000.0] {
            assert_eq!(encode(&[0.0, value]), Err(VectorProblem::NonFinite));
        }
    }
}
