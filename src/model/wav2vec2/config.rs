//! What a published wav2vec 2.0 says of itself: `config.json` and `preprocessor_config.json`.
//!
//! In: the text of both. Out: [`Config`], which also writes itself, to be kept beside the weights.
//! Refuses other architectures, layers that are not built here, and sizes that make no network.
//!
//! Names and defaults are those of transformers 4.30.2, `configuration_wav2vec2.py` and
//! `feature_extraction_wav2vec2.py`; what only training or a head reads is left aside.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FRAME_HOP_SAMPLES, FRAME_SAMPLES, FRONT_END};
use crate::model::checkpoint::Problem;

/// Why no network is built of what a model says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) enum Unfit {
    /// It is another architecture, of this name.
    Architecture(String),
    /// It is of a form that is not built here, or does not read.
    Form(Problem),
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Architecture(found) => write!(formatter, "it is a `{found}`, not a wav2vec2"),
            Self::Form(problem) => formatter.write_str(problem),
        }
    }
}

impl From<Problem> for Unfit {
    fn from(problem: Problem) -> Self {
        Self::Form(problem)
    }
}

/// `config.json`, of whatever architecture.
#[derive(Debug, Deserialize)]
struct AnyConfig {
    model_type: Option<String>,
}

/// The sizes and forms of a network.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(in crate::model) struct Config {
    model_type: String,
    #[serde(default = "base::hidden_size")]
    pub(super) hidden_size: usize,
    #[serde(default = "base::num_hidden_layers")]
    pub(super) num_hidden_layers: usize,
    #[serde(default = "base::num_attention_heads")]
    pub(super) num_attention_heads: usize,
    #[serde(default = "base::intermediate_size")]
    pub(super) intermediate_size: usize,
    #[serde(default = "base::gelu")]
    hidden_act: String,
    #[serde(default = "base::layer_norm_eps")]
    pub(super) layer_norm_eps: f64,
    #[serde(default = "base::conv_dim")]
    pub(super) conv_dim: Vec<usize>,
    #[serde(default = "base::conv_kernel")]
    pub(super) conv_kernel: Vec<usize>,
    #[serde(default = "base::conv_stride")]
    pub(super) conv_stride: Vec<usize>,
    #[serde(default)]
    pub(super) conv_bias: bool,
    #[serde(default)]
    pub(super) feat_extract_norm: ConvolutionNorm,
    #[serde(default = "base::gelu")]
    feat_extract_activation: String,
    #[serde(default = "base::num_conv_pos_embeddings")]
    pub(super) num_conv_pos_embeddings: usize,
    #[serde(default = "base::num_conv_pos_embedding_groups")]
    pub(super) num_conv_pos_embedding_groups: usize,
    #[serde(default)]
    pub(super) do_stable_layer_norm: bool,
    /// Adapters inside the blocks, which change what they compute.
    #[serde(default, skip_serializing)]
    adapter_attn_dim: Option<usize>,
    /// Of the other file: whether each input is given zero mean and a variance of one.
    #[serde(default = "base::do_normalize")]
    pub(super) do_normalize: bool,
}

/// What norms follow the convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConvolutionNorm {
    /// Of each channel over time, behind the first convolution alone: the published *base*.
    #[default]
    Group,
    /// Of each position over channels, behind every convolution: the published *large*.
    Layer,
}

/// `preprocessor_config.json`, as far as it changes the input.
#[derive(Debug, Deserialize)]
struct Preprocessor {
    #[serde(default = "base::do_normalize")]
    do_normalize: bool,
    #[serde(default = "base::sampling_rate")]
    sampling_rate: u32,
    #[serde(default = "base::feature_size")]
    feature_size: usize,
}

impl Config {
    /// Reads `config.json`, and `preprocessor_config.json` where the publisher has one.
    pub(in crate::model) fn read(config: &str, preprocessor: Option<&str>) -> Result<Self, Unfit> {
        let unread = |error| format!("its config.json does not read: {error}");
        // What it is, before what only this kind has.
        let any: AnyConfig = serde_json::from_str(config).map_err(unread)?;
        match any.model_type {
            None => return Err("its config.json names no model_type".to_owned().into()),
            Some(kind) if kind != ARCHITECTURE => return Err(Unfit::Architecture(kind)),
            Some(_) => {}
        }
        let mut found: Self = serde_json::from_str(config).map_err(unread)?;
        if let Some(preprocessor) = preprocessor {
            let preprocessor: Preprocessor = serde_json::from_str(preprocessor)
                .map_err(|error| format!("its preprocessor_config.json does not read: {error}"))?;
            preprocessor.check()?;
            found.do_normalize = preprocessor.do_normalize;
        }
        found.check()?;
        Ok(found)
    }

    /// One text for both files; [`read`](Self::read) reads it as a `config.json`.
    pub(in crate::model) fn to_json(&self) -> Result<String, Problem> {
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    /// Length of a hidden state.
    pub(in crate::model) fn dimension(&self) -> usize {
        self.hidden_size
    }

    /// Blocks of the transformer: its last hidden layer, counted from the input of the first.
    pub(in crate::model) fn layers(&self) -> usize {
        self.num_hidden_layers
    }

    fn check(&self) -> Result<(), Problem> {
        let expect = |holds: bool, what: &str, found: &dyn fmt::Debug| {
            if holds { Ok(()) } else { Err(format!("its config asks for {what}: found {found:?}")) }
        };
        let convolutions = [&self.conv_dim, &self.conv_kernel, &self.conv_stride];
        let width = self.hidden_size;
        for activation in [&self.hidden_act, &self.feat_extract_activation] {
            expect(activation == "gelu", "another activation than gelu", activation)?;
        }
        let adapter = self.adapter_attn_dim;
        expect(
            adapter.is_none(),
            "adapters inside its blocks, which are not built here",
            &adapter,
        )?;
        let depth = self.conv_dim.len();
        let alike = depth > 0 && convolutions.iter().all(|sizes| sizes.len() == depth);
        expect(alike, "convolutions of which some have no size", &convolutions)?;
        let sizes = [width, self.intermediate_size, self.num_conv_pos_embeddings];
        let positive = sizes
            .iter()
            .chain(convolutions.into_iter().flatten())
            .all(|&size| (1..=MAX_SIZE).contains(&size));
        expect(positive, "a size outside 1 to 65536", &(sizes, convolutions))?;
        for parts in [self.num_attention_heads, self.num_conv_pos_embedding_groups] {
            let divides = parts > 0 && width.is_multiple_of(parts);
            expect(divides, "heads or groups that do not divide its width", &(parts, width))?;
        }
        let epsilon = self.layer_norm_eps;
        expect(epsilon.is_finite() && epsilon > 0.0, "a norm without an epsilon", &epsilon)?;
        // What the front end cuts and the pooling counts on; all published ones are so.
        let frames = self.frames();
        let usual = frames == Some((FRAME_SAMPLES, FRAME_HOP_SAMPLES));
        expect(usual, "other frames than of 400 samples every 320", &frames)
    }

    /// Samples that a frame sees, and from one to the next.
    fn frames(&self) -> Option<(usize, usize)> {
        let (mut window, mut hop) = (1_usize, 1_usize);
        for (&kernel, &stride) in self.conv_kernel.iter().zip(&self.conv_stride) {
            window = window.checked_add(hop.checked_mul(kernel.checked_sub(1)?)?)?;
            hop = hop.checked_mul(stride)?;
        }
        Some((window, hop))
    }
}

impl Preprocessor {
    fn check(&self) -> Result<(), Problem> {
        if self.sampling_rate != FRONT_END.sample_rate {
            return Err(format!(
                "its preprocessor_config.json asks for {} Hz, expected {} Hz",
                self.sampling_rate, FRONT_END.sample_rate
            ));
        }
        if self.feature_size != 1 {
            return Err(format!(
                "its preprocessor_config.json asks for {} values a sample, expected 1",
                self.feature_size
            ));
        }
        Ok(())
    }
}

/// What it calls itself.
const ARCHITECTURE: &str = "wav2vec2";
/// No published size comes near.
const MAX_SIZE: usize = 1 << 16;

/// What is meant where a file says nothing: `Wav2Vec2Config`'s and `Wav2Vec2FeatureExtractor`'s
/// own defaults, the published *base*.
mod base {
    pub(super) fn hidden_size() -> usize {
        768
    }
    pub(super) fn num_hidden_layers() -> usize {
        12
    }
    pub(super) fn num_attention_heads() -> usize {
        12
    }
    pub(super) fn intermediate_size() -> usize {
        3_072
    }
    pub(super) fn gelu() -> String {
        "gelu".to_owned()
    }
    pub(super) fn layer_norm_eps() -> f64 {
        1e-5
    }
    pub(super) fn conv_dim() -> Vec<usize> {
        vec![512; 7]
    }
    pub(super) fn conv_kernel() -> Vec<usize> {
        vec![10, 3, 3, 3, 3, 2, 2]
    }
    pub(super) fn conv_stride() -> Vec<usize> {
        vec![5, 2, 2, 2, 2, 2, 2]
    }
    pub(super) fn num_conv_pos_embeddings() -> usize {
        128
    }
    pub(super) fn num_conv_pos_embedding_groups() -> usize {
        16
    }
    pub(super) fn do_normalize() -> bool {
        true
    }
    pub(super) fn sampling_rate() -> u32 {
        16_000
    }
    pub(super) fn feature_size() -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"model_type": "wav2vec2"}"#;

    #[test]
    fn defaults_are_the_published_base_and_come_back_as_written() {
        let config = Config::read(LEAST, None).unwrap();
        assert_eq!((config.dimension(), config.layers()), (768, 12));
        assert_eq!(config.frames(), Some((400, 320)));
        assert!(config.do_normalize && !config.do_stable_layer_norm);
        let quiet = Config::read(LEAST, Some(r#"{"do_normalize": false}"#)).unwrap();
        assert!(!quiet.do_normalize);
        assert_eq!(Config::read(&quiet.to_json().unwrap(), None), Ok(quiet));
    }

    #[test]
    fn what_is_not_built_here_is_refused_with_what_was_found() {
        let cases = [
            (r#"{"model_type": "hubert"}"#, "hubert"),
            (r#"{"model_type": "wav2vec2", "hidden_act": "relu"}"#, "relu"),
            (r#"{"model_type": "wav2vec2", "adapter_attn_dim": 16}"#, "16"),
            (r#"{"model_type": "wav2vec2", "conv_dim": [512]}"#, "[512]"),
            (r#"{"model_type": "wav2vec2", "hidden_size": 0}"#, "0"),
            (r#"{"model_type": "wav2vec2", "num_attention_heads": 7}"#, "7"),
            (r#"{"model_type": "wav2vec2", "feat_extract_norm": "batch"}"#, "batch"),
            (r#"{"model_type": "wav2vec2", "conv_stride": [5, 2, 2, 2, 2, 2, 4]}"#, "640"),
            ("{", "config.json"),
            ("{}", "no model_type"),
        ];
        for (text, found) in cases {
            let problem = Config::read(text, None).unwrap_err().to_string();
            assert!(problem.contains(found), "{text}: {problem}");
        }
        let problem = Config::read(LEAST, Some(r#"{"sampling_rate": 8000}"#)).unwrap_err();
        assert!(problem.to_string().contains("8000 Hz"), "{problem}");
        // Another kind's sizes need not be of a kind that is known here.
        let text = r#"{"model_type": "hubert", "conv_dim": "many"}"#;
        assert_eq!(Config::read(text, None), Err(Unfit::Architecture("hubert".to_owned())));
    }
}
