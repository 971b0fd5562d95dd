//! musicnn on libtorch, for any of its devices; on the processor the oracle of `cpu.rs`.
//!
//! In: parameters, then patches. Out: embeddings and scores. The layers are computed as the paper
//! has them, each on all positions.

use tch::{Kind, Tensor};

use super::{
    BANDS, EMBEDDING, FRONT_CHANNELS, FrontLayer, MIDDLE_CHANNELS, MIDDLE_FRAMES, POOLED,
    Parameters, TEMPO, TIMBRAL, frames_of,
};
use crate::error::Result;
use crate::model::compute::Compute;
use crate::model::layers::{Layer, Norm};
use crate::model::network::{Batch, Network, NetworkOutput};
use crate::model::torch::{self, Place, Torch, to_vec};
use crate::units::signed;

/// The network with its weights.
#[derive(Debug)]
pub(super) struct Musicnn {
    place: Place,
    input_norm: Pair,
    front: Vec<Convolution>,
    middle: Vec<Convolution>,
    pool_norm: Pair,
    dense: Pair,
    dense_norm: Pair,
    classifier: Pair,
}

/// A weight and a bias, or a scale and a shift.
type Pair = (Tensor, Tensor);

/// A convolution with the norm that follows its ReLU.
#[derive(Debug)]
struct Convolution {
    layer: Pair,
    /// `[channels, 1, 1]`.
    norm: Pair,
    /// Frames of zeros before and behind.
    reach: (usize, usize),
}

impl Musicnn {
    /// Copies the parameters to where `compute` says.
    pub(super) fn new(parameters: &Parameters, compute: Compute) -> Result<Self> {
        torch::run("musicnn", || Self::build(parameters, Place::of(compute)))
    }

    fn build(parameters: &Parameters, place: Place) -> Torch<Self> {
        let pair = |layer: &Layer, shape: &[usize]| {
            let bias = place.tensor(&layer.bias, &shape[..1])?;
            Ok::<_, tch::TchError>((place.tensor(&layer.weight, shape)?, bias))
        };
        let norm = |norm: &Norm, shape: &[usize]| {
            let shift = place.tensor(&norm.shift, shape)?;
            Ok::<_, tch::TchError>((place.tensor(&norm.scale, shape)?, shift))
        };
        let convolution = |(layer, after): &(Layer, Norm), frames: usize, bands: usize| {
            let channels = layer.bias.len();
            let shape = FrontLayer { name: "", channels, frames, bands };
            Ok::<_, tch::TchError>(Convolution {
                layer: pair(layer, &[channels, 1, frames, bands])?,
                norm: norm(after, &[channels, 1, 1])?,
                reach: shape.reach(),
            })
        };
        let shapes = TIMBRAL.iter().chain(&TEMPO);
        let front = parameters.front.iter().zip(shapes);
        let below = [FRONT_CHANNELS, MIDDLE_CHANNELS, MIDDLE_CHANNELS];
        let middle = parameters.middle.iter().zip(below);
        let tags = parameters.classifier.bias.len();
        Ok(Self {
            place,
            input_norm: norm(&parameters.input_norm, &[1])?,
            front: front
                .map(|(layer, shape)| convolution(layer, shape.frames, shape.bands))
                .collect::<Torch<_>>()?,
            middle: middle
                .map(|(layer, below)| convolution(layer, MIDDLE_FRAMES, below))
                .collect::<Torch<_>>()?,
            pool_norm: norm(&parameters.pool_norm, &[2 * POOLED])?,
            dense: pair(&parameters.dense, &[EMBEDDING, 2 * POOLED])?,
            dense_norm: norm(&parameters.dense_norm, &[EMBEDDING])?,
            classifier: pair(&parameters.classifier, &[tags, EMBEDDING])?,
        })
    }

    /// Appends what it says of patches of `frames` frames each.
    fn forward(&self, patches: &[f32], frames: usize, output: &mut NetworkOutput) -> Torch<()> {
        let count = patches.len() / (frames * BANDS);
        let patches = self.place.tensor(patches, &[count, 1, frames, BANDS])?;
        let input = normed(&patches, &self.input_norm)?;
        let peaks = |layer: &Convolution| layer.forward(&input)?.f_amax(3, false);
        // All are [patches, channels, frames].
        let front = self.front.iter().map(peaks).collect::<Torch<Vec<_>>>()?;
        let mut said = vec![Tensor::f_cat(&front, 1)?];
        for (index, layer) in self.middle.iter().enumerate() {
            let below = said[index].f_transpose(1, 2)?.f_unsqueeze(1)?;
            let above = layer.forward(&below)?.f_squeeze_dim(3)?;
            said.push(if index == 0 { above } else { above.f_add(&said[index])? });
        }
        let said = Tensor::f_cat(&said, 1)?.f_to_kind(Kind::Float)?;
        let mean = said.f_mean_dim(&[2][..], false, Kind::Float)?;
        // [max 0, mean 0, max 1, mean 1, …].
        let pooled = Tensor::f_stack(&[said.f_amax(2, false)?, mean], 2)?
            .f_view([signed(count), signed(2 * POOLED)])?
            .f_to_kind(self.place.kind)?;
        let dense = normed(&pooled, &self.pool_norm)?
            .f_linear(&self.dense.0, Some(&self.dense.1))?
            .f_relu_()?;
        let embeddings = normed(&dense, &self.dense_norm)?;
        let scores = embeddings.f_linear(&self.classifier.0, Some(&self.classifier.1))?;
        output.embeddings.extend(to_vec(&embeddings)?);
        output.scores.extend(to_vec(&scores.f_to_kind(Kind::Float)?.f_sigmoid_()?)?);
        Ok(())
    }
}

impl Network for Musicnn {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let patches: Vec<(&[f32], usize)> =
            batch.patches().map(|(patch, sound)| (patch, frames_of(sound))).collect();
        let mut output = NetworkOutput::default();
        // Nearly all patches are sound throughout and run together.
        for alike in patches.chunk_by(|a, b| a.1 == b.1) {
            let frames = alike[0].1;
            let sound = alike.iter().flat_map(|(patch, _)| &patch[..frames * BANDS]);
            let values: Vec<f32> = sound.copied().collect();
            torch::run("musicnn", || self.forward(&values, frames, &mut output))?;
        }
        Ok(output)
    }

    fn share(&self) -> Box<dyn Network> {
        let share = |layers: &[Convolution]| layers.iter().map(Convolution::share).collect();
        Box::new(Self {
            place: self.place,
            input_norm: clone(&self.input_norm),
            front: share(&self.front),
            middle: share(&self.middle),
            pool_norm: clone(&self.pool_norm),
            dense: clone(&self.dense),
            dense_norm: clone(&self.dense_norm),
            classifier: clone(&self.classifier),
        })
    }
}

impl Convolution {
    /// `[patches, 1, frames, bands]` to `[patches, channels, frames, positions]`.
    fn forward(&self, input: &Tensor) -> Torch<Tensor> {
        let (weight, bias) = &self.layer;
        let (before, behind) = self.reach;
        let padded = input.f_constant_pad_nd([0, 0, signed(before), signed(behind)])?;
        let maps = padded.f_conv2d(weight, Some(bias), [1; 2], [0; 2], [1; 2], 1)?.f_relu_()?;
        normed(&maps, &self.norm)
    }

    fn share(&self) -> Self {
        Self { layer: clone(&self.layer), norm: clone(&self.norm), reach: self.reach }
    }
}

/// The same tensors.
fn clone((a, b): &Pair) -> Pair {
    (a.shallow_clone(), b.shallow_clone())
}

/// Scales and shifts.
fn normed(values: &Tensor, (scale, shift): &Pair) -> Torch<Tensor> {
    shift.f_addcmul(values, scale)
}
