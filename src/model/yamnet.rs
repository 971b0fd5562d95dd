//! YAMNet: depthwise separable convolutions on log-mel patches.
//!
//! In: patches `[patches, 96, 64]`. Out: embeddings `[patches, 1024]`, scores `[patches, 521]`.
//! Source: A. Howard et al., "MobileNets", arXiv:1704.04861, table 1, as built in
//! `tensorflow/models`, `research/audioset/yamnet/yamnet.py`. Batch norms, which neither scale nor
//! train here, are folded into the convolutions before them.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::checkpoint::{Checkpoint, Problem};
use super::torch::{failed, take, to_vec};
use super::weights::{NamedTensor, Weights};
use super::{Network, NetworkOutput};
use crate::error::Result;
use crate::frontend::spec::{self, LogMelSpec};
use crate::units::signed;

/// What makes YAMNet's patches.
pub(super) const FRONT_END: LogMelSpec = spec::YAMNET;

/// Channels of the first convolution, a full 3×3 of stride 2.
const FIRST_CHANNELS: usize = 32;
/// Stride of the depthwise and channels of the pointwise convolution of each further layer.
const LAYERS: [(i64, usize); 13] = [
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

/// The network with its weights.
#[derive(Debug)]
pub(super) struct Yamnet {
    first: Convolution,
    layers: Vec<Separable>,
    /// `[1024, classes]`.
    classifier: Tensor,
    /// `[classes]`.
    classifier_bias: Tensor,
}

#[derive(Debug)]
struct Separable {
    depthwise: Convolution,
    pointwise: Convolution,
}

/// A convolution with the batch norm after it folded in, then ReLU.
#[derive(Debug)]
struct Convolution {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    groups: i64,
}

impl Yamnet {
    /// Builds the network; every tensor must be there, in its shape, and no other.
    pub(super) fn new(mut weights: Weights, classes: usize) -> Result<Self> {
        let mut channels = FIRST_CHANNELS;
        let first = Convolution::take(&mut weights, &first_name(), &[channels, 1, 3, 3], 2, 1)?;
        let mut layers = Vec::with_capacity(LAYERS.len());
        for (index, (stride, output)) in LAYERS.into_iter().enumerate() {
            let name = layer_name(index);
            let depthwise = Convolution::take(
                &mut weights,
                &format!("{name}.depthwise"),
                &[channels, 1, 3, 3],
                stride,
                channels,
            )?;
            let pointwise = Convolution::take(
                &mut weights,
                &format!("{name}.pointwise"),
                &[output, channels, 1, 1],
                1,
                1,
            )?;
            layers.push(Separable { depthwise, pointwise });
            channels = output;
        }
        let classifier = take(&mut weights, "classifier.weight", &[classes, EMBEDDING])?;
        let classifier_bias = take(&mut weights, "classifier.bias", &[classes])?;
        weights.finish()?;
        let classifier = classifier.f_transpose(0, 1).map_err(|error| failed("yamnet", error))?;
        Ok(Self { first, layers, classifier, classifier_bias })
    }

    fn forward(&self, patches: &[f32]) -> std::result::Result<NetworkOutput, tch::TchError> {
        let (frames, mels) = (signed(FRONT_END.patch_frames), signed(FRONT_END.mel_bands));
        let input = Tensor::f_from_slice(patches)?.f_view([-1, 1, frames, mels])?;
        let mut maps = self.first.forward(&input)?;
        for layer in &self.layers {
            maps = layer.pointwise.forward(&layer.depthwise.forward(&maps)?)?;
        }
        // Global average over 3 × 2 positions.
        let embeddings = maps.f_mean_dim(&[2, 3][..], false, Kind::Float)?;
        let logits = self.classifier_bias.f_addmm(&embeddings, &self.classifier)?;
        Ok(NetworkOutput {
            embeddings: to_vec(&embeddings)?,
            scores: to_vec(&logits.f_sigmoid()?)?,
        })
    }
}

impl Network for Yamnet {
    fn run(&self, patches: &[f32]) -> Result<NetworkOutput> {
        // The guard is per thread, so it is taken at every call rather than once.
        tch::no_grad(|| self.forward(patches)).map_err(|error| failed("yamnet", error))
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(Self {
            first: self.first.share(),
            layers: self
                .layers
                .iter()
                .map(|layer| Separable {
                    depthwise: layer.depthwise.share(),
                    pointwise: layer.pointwise.share(),
                })
                .collect(),
            classifier: self.classifier.shallow_clone(),
            classifier_bias: self.classifier_bias.shallow_clone(),
        })
    }
}

impl Convolution {
    fn take(
        weights: &mut Weights,
        name: &str,
        shape: &[usize],
        stride: i64,
        groups: usize,
    ) -> Result<Self> {
        let channels = &shape[..1];
        let kernel = take(weights, &format!("{name}.weight"), shape)?;
        let norm_bias = take(weights, &format!("{name}.norm.bias"), channels)?;
        let mean = take(weights, &format!("{name}.norm.mean"), channels)?;
        let variance = take(weights, &format!("{name}.norm.variance"), channels)?;
        fold(&kernel, &norm_bias, &mean, &variance)
            .map(|(weight, bias)| Self { weight, bias, stride, groups: signed(groups) })
            .map_err(|error| failed("yamnet", error))
    }

    fn forward(&self, input: &Tensor) -> std::result::Result<Tensor, tch::TchError> {
        let (stride, one) = ([self.stride; 2], [1; 2]);
        let convolve = |input: &Tensor, padding: i64| {
            input.f_conv2d(&self.weight, Some(&self.bias), stride, [padding; 2], one, self.groups)
        };
        // TensorFlow's "SAME": all sizes are even where the stride is 2, which makes the padding 0
        // before and 1 after; libtorch pads both sides alike, so there it is done by hand.
        let output = match (self.weight.size()[3], self.stride) {
            (1, _) => convolve(input, 0),
            (_, 1) => convolve(input, 1),
            _ => convolve(&input.f_constant_pad_nd([0, 1, 0, 1])?, 0),
        };
        output?.f_relu_()
    }

    fn share(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            bias: self.bias.shallow_clone(),
            stride: self.stride,
            groups: self.groups,
        }
    }
}

/// The kernel and bias of a convolution that does what `kernel` and the norm after it do.
fn fold(
    kernel: &Tensor,
    norm_bias: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
) -> std::result::Result<(Tensor, Tensor), tch::TchError> {
    tch::no_grad(|| {
        let double = Kind::Double;
        let scale = (variance.f_to_kind(double)?.f_add_scalar(NORM_EPSILON)?).f_rsqrt()?;
        let weight = kernel.f_to_kind(double)?.f_mul(&scale.f_view([-1, 1, 1, 1])?)?;
        let bias = norm_bias.f_to_kind(double)?.f_sub(&mean.f_to_kind(double)?.f_mul(&scale)?)?;
        Ok((weight.f_to_kind(Kind::Float)?, bias.f_to_kind(Kind::Float)?))
    })
}

fn first_name() -> String {
    "layer01.convolution".to_owned()
}

/// The name of layer `index` of [`LAYERS`]; the paper counts from the first convolution.
fn layer_name(index: usize) -> String {
    format!("layer{:02}", index + 2)
}

/// Takes the weights out of the published checkpoint, renamed and laid out for libtorch.
pub(super) fn from_checkpoint(
    checkpoint: &Checkpoint<'_>,
) -> std::result::Result<Weights, Problem> {
    let mut tensors = BTreeMap::new();
    let mut read = |number: usize, variable: &str, name: String, order: &[usize]| {
        let source = format!(
            "layer-1/layer/_func/_yamnet/layer_with_weights-{number}/{variable}/.ATTRIBUTES/VARIABLE_VALUE"
        );
        let tensor = transpose(&checkpoint.tensor(&source)?, order)
            .ok_or_else(|| format!("{source} has another number of dimensions"))?;
        tensors.insert(name, tensor);
        Ok::<_, Problem>(())
    };
    // Convolutions and their norms are numbered in order; kernels are height, width, in, out.
    let mut convolutions = vec![(first_name(), "kernel", [3, 2, 0, 1])];
    for index in 0..LAYERS.len() {
        let name = layer_name(index);
        // A depthwise kernel is height, width, channel, 1: its channels are libtorch's outputs.
        convolutions.push((format!("{name}.depthwise"), "depthwise_kernel", [2, 3, 0, 1]));
        convolutions.push((format!("{name}.pointwise"), "kernel", [3, 2, 0, 1]));
    }
    let classifier = 2 * convolutions.len();
    for (index, (name, kernel, order)) in convolutions.into_iter().enumerate() {
        read(2 * index, kernel, format!("{name}.weight"), &order)?;
        read(2 * index + 1, "beta", format!("{name}.norm.bias"), &[0])?;
        read(2 * index + 1, "moving_mean", format!("{name}.norm.mean"), &[0])?;
        read(2 * index + 1, "moving_variance", format!("{name}.norm.variance"), &[0])?;
    }
    read(classifier, "kernel", "classifier.weight".to_owned(), &[1, 0])?;
    read(classifier, "bias", "classifier.bias".to_owned(), &[0])?;
    Ok(Weights::new("yamnet", tensors))
}

/// Reorders the dimensions of `tensor` so that new dimension `i` is old dimension `order[i]`.
fn transpose(tensor: &NamedTensor, order: &[usize]) -> Option<NamedTensor> {
    if tensor.shape.len() != order.len() {
        return None;
    }
    let mut strides = vec![1; order.len()];
    for dimension in (1..order.len()).rev() {
        strides[dimension - 1] = strides[dimension] * tensor.shape[dimension];
    }
    let shape: Vec<usize> = order.iter().map(|&old| tensor.shape[old]).collect();
    let mut bytes = Vec::with_capacity(tensor.bytes.len());
    let mut position = vec![0; order.len()];
    for _ in 0..tensor.bytes.len() / 4 {
        let offset: usize =
            position.iter().zip(order).map(|(&index, &old)| index * strides[old]).sum();
        bytes.extend_from_slice(tensor.bytes.get(4 * offset..4 * offset + 4)?);
        for dimension in (0..order.len()).rev() {
            position[dimension] += 1;
            if position[dimension] < shape[dimension] {
                break;
            }
            position[dimension] = 0;
        }
    }
    Some(NamedTensor { shape, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_moves_rows_to_columns() {
        let matrix = NamedTensor {
            shape: vec![2, 3],
            bytes: (0..6_u32).flat_map(u32::to_le_bytes).collect(),
        };
        let turned = transpose(&matrix, &[1, 0]).unwrap();
        let expected: Vec<u8> =
            [0_u32, 3, 1, 4, 2, 5].into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(turned, NamedTensor { shape: vec![3, 2], bytes: expected });
        assert!(transpose(&matrix, &[0]).is_none());
    }
}
