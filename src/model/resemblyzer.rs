//! Resemblyzer: three recurrent layers that hear who speaks.
//!
//! In: patches `[patches, 160, 40]`, mel powers. Out: embeddings `[patches, 256]` of length 1, no
//! value below zero. Source: L. Wan et al., "Generalized end-to-end loss for speaker verification",
//! arXiv:1710.10467, section 3.1, as built in Resemblyzer 0.1.4, `voice_encoder.py`: the last state
//! of the top layer, a dense layer, ReLU, and the direction of that.

mod conversion;
#[cfg(test)]
mod tests;

use tch::{Kind, Tensor};

pub(super) use self::conversion::from_checkpoint;

use super::compute::Compute;
use super::network::{Batch, Network, NetworkOutput};
use super::torch::{self, Place, Torch, to_vec};
use super::weights::Weights;
use crate::error::Result;
use crate::frontend::spec::{self, FrontEnd};
use crate::units::signed;

/// What makes Resemblyzer's patches.
pub(super) const FRONT_END: FrontEnd = spec::RESEMBLYZER;

const MODEL: &str = "resemblyzer";
/// Frames and mel bands of a patch.
const FRAMES: usize = 160;
const MELS: usize = 40;
/// Recurrent layers, and the length of their states.
const LAYERS: usize = 3;
const HIDDEN: usize = 256;
/// Gates of a layer: input, forget, cell, output.
const GATES: usize = 4;
/// Length of an embedding.
const EMBEDDING: usize = 256;
/// Patches that run side by side. Always as many, those that are missing being zeros: libtorch sums
/// in another order where a product has another shape, and an embedding would depend on its
/// neighbours. In milliseconds of processor time (one thread with AVX-512), 1 row takes 8, 4 take
/// 20, 16 take 53, 32 take 98 and 64 take 216: beyond 16 a row is hardly cheaper.
const ROWS: usize = 16;
/// The least length that a vector is divided by, so that nothing divides by zero.
const LEAST_LENGTH: f64 = 1e-12;

/// The network with its weights.
#[derive(Debug)]
pub(super) struct Resemblyzer {
    place: Place,
    /// Of each layer the weights of inputs and states, then both biases.
    recurrent: Vec<Tensor>,
    /// `[256, 256]`, inputs first, and `[256]`.
    dense: (Tensor, Tensor),
}

/// Builds the network for `compute`, which is resolved.
pub(super) fn build(weights: Weights, compute: Compute) -> Result<Box<dyn Network>> {
    Ok(Box::new(Resemblyzer::new(weights, compute)?))
}

/// The tensors of the recurrent layers by the names that libtorch gives them, in its order, and
/// their shapes.
fn recurrent_tensors() -> impl Iterator<Item = (String, Vec<usize>)> {
    let rows = GATES * HIDDEN;
    (0..LAYERS).flat_map(move |layer| {
        let inputs = if layer == 0 { MELS } else { HIDDEN };
        [
            (format!("lstm.weight_ih_l{layer}"), vec![rows, inputs]),
            (format!("lstm.weight_hh_l{layer}"), vec![rows, HIDDEN]),
            (format!("lstm.bias_ih_l{layer}"), vec![rows]),
            (format!("lstm.bias_hh_l{layer}"), vec![rows]),
        ]
    })
}

impl Resemblyzer {
    /// Takes every tensor, each in its shape, and refuses others.
    pub(super) fn new(mut weights: Weights, compute: Compute) -> Result<Self> {
        let place = Place::of(compute);
        let mut recurrent = Vec::with_capacity(4 * LAYERS);
        for (name, shape) in recurrent_tensors() {
            let values = weights.take_values(&name, &shape)?;
            recurrent.push(torch::run(MODEL, || place.tensor(&values, &shape))?);
        }
        let weight = weights.take_values("linear.weight", &[EMBEDDING, HIDDEN])?;
        let bias = weights.take_values("linear.bias", &[EMBEDDING])?;
        weights.finish()?;
        let dense = torch::run(MODEL, || {
            let weight = place.tensor(&weight, &[EMBEDDING, HIDDEN])?.f_transpose(0, 1)?;
            Ok((weight.f_contiguous()?, place.tensor(&bias, &[EMBEDDING])?))
        })?;
        Ok(Self { place, recurrent, dense })
    }

    /// The embeddings of patches, at most [`ROWS`] of them.
    fn embed(&self, patches: &[f32]) -> Torch<Vec<f32>> {
        let count = patches.len() / (FRAMES * MELS);
        let mut rows = patches.to_vec();
        rows.resize(ROWS * FRAMES * MELS, 0.0);
        let input = self.place.tensor(&rows, &[ROWS, FRAMES, MELS])?.f_transpose(0, 1)?;
        let shape = [LAYERS, ROWS, HIDDEN].map(signed);
        let state = Tensor::f_zeros(shape, (self.place.kind, self.place.device))?;
        let states = [&state, &state];
        let (_, last, _) = input.f_contiguous()?.f_lstm(
            &states,
            &self.recurrent.iter().collect::<Vec<_>>(),
            true,
            signed(LAYERS),
            0.0,
            false,
            false,
            false,
        )?;
        let (weight, bias) = &self.dense;
        let raw = bias.f_addmm(&last.f_get(signed(LAYERS) - 1)?, weight)?.f_relu()?;
        let raw = raw.f_to_kind(Kind::Float)?;
        let length = raw.f_norm_scalaropt_dim(2, &[1][..], true)?.f_clamp_min(LEAST_LENGTH)?;
        to_vec(&raw.f_div(&length)?.f_narrow(0, 0, signed(count))?)
    }
}

impl Network for Resemblyzer {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let mut output = NetworkOutput::default();
        for patches in batch.values.chunks(ROWS * FRAMES * MELS) {
            output.embeddings.extend(torch::run(MODEL, || self.embed(patches))?);
        }
        Ok(output)
    }

    fn share(&self) -> Box<dyn Network> {
        let (weight, bias) = &self.dense;
        Box::new(Self {
            place: self.place,
            recurrent: self.recurrent.iter().map(Tensor::shallow_clone).collect(),
            dense: (weight.shallow_clone(), bias.shallow_clone()),
        })
    }
}
