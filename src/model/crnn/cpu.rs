//! The CRNN on the processor, by kernels of our own.
//!
//! In: parameters, then patches. Out: embeddings and scores; a patch's are the same to the last bit
//! whatever its batch, because patches are run one by one.
//!
//! Float32 in every precision: the recurrent layers wait for themselves frame by frame, with products
//! of one row each, which rounding would not speed up.
//!
//! Milliseconds a patch on one thread of a Xeon with AVX-512, of the thread's own time on a busy
//! machine, 2026-11-26: 1.15 whatever the batch; libtorch (`torch.rs`) 1.3, 1.9 and 1.5 in batches of
//! 1, 4 and 16. So a recording runs at 430 times its speed.

use std::cell::RefCell;
use std::sync::Arc;

use pulp::Arch;

use super::{BANDS, GATES, KERNEL, Parameters, Recurrent, UNITS, frames_of};
use crate::error::Result;
use crate::model::compute::Precision;
use crate::model::kernel::depthwise::MapSize;
use crate::model::kernel::gemm::{Activation, PackedWeights};
use crate::model::kernel::lstm::{Lstm, LstmBuffers};
use crate::model::kernel::peaks::{PeakConvolution, Peaks, Rows};
use crate::model::kernel::tiles::TiledRows;
use crate::model::kernel::{GROUP, Group};
use crate::model::layers::{Layer, Norm};
use crate::model::network::{Batch, Network, NetworkOutput};
use crate::model::pool::Mean;

/// Groups of a frame's channels or units.
const GROUPS: usize = UNITS / GROUP;

/// The network with its weights and buffers.
#[derive(Debug)]
pub(super) struct Crnn {
    layers: Arc<Layers>,
    buffers: RefCell<Buffers>,
}

#[derive(Debug)]
struct Layers {
    arch: Arch,
    convolution: PeakConvolution,
    lstm1: Lstm,
    lstm2: Lstm,
    dense: PackedWeights,
    dense_norm: Norm,
    classifier: Layer,
}

/// What a run writes to, kept for the next one.
#[derive(Debug, Default)]
struct Buffers {
    lstm: LstmBuffers,
    tiles: TiledRows,
    /// Two sets of frames, one in and one out.
    frames: [Vec<Group>; 2],
    embeddings: Vec<f32>,
    scores: Vec<f32>,
}

impl Crnn {
    /// Lays the weights out for this processor.
    pub(super) fn new(parameters: &Parameters) -> Self {
        debug_assert_eq!(parameters.lstm1.bias.len(), GATES * UNITS);
        let lstm = |layer: &Recurrent| Lstm::new(&layer.input, &layer.hidden, &layer.bias);
        let dense = &parameters.dense;
        let layers = Layers {
            arch: Arch::new(),
            convolution: PeakConvolution::new(
                &parameters.convolution,
                &parameters.convolution_norm,
                MapSize { height: 1, width: KERNEL },
            ),
            lstm1: lstm(&parameters.lstm1),
            lstm2: lstm(&parameters.lstm2),
            dense: PackedWeights::new(&dense.weight, &dense.bias, Activation::Relu),
            dense_norm: parameters.dense_norm.clone(),
            classifier: parameters.classifier.clone(),
        };
        Self { layers: Arc::new(layers), buffers: RefCell::default() }
    }

    /// What it says of each frame of a patch: embeddings `[frames, 64]`, scores `[frames, classes]`.
    #[cfg(test)]
    pub(super) fn frames(&self, patch: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut buffers = self.buffers.borrow_mut();
        self.layers.run(patch, &mut buffers);
        (buffers.embeddings.clone(), buffers.scores.clone())
    }
}

impl Network for Crnn {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let mut buffers = self.buffers.borrow_mut();
        let mut output = NetworkOutput::default();
        for (patch, sound_samples) in batch.patches() {
            self.layers.run(&patch[..frames_of(sound_samples) * BANDS], &mut buffers);
            output.embeddings.extend(mean(&buffers.embeddings, UNITS));
            output.scores.extend(mean(&buffers.scores, self.layers.classifier.bias.len()));
        }
        Ok(output)
    }

    fn precision(&self, _asked: Precision) -> Precision {
        Precision::Float32
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(Self { layers: Arc::clone(&self.layers), buffers: RefCell::default() })
    }
}

impl Layers {
    /// Fills in the embeddings and scores of each frame of `patch`, `[frames, 64]`.
    fn run(&self, patch: &[f32], buffers: &mut Buffers) {
        let Buffers { lstm, tiles, frames: [input, output], embeddings, scores } = buffers;
        let count = patch.len() / BANDS;
        input.resize(count * GROUPS, Group::ZERO);
        let mut peaks = Peaks { rows: input, row_groups: GROUPS, column: 0 };
        let rows = Rows { values: patch, width: BANDS };
        self.convolution.apply(self.arch, rows, 0..count, &mut peaks);
        reverse(input);
        self.lstm1.run(self.arch, input, GROUPS, lstm, output);
        reverse(output);
        self.lstm2.run(self.arch, output, GROUPS, lstm, input);
        tiles.copy_from(input, GROUPS);
        self.dense.multiply(self.arch, tiles, output);
        embeddings.clear();
        embeddings.extend(output.iter().flat_map(|group| group.0));
        self.dense_norm.apply(embeddings);
        scores.clear();
        for frame in embeddings.chunks_exact(UNITS) {
            let classes = self.classifier.weight.chunks_exact(UNITS).zip(&self.classifier.bias);
            scores.extend(classes.map(|(weight, bias)| {
                let sum: f32 = frame.iter().zip(weight).map(|(x, w)| x * w).sum();
                1.0 / (1.0 + (-(sum + bias)).exp())
            }));
        }
    }
}

/// Puts the last frame first.
fn reverse(frames: &mut [Group]) {
    frames.reverse();
    frames.chunks_exact_mut(GROUPS).for_each(<[Group]>::reverse);
}

/// The mean of `rows`, `[rows, width]`.
fn mean(rows: &[f32], width: usize) -> Vec<f32> {
    let mut mean = Mean::new(width);
    mean.add(rows);
    mean.mean()
}
