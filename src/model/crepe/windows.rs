//! The first layer's convolution: a product of the samples under the kernel with the kernel.
//!
//! In: frames as maps `[samples, frames, 1]`. Out: `[positions / 2, frames, outputs]`.

use tch::Tensor;

use super::convolution::{Kernel, pooled};
use crate::model::torch::{Place, Torch};
use crate::units::signed;

/// Positions that are computed at once, so that what a product gives is still near when the larger
/// of each two is taken.
const BLOCK_POSITIONS: usize = 16;

/// The convolution's weight, and what it moves over.
#[derive(Debug)]
pub(super) struct Windows {
    /// `[taps, outputs]`.
    weight: Tensor,
    taps: usize,
    stride: usize,
    padding: [usize; 2],
}

impl Windows {
    pub(super) fn new(kernel: &Kernel, place: Place) -> Torch<Self> {
        let weight = place.tensor(&kernel.weight, &[kernel.outputs, kernel.taps])?;
        Ok(Self {
            weight: weight.f_transpose(0, 1)?.f_contiguous()?,
            taps: kernel.taps,
            stride: kernel.stride,
            padding: kernel.padding,
        })
    }

    pub(super) fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        let (samples, frames, _) = maps.size3()?;
        let samples = usize::try_from(samples).unwrap_or(0);
        let [before, after] = self.padding;
        let length = before + samples + after;
        let padded = maps
            .f_view([signed(samples), frames])?
            .f_transpose(0, 1)?
            .f_constant_pad_nd([signed(before), signed(after)])?
            .f_contiguous()?;
        let positions = (length - self.taps) / self.stride + 1;
        let mut blocks = Vec::with_capacity(positions / BLOCK_POSITIONS);
        for first in (0..positions).step_by(BLOCK_POSITIONS) {
            let count = BLOCK_POSITIONS.min(positions - first);
            // Taps that meet nothing but zeros at all of the block's positions are left out.
            let from = before.saturating_sub(self.stride * (first + count - 1));
            let to = self.taps.min(before + samples - self.stride * first);
            let taps = signed(to - from);
            let windows = padded
                .f_as_strided(
                    [signed(count), frames, taps],
                    [signed(self.stride), signed(length), 1],
                    signed(self.stride * first + from),
                )?
                .f_reshape([-1, taps])?;
            let maps = windows.f_mm(&self.weight.f_narrow(0, signed(from), taps)?)?;
            blocks.push(pooled(&maps.f_view([signed(count), frames, -1])?)?);
        }
        Tensor::f_cat(&blocks, 0)
    }

    pub(super) fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), ..*self }
    }
}
