//! YAMNet on libtorch, for any of its devices; on the processor the oracle of `cpu.rs`.
//!
//! In: parameters, then patches. Out: embeddings and scores. Maps are laid out
//! `[patches, height, width, channels]`, where libtorch's depthwise kernel is at its best and a
//! pointwise convolution is one matrix product over all positions.

use tch::{Kind, Tensor};

use super::{EMBEDDING, FRONT_END, Layer, Parameters};
use crate::error::Result;
use crate::model::compute::Compute;
use crate::model::network::{Batch, Network, NetworkOutput};
use crate::model::torch::{self, Place, Torch, to_vec};

use crate::units::signed;

/// The network with its weights.
#[derive(Debug)]
pub(super) struct Yamnet {
    place: Place,
    first: Dense,
    layers: Vec<Separable>,
    classifier: Dense,
}

#[derive(Debug)]
struct Separable {
    stride: i64,
    /// `[channels, 1, 3, 3]`.
    depthwise: (Tensor, Tensor),
    pointwise: Pointwise,
}

/// A 1×1 convolution.
#[derive(Debug)]
enum Pointwise {
    /// A weight of `[outputs, inputs, 1, 1]`, which is fastest on the processor.
    Convolution(Tensor, Tensor),
    /// A matrix product: convolutions of cuDNN may round float32 to 10 bits of mantissa (TF32),
    /// products do not unless told to.
    Product(Dense),
}

/// A dense layer.
#[derive(Debug)]
struct Dense {
    /// `[inputs, outputs]`.
    weight: Tensor,
    bias: Tensor,
}

impl Yamnet {
    /// Copies the parameters to where `compute` says.
    pub(super) fn new(parameters: &Parameters, compute: Compute) -> Result<Self> {
        torch::run("yamnet", || Self::build(parameters, Place::of(compute)))
    }

    fn build(parameters: &Parameters, place: Place) -> Torch<Self> {
        let convolution = |layer: &Layer, inputs: usize, size: usize| {
            let shape = [layer.bias.len(), inputs, size, size];
            let bias = place.tensor(&layer.bias, &[layer.bias.len()])?;
            Ok::<_, tch::TchError>((place.tensor(&layer.weight, &shape)?, bias))
        };
        let separable = |layer: &super::Separable| {
            let pointwise = if place.device == tch::Device::Cpu {
                let inputs = layer.depthwise.bias.len();
                let (weight, bias) = convolution(&layer.pointwise, inputs, 1)?;
                Pointwise::Convolution(weight, bias)
            } else {
                Pointwise::Product(Dense::new(&layer.pointwise, place)?)
            };
            let depthwise = convolution(&layer.depthwise, 1, 3)?;
            Ok(Separable { stride: signed(layer.stride), depthwise, pointwise })
        };
        Ok(Self {
            place,
            first: Dense::new(&parameters.first, place)?,
            layers: parameters.separable.iter().map(separable).collect::<Torch<_>>()?,
            classifier: Dense::new(&parameters.classifier, Place { kind: Kind::Float, ..place })?,
        })
    }

    fn forward(&self, patches: &[f32]) -> Torch<NetworkOutput> {
        let (frames, mels) = (FRONT_END.patch_frames, FRONT_END.frame_values());
        let shape = [patches.len() / FRONT_END.patch_values(), frames, mels, 1];
        let mut maps = self.first(&self.place.tensor(patches, &shape)?)?;
        for layer in &self.layers {
            maps = layer.pointwise.forward(&layer.depthwise(&maps)?)?.f_relu_()?;
        }
        // Global average over 3 × 2 positions.
        let embeddings = maps.f_mean_dim(&[1, 2][..], false, Kind::Float)?;
        let scores = self.classifier.forward(&embeddings)?.f_sigmoid_()?;
        debug_assert_eq!(embeddings.size()[1], signed(EMBEDDING));
        Ok(NetworkOutput { embeddings: to_vec(&embeddings)?, scores: to_vec(&scores)? })
    }

    /// The first convolution, 3×3 with stride 2 on one channel, as a matrix product: with one
    /// input channel, libtorch's own takes far longer than its arithmetic.
    fn first(&self, patches: &Tensor) -> Torch<Tensor> {
        let (count, frames, mels, _) = patches.size4()?;
        let (height, width) = (frames + 1, mels + 1);
        let (rows, columns) = (frames / 2, mels / 2);
        // Every window of 3 × 3, as a view; flattening it copies.
        let windows = pad(patches)?
            .f_as_strided(
                [count, rows, columns, 3, 3],
                [height * width, 2 * width, 2, width, 1],
                0,
            )?
            .f_reshape([-1, 9])?;
        self.first.forward(&windows)?.f_relu_()?.f_view([count, rows, columns, -1])
    }
}

impl Network for Yamnet {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        torch::run("yamnet", || self.forward(batch.values))
    }

    fn share(&self) -> Box<dyn Network> {
        let pair =
            |(weight, bias): &(Tensor, Tensor)| (weight.shallow_clone(), bias.shallow_clone());
        let share = |layer: &Separable| Separable {
            stride: layer.stride,
            depthwise: pair(&layer.depthwise),
            pointwise: layer.pointwise.share(),
        };
        Box::new(Self {
            place: self.place,
            first: self.first.share(),
            layers: self.layers.iter().map(share).collect(),
            classifier: self.classifier.share(),
        })
    }
}

impl Separable {
    fn depthwise(&self, maps: &Tensor) -> Torch<Tensor> {
        // TensorFlow's "SAME": all sizes are even where the stride is 2, which makes the padding 0
        // before and 1 after; libtorch pads both sides alike, so there it is done by hand.
        let padded;
        let (maps, padding) = if self.stride == 1 {
            (maps, 1)
        } else {
            padded = pad(maps)?;
            (&padded, 0)
        };
        let (weight, bias) = &self.depthwise;
        maps.f_permute([0, 3, 1, 2])?
            .f_conv2d(weight, Some(bias), [self.stride; 2], [padding; 2], [1; 2], bias.size()[0])?
            .f_relu_()?
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()
    }
}

impl Pointwise {
    /// `[patches, height, width, inputs]` to `[patches, height, width, outputs]`.
    fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        let (patches, height, width, inputs) = maps.size4()?;
        let rows = match self {
            // Rows count as the batch: on one thread, libtorch's 1×1 convolutions are slow below a
            // batch of 16.
            Self::Convolution(weight, bias) => maps
                .f_view([patches * height, 1, width, inputs])?
                .f_permute([0, 3, 1, 2])?
                .f_conv2d(weight, Some(bias), [1; 2], [0; 2], [1; 2], 1)?
                .f_permute([0, 2, 3, 1])?
                .f_contiguous()?,
            Self::Product(dense) => dense.forward(&maps.f_view([-1, inputs])?)?,
        };
        rows.f_view([patches, height, width, -1])
    }

    fn share(&self) -> Self {
        match self {
            Self::Convolution(weight, bias) => {
                Self::Convolution(weight.shallow_clone(), bias.shallow_clone())
            }
            Self::Product(dense) => Self::Product(dense.share()),
        }
    }
}

impl Dense {
    /// Lays the weight out once as the product wants it.
    fn new(layer: &Layer, place: Place) -> Torch<Self> {
        let outputs = layer.bias.len();
        let weight = place.tensor(&layer.weight, &[outputs, layer.weight.len() / outputs])?;
        let weight = weight.f_transpose(0, 1)?.f_contiguous()?;
        Ok(Self { weight, bias: place.tensor(&layer.bias, &[outputs])? })
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
    // The last dimension is the channels.
    maps.f_constant_pad_nd([0, 0, 0, 1, 0, 1])
}
