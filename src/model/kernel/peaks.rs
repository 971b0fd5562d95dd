//! A convolution of one channel and what follows it where only the strongest place counts: ReLU,
//! batch norm, and the largest over all positions of a row.
//!
//! In: rows of values, such as mel bands over time. Out: for each row the channels' peaks. Asserts
//! sizes: its callers are layers.
//!
//! Sums of neighbouring positions stay in registers while the taps stream past, each position's
//! value being read from the rows themselves, and the peak is taken there too: no map is ever
//! written. ReLU and norm follow the peak instead of coming before it, since they rise or fall
//! throughout; where a norm's scale is negative they fall, and the peak is that of the negated sums.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::depthwise::MapSize;
use super::gemm::{PANEL, PANEL_GROUPS, PanelRow, pack_bias, vectors};
use super::{GROUP, Group};
use crate::model::layers::{Layer, Norm};

/// A convolution of one channel, ReLU, batch norm, and the largest over a row's positions.
#[derive(Debug)]
pub(in crate::model) struct PeakConvolution {
    /// `[panels, height × width]`.
    taps: Vec<PanelRow>,
    /// `[panels]`.
    bias: Vec<PanelRow>,
    /// `[panels]`: 1 or −1.
    sign: Vec<PanelRow>,
    /// `[panels]`.
    scale: Vec<PanelRow>,
    /// `[panels]`.
    shift: Vec<PanelRow>,
    size: MapSize,
}

/// Rows of values that a convolution sees.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Rows<'a> {
    /// `[rows, width]`.
    pub(in crate::model) values: &'a [f32],
    pub(in crate::model) width: usize,
}

/// Where peaks go: a part of each row of `[rows, row_groups]`.
#[derive(Debug)]
pub(in crate::model) struct Peaks<'a> {
    pub(in crate::model) rows: &'a mut [Group],
    pub(in crate::model) row_groups: usize,
    /// The first group of the part.
    pub(in crate::model) column: usize,
}

impl PeakConvolution {
    /// Lays out `layer`, `[channels, height, width]`, and the norm that follows its ReLU.
    pub(in crate::model) fn new(layer: &Layer, norm: &Norm, size: MapSize) -> Self {
        let count = size.positions();
        assert_eq!(layer.weight.len(), layer.bias.len() * count, "a tap for every channel");
        let sign: Vec<f32> = norm.scale.iter().map(|&scale| 1_f32.copysign(scale)).collect();
        let mut taps = vec![PanelRow([0.0; PANEL]); layer.bias.len().div_ceil(PANEL) * count];
        for (channel, weight) in layer.weight.chunks_exact(count).enumerate() {
            let panel = &mut taps[channel / PANEL * count..][..count];
            for (tap, weight) in panel.iter_mut().zip(weight) {
                tap.0[channel % PANEL] = sign[channel] * weight;
            }
        }
        let bias: Vec<f32> = layer.bias.iter().zip(&sign).map(|(bias, sign)| bias * sign).collect();
        Self {
            taps,
            bias: pack_bias(&bias),
            sign: pack_bias(&sign),
            scale: pack_bias(&norm.scale),
            shift: pack_bias(&norm.shift),
            size,
        }
    }

    /// Groups of a row of peaks: whole panels, zeros behind the last channel.
    pub(in crate::model) fn output_groups(&self) -> usize {
        self.bias.len() * PANEL_GROUPS
    }

    /// Writes the peaks of the rows `range`; row `n` of the output sees as many rows of the input
    /// from `n` on as the kernel is high.
    pub(in crate::model) fn apply(
        &self,
        arch: Arch,
        input: Rows<'_>,
        range: Range<usize>,
        output: &mut Peaks<'_>,
    ) {
        let positions = (input.width + 1).saturating_sub(self.size.width);
        assert!(positions >= MOST_ROWS, "positions for a tile of sums");
        let last = (range.end + self.size.height - 1) * input.width;
        assert!(range.is_empty() || last <= input.values.len(), "rows below the last one");
        assert!(range.end * output.row_groups <= output.rows.len(), "room for the peaks");
        arch.dispatch(Apply { layer: self, input, range, positions, output });
    }
}

/// Positions that are summed side by side: with two registers of AVX-512 each, 24 sums.
const MOST_ROWS: usize = 12;

struct Apply<'a, 'b> {
    layer: &'a PeakConvolution,
    input: Rows<'a>,
    range: Range<usize>,
    positions: usize,
    output: &'a mut Peaks<'b>,
}

impl WithSimd for Apply<'_, '_> {
    type Output = ();

    /// Chooses sums of ROWS × VECTORS registers: there are 32 with AVX-512 and NEON, 16 with AVX2.
    /// With 32, a few rows less leave fewer positions that are summed twice.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let summed = |rows: usize| self.positions.div_ceil(rows) * rows;
        match S::F32_LANES {
            16 if summed(10) < summed(11).min(summed(12)) => self.cover::<S, 10, 2>(simd, 1),
            16 if summed(11) < summed(12) => self.cover::<S, 11, 2>(simd, 1),
            16 => self.cover::<S, 12, 2>(simd, 1),
            8 => self.cover::<S, 6, 2>(simd, 2),
            4 => self.cover::<S, 6, 4>(simd, 2),
            _ => self.cover::<S, 2, 4>(simd, PANEL / S::F32_LANES / 4),
        }
    }
}

impl Apply<'_, '_> {
    #[inline(always)]
    fn cover<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S, parts: usize) {
        let Self { layer, input, range, positions, output } = self;
        let zero = simd.splat_f32s(0.0);
        for (panel, taps) in layer.taps.chunks_exact(layer.size.positions()).enumerate() {
            for part in 0..parts {
                let of = |rows: &[PanelRow]| vectors::<S, VECTORS>(&rows[panel], part);
                let (bias, sign) = (of(&layer.bias), of(&layer.sign));
                let (scale, shift) = (of(&layer.scale), of(&layer.shift));
                for frame in range.clone() {
                    let window = &input.values[frame * input.width..];
                    let mut peaks = [simd.splat_f32s(f32::NEG_INFINITY); VECTORS];
                    for first in (0..positions).step_by(ROWS) {
                        // What is summed twice changes no maximum.
                        let first = first.min(positions - ROWS);
                        let mut sums = [bias; ROWS];
                        let rows = window[first..].chunks(input.width);
                        for (row, taps) in rows.zip(taps.chunks_exact(layer.size.width)) {
                            for (values, tap) in row.windows(ROWS).zip(taps) {
                                let tap = vectors::<S, VECTORS>(tap, part);
                                for (sums, &value) in sums.iter_mut().zip(values) {
                                    let value = simd.splat_f32s(value);
                                    for (sum, tap) in sums.iter_mut().zip(tap) {
                                        *sum = simd.mul_add_f32s(value, tap, *sum);
                                    }
                                }
                            }
                        }
                        for sums in sums {
                            for (peak, sum) in peaks.iter_mut().zip(sums) {
                                *peak = simd.max_f32s(*peak, sum);
                            }
                        }
                    }
                    let row = &mut output.rows[frame * output.row_groups + output.column..];
                    for vector in 0..VECTORS {
                        let peak = simd.mul_f32s(peaks[vector], sign[vector]);
                        let peak = simd.max_f32s(peak, zero);
                        let peak = simd.mul_add_f32s(peak, scale[vector], shift[vector]);
                        let lane = (part * VECTORS + vector) * S::F32_LANES;
                        let group = &mut row[panel * PANEL_GROUPS + lane / GROUP];
                        S::as_mut_simd_f32s(&mut group.0).0[lane % GROUP / S::F32_LANES] = peak;
                    }
                }
            }
        }
    }
}
