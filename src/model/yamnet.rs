//! YAMNet: depthwise separable convolutions on log-mel patches.
//!
//! In: patches `[patches, 96, 64]`. Out: embeddings `[patches, 1024]`, scores `[patches, 521]`.
//! Source: A. Howard et al., "MobileNets", arXiv:1704.04861, table 1, as built in
//! `tensorflow/models`, `research/audioset/yamnet/yamnet.py`. Batch norms, which neither scale nor
//! train here, are folded into the convolutions before them.
//!
//! The layers are here; what computes them is `yamnet/cpu.rs`, and for other devices and as the
//! oracle of its tests `yamnet/torch.rs`.

mod conversion;
mod cpu;
mod torch;

pub(super) use conversion::from_checkpoint;

use super::compute::{Compute, Device};
use super::network::Network;
use super::weights::Weights;
use super::{Engine, kernel};
use crate::error::Result;
use crate::frontend::spec::{self, FrontEnd};

/// What makes YAMNet's patches.
pub(super) const FRONT_END: FrontEnd = spec::YAMNET;

/// Channels of the first convolution, a full 3×3 of stride 2.
const FIRST_CHANNELS: usize = 32;
/// Stride of the depthwise and channels of the pointwise convolution of each further layer.
const LAYERS: [(usize, usize); 13] = [
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (2, 1024),
    (1, 1024),
];
/// Channels of the last layer: the length of an embedding.
const EMBEDDING: usize = 1024;
/// Added to the variance of a batch norm (`batchnorm_epsilon` in `params.py`).
const NORM_EPSILON: f64 = 1e-4;

/// The network's parameters, norms folded in, row-major.
struct Parameters {
    /// `[32, 1, 3, 3]`.
    first: Layer,
    separable: Vec<Separable>,
    /// `[classes, 1024]`.
    classifier: Layer,
}

/// A depthwise and a pointwise convolution, each followed by a ReLU.
struct Separable {
    stride: usize,
    /// `[inputs, 1, 3, 3]`.
    depthwise: Layer,
    /// `[outputs, inputs, 1, 1]`.
    pointwise: Layer,
}

/// A linear layer: outputs come first in its weight.
struct Layer {
    weight: Vec<f32>,
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
            Box::new(cpu::Yamnet::new(&parameters, compute.precision))
        }
        _ => Box::new(torch::Yamnet::new(&parameters, compute)?),
    })
}

impl Parameters {
    /// Takes every tensor, each in its shape, and refuses others.
    fn take(mut weights: Weights, classes: usize) -> Result<Self> {
        let mut channels = FIRST_CHANNELS;
        let first = take_folded(&mut weights, &first_name(), &[channels, 1, 3, 3])?;
        let mut separable = Vec::with_capacity(LAYERS.len());
        for (index, (stride, output)) in LAYERS.into_iter().enumerate() {
            let name = layer_name(index);
            let shape = [channels, 1, 3, 3];
            let depthwise = take_folded(&mut weights, &format!("{name}.depthwise"), &shape)?;
            let shape = [output, channels, 1, 1];
            let pointwise = take_folded(&mut weights, &format!("{name}.pointwise"), &shape)?;
            separable.push(Separable { stride, depthwise, pointwise });
            channels = output;
        }
        let classifier = Layer {
            weight: weights.take_values("classifier.weight", &[classes, EMBEDDING])?,
            bias: weights.take_values("classifier.bias", &[classes])?,
        };
        weights.finish()?;
        Ok(Self { first, separable, classifier })
    }
}

/// Takes a convolution of `shape` with the batch norm after it folded in.
#[expect(clippy::cast_possible_truncation, reason = "folded in f64, kept in f32")]
fn take_folded(weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Layer> {
    let channels = &shape[..1];
    let mut weight = weights.take_values(&format!("{name}.weight"), shape)?;
    let mut bias = weights.take_values(&format!("{name}.norm.bias"), channels)?;
    let mean = weights.take_values(&format!("{name}.norm.mean"), channels)?;
    let variance = weights.take_values(&format!("{name}.norm.variance"), channels)?;
    let kernels = weight.chunks_exact_mut(shape[1..].iter().product());
    for (channel, kernel) in kernels.enumerate() {
        let scale = (f64::from(variance[channel]) + NORM_EPSILON).sqrt().recip();
        for value in kernel {
            *value = (f64::from(*value) * scale) as f32;
        }
        let shift = f64::from(mean[channel]) * scale;
        bias[channel] = (f64::from(bias[channel]) - shift) as f32;
    }
    Ok(Layer { weight, bias })
}

fn first_name() -> String {
    "layer01.convolution".to_owned()
}

/// The name of layer `index` of [`LAYERS`]; the paper counts from the first convolution.
fn layer_name(index: usize) -> String {
    format!("layer{:02}", index + 2)
}
