//! A layer of CREPE: convolution, ReLU, batch norm, and the larger of each two positions.
//!
//! In: maps `[positions, frames, inputs]`. Out: maps `[positions / 2, frames, outputs]`.

use tch::Tensor;

use super::convolution::{Convolution, Kernel, Method};
use super::{FIRST, FRAME_SAMPLES, NORM_EPSILON, TAPS};
use crate::error::Result;
use crate::model::torch::{Place, Torch};
use crate::model::weights::Weights;

/// A layer's parameters. The norm's scale is folded into the convolution before it, whatever its
/// sign: with γ the scale, b the bias and β the shift, γ · relu(x + b) + β is β more than γx + γb
/// without what is negative where γ is positive, and without what is positive where γ is negative.
/// Neither that cut nor an addition changes which of two positions is the larger, so that pooling
/// comes first and the rest has half as much to do.
pub(super) struct Parameters {
    /// Scaled by γ.
    kernel: Kernel,
    /// γb, `[outputs]`.
    bias: Vec<f32>,
    /// Between which values γx + γb is kept, `[outputs]` each.
    least: Vec<f32>,
    most: Vec<f32>,
    /// β, `[outputs]`.
    shift: Vec<f32>,
}

impl Parameters {
    /// Takes the tensors of layer `index`.
    #[expect(clippy::cast_possible_truncation, reason = "folded in f64, kept in f32")]
    pub(super) fn take(
        weights: &mut Weights,
        index: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let name = layer_name(index);
        let (taps, stride) = if index == 0 { FIRST } else { (TAPS, 1) };
        let shape = [outputs, inputs, taps];
        let mut weight = weights.take_values(&format!("{name}.convolution.weight"), &shape)?;
        // As many positions as the stride leaves; where that takes an odd number of zeros, one more
        // behind.
        let before = (taps - stride) / 2;
        let padding = [before, taps - stride - before];
        let positions = if index == 0 { FRAME_SAMPLES } else { (FRAME_SAMPLES / FIRST.1) >> index };
        let mut take = |part: &str| weights.take_values(&format!("{name}.{part}"), &[outputs]);
        let mut bias = take("convolution.bias")?;
        let (scale, shift) = (take("norm.weight")?, take("norm.bias")?);
        let (mean, variance) = (take("norm.mean")?, take("norm.variance")?);
        let (mut least, mut most) = (Vec::with_capacity(outputs), Vec::with_capacity(outputs));
        let mut shifts = Vec::with_capacity(outputs);
        for (output, kernel) in weight.chunks_exact_mut(inputs * taps).enumerate() {
            let deviation = (f64::from(variance[output]) + NORM_EPSILON).sqrt();
            let scale = f64::from(scale[output]) / deviation;
            for value in kernel {
                *value = (f64::from(*value) * scale) as f32;
            }
            bias[output] = (f64::from(bias[output]) * scale) as f32;
            least.push(if scale < 0.0 { f32::NEG_INFINITY } else { 0.0 });
            most.push(if scale < 0.0 { 0.0 } else { f32::INFINITY });
            shifts.push((f64::from(shift[output]) - f64::from(mean[output]) * scale) as f32);
        }
        let kernel = Kernel { weight, outputs, inputs, taps, stride, padding, positions };
        Ok(Self { kernel, bias, least, most, shift: shifts })
    }
}

/// The name of layer `index`; the paper counts from 1.
pub(super) fn layer_name(index: usize) -> String {
    format!("layer{}", index + 1)
}

/// A layer, ready to run.
#[derive(Debug)]
pub(super) struct Layer {
    convolution: Convolution,
    bias: Tensor,
    least: Tensor,
    most: Tensor,
    shift: Tensor,
}

impl Layer {
    pub(super) fn new(parameters: &Parameters, place: Place, method: Method) -> Torch<Self> {
        let row = |values: &[f32]| place.tensor(values, &[values.len()]);
        Ok(Self {
            convolution: Convolution::new(&parameters.kernel, place, method)?,
            bias: row(&parameters.bias)?,
            least: row(&parameters.least)?,
            most: row(&parameters.most)?,
            shift: row(&parameters.shift)?,
        })
    }

    pub(super) fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        self.convolution
            .forward(maps)?
            .f_add_(&self.bias)?
            .f_clamp_tensor_(Some(&self.least), Some(&self.most))?
            .f_add_(&self.shift)
    }

    pub(super) fn share(&self) -> Self {
        Self {
            convolution: self.convolution.share(),
            bias: self.bias.shallow_clone(),
            least: self.least.shallow_clone(),
            most: self.most.shallow_clone(),
            shift: self.shift.shallow_clone(),
        }
    }
}
