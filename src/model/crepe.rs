//! CREPE: six 1-D convolutions on the raw waveform, for the pitch of what sounds.
//!
//! In: patches of samples, `[patches, 8864]`: 50 frames of 1,024, one every 160. Out: an embedding
//! a patch, the mean over its frames; to describe a sound, the pitch of every frame. Source: J. W.
//! Kim et al., "CREPE", ICASSP 2018, arXiv:1802.06182, figure 1, with the order of activation, norm
//! and pooling, and the border of each layer, as torchcrepe 0.0.24 has them (`model.py`). A frame's
//! embedding is what the fifth layer gives, as torchcrepe flattens it: position outermost.
//!
//! The layers are in `crepe/layer.rs`, their convolutions in `crepe/convolution.rs` and beside it.

mod conversion;
mod convolution;
mod layer;
mod pitch;
mod spectral;
#[cfg(test)]
mod tests;
mod windows;

use tch::{Kind, Tensor};

pub(super) use self::conversion::from_checkpoint;

use self::convolution::Method;
use self::layer::Layer;
use self::pitch::pitch_of;
use super::compute::{Compute, Precision};
use super::network::{Batch, Network, NetworkOutput, PitchOutput};
use super::torch::{self, Place, Torch, to_vec};
use super::weights::Weights;
use crate::error::Result;
use crate::frontend::spec::{self, FrontEnd};
use crate::units::signed;

/// What cuts CREPE's patches.
pub(super) const FRONT_END: FrontEnd = spec::CREPE;

/// Samples of a frame.
const FRAME_SAMPLES: usize = 1024;
/// From one frame to the next, in samples: 10 ms.
const FRAME_HOP_SAMPLES: usize = 160;
/// Frames of a patch.
const PATCH_FRAMES: usize = 50;
/// Layers, of which all but the last make the embedding.
const LAYERS: usize = 6;
/// Taps and stride of the first layer's convolution, and taps of the others, whose stride is 1.
const FIRST: (usize, usize) = (512, 4);
const TAPS: usize = 64;
/// Positions of a frame that are left after the last layer.
const LAST_POSITIONS: usize = (FRAME_SAMPLES / FIRST.1) >> LAYERS;
/// Bins of the pitch, 20 cents each.
const PITCH_BINS: usize = 360;
/// Added to the variance of a batch norm.
const NORM_EPSILON: f64 = 0.0010000000474974513;
/// The least deviation that a frame is divided by (torchcrepe, `core.py`): silence stays silence.
const LEAST_DEVIATION: f64 = 1e-10;

/// How many channels the layers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Tiny,
    Full,
}

impl Size {
    pub(super) fn model(self) -> &'static str {
        match self {
            Self::Tiny => "crepe-tiny",
            Self::Full => "crepe",
        }
    }

    /// Channels that each layer gives.
    fn channels(self) -> [usize; LAYERS] {
        match self {
            Self::Tiny => [128, 16, 16, 16, 32, 64],
            Self::Full => [1024, 128, 128, 128, 256, 512],
        }
    }

    /// Length of a frame's embedding. The head's inputs are as many: it sees twice the channels at
    /// half the positions.
    fn dimension(self) -> usize {
        self.channels()[LAYERS - 1] * LAST_POSITIONS
    }
}

/// The network with its weights.
#[derive(Debug)]
pub(crate) struct Crepe {
    size: Size,
    place: Place,
    layers: Vec<Layer>,
    /// `[inputs, 360]` and `[360]`.
    head: (Tensor, Tensor),
}

/// Builds the network for `compute`, which is resolved.
pub(super) fn build(weights: Weights, size: Size, compute: Compute) -> Result<Box<dyn Network>> {
    Ok(Box::new(Crepe::new(weights, size, compute)?))
}

impl Crepe {
    /// Takes every tensor, each in its shape, and refuses others.
    pub(super) fn new(weights: Weights, size: Size, compute: Compute) -> Result<Self> {
        Self::with_method(weights, size, compute, Method::best_for(compute))
    }

    fn with_method(
        mut weights: Weights,
        size: Size,
        compute: Compute,
        method: Method,
    ) -> Result<Self> {
        let place = match method {
            Method::Fast => Place { kind: Kind::Float, ..Place::of(compute) },
            Method::Direct => Place::of(compute),
        };
        let mut layers = Vec::with_capacity(LAYERS);
        let mut inputs = 1;
        for (index, outputs) in size.channels().into_iter().enumerate() {
            let parameters = layer::Parameters::take(&mut weights, index, inputs, outputs)?;
            layers.push(torch::run(size.model(), || Layer::new(&parameters, place, method))?);
            inputs = outputs;
        }
        let weight = weights.take_values("head.weight", &[PITCH_BINS, size.dimension()])?;
        let bias = weights.take_values("head.bias", &[PITCH_BINS])?;
        weights.finish()?;
        let head = torch::run(size.model(), || {
            let weight = place.tensor(&weight, &[PITCH_BINS, size.dimension()])?;
            let weight = weight.f_transpose(0, 1)?.f_contiguous()?;
            Ok((weight, place.tensor(&bias, &[PITCH_BINS])?))
        })?;
        Ok(Self { size, place, layers, head })
    }

    /// The network's answer, `[frames, 360]`: how sure it is of each pitch, for every frame of
    /// `batch` that lies in sound.
    fn salience(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        let mut salience = Vec::new();
        for (patch, sound_samples) in batch.patches() {
            let rows = torch::run(self.size.model(), || {
                let frames = normalised(&self.frames(patch)?)?;
                to_vec(&self.head(&frames.f_narrow(0, 0, signed(frames_of(sound_samples)))?)?)
            })?;
            salience.extend(rows);
        }
        Ok(salience)
    }

    /// The frames of a patch, `[frames, 1024]`, a view.
    fn frames(&self, patch: &[f32]) -> Torch<Tensor> {
        Place { kind: Kind::Float, ..self.place }.tensor(patch, &[patch.len()])?.f_unfold(
            0,
            signed(FRAME_SAMPLES),
            signed(FRAME_HOP_SAMPLES),
        )
    }

    /// The maps after the first `count` layers, `[positions, frames, channels]`, of normalised
    /// frames.
    fn maps(&self, frames: &Tensor, count: usize) -> Torch<Tensor> {
        let samples = frames.f_to_kind(self.place.kind)?.f_transpose(0, 1)?.f_contiguous()?;
        let mut maps = samples.f_view([signed(FRAME_SAMPLES), -1, 1])?;
        for layer in &self.layers[..count] {
            maps = layer.forward(&maps)?;
        }
        Ok(maps)
    }

    /// The embeddings of normalised frames, `[frames, dimension]`.
    fn embeddings(&self, frames: &Tensor) -> Torch<Tensor> {
        flatten(&self.maps(frames, LAYERS - 1)?)
    }

    /// The pitch bins of normalised frames, `[frames, 360]`.
    fn head(&self, frames: &Tensor) -> Torch<Tensor> {
        let (weight, bias) = &self.head;
        bias.f_addmm(&flatten(&self.maps(frames, LAYERS)?)?, weight)?.f_sigmoid()
    }

    /// The mean embedding of a patch. A patch at a time, so that every product has the same shape:
    /// libtorch sums in another order where it has not, and an embedding would depend on its
    /// neighbours.
    fn embed(&self, patch: &[f32], sound_samples: usize) -> Torch<Vec<f32>> {
        let embeddings = self.embeddings(&normalised(&self.frames(patch)?)?)?;
        let heard = embeddings.f_narrow(0, 0, signed(frames_of(sound_samples)))?;
        to_vec(&heard.f_mean_dim(&[0][..], false, Kind::Float)?)
    }
}

impl Network for Crepe {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let mut output = NetworkOutput::default();
        for (patch, sound_samples) in batch.patches() {
            let embedding = torch::run(self.size.model(), || self.embed(patch, sound_samples))?;
            output.embeddings.extend(embedding);
        }
        Ok(output)
    }

    fn pitch(&self, batch: &Batch<'_>) -> Option<Result<PitchOutput>> {
        Some(self.salience(batch).map(|salience| PitchOutput {
            frames: salience.as_chunks().0.iter().map(pitch_of).collect(),
            frames_of: batch.sound_samples.iter().map(|&samples| frames_of(samples)).collect(),
            frame_hop_s: FRAME_HOP_SAMPLES as f64 / f64::from(FRONT_END.sample_rate),
        }))
    }

    fn precision(&self, asked: Precision) -> Precision {
        if self.place.kind == Kind::Float { Precision::Float32 } else { asked }
    }

    fn share(&self) -> Box<dyn Network> {
        let (weight, bias) = &self.head;
        Box::new(Self {
            size: self.size,
            place: self.place,
            layers: self.layers.iter().map(Layer::share).collect(),
            head: (weight.shallow_clone(), bias.shallow_clone()),
        })
    }
}

/// How many frames of a patch have their centre in its first `sound_samples`.
fn frames_of(sound_samples: usize) -> usize {
    sound_samples.div_ceil(FRAME_HOP_SAMPLES).clamp(1, PATCH_FRAMES)
}

/// Each frame less its mean, over its deviation.
fn normalised(frames: &Tensor) -> Torch<Tensor> {
    let mean = frames.f_mean_dim(&[1][..], true, Kind::Float)?;
    let deviation = frames.f_std_dim(&[1][..], true, true)?.f_clamp_min(LEAST_DEVIATION)?;
    frames.f_sub(&mean)?.f_div(&deviation)
}

/// `[positions, frames, channels]` to `[frames, positions × channels]`.
fn flatten(maps: &Tensor) -> Torch<Tensor> {
    let (_, frames, _) = maps.size3()?;
    maps.f_transpose(0, 1)?.f_reshape([frames, -1])
}
