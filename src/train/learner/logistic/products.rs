//! The two products of logistic heads and rows: what they say of these, and how they slope.
//!
//! In: rows, `[rows, dimension]`, and the weights of all heads' classes, `[outputs, dimension]`. Out:
//! sums in float32. With libtorch more time went into tensors that are copied, and filled with zeros before
//! that, than into its products, which have few outputs here. A tile of sums stays in registers while rows and weights
//! stream past, as in K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication", ACM TOMS 34(3), 2008. The order of a sum depends on the processor's registers, and
//! on nothing else.

#![expect(
    clippy::inline_always,
    reason = "a loop is compiled for other instructions only where it is inlined"
)]

use pulp::{Arch, Simd, WithSimd};

/// Rows of a tile of outputs.
const TILE_ROWS: usize = 4;

/// Registers of a row in a tile of slopes.
const TILE_VECTORS: usize = 2;

/// Weights and biases of outputs, on raw rows.
#[derive(Clone, Debug)]
pub(super) struct Outputs {
    /// `[outputs, dimension]`.
    pub(super) weights: Vec<f32>,
    /// `[outputs]`.
    pub(super) biases: Vec<f32>,
}

impl Outputs {
    /// What they are for `rows`, `[rows, outputs]`.
    pub(super) fn of(&self, rows: &[f32]) -> Vec<f32> {
        let width = self.biases.len();
        let dimension = self.weights.len() / width.max(1);
        let mut said = vec![0.0; rows.len() / dimension.max(1) * width];
        if !said.is_empty() {
            let Self { weights, biases } = self;
            Arch::new().dispatch(Say { rows, weights, biases, dimension, said: &mut said });
        }
        said
    }
}

/// Adds what `rows`, `[rows, dimension]`, give to `slopes`, `[outputs, dimension]`, where the loss of
/// each has these derivatives by the outputs, `[rows, outputs]`.
pub(super) fn add_slopes(rows: &[f32], errors: &[f32], width: usize, slopes: &mut [f32]) {
    if width > 0 && !rows.is_empty() {
        Arch::new().dispatch(Slope { rows, errors, width, slopes });
    }
}

struct Say<'a> {
    rows: &'a [f32],
    weights: &'a [f32],
    biases: &'a [f32],
    dimension: usize,
    said: &'a mut [f32],
}

impl WithSimd for Say<'_> {
    type Output = ();

    /// There are 32 registers with AVX-512 and NEON, 16 with AVX2.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES == 8 { self.cover::<S, 2>(simd) } else { self.cover::<S, 5>(simd) }
    }
}

impl Say<'_> {
    #[inline(always)]
    fn cover<S: Simd, const OUTPUTS: usize>(self, simd: S) {
        let Self { rows, weights, biases, dimension, said } = self;
        let width = biases.len();
        let tiles = rows.chunks(TILE_ROWS * dimension).zip(said.chunks_mut(TILE_ROWS * width));
        for (rows, said) in tiles {
            let last_row = rows.len() / dimension - 1;
            for first in (0..width).step_by(OUTPUTS) {
                // At the edges the last one stands for those that are not there.
                let mut of_rows = [&rows[..dimension]; TILE_ROWS];
                for (number, of_row) in of_rows.iter_mut().enumerate() {
                    *of_row = &rows[number.min(last_row) * dimension..][..dimension];
                }
                let mut of_outputs = [&weights[..dimension]; OUTPUTS];
                for (number, of_output) in of_outputs.iter_mut().enumerate() {
                    let output = (first + number).min(width - 1);
                    *of_output = &weights[output * dimension..][..dimension];
                }
                let sums = dots::<S, TILE_ROWS, OUTPUTS>(simd, of_rows, of_outputs);
                for (said, sums) in said.chunks_exact_mut(width).zip(&sums) {
                    let said = said.iter_mut().zip(biases).skip(first);
                    for ((said, bias), sum) in said.zip(sums) {
                        *said = bias + sum;
                    }
                }
            }
        }
    }
}

/// The product of each row with each of some weights.
#[inline(always)]
fn dots<S: Simd, const ROWS: usize, const OUTPUTS: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    weights: [&[f32]; OUTPUTS],
) -> [[f32; OUTPUTS]; ROWS] {
    let vectors = rows[0].len() / S::F32_LANES;
    // No closures: what is not compiled in here has other instructions.
    let mut of_rows = [S::as_simd_f32s(rows[0]).0; ROWS];
    for (of_row, row) in of_rows.iter_mut().zip(rows) {
        *of_row = &S::as_simd_f32s(row).0[..vectors];
    }
    let mut of_weights = [S::as_simd_f32s(weights[0]).0; OUTPUTS];
    for (of_weight, weight) in of_weights.iter_mut().zip(weights) {
        *of_weight = &S::as_simd_f32s(weight).0[..vectors];
    }
    let mut sums = [[simd.splat_f32s(0.0); OUTPUTS]; ROWS];
    for vector in 0..vectors {
        let mut values = [simd.splat_f32s(0.0); ROWS];
        for (value, row) in values.iter_mut().zip(of_rows) {
            *value = row[vector];
        }
        for (output, weight) in of_weights.iter().enumerate() {
            let weight = weight[vector];
            for (sums, value) in sums.iter_mut().zip(values) {
                sums[output] = simd.mul_add_f32s(value, weight, sums[output]);
            }
        }
    }
    let rest = vectors * S::F32_LANES;
    let mut products = [[0.0; OUTPUTS]; ROWS];
    for (row, products) in products.iter_mut().enumerate() {
        for (output, product) in products.iter_mut().enumerate() {
            *product = simd.reduce_sum_f32s(sums[row][output]);
            for (value, weight) in rows[row][rest..].iter().zip(&weights[output][rest..]) {
                *product += value * weight;
            }
        }
    }
    products
}

struct Slope<'a> {
    rows: &'a [f32],
    errors: &'a [f32],
    width: usize,
    slopes: &'a mut [f32],
}

impl WithSimd for Slope<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES == 8 { self.cover::<S, 4>(simd) } else { self.cover::<S, 10>(simd) }
    }
}

impl Slope<'_> {
    #[inline(always)]
    fn cover<S: Simd, const OUTPUTS: usize>(self, simd: S) {
        let Self { rows, errors, width, slopes } = self;
        let dimension = slopes.len() / width;
        let whole = dimension - dimension % S::F32_LANES;
        let mut some = vec![[0.0; OUTPUTS]; errors.len() / width];
        for (tile, slopes) in slopes.chunks_mut(OUTPUTS * dimension).enumerate() {
            for (some, errors) in some.iter_mut().zip(errors.chunks_exact(width)) {
                let errors = &errors[tile * OUTPUTS..];
                // What is not there has no errors.
                for (output, some) in some.iter_mut().enumerate() {
                    *some = errors.get(output).copied().unwrap_or(0.0);
                }
            }
            let mut sums = Tile { simd, rows, dimension, errors: &some, slopes };
            let mut place = 0;
            while place + TILE_VECTORS * S::F32_LANES <= whole {
                sums.add::<TILE_VECTORS>(place);
                place += TILE_VECTORS * S::F32_LANES;
            }
            while place < whole {
                sums.add::<1>(place);
                place += S::F32_LANES;
            }
            sums.add_rest(whole);
        }
    }
}

/// Some outputs' slopes.
struct Tile<'a, S, const OUTPUTS: usize> {
    simd: S,
    rows: &'a [f32],
    dimension: usize,
    /// `[rows]`.
    errors: &'a [[f32; OUTPUTS]],
    /// Of as many outputs as there are.
    slopes: &'a mut [f32],
}

impl<S: Simd, const OUTPUTS: usize> Tile<'_, S, OUTPUTS> {
    /// Adds to some registers of each, from `place` on.
    #[inline(always)]
    fn add<const VECTORS: usize>(&mut self, place: usize) {
        let Self { simd, rows, dimension, errors, ref mut slopes } = *self;
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; OUTPUTS];
        for (row, errors) in rows.chunks_exact(dimension).zip(errors) {
            let Some(values) = S::as_simd_f32s(&row[place..]).0.first_chunk::<VECTORS>() else {
                return;
            };
            for (sums, error) in sums.iter_mut().zip(errors) {
                let error = simd.splat_f32s(*error);
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = simd.mul_add_f32s(error, *value, *sum);
                }
            }
        }
        for (slopes, sums) in slopes.chunks_exact_mut(dimension).zip(sums) {
            let slopes = S::as_mut_simd_f32s(&mut slopes[place..]).0;
            for (slope, sum) in slopes.iter_mut().zip(sums) {
                *slope = simd.add_f32s(*slope, sum);
            }
        }
    }

    /// Adds to what is less than a register of each.
    #[inline(always)]
    fn add_rest(&mut self, place: usize) {
        for (row, errors) in self.rows.chunks_exact(self.dimension).zip(self.errors) {
            for (slopes, error) in self.slopes.chunks_exact_mut(self.dimension).zip(errors) {
                for (slope, value) in slopes[place..].iter_mut().zip(&row[place..]) {
                    *slope += error * value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole tiles, parts of tiles, and rows that are narrower than a register.
    #[test]
    fn products_are_those_of_plain_sums() {
        for (count, dimension, width) in
            [(1, 1, 1), (3, 5, 2), (8, 64, 10), (9, 100, 11), (130, 1_024, 10), (6, 257, 23)]
        {
            let mut state = 1_u32;
            let mut numbers = |count: usize| -> Vec<f32> {
                let mut next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) as f32 / (1 << 23) as f32 - 1.0
                };
                (0..count).map(|_| next()).collect()
            };
            let rows = numbers(count * dimension);
            let outputs = Outputs { weights: numbers(width * dimension), biases: numbers(width) };
            let said = outputs.of(&rows);
            assert_eq!(said.len(), count * width);
            for (number, said) in said.iter().enumerate() {
                let row = &rows[number / width * dimension..][..dimension];
                let weights = &outputs.weights[number % width * dimension..][..dimension];
                let sum: f64 = row.iter().zip(weights).map(|(x, w)| f64::from(x * w)).sum();
                let expected = sum + f64::from(outputs.biases[number % width]);
                // Float32 sums of so many values of about one.
                assert!((f64::from(*said) - expected).abs() < 1e-4, "{said}, expected {expected}");
            }
            let errors = numbers(count * width);
            let mut slopes = numbers(width * dimension);
            let before = slopes.clone();
            add_slopes(&rows, &errors, width, &mut slopes);
            for (number, slope) in slopes.iter().enumerate() {
                let (output, place) = (number / dimension, number % dimension);
                let of_row = |row: usize| {
                    f64::from(errors[row * width + output] * rows[row * dimension + place])
                };
                let expected = f64::from(before[number]) + (0..count).map(of_row).sum::<f64>();
                assert!(
                    (f64::from(*slope) - expected).abs() < 1e-4,
                    "{slope}, expected {expected}"
                );
            }
        }
    }
}
