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
///
/// Maps are laid out `[patches, height, width, channels]`, where libtorch's depthwise kernel is at
/// its best and a pointwise convolution is one matrix product over all positions.
#[derive(Debug)]
pub(super) struct Yamnet {
    first: First,
    layers: Vec<Separable>,
    classifier: Dense,
}

#[derive(Debug)]
struct Separable {
    depthwise: Depthwise,
    pointwise: Pointwise,
}

/// The first convolution, 3×3 with stride 2 on one channel, as a matrix product: with one input
/// channel, libtorch's own takes far longer than its arithmetic.
#[derive(Debug)]
struct First(Dense);

/// A 3×3 convolution of each channel by itself.
#[derive(Debug)]
struct Depthwise {
    /// `[channels, 1, 3, 3]`.
    weight: Tensor,
    bias: Tensor,
    stride: i64,
}

/// A 1×1 convolution.
#[derive(Debug)]
struct Pointwise {
    /// `[outputs, inputs, 1, 1]`.
    weight: Tensor,
    bias: Tensor,
}

/// A dense layer.
#[derive(Debug)]
struct Dense {
    /// `[inputs, outputs]`.
    weight: Tensor,
    bias: Tensor,
}

type Torch<T> = std::result::Result<T, tch::TchError>;

impl Yamnet {
    /// Builds the network; every tensor must be there, in its shape, and no other.
    pub(super) fn new(mut weights: Weights, classes: usize) -> Result<Self> {
        let mut channels = FIRST_CHANNELS;
        let (weight, bias) = take_folded(&mut weights, &first_name(), &[channels, 1, 3, 3])?;
        let first = First(Dense::new(&weight, bias)?);
        let mut layers = Vec::with_capacity(LAYERS.len());
        for (index, (stride, output)) in LAYERS.into_iter().enumerate() {
            let name = layer_name(index);
            let shape = [channels, 1, 3, 3];
            let (weight, bias) = take_folded(&mut weights, &format!("{name}.depthwise"), &shape)?;
            let depthwise = Depthwise { weight, bias, stride };
            let shape = [output, channels, 1, 1];
            let (weight, bias) = take_folded(&mut weights, &format!("{name}.pointwise"), &shape)?;
            layers.push(Separable { depthwise, pointwise: Pointwise { weight, bias } });
            channels = output;
        }
        let weight = take(&mut weights, "classifier.weight", &[classes, EMBEDDING])?;
        let bias = take(&mut weights, "classifier.bias", &[classes])?;
        weights.finish()?;
        Ok(Self { first, layers, classifier: Dense::new(&weight, bias)? })
    }

    fn forward(&self, patches: &[f32]) -> Torch<NetworkOutput> {
        let (frames, mels) = (signed(FRONT_END.patch_frames), signed(FRONT_END.mel_bands));
        let mut maps = self.first.forward(&Tensor::f_from_slice(patches)?, frames, mels)?;
        for layer in &self.layers {
            maps = layer.pointwise.forward(&layer.depthwise.forward(&maps)?)?.f_relu_()?;
        }
        // Global average over 3 × 2 positions.
        let embeddings = maps.f_mean_dim(&[1, 2][..], false, Kind::Float)?;
        let scores = self.classifier.forward(&embeddings)?.f_sigmoid_()?;
        Ok(NetworkOutput { embeddings: to_vec(&embeddings)?, scores: to_vec(&scores)? })
    }
}

impl Network for Yamnet {
    fn run(&self, patches: &[f32]) -> Result<NetworkOutput> {
        // The guard is per thread, so it is taken at every call rather than once.
        tch::no_grad(|| self.forward(patches)).map_err(|error| failed("yamnet", error))
    }

    fn share(&self) -> Box<dyn Network> {
        let share = |layer: &Separable| Separable {
            depthwise: layer.depthwise.share(),
            pointwise: layer.pointwise.share(),
        };
        Box::new(Self {
            first: First(self.first.0.share()),
            layers: self.layers.iter().map(share).collect(),
            classifier: self.classifier.share(),
        })
    }
}

impl First {
    /// `[patches * frames * mels]` to `[patches, frames / 2, mels / 2, 32]`.
    fn forward(&self, patches: &Tensor, frames: i64, mels: i64) -> Torch<Tensor> {
        let padded = pad(&patches.f_view([-1, frames, mels, 1])?)?;
        let (height, width) = (frames + 1, mels + 1);
        let (rows, columns) = (frames / 2, mels / 2);
        let patch_count = padded.size()[0];
        // Every window of 3 × 3, as a view; flattening it copies.
        let windows = padded
            .f_as_strided(
                [patch_count, rows, columns, 3, 3],
                [height * width, 2 * width, 2, width, 1],
                0,
            )?
            .f_reshape([-1, 9])?;
        self.0.forward(&windows)?.f_relu_()?.f_view([patch_count, rows, columns, -1])
    }
}

impl Depthwise {
    fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        // TensorFlow's "SAME": all sizes are even where the stride is 2, which makes the padding 0
        // before and 1 after; libtorch pads both sides alike, so there it is done by hand.
        let padded;
        let (maps, padding) = if self.stride == 1 {
            (maps, 1)
        } else {
            padded = pad(maps)?;
            (&padded, 0)
        };
        let groups = self.weight.size()[0];
        maps.f_permute([0, 3, 1, 2])?
            .f_conv2d(
                &self.weight,
                Some(&self.bias),
                [self.stride; 2],
                [padding; 2],
                [1; 2],
                groups,
            )?
            .f_relu_()?
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()
    }

    fn share(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            bias: self.bias.shallow_clone(),
            stride: self.stride,
        }
    }
}

impl Pointwise {
    /// `[patches, height, width, inputs]` to `[patches, height, width, outputs]`.
    fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        let (patches, height, width, inputs) = maps.size4()?;
        // Rows count as the batch: on one thread, libtorch's 1×1 convolutions are slow below a
        // batch of 16. As a plain matrix product this was a quarter slower (662 against 866
        // patches a second on Zen 5).
        maps.f_view([patches * height, 1, width, inputs])?
            .f_permute([0, 3, 1, 2])?
            .f_conv2d(&self.weight, Some(&self.bias), [1; 2], [0; 2], [1; 2], 1)?
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()?
            .f_view([patches, height, width, self.weight.size()[0]])
    }

    fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

impl Dense {
    /// Lays `weight`, `[outputs, inputs...]`, out once as the product wants it.
    fn new(weight: &Tensor, bias: Tensor) -> Result<Self> {
        let lay_out = || weight.f_flatten(1, -1)?.f_transpose(0, 1)?.f_contiguous();
        let weight = tch::no_grad(lay_out).map_err(|error| failed("yamnet", error))?;
        Ok(Self { weight, bias })
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    fn forward(&self, rows: &Tensor) -> Torch<Tensor> {
        self.bias.f_addmm(rows, &self.weight)
    }

    fn share(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

/// Adds a row and a column of zeros behind each map.
fn pad(maps: &Tensor) -> Torch<Tensor> {
    maps.f_constant_pad_nd([0, 0, 0, 1, 0, 1])
}

/// Takes a convolution of `shape` with the batch norm after it folded in: its kernel and bias.
fn take_folded(weights: &mut Weights, name: &str, shape: &[usize]) -> Result<(Tensor, Tensor)> {
    let channels = &shape[..1];
    let kernel = take(weights, &format!("{name}.weight"), shape)?;
    let norm_bias = take(weights, &format!("{name}.norm.bias"), channels)?;
    let mean = take(weights, &format!("{name}.norm.mean"), channels)?;
    let variance = take(weights, &format!("{name}.norm.variance"), channels)?;
    fold(&kernel, &norm_bias, &mean, &variance).map_err(|error| failed("yamnet", error))
}

/// The kernel and bias of a convolution that does what `kernel` and the norm after it do.
fn fold(
    kernel: &Tensor,
    norm_bias: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
) -> Torch<(Tensor, Tensor)> {
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
