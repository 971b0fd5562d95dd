//! Cosine similarity, by unit vectors.
//!
//! In: any vector. Out: the same at length one, whose dot products are cosines. Refuses what has
//! no direction: zero, NaN and infinity would otherwise match everything or nothing.

#![expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]

use crate::dot::dot;
use crate::error::VectorProblem;

/// Scales `vector` to length one.
///
/// # Errors
/// [`VectorProblem::Dimension`] when it has not `dimension` values, [`VectorProblem::NonFinite`],
/// or [`VectorProblem::Zero`].
pub fn normalise(vector: &mut [f32], dimension: usize) -> Result<(), VectorProblem> {
    if vector.len() != dimension {
        return Err(VectorProblem::Dimension { expected: dimension, found: vector.len() });
    }
    if vector.iter().any(|value| !value.is_finite()) {
        return Err(VectorProblem::NonFinite);
    }
    let squares: f64 = vector.iter().map(|&value| f64::from(value).powi(2)).sum();
    if squares == 0.0 {
        return Err(VectorProblem::Zero);
    }
    let scale = 1.0 / squares.sqrt();
    for value in vector.iter_mut() {
        *value = (f64::from(*value) * scale) as f32;
    }
    Ok(())
}

/// The cosine of the angle between two unit vectors; rounding is cut off at ±1.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    dot(a, b).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_becomes_one_whatever_it_was() {
        for scale in [1e-30_f32, 1.0, 1e30] {
            let mut vector = vec![3.0 * scale, -4.0 * scale];
            normalise(&mut vector, 2).unwrap();
            assert!((vector[0] - 0.6).abs() < 1e-6 && (vector[1] + 0.8).abs() < 1e-6);
        }
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        let problem = |vector: &[f32]| normalise(&mut vector.to_vec(), 2).unwrap_err();
        assert_eq!(problem(&[0.0, 0.0]), VectorProblem::Zero);
        assert_eq!(problem(&[f32::NAN, 1.0]), VectorProblem::NonFinite);
        assert_eq!(problem(&[1.0, f32::INFINITY]), VectorProblem::NonFinite);
        assert_eq!(problem(&[1.0]), VectorProblem::Dimension { expected: 2, found: 1 });
    }
}
