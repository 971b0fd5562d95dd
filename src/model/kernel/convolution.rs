//! The first 3×3 convolution of an image-like network: stride 2, one input channel, bias and ReLU.
//!
//! In: patches `[height, width]`. Out: maps `[height / 2, width / 2, groups]`. Padding is
//! TensorFlow's "SAME" for even sizes: one row and column of zeros behind.

use pulp::{Arch, Simd, WithSimd};

use super::depthwise::MapSize;
use super::{GROUP, Group};

/// A 3×3 convolution of stride 2 from one channel to two groups.
#[derive(Debug)]
pub(in crate::model) struct FirstConvolution {
    taps: [[Group; GROUPS]; 9],
    bias: [Group; GROUPS],
}

/// Groups of its output.
pub(in crate::model) const GROUPS: usize = 2;

impl FirstConvolution {
    /// Lays out `weight`, `[channels, 3, 3]`.
    pub(in crate::model) fn new(weight: &[f32], bias: &[f32]) -> Self {
        assert!(bias.len() == GROUPS * GROUP && weight.len() == 9 * bias.len());
        let value = |group, channel, tap| weight[9 * (GROUP * group + channel) + tap];
        let tap = |tap| {
            std::array::from_fn(|group| {
                Group(std::array::from_fn(|channel| value(group, channel, tap)))
            })
        };
        let bias = |group| Group(std::array::from_fn(|channel| bias[GROUP * group + channel]));
        Self { taps: std::array::from_fn(tap), bias: std::array::from_fn(bias) }
    }

    /// Convolves `patch` of `size` into `output`; `padded` is scratch.
    pub(in crate::model) fn convolve(
        &self,
        arch: Arch,
        patch: &[f32],
        size: MapSize,
        padded: &mut Vec<f32>,
        output: &mut [Group],
    ) {
        assert!(size.height.is_multiple_of(2) && size.width.is_multiple_of(2), "even sizes");
        assert_eq!(patch.len(), size.positions(), "one patch");
        assert_eq!(output.len(), size.strided(2).positions() * GROUPS, "room for the maps");
        // Only the border behind needs its zeros, which later patches do not overwrite.
        let width = size.width + 1;
        padded.resize((size.height + 1) * width, 0.0);
        for (row, values) in padded.chunks_exact_mut(width).zip(patch.chunks_exact(size.width)) {
            row[..size.width].copy_from_slice(values);
        }
        arch.dispatch(Convolve { layer: self, padded, width, output });
    }
}

struct Convolve<'a> {
    layer: &'a FirstConvolution,
    padded: &'a [f32],
    width: usize,
    output: &'a mut [Group],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, padded, width, output } = self;
        let zero = simd.splat_f32s(0.0);
        let lanes = |group: &Group, part: usize| S::as_simd_f32s(&group.0).0[part];
        for part in 0..GROUP / S::F32_LANES {
            let taps = layer.taps.each_ref().map(|tap| tap.each_ref().map(|g| lanes(g, part)));
            let bias = layer.bias.each_ref().map(|group| lanes(group, part));
            for (y, output) in output.chunks_exact_mut(width / 2 * GROUPS).enumerate() {
                let rows: [&[f32]; 3] =
                    std::array::from_fn(|row| &padded[(2 * y + row) * width..][..width]);
                for (x, output) in output.as_chunks_mut::<GROUPS>().0.iter_mut().enumerate() {
                    let mut sums = bias;
                    for (row, values) in rows.iter().enumerate() {
                        let Some(values) = values.get(2 * x..2 * x + 3) else { break };
                        for column in 0..3 {
                            let value = simd.splat_f32s(values[column]);
                            for (sum, tap) in sums.iter_mut().zip(taps[3 * row + column]) {
                                *sum = simd.mul_add_f32s(value, tap, *sum);
                            }
                        }
                    }
                    for (group, sum) in output.iter_mut().zip(sums) {
                        S::as_mut_simd_f32s(&mut group.0).0[part] = simd.max_f32s(sum, zero);
                    }
                }
            }
        }
    }
}
