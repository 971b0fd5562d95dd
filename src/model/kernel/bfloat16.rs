//! Matrix product with bias and ReLU, of bfloat16 values summed in float32.
//!
//! In: float32 rows in tiles, weights rounded and laid out once. Out: float32 rows of groups. Needs
//! the AVX-512 BF16 instructions (`VDPBF16PS`: Intel's Cooper Lake, Sapphire Rapids and later; AMD's
//! Zen 4 and later), which multiply and add twice as many values as float32's; elsewhere
//! [`is_available`] says so. The loops are those of `gemm.rs` with pairs of inputs for inputs.

use half::bf16;
use multiversion::multiversion;

use super::Group;
use super::gemm::{Activation, PANEL, PANEL_GROUPS, PanelRow, pack_bias};
use super::tiles::{Pairs, TILE_ROWS, Tile, TiledRows};

/// Pairs of inputs in a tile.
const TILE_PAIRS: usize = 16;

/// Whether the processor multiplies bfloat16.
pub(in crate::model) fn is_available() -> bool {
    multiply(&[], &mut [], &PackedWeights::default(), &mut [])
}

/// The weights of a layer, laid out for [`multiply`](Self::multiply).
#[derive(Debug, Default)]
pub(in crate::model) struct PackedWeights {
    /// `[panels, inputs / 2]`.
    panels: Vec<PanelRow<u32>>,
    /// `[panels]`.
    bias: Vec<PanelRow>,
    /// Padded to whole tiles of pairs.
    pairs: usize,
    relu: bool,
}

impl PackedWeights {
    /// Rounds and lays out `weight`, `[outputs, inputs]`.
    pub(super) fn new(weight: &[f32], bias: &[f32], activation: Activation) -> Self {
        let inputs = weight.len() / bias.len();
        assert_eq!(weight.len(), inputs * bias.len(), "a weight for every input and output");
        let pairs = inputs.div_ceil(2).next_multiple_of(TILE_PAIRS);
        let mut panels = vec![PanelRow([0; PANEL]); bias.len().div_ceil(PANEL) * pairs];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / PANEL * pairs..][..pairs];
            for (values, pair) in panel.iter_mut().zip(row.chunks(2)) {
                let half = |index| u32::from(pair.get(index).map_or(0, |&x| bits(x)));
                // The earlier input is the lower half.
                values.0[output % PANEL] = half(0) | half(1) << 16;
            }
        }
        Self { panels, bias: pack_bias(bias), pairs, relu: activation == Activation::Relu }
    }

    /// Groups of a row of the output: whole panels.
    pub(super) fn output_groups(&self) -> usize {
        self.bias.len() * PANEL_GROUPS
    }

    /// Writes the product to `output`, `[rows, output_groups]`.
    ///
    /// # Panics
    /// Where [`is_available`] is false.
    pub(super) fn multiply(&self, rows: &mut TiledRows, output: &mut [Group]) {
        assert_eq!(rows.groups().div_ceil(2) * TILE_PAIRS, self.pairs, "rows of as many inputs");
        assert_eq!(output.len(), rows.rows() * self.output_groups(), "room for the product");
        let (tiles, narrow) = rows.narrow();
        assert!(multiply(tiles, narrow, self, output), "the processor multiplies bfloat16");
    }
}

fn bits(value: f32) -> u16 {
    bf16::from_f32(value).to_bits()
}

/// Rounds `tiles` into `narrow` and multiplies; false where the processor cannot.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512bf16"))]
fn multiply(
    tiles: &[Tile],
    narrow: &mut [[Pairs; TILE_ROWS]],
    weights: &PackedWeights,
    output: &mut [Group],
) -> bool {
    multiversion::target::match_target! {
        "x86_64+avx512f+avx512bw+avx512vl+avx512bf16" => {
            x86::round(tiles, narrow, weights.pairs / TILE_PAIRS);
            x86::multiply(narrow, weights, output);
            true
        }
        _ => {
            let _ = (tiles, narrow, weights, output);
            false
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512, __m512bh, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_max_ps, _mm512_set1_epi32,
        _mm512_setzero_ps,
    };

    use bytemuck::cast;

    use super::{Group, PANEL_GROUPS, PackedWeights, Pairs, PanelRow, TILE_PAIRS, TILE_ROWS, Tile};

    /// Rounds pairs of tiles, to nearest and then to even. An odd tile out gets zeros beside it.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) fn round(tiles: &[Tile], narrow: &mut [[Pairs; TILE_ROWS]], depth: usize) {
        if depth == 0 {
            return;
        }
        let groups = tiles.len() * depth / narrow.len().max(1);
        for (tiles, narrow) in tiles.chunks_exact(groups).zip(narrow.chunks_exact_mut(depth)) {
            for (pair, narrow) in tiles.chunks(2).zip(narrow) {
                for (row, narrow) in narrow.iter_mut().enumerate() {
                    let upper = pair.get(1).map_or(Group::ZERO, |tile| tile[row]);
                    narrow.0 = cast(_mm512_cvtne2ps_pbh(cast(upper.0), cast(pair[0][row].0)));
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) fn multiply(
        narrow: &[[Pairs; TILE_ROWS]],
        weights: &PackedWeights,
        output: &mut [Group],
    ) {
        if weights.pairs == 0 {
            return;
        }
        let width = weights.output_groups();
        let panels = weights.panels.chunks_exact(weights.pairs).zip(&weights.bias);
        for (panel, (weight, bias)) in panels.enumerate() {
            let weight = weight.as_chunks::<TILE_PAIRS>().0;
            let tiles = narrow.chunks_exact(weights.pairs / TILE_PAIRS);
            for (tiles, output) in tiles.zip(output.chunks_mut(TILE_ROWS * width)) {
                if output.len() > TILE_ROWS / 2 * width {
                    let sums = sums::<TILE_ROWS>(tiles, weight, bias);
                    write(&sums, output, width, panel, weights.relu);
                } else {
                    let sums = sums::<{ TILE_ROWS / 2 }>(tiles, weight, bias);
                    write(&sums, output, width, panel, weights.relu);
                }
            }
        }
    }

    /// The product of `ROWS` rows and a panel.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn sums<const ROWS: usize>(
        tiles: &[[Pairs; TILE_ROWS]],
        weight: &[[PanelRow<u32>; TILE_PAIRS]],
        bias: &PanelRow,
    ) -> [[__m512; PANEL_GROUPS]; ROWS] {
        let mut sums: [[__m512; PANEL_GROUPS]; ROWS] = [cast(bias.0); ROWS];
        for (tile, weight) in tiles.iter().zip(weight) {
            for (depth, weight) in weight.iter().enumerate() {
                let weight: [__m512bh; PANEL_GROUPS] = cast(weight.0);
                for (sums, pairs) in sums.iter_mut().zip(tile) {
                    let value = cast(_mm512_set1_epi32(pairs.0[depth].cast_signed()));
                    for (sum, weight) in sums.iter_mut().zip(weight) {
                        *sum = _mm512_dpbf16_ps(*sum, value, weight);
                    }
                }
            }
        }
        sums
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn write(
        sums: &[[__m512; PANEL_GROUPS]],
        output: &mut [Group],
        width: usize,
        panel: usize,
        relu: bool,
    ) {
        for (row, sums) in output.chunks_exact_mut(width).zip(sums) {
            let groups = &mut row[panel * PANEL_GROUPS..][..PANEL_GROUPS];
            for (group, &sum) in groups.iter_mut().zip(sums) {
                group.0 = cast(if relu { _mm512_max_ps(sum, _mm512_setzero_ps()) } else { sum });
            }
        }
    }
}
