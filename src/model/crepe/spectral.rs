//! A convolution by discrete Fourier transforms.
//!
//! In: maps `[positions, frames, inputs]`. Out: `[positions, frames, outputs]`.
//!
//! With 64 taps and 128 positions each of 81 frequencies has one complex product where each position
//! had 64 real ones: a twelfth of the multiplications. The transforms are products with a matrix of
//! cosines and sines, made in float64: they need no size with small factors, and leave the maps in the
//! order that the next product reads. The real and the imaginary part are rows of one real product,
//! with the kernel's two parts side by side; what belongs together is then added.

use std::f64::consts::TAU;

use tch::Tensor;

use super::convolution::Kernel;
use crate::model::torch::{Place, Torch};
use crate::units::signed;

/// The kernel's transform, and the matrices that lead there and back.
#[derive(Debug)]
pub(super) struct Spectral {
    /// `[frequencies × 2, positions]`: of each frequency a row of cosines and one of sines.
    there: Tensor,
    /// `[frequencies, inputs, 2 × outputs]`: real part, imaginary part.
    kernel: Tensor,
    /// `[positions, frequencies × 2]`.
    back: Tensor,
}

impl Spectral {
    pub(super) fn new(kernel: &Kernel, place: Place) -> Torch<Self> {
        let (positions, [before, after]) = (kernel.positions, kernel.padding);
        // Taps that reach over all positions only ever meet zeros.
        let (before, after) = (before.min(positions - 1), after.min(positions - 1));
        let first = kernel.padding[0] - before;
        let taps = before + 1 + after;
        // A transform takes positions as a circle: what reaches out before the first one meets the
        // zeros behind the last, of which there must be enough for either side.
        let circle = Circle { length: positions + before.max(after) };

        let there = circle.rows(0..signed(positions), -1.0, place)?;
        // Position p + t − before of the input counts for position p of the output: the other way
        // round than in a convolution, so that the kernel's transform turns the other way too.
        let turns = circle.rows(-signed(before)..signed(after) + 1, 1.0, place)?;
        let weight = place
            .tensor(&kernel.weight, &[kernel.outputs, kernel.inputs, kernel.taps])?
            .f_narrow(2, signed(first), signed(taps))?
            .f_permute([2, 1, 0])?
            .f_reshape([signed(taps), -1])?;
        let shape = [circle.frequencies(), 2, kernel.inputs, kernel.outputs].map(signed);
        let transform = turns.f_mm(&weight)?.f_view(shape)?.f_permute([0, 2, 1, 3])?;
        let shape = [circle.frequencies(), kernel.inputs, 2 * kernel.outputs].map(signed);
        let kernel = transform.f_contiguous()?.f_view(shape)?;
        Ok(Self { there, kernel, back: circle.back(positions, place)? })
    }

    pub(super) fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        let (positions, frames, inputs) = maps.size3()?;
        let products = self
            .there
            .f_mm(&maps.f_view([positions, -1])?)?
            .f_view([-1, 2 * frames, inputs])?
            .f_bmm(&self.kernel)?
            .f_view([self.kernel.size()[0], 2, frames, 2, -1])?;
        let part =
            |of_maps: i64, of_kernel: i64| products.f_select(1, of_maps)?.f_select(2, of_kernel);
        let real = part(0, 0)?.f_sub(&part(1, 1)?)?;
        let imaginary = part(0, 1)?.f_add(&part(1, 0)?)?;
        let spectrum = Tensor::f_stack(&[real, imaginary], 1)?;
        self.back
            .f_mm(&spectrum.f_view([self.back.size()[1], -1])?)?
            .f_view([positions, frames, -1])
    }

    pub(super) fn share(&self) -> Self {
        Self {
            there: self.there.shallow_clone(),
            kernel: self.kernel.shallow_clone(),
            back: self.back.shallow_clone(),
        }
    }
}

/// So many positions, the first behind the last.
#[derive(Clone, Copy)]
struct Circle {
    length: usize,
}

impl Circle {
    /// Frequencies of real values; the others are their mirror images.
    fn frequencies(self) -> usize {
        self.length / 2 + 1
    }

    /// The cosine and the sine of `frequency` at `position`.
    fn turn(self, frequency: usize, position: i64) -> [f64; 2] {
        // Whole turns are taken off while the numbers are exact.
        let steps = (signed(frequency) * position).rem_euclid(signed(self.length));
        let (sine, cosine) = (TAU * steps as f64 / self.length as f64).sin_cos();
        [cosine, sine]
    }

    /// `[frequencies × 2, positions]`: e to the power of i · `direction` · angle.
    #[expect(clippy::cast_possible_truncation, reason = "made in f64, applied in f32")]
    fn rows(self, positions: std::ops::Range<i64>, direction: f64, place: Place) -> Torch<Tensor> {
        let mut values = Vec::new();
        for frequency in 0..self.frequencies() {
            let turns = positions.clone().map(|position| self.turn(frequency, position));
            values.extend(turns.clone().map(|[cosine, _]| cosine as f32));
            values.extend(turns.map(|[_, sine]| (direction * sine) as f32));
        }
        let rows = 2 * self.frequencies();
        place.tensor(&values, &[rows, values.len() / rows])
    }

    /// `[positions, frequencies × 2]`: what makes real values of a spectrum.
    #[expect(clippy::cast_possible_truncation, reason = "made in f64, applied in f32")]
    fn back(self, positions: usize, place: Place) -> Torch<Tensor> {
        let mut values = Vec::with_capacity(positions * 2 * self.frequencies());
        for position in 0..signed(positions) {
            for frequency in 0..self.frequencies() {
                let [cosine, sine] = self.turn(frequency, position);
                // All but these two stand for their mirror image too.
                let is_alone = frequency == 0 || 2 * frequency == self.length;
                let share = if is_alone { 1.0 } else { 2.0 } / self.length as f64;
                values.extend([(share * cosine) as f32, (-share * sine) as f32]);
            }
        }
        place.tensor(&values, &[positions, 2 * self.frequencies()])
    }
}
