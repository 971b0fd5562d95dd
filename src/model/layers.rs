//! Layers as a network's parameters hold them: linear ones, and batch norms as scale and shift.
//!
//! In: named tensors. Out: values, row-major. Refuses missing tensors and other shapes.

use super::weights::Weights;
use crate::error::Result;

/// A convolution or a dense layer: outputs come first in its weight.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) weight: Vec<f32>,
    /// `[outputs]`.
    pub(super) bias: Vec<f32>,
}

impl Layer {
    /// Takes `name.weight`, which must have `shape`, and `name.bias`.
    pub(super) fn take(weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Self> {
        Ok(Self {
            weight: weights.take_values(&format!("{name}.weight"), shape)?,
            bias: weights.take_values(&format!("{name}.bias"), &shape[..1])?,
        })
    }
}

/// A batch norm at rest: each channel times its scale, plus its shift.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    /// `[channels]`.
    pub(super) scale: Vec<f32>,
    /// `[channels]`.
    pub(super) shift: Vec<f32>,
}

impl Norm {
    /// Takes the four tensors of the norm `name`. S. Ioffe and C. Szegedy, "Batch Normalization",
    /// arXiv:1502.03167, algorithm 2, line 11.
    #[expect(clippy::cast_possible_truncation, reason = "computed in f64, kept in f32")]
    pub(super) fn take(
        weights: &mut Weights,
        name: &str,
        channels: usize,
        epsilon: f64,
    ) -> Result<Self> {
        let mut values = |part| weights.take_values(&format!("{name}.{part}"), &[channels]);
        let (mut scale, mut shift) = (values("weight")?, values("bias")?);
        let (mean, variance) = (values("mean")?, values("variance")?);
        for channel in 0..channels {
            let factor =
                f64::from(scale[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
            let moved = f64::from(shift[channel]) - f64::from(mean[channel]) * factor;
            (scale[channel], shift[channel]) = (factor as f32, moved as f32);
        }
        Ok(Self { scale, shift })
    }

    /// Applies it to `rows`, `[rows, channels]`.
    pub(super) fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.scale.len()) {
            for ((value, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
                *value = *value * scale + shift;
            }
        }
    }
}
