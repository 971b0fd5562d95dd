//! How a vector lies in the library: float16 or float32, without its zeros where that is shorter.
//!
//! In: float32 values. Out: bytes, and back. Refuses values that are no numbers or too large for
//! their form, and bytes that are no vector.
//!
//! The first byte says the form, the rest is little-endian:
//!
//! | form | bytes |
//! | --- | --- |
//! | 0 | every value as float16 |
//! | 1 | a bit per value, lowest first, padded to bytes; then as float16 those whose bit is set |
//! | 2 | every value as float32 |
//! | 3 | as 1, with float32 |
//!
//! YAMNet's patch embeddings come out of a `ReLU` and are 70 to 80 % zeros, so that form 1 stores 1024
//! values in some 650 bytes instead of 2,049, and loses nothing against form 0.

use half::f16;

use crate::error::VectorProblem;

const HALF: u8 = 0;
const HALF_WITHOUT_ZEROS: u8 = 1;
const SINGLE: u8 = 2;
const SINGLE_WITHOUT_ZEROS: u8 = 3;

/// How much of a value is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Float16: eleven bits of a value, which no search notices.
    #[default]
    Half,
    /// Float32: all bits.
    Single,
}

/// Encodes `values`.
///
/// # Errors
/// [`VectorProblem::NonFinite`] when a value is no number, [`VectorProblem::TooLarge`] when one exceeds
/// float16's 65,504 where that is what is kept.
pub fn encode(values: &[f32], precision: Precision) -> Result<Vec<u8>, VectorProblem> {
    if values.iter().any(|value| !value.is_finite()) {
        return Err(VectorProblem::NonFinite);
    }
    match precision {
        Precision::Half => {
            let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
            if halves.iter().any(|half| !half.is_finite()) {
                return Err(VectorProblem::TooLarge);
            }
            // Minus zero counts as zero: the two are equal, and only one of them has no bits.
            let is_zero = |half: f16| half.to_f32() == 0.0;
            Ok(lay_out(&halves, is_zero, f16::to_le_bytes, [HALF, HALF_WITHOUT_ZEROS]))
        }
        Precision::Single => {
            let is_zero = |value| value == 0.0;
            Ok(lay_out(values, is_zero, f32::to_le_bytes, [SINGLE, SINGLE_WITHOUT_ZEROS]))
        }
    }
}

/// Lays `values` out in the shorter of two forms: dense, or without zeros.
fn lay_out<T: Copy, const BYTES: usize>(
    values: &[T],
    is_zero: impl Fn(T) -> bool,
    to_bytes: impl Fn(T) -> [u8; BYTES],
    [dense, without_zeros]: [u8; 2],
) -> Vec<u8> {
    let mask_bytes = values.len().div_ceil(8);
    let kept = values.iter().filter(|&&value| !is_zero(value)).count();
    if mask_bytes + BYTES * kept >= BYTES * values.len() {
        let mut bytes = Vec::with_capacity(1 + BYTES * values.len());
        bytes.push(dense);
        bytes.extend(values.iter().flat_map(|&value| to_bytes(value)));
        return bytes;
    }
    let mut bytes = vec![0; 1 + mask_bytes];
    bytes.reserve(BYTES * kept);
    bytes[0] = without_zeros;
    for (index, &value) in values.iter().enumerate().filter(|&(_, &value)| !is_zero(value)) {
        bytes[1 + index / 8] |= 1 << (index % 8);
        bytes.extend(to_bytes(value));
    }
    bytes
}

/// Appends the `dimension` values that `bytes` hold to `values`.
///
/// # Errors
/// [`VectorProblem::Encoding`] when `bytes` are no such vector; `values` is as it was then.
pub fn decode(bytes: &[u8], dimension: usize, values: &mut Vec<f32>) -> Result<(), VectorProblem> {
    let before = values.len();
    let half = |bytes| f16::from_le_bytes(bytes).to_f32();
    let decoded = match bytes.split_first() {
        Some((&HALF, rest)) => dense(rest, dimension, half, values),
        Some((&HALF_WITHOUT_ZEROS, rest)) => without_zeros(rest, dimension, half, values),
        Some((&SINGLE, rest)) => dense(rest, dimension, f32::from_le_bytes, values),
        Some((&SINGLE_WITHOUT_ZEROS, rest)) => {
            without_zeros(rest, dimension, f32::from_le_bytes, values)
        }
        _ => None,
    };
    if decoded.is_none() || values[before..].iter().any(|value| !value.is_finite()) {
        values.truncate(before);
        return Err(VectorProblem::Encoding);
    }
    Ok(())
}

fn dense<const BYTES: usize>(
    bytes: &[u8],
    dimension: usize,
    from_bytes: impl Fn([u8; BYTES]) -> f32,
    values: &mut Vec<f32>,
) -> Option<()> {
    let (stored, rest) = bytes.as_chunks::<BYTES>();
    if !rest.is_empty() || stored.len() != dimension {
        return None;
    }
    values.extend(stored.iter().map(|&value| from_bytes(value)));
    Some(())
}

fn without_zeros<const BYTES: usize>(
    bytes: &[u8],
    dimension: usize,
    from_bytes: impl Fn([u8; BYTES]) -> f32,
    values: &mut Vec<f32>,
) -> Option<()> {
    let (mask, stored) = bytes.split_at_checked(dimension.div_ceil(8))?;
    let (stored, odd) = stored.as_chunks::<BYTES>();
    let kept: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    if !odd.is_empty() || stored.len() != kept as usize {
        return None;
    }
    let start = values.len();
    values.resize(start + dimension, 0.0);
    let vector = &mut values[start..];
    let mut stored = stored.iter();
    for (index, &byte) in mask.iter().enumerate() {
        let mut bits = byte;
        while bits != 0 {
            let position = 8 * index + bits.trailing_zeros() as usize;
            *vector.get_mut(position)? = from_bytes(*stored.next()?);
            bits &= bits - 1;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f32], precision: Precision) -> Vec<f32> {
        let mut decoded = Vec::new();
        decode(&encode(values, precision).unwrap(), values.len(), &mut decoded).unwrap();
        decoded
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            values in prop::collection::vec(
                prop_oneof![3 => Just(0.0_f32), 1 => -60_000.0_f32..60_000.0, 1 => -1.0_f32..1.0],
                1..200,
            )
        ) {
            let expected: Vec<f32> = values.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
            prop_assert_eq!(round_trip(&values, Precision::Half), expected);
            prop_assert_eq!(round_trip(&values, Precision::Single), values);
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
        let length = |values: &[f32], precision| encode(values, precision).unwrap().len();
        assert_eq!(length(&values, Precision::Half), 1 + 128 + 4);
        assert_eq!(length(&values, Precision::Single), 1 + 128 + 8);
        assert_eq!(round_trip(&values, Precision::Half), values);
        assert_eq!(length(&[1.0; 1024], Precision::Half), 1 + 2048);
        assert_eq!(length(&[1.0; 1024], Precision::Single), 1 + 4096);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for value in [f32::NAN, f32::INFINITY] {
            assert_eq!(encode(&[0.0, value], Precision::Half), Err(VectorProblem::NonFinite));
        }
        assert_eq!(encode(&[0.0, -70_000.0], Precision::Half), Err(VectorProblem::TooLarge));
        assert!(encode(&[65_504.0], Precision::Half).is_ok());
        assert_eq!(encode(&[f32::NAN], Precision::Single), Err(VectorProblem::NonFinite));
        assert!(encode(&[70_000.0], Precision::Single).is_ok());
    }
}
