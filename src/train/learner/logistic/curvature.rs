//! Coordinates in which the losses are about as curved in every direction, so that a minimum is a
//! few steps away.
//!
//! In: some rows of a lesson, and how unsure heads are of them. Out: [`Curvature`], which turns weights
//! into such coordinates, and back. Only the way to a minimum depends on it, not where it lies.
//!
//! Embeddings vary a hundred times as much in some directions as in others, and L-BFGS takes as many
//! steps to find that out. The Hessian of a log loss is about Σ s x xᵀ / n + λ, where s is the mean of a
//! row's p (1 − p) over classes (the diagonal blocks of Böhning, "Multinomial logistic regression
//! algorithm", 1992, taken together): rows that heads are sure of count for nothing. Its square root M^½
//! is known from the eigenvectors of the sum: v = M^½ w. On 20,000 vectors of YAMNet's, 24 evaluations
//! come as near to the minimum as 160 by 256 directions of 512 rows that all count the same.

use std::cmp::Ordering;

use tch::{Kind, Tensor};

use super::super::failed;
use super::super::moments::Moments;
use crate::error::Result;
use crate::model::torch::{Torch, to_vec};
use crate::train::rows::Rows;
use crate::units::signed;

/// Rows a dimension by which directions are found: of fewer the small eigenvalues are too small.
const ROWS_A_DIMENSION: usize = 8;

/// Dimensions up to which all directions are found, in half a second; eigenvectors cost the third power.
const DIMENSIONS: usize = 1_536;

/// Rows by which directions are found where there are more dimensions.
const FEW_ROWS: usize = 512;

/// A share of the largest eigenvalue below which one is rounding.
const LEAST_SHARE: f64 = 1e-6;

/// Which way between weights and coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Weights into coordinates: M^½.
    In,
    /// Coordinates into weights, and slopes by weights into slopes by coordinates: M^−½.
    Out,
}

/// How curved a head's loss is: c, the mean of p (1 − p), and λ, its penalty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve {
    pub(super) loss: f64,
    pub(super) penalty: f64,
}

/// The directions of a lesson's rows.
#[derive(Debug)]
pub(super) struct Curvature {
    dimension: usize,
    /// Unit vectors, `[directions, dimension]`.
    directions: Tensor,
    /// Mean squares of standardised rows along them, weighed, and the mean of all others.
    squares: Vec<f64>,
    rest: f64,
}

impl Curvature {
    /// The directions of `rows`, standardised by `moments`; `slacks` says how much each counts,
    /// `[rows]`.
    pub(super) fn new(rows: &Rows, moments: &Moments, slacks: &[f32]) -> Result<Self> {
        let dimension = rows.dimension();
        let most = if dimension <= DIMENSIONS { ROWS_A_DIMENSION * dimension } else { FEW_ROWS };
        let (numbers, counts) = drawn(slacks, most);
        let mut values = rows.gather(&numbers)?;
        for (row, counts) in values.chunks_exact_mut(dimension).zip(&counts) {
            let counts = counts.sqrt();
            for ((value, mean), scale) in row.iter_mut().zip(&moments.mean).zip(&moments.scale) {
                *value = (*value - mean) / scale * counts;
            }
        }
        Self::of_rows(&values, dimension).map_err(failed)
    }

    fn of_rows(rows: &[f32], dimension: usize) -> Torch<Self> {
        let _guard = tch::no_grad_guard();
        let count = rows.len() / dimension;
        let rows = Tensor::f_from_slice(rows)?.f_view([-1, signed(dimension)])?;
        // The smaller of the two products has the same eigenvalues.
        let (transposed, is_wide) = (rows.f_transpose(0, 1)?, count < dimension);
        let product =
            if is_wide { rows.f_matmul(&transposed)? } else { transposed.f_matmul(&rows)? };
        let (values, vectors) = product.f_linalg_eigh("L")?;
        let of_rows = count.max(1) as f64;
        // In ascending order.
        let squares: Vec<f64> =
            to_vec(&values)?.iter().rev().map(|value| f64::from(*value) / of_rows).collect();
        let total: f64 = squares.iter().map(|square| square.max(0.0)).sum();
        let least = LEAST_SHARE * squares.first().copied().unwrap_or(0.0);
        let chosen = squares.iter().filter(|square| **square > least).count();
        let vectors = vectors.f_flip([1])?.f_narrow(1, 0, signed(chosen))?.f_transpose(0, 1)?;
        let directions = if is_wide { vectors.f_matmul(&rows)? } else { vectors };
        let lengths = directions.f_square()?.f_sum_dim_intlist(-1, true, Kind::Float)?.f_sqrt()?;
        let squares = squares[..chosen].to_vec();
        let others = (dimension - chosen).max(1) as f64;
        Ok(Self {
            dimension,
            directions: directions.f_div(&lengths)?.f_contiguous()?,
            rest: (total - squares.iter().sum::<f64>()).max(0.0) / others,
            squares,
        })
    }

    /// The same numbers for another thread.
    pub(super) fn share(&self) -> Self {
        Self { directions: self.directions.shallow_clone(), squares: self.squares.clone(), ..*self }
    }

    /// Turns `points`, `[classes, dimension + 1]` each, as heads of these `curves` need it.
    pub(super) fn turn(
        &self,
        points: &[Vec<f32>],
        curves: &[Curve],
        way: Way,
    ) -> Result<Vec<Vec<f32>>> {
        self.turned(points, curves, way).map_err(failed)
    }

    #[expect(clippy::cast_possible_truncation, reason = "float32 is what is computed with")]
    fn turned(&self, points: &[Vec<f32>], curves: &[Curve], way: Way) -> Torch<Vec<Vec<f32>>> {
        let _guard = tch::no_grad_guard();
        let width = self.dimension + 1;
        let factor = |curvature: f64| match way {
            Way::In => curvature.sqrt(),
            Way::Out => 1.0 / curvature.sqrt(),
        };
        let (mut values, mut shares, mut rests) = (Vec::new(), Vec::new(), Vec::new());
        for (point, curve) in points.iter().zip(curves) {
            let rest = factor(curve.loss * self.rest + curve.penalty);
            let of_direction =
                |square: &f64| (factor(curve.loss * square + curve.penalty) - rest) as f32;
            let of_head: Vec<f32> = self.squares.iter().map(of_direction).collect();
            for row in point.chunks_exact(width) {
                values.extend_from_slice(&row[..self.dimension]);
                shares.extend_from_slice(&of_head);
                rests.push(rest as f32);
            }
        }
        let matrix = |values: &[f32], width: usize| {
            Tensor::f_from_slice(values)?.f_view([signed(rests.len()), signed(width)])
        };
        let values = matrix(&values, self.dimension)?;
        let along = values.f_matmul(&self.directions.f_transpose(0, 1)?)?;
        let along = along.f_mul(&matrix(&shares, self.squares.len())?)?;
        let turned =
            along.f_matmul(&self.directions)?.f_add(&values.f_mul(&matrix(&rests, 1)?)?)?;
        let turned = to_vec(&turned)?;
        let mut rows = turned.chunks_exact(self.dimension);
        let turn = |(point, curve): (&Vec<f32>, &Curve)| {
            let mut found = Vec::with_capacity(point.len());
            // Standardised rows say nothing of the bias, which has no penalty.
            let bias = factor(curve.loss) as f32;
            for (row, turned) in point.chunks_exact(width).zip(rows.by_ref()) {
                found.extend_from_slice(turned);
                found.push(row[self.dimension] * bias);
            }
            found
        };
        Ok(points.iter().zip(curves).map(turn).collect())
    }
}

/// Numbers of `most` rows at most, drawn by what they count, and what each counts then, one on the
/// average: of many rows heads are unsure of a few, and few of these would be among any few.
#[expect(clippy::cast_possible_truncation, reason = "float32 is what is computed with")]
fn drawn(slacks: &[f32], most: usize) -> (Vec<usize>, Vec<f32>) {
    let total: f64 = slacks.iter().copied().map(f64::from).sum();
    // Nothing is unsure, or not a number.
    if total.partial_cmp(&0.0) != Some(Ordering::Greater) {
        let stride = slacks.len().div_ceil(most).max(1);
        let numbers: Vec<usize> = (0..slacks.len()).step_by(stride).collect();
        let counts = vec![1.0; numbers.len()];
        return (numbers, counts);
    }
    if slacks.len() <= most {
        let usual = (total / slacks.len() as f64) as f32;
        return ((0..slacks.len()).collect(), slacks.iter().map(|slack| slack / usual).collect());
    }
    // Marks at even distances on a line on which each row is as long as what it counts.
    let distance = total / most as f64;
    let (mut numbers, mut counts) = (Vec::with_capacity(most), Vec::with_capacity(most));
    let (mut end, mut mark) = (0.0, distance / 2.0);
    for (number, slack) in slacks.iter().enumerate() {
        end += f64::from(*slack);
        let mut marks = 0.0;
        while mark < end {
            marks += 1.0;
            mark += distance;
        }
        if marks > 0.0 {
            numbers.push(number);
            counts.push(marks);
        }
    }
    (numbers, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Float noise of float32 over some tens of products.
    const NOISE: f32 = 1e-4;

    #[test]
    fn rows_are_drawn_as_often_as_they_count() {
        // All of few rows, by what they count: one on the average.
        assert_eq!(drawn(&[0.1, 0.3, 0.2], 3), (vec![0, 1, 2], vec![0.5, 1.5, 1.0]));
        // One row in a hundred is unsure: some of these are drawn, and nothing else.
        let slacks: Vec<f32> = (0..10_000).map(|row| f32::from(u8::from(row % 100 == 7))).collect();
        let (numbers, counts) = drawn(&slacks, 50);
        assert_eq!((numbers.len(), &counts[..]), (50, &[1.0; 50][..]));
        assert!(numbers.iter().all(|row| row % 100 == 7));
        // One that counts for half of all is drawn as often as all others.
        let slacks: Vec<f32> =
            (0..1_001).map(|row| if row == 500 { 1_000.0 } else { 1.0 }).collect();
        let (numbers, counts) = drawn(&slacks, 100);
        let own = numbers.iter().position(|row| *row == 500).unwrap();
        assert_eq!((numbers.len(), counts[own], counts.iter().sum::<f32>()), (51, 50.0, 100.0));
        // Where nothing is unsure, rows at even distances.
        assert_eq!(drawn(&[0.0; 10], 5), (vec![0, 2, 4, 6, 8], vec![1.0; 5]));
        assert_eq!(drawn(&[f32::NAN; 2], 5).0, [0, 1]);
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "made in f64, given as f32")]
    fn there_and_back_is_the_same_and_curvature_is_one() {
        let dimension = 6;
        for count in [4_usize, 40] {
            let mut state = 1_u32;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32
            };
            let rows: Vec<f32> = (0..count * dimension)
                .map(|place| next() * [9.0, 1.0, 1.0, 0.1, 3.0, 1.0][place % dimension])
                .collect();
            let curvature = Curvature::of_rows(&rows, dimension).unwrap();
            let curves = [Curve { loss: 0.2, penalty: 0.01 }, Curve { loss: 0.1, penalty: 1.0 }];
            let points: Vec<Vec<f32>> = (0..2).map(|_| (0..14).map(|_| next()).collect()).collect();
            let inside = curvature.turn(&points, &curves, Way::In).unwrap();
            let back = curvature.turn(&inside, &curves, Way::Out).unwrap();
            for (a, b) in points.concat().iter().zip(back.concat()) {
                assert!((a - b).abs() < NOISE, "{a} {b}");
            }
            // Of w the curvature is c |x·w|² / n + λ |w|²; of v it is |v|².
            for ((point, inside), curve) in points.iter().zip(&inside).zip(&curves) {
                let (w, v) = (&point[..dimension], &inside[..dimension]);
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
                };
                let squares: f64 = rows.chunks_exact(dimension).map(|x| dot(x, w).powi(2)).sum();
                let expected = curve.loss * squares / count as f64 + curve.penalty * dot(w, w);
                assert!((expected - dot(v, v)).abs() < 1e-3 * expected, "{expected}");
            }
        }
    }
}
