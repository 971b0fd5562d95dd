//! Whisper's encoder: a transformer on 30 s of log-mel bands.
//!
//! In: patches `[3000, 80]` of log10 mel power. Out: embeddings of half a second,
//! `[steps, width]`, each the mean of the 25 states of 20 ms in it. No scores.
//! Source: A. Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision",
//! arXiv:2212.04356, section 2.2 and table 1, as in openai/whisper, `model.py` (`AudioEncoder`) and
//! `audio.py` (`log_mel_spectrogram`).
//!
//! The network always sees 30 s, as it was trained: what is missing is padding. In the last block
//! only the states that are sound are computed, which changes none of them.

mod conversion;
#[cfg(test)]
mod tests;

pub(super) use conversion::from_checkpoint;

use tch::{Kind, Tensor};

use super::compute::Compute;
use super::network::{Batch, Network, NetworkOutput};
use super::torch::{self, Place, Torch, to_vec};
use super::transformer::{Block, Dense, Norm, NormPlace, Taker, steps, windows};
use super::weights::Weights;
use crate::error::Result;
use crate::frontend::spec::{self, FrontEnd};
use crate::units::signed;

/// What makes Whisper's patches.
pub(super) const FRONT_END: FrontEnd = spec::WHISPER;

/// Mel bands of a frame.
const MELS: usize = 80;
/// States of 30 s: the second convolution has a stride of two.
const POSITIONS: usize = 1_500;
/// Samples that a state stands for: two frames.
const STATE_SAMPLES: usize = 320;
/// States of half a second.
const STATES_A_STEP: usize = 25;
/// Frames that a convolution sees.
const KERNEL: usize = 3;
/// Of libtorch's `LayerNorm`, which `model.py` leaves as it is.
const NORM_EPSILON: f64 = 1e-5;

/// Table 1 of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) name: &'static str,
    pub(super) width: usize,
    pub(super) blocks: usize,
    pub(super) heads: usize,
}

/// The tiny model; of English alone.
pub(super) const TINY: Size = Size { name: "whisper-tiny-en", width: 384, blocks: 4, heads: 6 };
/// The base model, of many languages.
pub(super) const BASE: Size = Size { name: "whisper-base", width: 512, blocks: 6, heads: 8 };

/// The encoder with its weights.
#[derive(Debug)]
struct Whisper {
    size: Size,
    place: Place,
    first: Dense,
    second: Dense,
    /// `[1500, width]`.
    positions: Tensor,
    blocks: Vec<Block>,
    norm: Norm,
}

/// Builds the encoder of `size` for `compute`, which is resolved.
pub(super) fn build(
    mut weights: Weights,
    size: Size,
    compute: Compute,
) -> Result<Box<dyn Network>> {
    let network = Whisper::take(&mut weights, size, Place::of(compute))?;
    weights.finish()?;
    Ok(Box::new(network))
}

impl Whisper {
    /// Takes every tensor, each in its shape.
    fn take(weights: &mut Weights, size: Size, place: Place) -> Result<Self> {
        let width = size.width;
        let mut taker = Taker { model: size.name, weights, place };
        let mut convolution = |path: &str, inputs| {
            let (weight, bias) = (format!("{path}/weight"), format!("{path}/bias"));
            taker.convolution(&weight, Some(&bias), [width, inputs, KERNEL])
        };
        let first = convolution("encoder/conv1", MELS)?;
        let second = convolution("encoder/conv2", width)?;
        let positions =
            taker.tensor("encoder/position_encodings/encodings", &[POSITIONS, width])?;
        let blocks = (0..size.blocks)
            .map(|index| block(&mut taker, &format!("encoder/layer_{index}"), size))
            .collect::<Result<_>>()?;
        let norm = norm(&mut taker, "encoder/layer_norm", width)?;
        Ok(Self { size, place, first, second, positions, blocks, norm })
    }

    /// The first `states` states of a patch, `[states, width]`.
    fn states(&self, patch: &[f32], states: usize) -> Torch<Tensor> {
        let frames = self.place.tensor(&scaled(patch), &[patch.len() / MELS, MELS])?;
        // One frame of zeros on either side.
        let padded = frames.f_constant_pad_nd([0, 0, 1, 1])?;
        let frames = self.first.forward(&windows(&padded, signed(KERNEL), 1)?)?.f_gelu_("none")?;
        let padded = frames.f_constant_pad_nd([0, 0, 1, 1])?;
        let mut hidden = self.second.forward(&windows(&padded, signed(KERNEL), 2)?)?;
        hidden = hidden.f_gelu_("none")?.f_add(&self.positions)?;
        let (last, earlier) = match self.blocks.split_last() {
            Some((last, earlier)) => (Some(last), earlier),
            None => (None, &self.blocks[..]),
        };
        for block in earlier {
            hidden = block.forward(&hidden)?;
        }
        if let Some(last) = last {
            hidden = last.forward_first(&hidden, signed(states))?;
        }
        self.norm.forward(&hidden)
    }

    fn forward(&self, batch: &Batch<'_>) -> Torch<NetworkOutput> {
        let mut embeddings = Vec::new();
        // One patch at a time: its 1,500 states fill the products, and the patches of a batch
        // need different numbers of states in the end.
        for (patch, sound_samples) in batch.patches() {
            let states = sound_samples.div_ceil(STATE_SAMPLES).clamp(1, POSITIONS);
            let states = self.states(patch, states)?.f_to_kind(Kind::Float)?;
            let means = steps(&states, STATES_A_STEP, FRONT_END.steps_of(sound_samples))?;
            embeddings.extend(to_vec(&means)?);
        }
        Ok(NetworkOutput { embeddings, scores: Vec::new() })
    }
}

impl Network for Whisper {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        torch::run(self.size.name, || self.forward(batch))
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(Self {
            size: self.size,
            place: self.place,
            first: self.first.share(),
            second: self.second.share(),
            positions: self.positions.shallow_clone(),
            blocks: self.blocks.iter().map(Block::share).collect(),
            norm: self.norm.share(),
        })
    }
}

/// What `log_mel_spectrogram` makes of logarithms to base 10: nothing lies more than 8 below the
/// loudest value, and what is left comes near [−1, 1].
fn scaled(patch: &[f32]) -> Vec<f32> {
    let floor = patch.iter().copied().fold(f32::NEG_INFINITY, f32::max) - 8.0;
    patch.iter().map(|&value| (value.max(floor) + 4.0) / 4.0).collect()
}

fn block(taker: &mut Taker<'_>, path: &str, size: Size) -> Result<Block> {
    let width = size.width;
    let mut dense = |part: &str, sizes| {
        taker.dense(&format!("{path}/{part}/weight"), &format!("{path}/{part}/bias"), sizes)
    };
    let projections = dense("self_attention/linear_0", [width, 3 * width])?;
    let attention_output = dense("self_attention/linear_1", [width, width])?;
    let widening = dense("ffn/linear_0", [width, 4 * width])?;
    let narrowing = dense("ffn/linear_1", [4 * width, width])?;
    Ok(Block {
        norm_place: NormPlace::Before,
        heads: size.heads,
        projections,
        attention_output,
        attention_norm: norm(taker, &format!("{path}/self_attention/layer_norm"), width)?,
        widening,
        narrowing,
        dense_norm: norm(taker, &format!("{path}/ffn/layer_norm"), width)?,
    })
}

fn norm(taker: &mut Taker<'_>, path: &str, width: usize) -> Result<Norm> {
    taker.norm(&format!("{path}/gamma"), &format!("{path}/beta"), width, NORM_EPSILON)
}
