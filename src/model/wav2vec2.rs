//! wav2vec 2.0: convolutions on samples, then a transformer.
//!
//! In: patches of samples at 16 kHz. Out: embeddings of half a second, `[steps, width]`, each the
//! mean of the 25 hidden states of 20 ms in it. No scores.
//! Source: A. Baevski et al., arXiv:2006.11477, section 2, in the two layouts that were published
//! (transformers 4.30.2, `modeling_wav2vec2.py`): *base* has a norm behind the first convolution and
//! behind each half of a block, *large* behind every convolution and before each half of a block.
//!
//! A patch is computed at its real length: the network was trained without padding, and the first
//! norm of *base* is over time.

mod config;
mod conversion;
#[cfg(test)]
mod tests;

pub(super) use config::{Config, Unfit};
pub(super) use conversion::from_checkpoint;

use tch::{Kind, Tensor};

use super::compute::Compute;
use super::network::{Batch, Network, NetworkOutput};
use super::torch::{self, Place, Torch, to_vec};
use super::transformer::{Block, Dense, Norm, NormPlace, Taker, steps, windows};
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::frontend::spec::{self, FrontEnd};
use crate::units::signed;
use config::ConvolutionNorm;

/// What makes wav2vec 2.0's patches.
pub(super) const FRONT_END: FrontEnd = spec::WAV2VEC2;

/// Samples that a frame sees.
const FRAME_SAMPLES: usize = 400;
/// From one frame to the next, in samples.
const FRAME_HOP_SAMPLES: usize = 320;
/// Frames of half a second.
const FRAMES_A_STEP: usize = 25;
/// Of libtorch's norms, which the convolutions' leave as it is.
const CONVOLUTION_NORM_EPSILON: f64 = 1e-5;
/// Of `zero_mean_unit_var_norm` in `feature_extraction_wav2vec2.py`.
const INPUT_EPSILON: f64 = 1e-7;

/// The network with its weights.
#[derive(Debug)]
struct Wav2Vec2 {
    model: String,
    place: Place,
    normalised: bool,
    convolutions: Vec<Convolution>,
    feature_norm: Norm,
    projection: Dense,
    positions: Positions,
    norm_place: NormPlace,
    norm: Norm,
    blocks: Vec<Block>,
    /// The hidden layer that embeddings are made of.
    layer: usize,
}

/// A convolution over time with the norm and the GELU behind it.
#[derive(Debug)]
struct Convolution {
    size: i64,
    stride: i64,
    dense: Dense,
    norm: AfterConvolution,
}

#[derive(Debug)]
enum AfterConvolution {
    Nothing,
    /// Each channel over time.
    OverTime {
        gain: Tensor,
        bias: Tensor,
    },
    /// Each position over channels.
    OverChannels(Norm),
}

/// The convolution that tells positions apart: a wide one, in groups of channels. Of the published
/// size, libtorch's own takes 52 ms for 499 frames, and products with all its windows 114.
#[derive(Debug)]
struct Positions {
    /// `[width, width / groups, size]`.
    weight: Tensor,
    bias: Tensor,
    groups: i64,
}

/// Builds the network for `compute`, which is resolved, from weights that carry their
/// configuration. Embeddings are made of hidden layer `layer`, where 0 is what goes into the first
/// block; of the last one without.
pub(super) fn build(
    mut weights: Weights,
    model: &str,
    layer: Option<usize>,
    compute: Compute,
) -> Result<Box<dyn Network>> {
    let config = settings(&weights, model)?;
    let last = config.num_hidden_layers;
    let layer = layer.unwrap_or(last);
    if layer > last {
        let problem = format!("it has hidden layers 0 to {last}, and its card asks for {layer}");
        return Err(Error::Card { name: model.to_owned(), source: problem.into() });
    }
    let network = Wav2Vec2::take(&mut weights, model, &config, layer, Place::of(compute))?;
    weights.finish()?;
    Ok(Box::new(network))
}

/// Refuses weights that are not those of `config`: any tensor is missing, left over or of another
/// shape.
pub(super) fn check(mut weights: Weights, model: &str, config: &Config) -> Result<()> {
    let layer = config.num_hidden_layers;
    let place = Place::of(Compute::default());
    Wav2Vec2::take(&mut weights, model, config, layer, place)?;
    weights.finish()
}

/// The last hidden layer of the network that `weights` are of.
pub(super) fn last_layer(weights: &Weights, model: &str) -> Result<usize> {
    settings(weights, model).map(|config| config.layers())
}

/// The configuration that `weights` carry.
fn settings(weights: &Weights, model: &str) -> Result<Config> {
    let text = weights.settings().unwrap_or_default();
    Config::read(text, None)
        .map_err(|unfit| Error::Card { name: model.to_owned(), source: unfit.to_string().into() })
}

impl Wav2Vec2 {
    /// Takes every tensor, each in its shape.
    fn take(
        weights: &mut Weights,
        model: &str,
        config: &Config,
        layer: usize,
        place: Place,
    ) -> Result<Self> {
        let (width, epsilon) = (config.hidden_size, config.layer_norm_eps);
        let mut taker = Taker { model, weights, place };
        let convolutions = (0..config.conv_dim.len())
            .map(|index| convolution(&mut taker, config, index))
            .collect::<Result<_>>()?;
        let features = config.conv_dim.last().copied().unwrap_or(0);
        let feature_norm = norm(&mut taker, "feature_projection.layer_norm", features, epsilon)?;
        let projection = dense(&mut taker, "feature_projection.projection", [features, width])?;
        let blocks = (0..config.num_hidden_layers)
            .map(|index| block(&mut taker, &format!("encoder.layers.{index}"), config))
            .collect::<Result<_>>()?;
        Ok(Self {
            model: model.to_owned(),
            place,
            normalised: config.do_normalize,
            convolutions,
            feature_norm,
            projection,
            positions: Positions::take(&mut taker, config)?,
            norm_place: norm_place(config),
            norm: norm(&mut taker, "encoder.layer_norm", width, epsilon)?,
            blocks,
            layer,
        })
    }

    /// What the convolutions make of samples, `[frames, channels]`, normed.
    fn features(&self, samples: &[f32]) -> Torch<Tensor> {
        let mut maps = self.place.tensor(samples, &[samples.len(), 1])?;
        for convolution in &self.convolutions {
            maps = convolution.forward(&maps)?;
        }
        self.feature_norm.forward(&maps)
    }

    /// Hidden layers 0 to `last` in order, each `[frames, width]`, given to `visit`.
    fn hidden_layers(
        &self,
        features: &Tensor,
        last: usize,
        mut visit: impl FnMut(&Tensor),
    ) -> Torch<Tensor> {
        let projected = self.projection.forward(features)?;
        let mut states = self.positions.forward(&projected)?.f_add(&projected)?;
        if self.norm_place == NormPlace::Behind {
            states = self.norm.forward(&states)?;
        }
        visit(&states);
        for (index, block) in self.blocks.iter().enumerate().take(last) {
            states = block.forward(&states)?;
            // In the published layout with norms before, one more stands behind the last block.
            if self.norm_place == NormPlace::Before && index + 1 == self.blocks.len() {
                states = self.norm.forward(&states)?;
            }
            visit(&states);
        }
        Ok(states)
    }

    fn forward(&self, batch: &Batch<'_>) -> Torch<NetworkOutput> {
        let mut embeddings = Vec::new();
        // One patch at a time: its frames fill the products, and none is padded.
        for (patch, sound_samples) in batch.patches() {
            let samples = input(&patch[..sound_samples.min(patch.len())], self.normalised);
            let states = self.hidden_layers(&self.features(&samples)?, self.layer, |_| ())?;
            let states = states.f_to_kind(Kind::Float)?;
            let means = steps(&states, FRAMES_A_STEP, FRONT_END.steps_of(sound_samples))?;
            embeddings.extend(to_vec(&means)?);
        }
        Ok(NetworkOutput { embeddings, scores: Vec::new() })
    }
}

impl Network for Wav2Vec2 {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        torch::run(&self.model, || self.forward(batch))
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(Self {
            model: self.model.clone(),
            place: self.place,
            normalised: self.normalised,
            convolutions: self.convolutions.iter().map(Convolution::share).collect(),
            feature_norm: self.feature_norm.share(),
            projection: self.projection.share(),
            positions: self.positions.share(),
            norm_place: self.norm_place,
            norm: self.norm.share(),
            blocks: self.blocks.iter().map(Block::share).collect(),
            layer: self.layer,
        })
    }
}

impl Convolution {
    /// `[positions, channels]` in and out.
    fn forward(&self, maps: &Tensor) -> Torch<Tensor> {
        let mut maps = self.dense.forward(&windows(maps, self.size, self.stride)?)?;
        match &self.norm {
            AfterConvolution::Nothing => {}
            AfterConvolution::OverTime { gain, bias } => {
                let (variance, mean) = maps.f_var_mean_dim(0_i64, false, true)?;
                let scale = (variance.f_add_scalar(CONVOLUTION_NORM_EPSILON)?).f_rsqrt()?;
                maps = maps.f_sub_(&mean)?.f_mul_(&scale.f_mul(gain)?)?.f_add_(bias)?;
            }
            AfterConvolution::OverChannels(norm) => maps = norm.forward(&maps)?,
        }
        maps.f_gelu_("none")
    }

    fn share(&self) -> Self {
        let norm = match &self.norm {
            AfterConvolution::Nothing => AfterConvolution::Nothing,
            AfterConvolution::OverTime { gain, bias } => AfterConvolution::OverTime {
                gain: gain.shallow_clone(),
                bias: bias.shallow_clone(),
            },
            AfterConvolution::OverChannels(norm) => AfterConvolution::OverChannels(norm.share()),
        };
        Self { size: self.size, stride: self.stride, dense: self.dense.share(), norm }
    }
}

impl Positions {
    /// Takes the convolution: a direction for each place of its kernel, and a length
    /// (T. Salimans and D. Kingma, arXiv:1602.07868, equation 2).
    #[expect(clippy::cast_possible_truncation, reason = "multiplied in f64, kept in f32")]
    fn take(taker: &mut Taker<'_>, config: &Config) -> Result<Self> {
        let (width, size) = (config.hidden_size, config.num_conv_pos_embeddings);
        let groups = config.num_conv_pos_embedding_groups;
        let path = "encoder.pos_conv_embed.conv";
        let shape = [width, width / groups, size];
        let mut weight = taker.weights.take_values(&format!("{path}.weight_v"), &shape)?;
        let lengths = taker.weights.take_values(&format!("{path}.weight_g"), &[1, 1, size])?;
        let mut squares = vec![0.0_f64; size];
        for row in weight.chunks_exact(size) {
            for (square, &value) in squares.iter_mut().zip(row) {
                *square += f64::from(value).powi(2);
            }
        }
        for row in weight.chunks_exact_mut(size) {
            for ((value, &length), square) in row.iter_mut().zip(&lengths).zip(&squares) {
                *value = (f64::from(*value) * f64::from(length) / square.sqrt()) as f32;
            }
        }
        Ok(Self {
            weight: taker.copy(&weight, &shape)?,
            bias: taker.tensor(&format!("{path}.bias"), &[width])?,
            groups: signed(groups),
        })
    }

    /// `[frames, width]` in and out.
    fn forward(&self, states: &Tensor) -> Torch<Tensor> {
        let (frames, _) = states.size2()?;
        let padding = self.weight.size()[2] / 2;
        // With an even kernel there is one position too many, and the last is dropped.
        states
            .f_transpose(0, 1)?
            .f_unsqueeze(0)?
            .f_conv1d(&self.weight, Some(&self.bias), [1], [padding], [1], self.groups)?
            .f_narrow(2, 0, frames)?
            .f_gelu("none")?
            .f_squeeze_dim(0)?
            .f_transpose(0, 1)
    }

    fn share(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            bias: self.bias.shallow_clone(),
            groups: self.groups,
        }
    }
}

/// The samples as the network wants them: at least a frame of them, and of zero mean and unit
/// variance where it was trained so.
#[expect(clippy::cast_possible_truncation, reason = "summed in f64, kept in f32")]
fn input(samples: &[f32], normalised: bool) -> Vec<f32> {
    let mut input = samples.to_vec();
    if normalised && !samples.is_empty() {
        let count = samples.len() as f64;
        let mean = samples.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let squares = samples.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>();
        let deviation = (squares / count + INPUT_EPSILON).sqrt();
        for value in &mut input {
            *value = ((f64::from(*value) - mean) / deviation) as f32;
        }
    }
    // Less than a frame makes no state; what is missing is silence.
    input.resize(input.len().max(FRAME_SAMPLES), 0.0);
    input
}

fn norm_place(config: &Config) -> NormPlace {
    if config.do_stable_layer_norm { NormPlace::Before } else { NormPlace::Behind }
}

fn convolution(taker: &mut Taker<'_>, config: &Config, index: usize) -> Result<Convolution> {
    let path = format!("feature_extractor.conv_layers.{index}");
    let inputs = if index == 0 { 1 } else { config.conv_dim[index - 1] };
    let (outputs, size) = (config.conv_dim[index], config.conv_kernel[index]);
    let bias = config.conv_bias.then(|| format!("{path}.conv.bias"));
    let weight = format!("{path}.conv.weight");
    let dense = taker.convolution(&weight, bias.as_deref(), [outputs, inputs, size])?;
    let norm_path = format!("{path}.layer_norm");
    let norm = match config.feat_extract_norm {
        ConvolutionNorm::Layer => AfterConvolution::OverChannels(norm(
            taker,
            &norm_path,
            outputs,
            CONVOLUTION_NORM_EPSILON,
        )?),
        ConvolutionNorm::Group if index == 0 => AfterConvolution::OverTime {
            gain: taker.tensor(&format!("{norm_path}.weight"), &[outputs])?,
            bias: taker.tensor(&format!("{norm_path}.bias"), &[outputs])?,
        },
        ConvolutionNorm::Group => AfterConvolution::Nothing,
    };
    Ok(Convolution { size: signed(size), stride: signed(config.conv_stride[index]), dense, norm })
}

fn block(taker: &mut Taker<'_>, path: &str, config: &Config) -> Result<Block> {
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    // Query, key and value are stored apart and computed in one product.
    let (mut weight, mut bias) = (Vec::new(), Vec::new());
    for part in ["q_proj", "k_proj", "v_proj"] {
        let path = format!("{path}.attention.{part}");
        weight.extend(taker.weights.take_values(&format!("{path}.weight"), &[width, width])?);
        bias.extend(taker.weights.take_values(&format!("{path}.bias"), &[width])?);
    }
    let epsilon = config.layer_norm_eps;
    Ok(Block {
        norm_place: norm_place(config),
        heads: config.num_attention_heads,
        projections: taker.dense_of(&weight, &bias)?,
        attention_output: dense(taker, &format!("{path}.attention.out_proj"), [width, width])?,
        attention_norm: norm(taker, &format!("{path}.layer_norm"), width, epsilon)?,
        widening: dense(taker, &format!("{path}.feed_forward.intermediate_dense"), [width, inner])?,
        narrowing: dense(taker, &format!("{path}.feed_forward.output_dense"), [inner, width])?,
        dense_norm: norm(taker, &format!("{path}.final_layer_norm"), width, epsilon)?,
    })
}

fn dense(taker: &mut Taker<'_>, path: &str, sizes: [usize; 2]) -> Result<Dense> {
    taker.dense(&format!("{path}.weight"), &format!("{path}.bias"), sizes)
}

fn norm(taker: &mut Taker<'_>, path: &str, width: usize, epsilon: f64) -> Result<Norm> {
    taker.norm(&format!("{path}.weight"), &format!("{path}.bias"), width, epsilon)
}
