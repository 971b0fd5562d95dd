//! musicnn on the processor, by kernels of our own.
//!
//! In: parameters, then patches. Out: embeddings and scores; a patch's are the same to the last bit
//! whatever its batch, because patches are run one by one. They are large enough for that: the
//! convolutions take 1.4 billion products each.
//!
//! A recording's patches overlap by half. Frames that see only the common ones are taken from the
//! patch before, which saves two fifths of the time; the same sums made them, so that the result is
//! the same to the last bit.

use std::cell::RefCell;
use std::sync::Arc;

use pulp::Arch;

use super::{
    BANDS, EMBEDDING, FRONT_END, FrontLayer, MIDDLE_CHANNELS, MIDDLE_FRAMES, POOLED, Parameters,
    TEMPO, TIMBRAL, frames_of,
};
use crate::error::Result;
use crate::model::kernel::depthwise::MapSize;
use crate::model::kernel::gemm::{Activation, PackedWeights};
use crate::model::kernel::peaks::{PeakConvolution, Peaks, Rows};
use crate::model::kernel::tiles::TiledRows;
use crate::model::kernel::{GROUP, Group};
use crate::model::layers::{Layer, Norm};
use crate::model::network::{Batch, Network, NetworkOutput};

/// Frames from one patch of a recording to the next.
const HOP: usize = FRONT_END.patch_hop_frames;
/// Frames that two of them have in common.
const COMMON: usize = FRONT_END.patch_frames - HOP;
/// Frames of zeros that the convolutions over mel bands see before a patch and behind it, at most.
const BORDER: (usize, usize) = TEMPO[0].reach();
/// Frames of zeros that the convolutions behind see on both sides.
const MIDDLE_BORDER: usize = MIDDLE_FRAMES / 2;
const MIDDLE_GROUPS: usize = MIDDLE_CHANNELS / GROUP;

/// The network with its weights and buffers.
#[derive(Debug)]
pub(super) struct Musicnn {
    layers: Arc<Layers>,
    buffers: RefCell<Buffers>,
}

#[derive(Debug)]
struct Layers {
    arch: Arch,
    input_norm: Norm,
    front: Vec<Front>,
    /// Groups of a frame of what they say.
    front_groups: usize,
    middle: Vec<Middle>,
    /// For each pooled channel its place among the groups.
    pooled: Vec<usize>,
    dense: PackedWeights,
    dense_norm: Norm,
    classifier: PackedWeights,
    tags: usize,
}

/// A convolution over mel bands.
#[derive(Debug)]
struct Front {
    convolution: PeakConvolution,
    shape: FrontLayer,
    /// Where its channels begin in a frame.
    column: usize,
}

/// A convolution over time.
#[derive(Debug)]
struct Middle {
    product: PackedWeights,
    norm: Norm,
    /// Groups of a frame below.
    groups: usize,
}

/// What a run writes to, kept for the next one.
#[derive(Debug, Default)]
struct Buffers {
    /// The patch between its borders, normed.
    input: Vec<f32>,
    /// The patch that was run last, and what the convolutions over mel bands said of it, with
    /// borders of zeros.
    patch: Vec<f32>,
    front: Vec<Group>,
    /// What the convolutions over time said, with borders of zeros.
    middle: [Vec<Group>; 3],
    tiles: TiledRows,
    groups: Vec<Group>,
}

impl Musicnn {
    /// Lays the weights out for this processor.
    pub(super) fn new(parameters: &Parameters) -> Self {
        let mut column = 0;
        let shapes = TIMBRAL.into_iter().chain(TEMPO);
        let front = parameters.front.iter().zip(shapes).map(|((layer, norm), shape)| {
            let size = MapSize { height: shape.frames, width: shape.bands };
            let convolution = PeakConvolution::new(layer, norm, size);
            let front = Front { convolution, shape, column };
            column += front.convolution.output_groups();
            front
        });
        let front: Vec<Front> = front.collect();
        // Where each channel of a frame lies among the groups, which end in zeros for each layer.
        let places: Vec<usize> = front
            .iter()
            .flat_map(|layer| {
                (0..layer.shape.channels).map(|channel| layer.column * GROUP + channel)
            })
            .collect();
        let middle = parameters.middle.iter().enumerate().map(|(index, (layer, norm))| {
            let groups = if index == 0 { column } else { MIDDLE_GROUPS };
            let product = if index == 0 {
                let weight = spread(&layer.weight, &places, groups * GROUP);
                PackedWeights::new(&weight, &layer.bias, Activation::Relu)
            } else {
                PackedWeights::new(&layer.weight, &layer.bias, Activation::Relu)
            };
            Middle { product, norm: norm.clone(), groups }
        });
        let layers = Layers {
            arch: Arch::new(),
            input_norm: parameters.input_norm.clone(),
            middle: middle.collect(),
            front,
            front_groups: column,
            pooled: places,
            dense: dense(&parameters.dense, &parameters.pool_norm),
            dense_norm: parameters.dense_norm.clone(),
            classifier: PackedWeights::new(
                &parameters.classifier.weight,
                &parameters.classifier.bias,
                Activation::Linear,
            ),
            tags: parameters.classifier.bias.len(),
        };
        Self { layers: Arc::new(layers), buffers: RefCell::default() }
    }
}

/// Moves the inputs of `weight`, `[rows, inputs]`, to their places in rows of `width`.
fn spread(weight: &[f32], places: &[usize], width: usize) -> Vec<f32> {
    let mut spread = vec![0.0; weight.len() / places.len() * width];
    for (to, from) in spread.chunks_exact_mut(width).zip(weight.chunks_exact(places.len())) {
        for (&place, &value) in places.iter().zip(from) {
            to[place] = value;
        }
    }
    spread
}

/// The dense layer with the norm before it folded in.
#[expect(clippy::cast_possible_truncation, reason = "folded in f64, kept in f32")]
fn dense(layer: &Layer, norm: &Norm) -> PackedWeights {
    let Layer { mut weight, mut bias } = layer.clone();
    for (row, bias) in weight.chunks_exact_mut(norm.scale.len()).zip(&mut bias) {
        let shifts = row.iter().zip(&norm.shift);
        let shift: f64 = shifts.map(|(w, shift)| f64::from(*w) * f64::from(*shift)).sum();
        *bias = (f64::from(*bias) + shift) as f32;
        row.iter_mut().zip(&norm.scale).for_each(|(weight, scale)| *weight *= scale);
    }
    PackedWeights::new(&weight, &bias, Activation::Relu)
}

impl Network for Musicnn {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let mut buffers = self.buffers.borrow_mut();
        let mut output = NetworkOutput::default();
        for (patch, sound_samples) in batch.patches() {
            let patch = &patch[..frames_of(sound_samples) * BANDS];
            self.layers.run(patch, &mut buffers, &mut output);
        }
        Ok(output)
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(Self { layers: Arc::clone(&self.layers), buffers: RefCell::default() })
    }
}

impl Layers {
    /// Appends what it says of `patch`, `[frames, 96]`, to `output`.
    fn run(&self, patch: &[f32], buffers: &mut Buffers, output: &mut NetworkOutput) {
        self.hear(patch, buffers);
        let Buffers { front, middle, tiles, groups, .. } = buffers;
        for (index, layer) in self.middle.iter().enumerate() {
            let (below, above) = middle.split_at_mut(index);
            let below = below.last().unwrap_or(front);
            layer.run(self.arch, below, index > 0, tiles, &mut above[0]);
        }
        let pooled = self.pool(front, middle);
        tiles.copy_from(&pooled, pooled.len());
        groups.resize(self.dense.output_groups(), Group::ZERO);
        self.dense.multiply(self.arch, tiles, groups);
        let mut embedding: Vec<f32> =
            groups.iter().flat_map(|group| group.0).take(EMBEDDING).collect();
        self.dense_norm.apply(&mut embedding);
        let rows = grouped(&embedding);
        tiles.copy_from(&rows, rows.len());
        groups.resize(self.classifier.output_groups(), Group::ZERO);
        self.classifier.multiply(self.arch, tiles, groups);
        output.embeddings.extend(embedding);
        let logits = groups.iter().flat_map(|group| group.0).take(self.tags);
        output.scores.extend(logits.map(|logit| 1.0 / (1.0 + (-logit).exp())));
    }

    /// Runs the convolutions over mel bands.
    fn hear(&self, patch: &[f32], buffers: &mut Buffers) {
        let Buffers { input, patch: last, front, .. } = buffers;
        let frames = patch.len() / BANDS;
        let shared = last.len() == patch.len()
            && frames == FRONT_END.patch_frames
            && last[HOP * BANDS..] == patch[..COMMON * BANDS];
        last.clear();
        input.clear();
        input.resize(BORDER.0 * BANDS, 0.0);
        input.extend_from_slice(patch);
        self.input_norm.apply(&mut input[BORDER.0 * BANDS..]);
        input.resize((BORDER.0 + frames + BORDER.1) * BANDS, 0.0);
        let width = self.front_groups;
        // What stands there of another patch is written over, all but the borders.
        let size = (frames + 2 * MIDDLE_BORDER) * width;
        if front.len() != size {
            front.clear();
            front.resize(size, Group::ZERO);
        }
        let said = &mut front[MIDDLE_BORDER * width..][..frames * width];
        for layer in &self.front {
            let (before, behind) = layer.shape.reach();
            let groups = layer.convolution.output_groups();
            let known =
                if shared && before + behind < COMMON { before..COMMON - behind } else { 0..0 };
            for frame in known.clone() {
                let from = (frame + HOP) * width + layer.column;
                said.copy_within(from..from + groups, frame * width + layer.column);
            }
            let rows = Rows { values: &input[(BORDER.0 - before) * BANDS..], width: BANDS };
            let mut peaks = Peaks { rows: said, row_groups: width, column: layer.column };
            for range in [0..known.start, known.end..frames] {
                layer.convolution.apply(self.arch, rows, range, &mut peaks);
            }
        }
        // Only now: a panic above must not leave frames that another patch would take for its own.
        last.extend_from_slice(patch);
    }

    /// The largest and the mean over time of each channel, one behind the other.
    fn pool(&self, front: &[Group], middle: &[Vec<Group>; 3]) -> Vec<Group> {
        let mut pooled = Vec::with_capacity(2 * POOLED);
        let (peaks, means) = over_time(front, self.front_groups);
        pooled.extend(self.pooled.iter().flat_map(|&place| [peaks[place], means[place]]));
        for layer in middle {
            let (peaks, means) = over_time(layer, MIDDLE_GROUPS);
            pooled.extend(peaks.into_iter().zip(means).flat_map(|(peak, mean)| [peak, mean]));
        }
        grouped(&pooled)
    }
}

impl Middle {
    /// Fills in `above` from `below`, both with borders of zeros.
    fn run(
        &self,
        arch: Arch,
        below: &[Group],
        residual: bool,
        tiles: &mut TiledRows,
        above: &mut Vec<Group>,
    ) {
        tiles.copy_windows(below, MIDDLE_FRAMES * self.groups, self.groups);
        let border = MIDDLE_BORDER * MIDDLE_GROUPS;
        let frames = below.len() / self.groups - 2 * MIDDLE_BORDER;
        above.clear();
        above.resize(2 * border + frames * MIDDLE_GROUPS, Group::ZERO);
        let said = &mut above[border..][..frames * MIDDLE_GROUPS];
        self.product.multiply(arch, tiles, said);
        for (index, group) in said.iter_mut().enumerate() {
            let first = index % MIDDLE_GROUPS * GROUP;
            let (scale, shift) = (&self.norm.scale[first..], &self.norm.shift[first..]);
            for ((value, scale), shift) in group.0.iter_mut().zip(scale).zip(shift) {
                *value = *value * scale + shift;
            }
        }
        if residual {
            for (group, below) in said.iter_mut().zip(&below[border..]) {
                for (value, below) in group.0.iter_mut().zip(below.0) {
                    *value += below;
                }
            }
        }
    }
}

/// The largest and the mean of each channel of `frames`, which have borders.
fn over_time(frames: &[Group], groups: usize) -> (Vec<f32>, Vec<f32>) {
    let frames = &frames[MIDDLE_BORDER * groups..frames.len() - MIDDLE_BORDER * groups];
    let mut peaks = vec![f32::NEG_INFINITY; groups * GROUP];
    let mut means = vec![0.0; groups * GROUP];
    for frame in frames.chunks_exact(groups) {
        let channels = peaks.iter_mut().zip(&mut means);
        for ((peak, mean), value) in channels.zip(frame.iter().flat_map(|group| group.0)) {
            *peak = peak.max(value);
            *mean += value;
        }
    }
    let share = 1.0 / (frames.len() / groups) as f32;
    means.iter_mut().for_each(|mean| *mean *= share);
    (peaks, means)
}

/// A row in groups, zeros behind the last value.
fn grouped(row: &[f32]) -> Vec<Group> {
    let group = |values: &[f32]| {
        let mut group = Group::ZERO;
        group.0[..values.len()].copy_from_slice(values);
        group
    };
    row.chunks(GROUP).map(group).collect()
}
