//! Matrix product with bias and ReLU in float32: a pointwise convolution or a dense layer.
//!
//! In: rows in tiles ([`TiledRows`]), weights laid out once ([`PackedWeights`]). Out: rows of
//! groups. Asserts sizes: its callers are layers.
//!
//! The loops are those of K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication", ACM TOMS 34(3), 2008: a tile of sums stays in registers while its rows and a
//! panel of the weights stream past.

use pulp::{Arch, Simd, WithSimd};

use super::tiles::{TILE_ROWS, TiledRows};
use super::{GROUP, Group};

/// Columns of a panel: with [`TILE_ROWS`], 24 sums in registers of AVX-512.
pub(super) const PANEL: usize = 32;
/// Groups of a panel.
pub(super) const PANEL_GROUPS: usize = PANEL / GROUP;

/// What follows the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Activation {
    /// Nothing.
    Linear,
    /// Negative values become zero.
    Relu,
}

/// One value for each column of a panel, on cache lines of their own.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct PanelRow<T = f32>(pub(super) [T; PANEL]);

/// The weights of a layer, laid out for [`multiply`](Self::multiply).
#[derive(Debug)]
pub(in crate::model) struct PackedWeights {
    /// `[panels, inputs]`.
    panels: Vec<PanelRow>,
    /// `[panels]`.
    bias: Vec<PanelRow>,
    /// Padded to whole groups.
    inputs: usize,
    activation: Activation,
}

impl PackedWeights {
    /// Lays out `weight`, `[outputs, inputs]`.
    pub(in crate::model) fn new(weight: &[f32], bias: &[f32], activation: Activation) -> Self {
        let inputs = weight.len() / bias.len();
        assert_eq!(weight.len(), inputs * bias.len(), "a weight for every input and output");
        let padded = inputs.next_multiple_of(GROUP);
        let mut panels = vec![PanelRow([0.0; PANEL]); bias.len().div_ceil(PANEL) * padded];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / PANEL * padded..][..padded];
            for (values, &weight) in panel.iter_mut().zip(row) {
                values.0[output % PANEL] = weight;
            }
        }
        Self { panels, bias: pack_bias(bias), inputs: padded, activation }
    }

    /// Groups of a row of the output: whole panels.
    pub(in crate::model) fn output_groups(&self) -> usize {
        self.bias.len() * PANEL_GROUPS
    }

    /// Writes the product to `output`, `[rows, output_groups]`.
    pub(in crate::model) fn multiply(&self, arch: Arch, rows: &TiledRows, output: &mut [Group]) {
        assert_eq!(rows.groups() * GROUP, self.inputs, "rows of as many inputs");
        assert_eq!(output.len(), rows.rows() * self.output_groups(), "room for the product");
        arch.dispatch(Multiply { weights: self, rows, output });
    }
}

/// Biases in panels, zeros behind the last one.
pub(super) fn pack_bias(bias: &[f32]) -> Vec<PanelRow> {
    let pack = |values: &[f32]| {
        let mut row = PanelRow([0.0; PANEL]);
        row.0[..values.len()].copy_from_slice(values);
        row
    };
    bias.chunks(PANEL).map(pack).collect()
}

struct Multiply<'a> {
    weights: &'a PackedWeights,
    rows: &'a TiledRows,
    output: &'a mut [Group],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, rows, output } = self;
        let width = weights.output_groups();
        let panels = weights.panels.chunks_exact(weights.inputs).zip(&weights.bias);
        for (panel, (weight, bias)) in panels.enumerate() {
            let tiles = rows.tiles().chunks_exact(rows.groups());
            for (tiles, output) in tiles.zip(output.chunks_mut(TILE_ROWS * width)) {
                let mut product = Product {
                    simd,
                    tiles,
                    weight: weight.as_chunks::<GROUP>().0,
                    bias,
                    relu: weights.activation == Activation::Relu,
                    output,
                    width,
                    column: panel * PANEL_GROUPS,
                };
                product.compute();
            }
        }
    }
}

/// The product of up to [`TILE_ROWS`] rows and a panel.
struct Product<'a, S> {
    simd: S,
    tiles: &'a [[Group; TILE_ROWS]],
    weight: &'a [[PanelRow; GROUP]],
    bias: &'a PanelRow,
    relu: bool,
    output: &'a mut [Group],
    width: usize,
    column: usize,
}

impl<S: Simd> Product<'_, S> {
    /// Chooses sums of ROWS × VECTORS registers: there are 32 with AVX-512 and NEON, 16 with AVX2.
    #[inline(always)]
    fn compute(&mut self) {
        match S::F32_LANES {
            16 if self.output.len() <= self.width * (TILE_ROWS / 2) => self.cover::<6, 2>(1),
            16 => self.cover::<12, 2>(1),
            8 => self.cover::<6, 2>(2),
            4 => self.cover::<6, 4>(2),
            _ => self.cover::<2, 4>(PANEL / S::F32_LANES / 4),
        }
    }

    #[inline(always)]
    fn cover<const ROWS: usize, const VECTORS: usize>(&mut self, parts: usize) {
        for first_row in (0..self.output.len() / self.width).step_by(ROWS) {
            for part in 0..parts {
                self.sums::<ROWS, VECTORS>(first_row, part);
            }
        }
    }

    #[inline(always)]
    fn sums<const ROWS: usize, const VECTORS: usize>(&mut self, first_row: usize, part: usize) {
        let simd = self.simd;
        let mut sums = [vectors::<S, VECTORS>(self.bias, part); ROWS];
        for (tile, weight) in self.tiles.iter().zip(self.weight) {
            let tile = &tile.as_chunks::<ROWS>().0[first_row / ROWS];
            for (depth, weight) in weight.iter().enumerate() {
                let weight = vectors::<S, VECTORS>(weight, part);
                for (sums, group) in sums.iter_mut().zip(tile) {
                    let value = simd.splat_f32s(group.0[depth]);
                    for (sum, weight) in sums.iter_mut().zip(weight) {
                        *sum = simd.mul_add_f32s(value, weight, *sum);
                    }
                }
            }
        }
        let zero = simd.splat_f32s(0.0);
        let output = self.output.chunks_exact_mut(self.width).skip(first_row);
        for (row, sums) in output.zip(sums) {
            for (vector, sum) in sums.into_iter().enumerate() {
                let lane = (part * VECTORS + vector) * S::F32_LANES;
                let group = &mut row[self.column + lane / GROUP];
                S::as_mut_simd_f32s(&mut group.0).0[lane % GROUP / S::F32_LANES] =
                    if self.relu { simd.max_f32s(sum, zero) } else { sum };
            }
        }
    }
}

/// Some registers of a panel's row.
#[inline(always)]
pub(super) fn vectors<S: Simd, const VECTORS: usize>(
    row: &PanelRow,
    part: usize,
) -> [S::f32s; VECTORS] {
    S::as_simd_f32s(&row.0).0.as_chunks::<VECTORS>().0[part]
}
