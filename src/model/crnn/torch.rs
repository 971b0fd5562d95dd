//! The CRNN on libtorch, for any of its devices; on the processor the oracle of `cpu.rs`.
//!
//! In: parameters, then patches. Out: embeddings and scores.

use tch::{Kind, Tensor};

use super::{BANDS, GATES, KERNEL, Parameters, Recurrent, UNITS, frames_of};
use crate::error::Result;
use crate::model::compute::Compute;
use crate::model::layers::{Layer, Norm};
use crate::model::network::{Batch, Network, NetworkOutput};
use crate::model::torch::{self, Place, Torch, to_vec};

/// The network with its weights.
#[derive(Debug)]
pub(super) struct Crnn {
    place: Place,
    convolution: Pair,
    convolution_norm: Pair,
    lstm1: [Tensor; 4],
    lstm2: [Tensor; 4],
    dense: Pair,
    dense_norm: Pair,
    classifier: Pair,
}

/// A weight and a bias, or a scale and a shift.
type Pair = (Tensor, Tensor);

impl Crnn {
    /// Copies the parameters to where `compute` says.
    pub(super) fn new(parameters: &Parameters, compute: Compute) -> Result<Self> {
        torch::run("crnn-bell", || Self::build(parameters, Place::of(compute)))
    }

    fn build(parameters: &Parameters, place: Place) -> Torch<Self> {
        let layer = |layer: &Layer, shape: &[usize]| {
            let bias = place.tensor(&layer.bias, &[layer.bias.len()])?;
            Ok::<_, tch::TchError>((place.tensor(&layer.weight, shape)?, bias))
        };
        let norm = |norm: &Norm| {
            let channels = [norm.scale.len()];
            let shift = place.tensor(&norm.shift, &channels)?;
            Ok::<_, tch::TchError>((place.tensor(&norm.scale, &channels)?, shift))
        };
        let recurrent = |layer: &Recurrent| {
            let shape = [GATES * UNITS, UNITS];
            let bias = place.tensor(&layer.bias, &shape[..1])?;
            // libtorch adds two biases, of which Keras has one.
            let none = bias.f_zeros_like()?;
            let weights =
                [place.tensor(&layer.input, &shape)?, place.tensor(&layer.hidden, &shape)?];
            let [input, hidden] = weights;
            Ok::<_, tch::TchError>([input, hidden, bias, none])
        };
        let classes = parameters.classifier.bias.len();
        Ok(Self {
            place,
            convolution: layer(&parameters.convolution, &[UNITS, 1, KERNEL])?,
            convolution_norm: norm(&parameters.convolution_norm)?,
            lstm1: recurrent(&parameters.lstm1)?,
            lstm2: recurrent(&parameters.lstm2)?,
            dense: layer(&parameters.dense, &[UNITS, UNITS])?,
            dense_norm: norm(&parameters.dense_norm)?,
            classifier: layer(&parameters.classifier, &[classes, UNITS])?,
        })
    }

    /// What it says of each frame of patches of `frames` frames each: embeddings
    /// `[patches, frames, 64]`, scores `[patches, frames, classes]`.
    pub(super) fn frames(&self, patches: &[f32], frames: usize) -> Torch<(Tensor, Tensor)> {
        let count = patches.len() / (frames * BANDS);
        let patches = self.place.tensor(patches, &[count * frames, 1, BANDS])?;
        let (weight, bias) = &self.convolution;
        let maps = patches.f_conv1d(weight, Some(bias), 1, 0, 1, 1)?.f_relu_()?;
        let peaks = normed(&maps.f_transpose(1, 2)?, &self.convolution_norm)?.f_amax(1, false)?;
        let shape = [count, frames, UNITS].map(crate::units::signed);
        let backwards = peaks.f_view(shape)?.f_flip([1])?;
        let said = self.recur(&backwards, &self.lstm1)?.f_flip([1])?;
        let said = self.recur(&said, &self.lstm2)?;
        let dense = said.f_linear(&self.dense.0, Some(&self.dense.1))?.f_relu_()?;
        let embeddings = normed(&dense, &self.dense_norm)?;
        let scores = embeddings.f_linear(&self.classifier.0, Some(&self.classifier.1))?;
        Ok((embeddings, scores.f_to_kind(Kind::Float)?.f_sigmoid_()?))
    }

    /// `[patches, frames, 64]` from the first frame to the last.
    fn recur(&self, frames: &Tensor, layer: &[Tensor; 4]) -> Torch<Tensor> {
        let shape = [1, frames.size3()?.0, crate::units::signed(UNITS)];
        let zeros = || Tensor::f_zeros(shape, (self.place.kind, self.place.device));
        let silence = [zeros()?, zeros()?];
        let (said, ..) = frames.f_lstm(&silence, layer, true, 1, 0.0, false, false, true)?;
        Ok(said)
    }

    /// Patches of `frames` frames, of which each gives a mean.
    fn means(&self, patches: &[f32], frames: usize, output: &mut NetworkOutput) -> Torch<()> {
        let (embeddings, scores) = self.frames(patches, frames)?;
        let mean = |frames: &Tensor| to_vec(&frames.f_mean_dim(&[1][..], false, Kind::Float)?);
        output.embeddings.extend(mean(&embeddings)?);
        output.scores.extend(mean(&scores)?);
        Ok(())
    }
}

impl Network for Crnn {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let patches: Vec<(&[f32], usize)> =
            batch.patches().map(|(patch, sound)| (patch, frames_of(sound))).collect();
        let mut output = NetworkOutput::default();
        // Nearly all patches are sound throughout and run together.
        for alike in patches.chunk_by(|a, b| a.1 == b.1) {
            let frames = alike[0].1;
            let sound = alike.iter().flat_map(|(patch, _)| &patch[..frames * BANDS]);
            let values: Vec<f32> = sound.copied().collect();
            torch::run("crnn-bell", || self.means(&values, frames, &mut output))?;
        }
        Ok(output)
    }

    fn share(&self) -> Box<dyn Network> {
        let pair = |(a, b): &Pair| (a.shallow_clone(), b.shallow_clone());
        Box::new(Self {
            place: self.place,
            convolution: pair(&self.convolution),
            convolution_norm: pair(&self.convolution_norm),
            lstm1: self.lstm1.each_ref().map(Tensor::shallow_clone),
            lstm2: self.lstm2.each_ref().map(Tensor::shallow_clone),
            dense: pair(&self.dense),
            dense_norm: pair(&self.dense_norm),
            classifier: pair(&self.classifier),
        })
    }
}

/// Scales and shifts the last dimension.
fn normed(values: &Tensor, (scale, shift): &Pair) -> Torch<Tensor> {
    shift.f_addcmul(values, scale)
}
