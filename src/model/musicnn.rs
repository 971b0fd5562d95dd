//! musicnn: convolutions shaped like what music is made of, on log-mel patches.
//!
//! In: three seconds of log-mel frames, `[patches, 187, 96]`. Out: embeddings `[patches, 200]`, the
//! layer before the last, and scores `[patches, 50]` of tags. A patch that ends in padding is heard
//! as far as it is sound: the network takes any length.
//!
//! Source: J. Pons and X. Serra, "musicnn: pre-trained convolutional neural networks for music audio
//! tagging", arXiv:1909.06654, as built in the package `musicnn` 0.1.0, `models.py`
//! (`build_musicnn`). Two kinds of convolutions see the mel bands over time: *timbral* ones many
//! bands for a moment, wherever they lie, *tempo* ones a single band for up to two seconds. Three
//! more over time follow, the last two of them residual; what all of them say is pooled over time.
//!
//! The layers are here; what computes them is `musicnn/cpu.rs`, and for other devices and as the
//! oracle of its tests `musicnn/torch.rs`.

mod conversion;
mod cpu;
#[cfg(test)]
mod tests;
mod torch;

pub(super) use conversion::from_checkpoint;

use super::compute::{Compute, Device, Precision};
use super::layers::{Layer, Norm};
use super::network::Network;
use super::weights::Weights;
use super::{Engine, kernel};
use crate::error::Result;
use crate::frontend::spec::{self, FrontEnd};

/// What makes its patches.
pub(super) const FRONT_END: FrontEnd = spec::MUSICNN;

/// Mel bands of a frame.
const BANDS: usize = 96;

/// A convolution over mel bands, of whose positions the strongest counts.
#[derive(Clone, Copy, Debug)]
struct FrontLayer {
    name: &'static str,
    channels: usize,
    /// Frames that it sees at once.
    frames: usize,
    /// Mel bands that it sees at once.
    bands: usize,
}

/// `timbral_block`: 0.4 and 0.7 of the bands; 1.6 times 128 channels.
const TIMBRAL: [FrontLayer; 2] = [
    FrontLayer { name: "timbral1", channels: 204, frames: 7, bands: 38 },
    FrontLayer { name: "timbral2", channels: 204, frames: 7, bands: 67 },
];
/// `tempo_block`: 1.6 times 32 channels.
const TEMPO: [FrontLayer; 3] = [
    FrontLayer { name: "tempo1", channels: 51, frames: 128, bands: 1 },
    FrontLayer { name: "tempo2", channels: 51, frames: 64, bands: 1 },
    FrontLayer { name: "tempo3", channels: 51, frames: 32, bands: 1 },
];
/// Channels of all of them.
const FRONT_CHANNELS: usize = 2 * 204 + 3 * 51;
/// `midend`: the layers behind, and their channels.
const MIDDLE: [&str; 3] = ["middle1", "middle2", "middle3"];
const MIDDLE_CHANNELS: usize = 64;
/// Frames that they see at once.
const MIDDLE_FRAMES: usize = 7;
/// Channels that are pooled over time, each into its largest and its mean.
const POOLED: usize = FRONT_CHANNELS + MIDDLE.len() * MIDDLE_CHANNELS;
/// Units of the layer before the last: the length of an embedding.
const EMBEDDING: usize = 200;
/// Added to the variance of a batch norm: TensorFlow's default.
const NORM_EPSILON: f64 = 1e-3;

impl FrontLayer {
    /// Frames that a sum sees before its own and behind it: TensorFlow's "SAME", by which of an odd
    /// number of padded frames more stand behind.
    const fn reach(&self) -> (usize, usize) {
        let before = (self.frames - 1) / 2;
        (before, self.frames - 1 - before)
    }
}

/// The network's parameters, row-major. Norms follow the ReLU.
struct Parameters {
    /// Of the single channel that the patches are.
    input_norm: Norm,
    /// [`TIMBRAL`], then [`TEMPO`]; `[channels, 1, frames, bands]`.
    front: Vec<(Layer, Norm)>,
    /// [`MIDDLE`]; `[64, 1, 7, channels below]`.
    middle: Vec<(Layer, Norm)>,
    pool_norm: Norm,
    /// `[200, 1506]`.
    dense: Layer,
    dense_norm: Norm,
    /// `[tags, 200]`.
    classifier: Layer,
}

/// Builds the network for `compute`, which is resolved.
pub(super) fn build(
    weights: Weights,
    classes: usize,
    compute: Compute,
    engine: Engine,
) -> Result<Box<dyn Network>> {
    let parameters = Parameters::take(weights, classes)?;
    // Our kernels have no bfloat16 convolution of this kind.
    Ok(match (engine, compute) {
        (
            Engine::Own,
            Compute { device: Device::Auto | Device::Cpu, precision: Precision::Float32 },
        ) if kernel::is_fast_here() => Box::new(cpu::Musicnn::new(&parameters)),
        _ => Box::new(torch::Musicnn::new(&parameters, compute)?),
    })
}

impl Parameters {
    /// Takes every tensor, each in its shape, and refuses others.
    fn take(mut weights: Weights, classes: usize) -> Result<Self> {
        let left = &mut weights;
        let norm = |left: &mut Weights, name: &str, channels| {
            Norm::take(left, &format!("{name}.norm"), channels, NORM_EPSILON)
        };
        let input_norm = norm(left, "input", 1)?;
        let mut front = Vec::new();
        for layer in TIMBRAL.iter().chain(&TEMPO) {
            let shape = [layer.channels, 1, layer.frames, layer.bands];
            let taken = Layer::take(left, layer.name, &shape)?;
            front.push((taken, norm(left, layer.name, layer.channels)?));
        }
        let mut middle = Vec::new();
        let mut below = FRONT_CHANNELS;
        for name in MIDDLE {
            let layer = Layer::take(left, name, &[MIDDLE_CHANNELS, 1, MIDDLE_FRAMES, below])?;
            middle.push((layer, norm(left, name, MIDDLE_CHANNELS)?));
            below = MIDDLE_CHANNELS;
        }
        let this = Self {
            input_norm,
            front,
            middle,
            pool_norm: norm(left, "pool", 2 * POOLED)?,
            dense: Layer::take(left, "dense", &[EMBEDDING, 2 * POOLED])?,
            dense_norm: norm(left, "dense", EMBEDDING)?,
            classifier: Layer::take(left, "classifier", &[classes, EMBEDDING])?,
        };
        weights.finish()?;
        Ok(this)
    }
}

/// Frames of a patch whose middle is sound, at least one.
fn frames_of(sound_samples: usize) -> usize {
    sound_samples.div_ceil(FRONT_END.hop_samples()).clamp(1, FRONT_END.patch_frames)
}
