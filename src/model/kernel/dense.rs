//! A dense layer, or a pointwise convolution, in either precision.
//!
//! In: weights, then rows in tiles. Out: rows of groups, float32.

use half::bf16;
use pulp::Arch;

use super::gemm::Activation;
use super::tiles::TiledRows;
use super::{Group, bfloat16, gemm};
use crate::model::compute::Precision;

/// A layer whose weights are laid out for the processor.
#[derive(Debug)]
pub(in crate::model) enum Dense {
    /// Float32 throughout.
    Float32(gemm::PackedWeights),
    /// Products of bfloat16, by the processor's own instructions.
    Bfloat16(bfloat16::PackedWeights),
    /// The same products without such instructions: values are rounded, then multiplied as
    /// float32, so that the result is that of other processors but for the order of its sums.
    Rounded(gemm::PackedWeights),
}

impl Dense {
    /// Lays out `weight`, `[outputs, inputs]`.
    pub(in crate::model) fn new(
        weight: &[f32],
        bias: &[f32],
        activation: Activation,
        precision: Precision,
    ) -> Self {
        match precision {
            Precision::Float32 => Self::Float32(gemm::PackedWeights::new(weight, bias, activation)),
            Precision::Bfloat16 if bfloat16::is_available() => {
                Self::Bfloat16(bfloat16::PackedWeights::new(weight, bias, activation))
            }
            Precision::Bfloat16 => Self::rounded(weight, bias, activation),
        }
    }

    pub(super) fn rounded(weight: &[f32], bias: &[f32], activation: Activation) -> Self {
        let weight: Vec<f32> = weight.iter().map(|&value| round(value)).collect();
        Self::Rounded(gemm::PackedWeights::new(&weight, bias, activation))
    }

    /// Groups of a row of the output: a multiple of two, zeros behind the last value.
    pub(in crate::model) fn output_groups(&self) -> usize {
        match self {
            Self::Float32(weights) | Self::Rounded(weights) => weights.output_groups(),
            Self::Bfloat16(weights) => weights.output_groups(),
        }
    }

    /// Writes the layer's answer for `rows`, which may lose precision, to `output`,
    /// `[rows, output_groups]`.
    pub(in crate::model) fn apply(&self, arch: Arch, rows: &mut TiledRows, output: &mut [Group]) {
        match self {
            Self::Float32(weights) => weights.multiply(arch, rows, output),
            Self::Bfloat16(weights) => weights.multiply(rows, output),
            Self::Rounded(weights) => {
                for value in rows.tiles_mut().iter_mut().flatten().flat_map(|group| &mut group.0) {
                    *value = round(*value);
                }
                weights.multiply(arch, rows, output);
            }
        }
    }
}

/// `value` to the nearest bfloat16.
fn round(value: f32) -> f32 {
    bf16::from_f32(value).to_f32()
}
