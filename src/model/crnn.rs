//! The bicycle bell's CRNN: a convolution over frequency, then two recurrent layers over time.
//!
//! In: a second of YAMNet's log-mel frames, `[patches, 98, 64]`. Out: embeddings `[patches, 64]`,
//! the means over a patch's frames, and scores `[patches, 1]`, the means of their probabilities. A
//! patch that ends in padding is heard as far as it is sound.
//!
//! Source: C. Kubach, "bicycle-bell-sed-models" (2022), as frozen in the graph that the package
//! `bicycle-bell-seds-cli` 0.0.3 carries (`seds_cli/res/models/crnn`). Of each frame the channels'
//! strongest places are kept; the first LSTM hears them from the last frame to the first, the second
//! one what the first said from the first to the last.
//!
//! The layers are here; what computes them is `crnn/cpu.rs`, and for other devices and as the
//! oracle of its tests `crnn/torch.rs`.

mod conversion;
mod cpu;
#[cfg(test)]
mod tests;
mod torch;

pub(super) use conversion::from_checkpoint;

use super::compute::{Compute, Device};
use super::layers::{Layer, Norm};
use super::network::Network;
use super::weights::Weights;
use super::{Engine, kernel};
use crate::error::Result;
use crate::frontend::spec::{self, FrontEnd};

/// What makes its patches.
pub(super) const FRONT_END: FrontEnd = spec::CRNN_BELL;

/// Mel bands of a frame.
const BANDS: usize = spec::YAMNET_MEL.mel_bands;
/// Mel bands that the convolution sees at once.
const KERNEL: usize = 32;
/// Channels of the convolution, units of each layer, length of an embedding.
const UNITS: usize = 64;
/// Input, forget, cell and output gate.
const GATES: usize = 4;
/// Added to the variance of a batch norm: Keras' default.
const NORM_EPSILON: f64 = 1e-3;

/// The network's parameters, row-major.
struct Parameters {
    /// `[64, 1, 32]`.
    convolution: Layer,
    convolution_norm: Norm,
    /// From the last frame to the first.
    lstm1: Recurrent,
    /// From the first frame to the last.
    lstm2: Recurrent,
    /// `[64, 64]`.
    dense: Layer,
    dense_norm: Norm,
    /// `[1, 64]`.
    classifier: Layer,
}

/// An LSTM.
struct Recurrent {
    /// `[4 × 64, 64]`.
    input: Vec<f32>,
    /// `[4 × 64, 64]`.
    hidden: Vec<f32>,
    /// `[4 × 64]`.
    bias: Vec<f32>,
}

/// Builds the network for `compute`, which is resolved.
pub(super) fn build(
    weights: Weights,
    classes: usize,
    compute: Compute,
    engine: Engine,
) -> Result<Box<dyn Network>> {
    let parameters = Parameters::take(weights, classes)?;
    Ok(match (engine, compute.device) {
        (Engine::Own, Device::Auto | Device::Cpu) if kernel::is_fast_here() => {
            Box::new(cpu::Crnn::new(&parameters))
        }
        _ => Box::new(torch::Crnn::new(&parameters, compute)?),
    })
}

impl Parameters {
    /// Takes every tensor, each in its shape, and refuses others.
    fn take(mut weights: Weights, classes: usize) -> Result<Self> {
        let weights_left = &mut weights;
        let norm = |weights: &mut Weights, name| Norm::take(weights, name, UNITS, NORM_EPSILON);
        let this = Self {
            convolution: Layer::take(weights_left, "convolution", &[UNITS, 1, KERNEL])?,
            convolution_norm: norm(weights_left, "convolution.norm")?,
            lstm1: Recurrent::take(weights_left, "lstm1")?,
            lstm2: Recurrent::take(weights_left, "lstm2")?,
            dense: Layer::take(weights_left, "dense", &[UNITS, UNITS])?,
            dense_norm: norm(weights_left, "dense.norm")?,
            classifier: Layer::take(weights_left, "classifier", &[classes, UNITS])?,
        };
        weights.finish()?;
        Ok(this)
    }
}

impl Recurrent {
    fn take(weights: &mut Weights, name: &str) -> Result<Self> {
        Ok(Self {
            input: weights.take_values(&format!("{name}.input.weight"), &[GATES * UNITS, UNITS])?,
            hidden: weights
                .take_values(&format!("{name}.hidden.weight"), &[GATES * UNITS, UNITS])?,
            bias: weights.take_values(&format!("{name}.bias"), &[GATES * UNITS])?,
        })
    }
}

/// Frames of a patch that are sound throughout, at least one: the reference pads nothing.
fn frames_of(sound_samples: usize) -> usize {
    let (window, hop) = (FRONT_END.window_samples(), FRONT_END.hop_samples());
    let frames = (sound_samples + hop).saturating_sub(window) / hop;
    frames.clamp(1, FRONT_END.patch_frames)
}
