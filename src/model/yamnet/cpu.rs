//! YAMNet on the processor, by kernels of our own.
//!
//! In: parameters, then patches. Out: embeddings and scores; a patch's are the same to the last bit
//! whatever its batch.
//!
//! The early layers have large maps and small weights, so they run patch by patch; the late ones
//! have small maps and large weights, so they run over all patches at once. A block of rows goes
//! through a layer's depthwise and pointwise convolutions while it is in the cache.
//!
//! A recording's patches overlap by half. Rows of early maps that see only the common frames are
//! taken from the patch before, which saves a tenth of the time; the same sums made them, so that
//! the result is the same to the last bit.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use pulp::Arch;

use super::{EMBEDDING, FIRST_CHANNELS, FRONT_END, Parameters};
use crate::error::Result;
use crate::frontend::spec;
use crate::model::compute::Precision;
use crate::model::kernel::convolution::FirstConvolution;
use crate::model::kernel::dense::Dense;
use crate::model::kernel::depthwise::{Depthwise, MapSize};
use crate::model::kernel::gemm::Activation;
use crate::model::kernel::tiles::TiledRows;
use crate::model::kernel::{GROUP, Group};
use crate::model::network::{Batch, Network, NetworkOutput};

/// Layers that run patch by patch: to the last whose maps exceed its weights.
const EARLY_LAYERS: usize = 5;
/// Patches that go through the late layers at once; bounds the buffers to about 4 MB. More are no
/// faster, because by then the weights are used often enough for each time that they are read.
const BATCH: usize = 16;
/// Positions that go through a layer's two convolutions at once. Their tiles take 12 to 393 KB of
/// the second cache, and whole rows and maps of every layer fit in.
const BLOCK_POSITIONS: usize = 96;

/// The network with its weights and buffers.
#[derive(Debug)]
pub(super) struct Yamnet {
    layers: Arc<Layers>,
    buffers: RefCell<Buffers>,
}

#[derive(Debug)]
struct Layers {
    arch: Arch,
    first: FirstConvolution,
    separable: Vec<Separable>,
    classifier: Dense,
    classes: usize,
}

#[derive(Debug)]
struct Separable {
    /// Of the maps that go in.
    size: MapSize,
    depthwise: Depthwise,
    pointwise: Dense,
}

/// What a run writes to, kept for the next one.
#[derive(Debug, Default)]
struct Buffers {
    padded: Vec<f32>,
    tiles: TiledRows,
    /// The patch that was run last.
    patch: Vec<f32>,
    /// Its maps: of the first convolution, and of each early layer.
    early: [Vec<Group>; EARLY_LAYERS + 1],
    /// Maps of a batch, in and out.
    batch: [Vec<Group>; 2],
}

impl Yamnet {
    /// Lays the weights out for this processor.
    pub(super) fn new(parameters: &Parameters, precision: Precision) -> Self {
        let relu = Activation::Relu;
        let mut size = PATCH.strided(2);
        let separable = parameters.separable.iter().map(|layer| {
            let (depthwise, pointwise) = (&layer.depthwise, &layer.pointwise);
            let depthwise = Depthwise::new(&depthwise.weight, &depthwise.bias, layer.stride);
            let pointwise = Dense::new(&pointwise.weight, &pointwise.bias, relu, precision);
            let separable = Separable { size, depthwise, pointwise };
            size = size.strided(layer.stride);
            separable
        });
        let separable = separable.collect();
        let classifier = &parameters.classifier;
        let layers = Layers {
            arch: Arch::new(),
            first: FirstConvolution::new(&parameters.first.weight, &parameters.first.bias),
            separable,
            // Float32 always: it takes 1 % of the time, and scores are shown as they are.
            classifier: Dense::new(
                &classifier.weight,
                &classifier.bias,
                Activation::Linear,
                Precision::Float32,
            ),
            classes: classifier.bias.len(),
        };
        Self { layers: Arc::new(layers), buffers: RefCell::default() }
    }
}

const PATCH: MapSize =
    MapSize { height: FRONT_END.patch_frames, width: spec::YAMNET_MEL.mel_bands };

impl Network for Yamnet {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let mut buffers = self.buffers.borrow_mut();
        let mut output = NetworkOutput::default();
        for batch in batch.values.chunks(BATCH * PATCH.positions()) {
            self.layers.run(batch, &mut buffers, &mut output);
        }
        Ok(output)
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(Self { layers: Arc::clone(&self.layers), buffers: RefCell::default() })
    }
}

impl Layers {
    /// Appends what it says of `patches` to `output`.
    fn run(&self, patches: &[f32], buffers: &mut Buffers, output: &mut NetworkOutput) {
        let Buffers { padded, tiles, patch: last, early: early_maps, batch: [maps, batch_result] } =
            buffers;
        let (early, late) = self.separable.split_at(EARLY_LAYERS);
        maps.clear();
        for patch in patches.chunks_exact(PATCH.positions()) {
            let half = patch.len() / 2;
            // Patches overlap by half, so that rows inside the first half were computed before.
            let shared = last.get(half..) == Some(&patch[..half]);
            last.clear();
            let groups = FIRST_CHANNELS / GROUP;
            early_maps[0].resize(PATCH.strided(2).positions() * groups, Group::ZERO);
            self.first.convolve(self.arch, patch, PATCH, padded, &mut early_maps[0]);
            let mut known = if shared { inner(0..PATCH.height / 2, 2) } else { 0..0 };
            for (index, layer) in early.iter().enumerate() {
                let (inputs, outputs) = early_maps.split_at_mut(index + 1);
                known = inner(known, layer.depthwise.stride());
                layer.run(self.arch, &inputs[index], tiles, &mut outputs[0], known.clone());
            }
            maps.extend_from_slice(&early_maps[EARLY_LAYERS]);
            // Only now: a panic above must not leave maps that another patch would take for its own.
            last.extend_from_slice(patch);
        }
        for layer in late {
            layer.run(self.arch, maps, tiles, batch_result, 0..0);
            std::mem::swap(maps, batch_result);
        }
        let patch_count = patches.len() / PATCH.positions();
        mean(maps, patch_count, batch_result);
        output.embeddings.extend(batch_result.iter().flat_map(|group| group.0));
        tiles.copy_from(batch_result, EMBEDDING / GROUP);
        maps.resize(patch_count * self.classifier.output_groups(), Group::ZERO);
        self.classifier.apply(self.arch, tiles, maps);
        for row in maps.chunks_exact(self.classifier.output_groups()) {
            let scores = row.iter().flat_map(|group| group.0).take(self.classes);
            output.scores.extend(scores.map(|score| 1.0 / (1.0 + (-score).exp())));
        }
    }
}

impl Separable {
    /// Replaces `output` by the layer's maps of `input`. Its rows `known` are those half a map
    /// further down, which were computed for the patch before.
    fn run(
        &self,
        arch: Arch,
        input: &[Group],
        tiles: &mut TiledRows,
        output: &mut Vec<Group>,
        known: Range<usize>,
    ) {
        let patches = input.len() / (self.size.positions() * self.depthwise.groups());
        let size = self.size.strided(self.depthwise.stride());
        let row_groups = size.width * self.pointwise.output_groups();
        output.resize(patches * size.height * row_groups, Group::ZERO);
        let below = known.start + size.height / 2..known.end + size.height / 2;
        output.copy_within(
            below.start * row_groups..below.end * row_groups,
            known.start * row_groups,
        );
        let block_rows = BLOCK_POSITIONS / size.width;
        for range in [0..known.start, known.end..patches * size.height] {
            let mut row = range.start;
            let rows = &mut output[range.start * row_groups..range.end * row_groups];
            for block in rows.chunks_mut(block_rows * row_groups) {
                let end = row + block.len() / row_groups;
                self.depthwise.convolve(arch, input, self.size, row..end, tiles);
                self.pointwise.apply(arch, tiles, block);
                row = end;
            }
        }
    }
}

/// The rows of a 3×3 convolution of `stride` that see only `rows` of its input.
fn inner(rows: Range<usize>, stride: usize) -> Range<usize> {
    let inner = if stride == 1 {
        rows.start + 1..rows.end.saturating_sub(1)
    } else {
        rows.start.div_ceil(2)..rows.end.saturating_sub(1) / 2
    };
    if inner.is_empty() { 0..0 } else { inner }
}

/// Replaces `means` by the mean over the positions of each of `patch_count` maps.
fn mean(maps: &[Group], patch_count: usize, means: &mut Vec<Group>) {
    means.clear();
    for patch in maps.chunks_exact(maps.len() / patch_count) {
        let positions = patch.chunks_exact(EMBEDDING / GROUP);
        let share = 1.0 / positions.len() as f32;
        let first = means.len();
        means.resize(first + EMBEDDING / GROUP, Group::ZERO);
        for position in positions {
            for (mean, group) in means[first..].iter_mut().zip(position) {
                for (mean, value) in mean.0.iter_mut().zip(group.0) {
                    *mean += value;
                }
            }
        }
        for value in means[first..].iter_mut().flat_map(|mean| &mut mean.0) {
            *value *= share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_rows_see_nothing_else() {
        for stride in [1, 2] {
            for (start, end) in [(0, 48), (1, 22), (1, 10), (2, 9), (1, 4), (2, 3), (0, 0)] {
                // Row y sees inputs from y - 1 on with stride 1, from 2y on with stride 2.
                let sees = |y: usize| match stride {
                    1 => y.checked_sub(1).is_some_and(|first| first >= start) && y + 2 <= end,
                    _ => 2 * y >= start && 2 * y + 3 <= end,
                };
                let found = inner(start..end, stride);
                assert!(
                    (0..50).all(|y| found.contains(&y) == sees(y)),
                    "{start}..{end}: {found:?}"
                );
            }
        }
    }
}
