//! Depthwise 3×3 convolution with bias and ReLU, into tiles for the product that follows.
//!
//! In: maps `[patches, height, width, groups]`. Out: [`TiledRows`], a row for each position of the
//! output. Padding is TensorFlow's "SAME": with stride 1 a border of one everywhere, with stride 2,
//! where sizes are even, one behind the last row and column.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::tiles::{TILE_ROWS, TiledRows};
use super::{GROUP, Group};

/// Height and width of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) struct MapSize {
    pub(in crate::model) height: usize,
    pub(in crate::model) width: usize,
}

impl MapSize {
    /// The size after a convolution of `stride`, padded to keep it.
    pub(in crate::model) fn strided(self, stride: usize) -> Self {
        Self { height: self.height.div_ceil(stride), width: self.width.div_ceil(stride) }
    }

    pub(in crate::model) fn positions(self) -> usize {
        self.height * self.width
    }
}

/// A depthwise convolution.
#[derive(Debug)]
pub(in crate::model) struct Depthwise {
    /// `[groups]`: nine weights each, and the bias.
    weights: Vec<([Group; 9], Group)>,
    stride: usize,
}

impl Depthwise {
    /// Lays out `weight`, `[channels, 3, 3]`; channels are whole groups, the stride is 1 or 2.
    pub(in crate::model) fn new(weight: &[f32], bias: &[f32], stride: usize) -> Self {
        assert!(bias.len().is_multiple_of(GROUP) && weight.len() == 9 * bias.len());
        assert!(stride == 1 || stride == 2);
        let weights = weight.chunks_exact(9 * GROUP).zip(bias.as_chunks::<GROUP>().0);
        let lay_out = |(weight, bias): (&[f32], &[f32; GROUP])| {
            let tap = |tap| Group(std::array::from_fn(|channel| weight[9 * channel + tap]));
            (std::array::from_fn(tap), Group(*bias))
        };
        Self { weights: weights.map(lay_out).collect(), stride }
    }

    pub(in crate::model) fn stride(&self) -> usize {
        self.stride
    }

    pub(in crate::model) fn groups(&self) -> usize {
        self.weights.len()
    }

    /// Computes `output_rows` (rows of the output maps, counted through all patches) of `maps`,
    /// whose size is `size`, into `tiles`.
    pub(in crate::model) fn convolve(
        &self,
        arch: Arch,
        maps: &[Group],
        size: MapSize,
        output_rows: Range<usize>,
        tiles: &mut TiledRows,
    ) {
        let output = size.strided(self.stride);
        assert!(
            self.stride == 1 || (size.height.is_multiple_of(2) && size.width.is_multiple_of(2)),
            "even sizes"
        );
        assert!(size.width >= 2 && size.height >= 2, "a border on one side at a time");
        tiles.reset(output_rows.len() * output.width, self.groups());
        arch.dispatch(Convolve { layer: self, maps, size, output, output_rows, tiles });
    }
}

struct Convolve<'a> {
    layer: &'a Depthwise,
    maps: &'a [Group],
    size: MapSize,
    output: MapSize,
    output_rows: Range<usize>,
    tiles: &'a mut TiledRows,
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // A register's worth of channels after another, so that their weights stay in registers.
        for group in 0..self.layer.groups() {
            for part in 0..GROUP / S::F32_LANES {
                self.channels(simd, group, part);
            }
        }
    }
}

impl Convolve<'_> {
    #[inline(always)]
    fn channels<S: Simd>(&mut self, simd: S, group: usize, part: usize) {
        let (size, stride, groups) = (self.size, self.layer.stride, self.layer.groups());
        let before = usize::from(stride == 1);
        let (weights, bias) = &self.layer.weights[group];
        let weights: [S::f32s; 9] = std::array::from_fn(|tap| lanes::<S>(&weights[tap], part));
        let bias = lanes::<S>(bias, part);
        let zero = simd.splat_f32s(0.0);
        let tiles = self.tiles.tiles_mut();
        let (mut tile, mut tile_row) = (group, 0);
        for row in self.output_rows.clone() {
            let (patch, y) = (row / self.output.height, row % self.output.height);
            // Outside the map any row will do, with weights of zero: no branch for each tap.
            let mut taps = weights;
            let mut rows = [&self.maps[..0]; 3];
            for (tap, input) in rows.iter_mut().enumerate() {
                let inside = (y * stride + tap).checked_sub(before).filter(|&y| y < size.height);
                if inside.is_none() {
                    taps[3 * tap..3 * tap + 3].fill(zero);
                }
                let row = patch * size.height + inside.unwrap_or(0);
                *input = &self.maps[row * size.width * groups..][..size.width * groups];
            }
            // The columns of the window, which moves from left to right over the row.
            let mut window = [[zero; 3]; 3];
            window[2] = column::<S>(&rows, group, part);
            let mut next = group + groups;
            for x in 0..self.output.width {
                if stride == 1 {
                    window = [window[1], window[2], [zero; 3]];
                } else {
                    window = [window[2], column::<S>(&rows, next, part), [zero; 3]];
                    next += groups;
                }
                if x + 1 < self.output.width {
                    window[2] = column::<S>(&rows, next, part);
                    next += groups;
                }
                let mut sum = bias;
                for row in 0..3 {
                    for column in 0..3 {
                        sum = simd.mul_add_f32s(window[column][row], taps[3 * row + column], sum);
                    }
                }
                let output = S::as_mut_simd_f32s(&mut tiles[tile][tile_row].0).0;
                output[part] = simd.max_f32s(sum, zero);
                tile_row += 1;
                if tile_row == TILE_ROWS {
                    tile_row = 0;
                    tile += groups;
                }
            }
        }
    }
}

/// The values of three rows at `place`.
#[inline(always)]
fn column<S: Simd>(rows: &[&[Group]; 3], place: usize, part: usize) -> [S::f32s; 3] {
    [
        lanes::<S>(&rows[0][place], part),
        lanes::<S>(&rows[1][place], part),
        lanes::<S>(&rows[2][place], part),
    ]
}

/// Register `part` of a group.
#[inline(always)]
fn lanes<S: Simd>(group: &Group, part: usize) -> S::f32s {
    S::as_simd_f32s(&group.0).0[part]
}
